//! The command line: one file a command; exit codes and output forms here.

mod accept;
mod adopt;
mod args;
mod audit;
mod backtest;
mod check;
mod daemon;
mod demo;
#[cfg(test)]
mod documented;
mod emulator;
mod hold;
mod instruct;
mod journal;
mod notify;
mod output;
mod paint;
mod process;
mod promote;
mod ram_policy;
mod rehearse;
mod reload;
mod replace;
mod replay;
mod run;
mod shell;
mod since;
mod state;
mod status;
mod support;
mod test;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// The exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed while running; the message says what. Of `test`: an expectation.
    Failed = 1,
    /// The command line is wrong (clap's own code), or a file of `test` is.
    Usage = 2,
    /// The configuration has problems; all of them are printed.
    Config = 3,
    /// It was looked, and something is wrong: a check of `check --online` failed, `audit` has
    /// findings.
    Check = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Runs the command line `args` (the program's name first).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // A closed pipe is no reason to fail.
            drop(error.print());
            return exit.into();
        }
    };
    process::keep_to_itself();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow::anyhow!("cannot start the runtime: {error}"));
    let result = runtime.and_then(|runtime| {
        runtime.block_on(async {
            match args.command {
                Command::Run(args) => run::run(args).await,
                Command::Check(args) => check::run(args).await,
                Command::RamPolicy(args) => ram_policy::run(args).await,
                Command::Status(args) => status::run(args).await,
                Command::Why(args) => why::run(args).await,
                Command::Journal(args) => journal::run(args).await,
                Command::Replay(args) => replay::run(args).await,
                Command::Hold(args) => hold::place(args).await,
                Command::Resume(args) => hold::lift(args).await,
                Command::Holds(args) => hold::list(args).await,
                Command::Set(args) => instruct::set(args).await,
                Command::Protect(args) => instruct::protect(args).await,
                Command::Standby(args) => instruct::standby(args).await,
                Command::ResumeInstance(args) => instruct::resume_instance(args).await,
                Command::Replace(args) => instruct::replace(args).await,
                Command::Evacuate(args) => instruct::evacuate(args).await,
                Command::Refresh(args) => instruct::refresh(args).await,
                Command::Instructions(args) => instruct::list(args).await,
                Command::Withdraw(args) => instruct::withdraw(args).await,
                Command::Adopt(args) => adopt::run(args).await,
                Command::AcceptAccount(args) => accept::run(args).await,
                Command::Reload(args) => reload::run(args).await,
                Command::Promote(args) => promote::run(args).await,
                Command::State(args) => state::run(args).await,
                Command::Support(args) => support::run(args).await,
                Command::Notify(args) => notify::run(args).await,
                Command::Audit(args) => audit::run(args).await,
                Command::Backtest(args) => backtest::run_command(args).await,
                Command::Test(args) => test::run_command(args).await,
                Command::Rehearse(args) => rehearse::run(args).await,
                Command::Demo(args) => demo::run(args).await,
                Command::Schema => shell::schema(),
                Command::Completions(args) => shell::completions(args).await,
                Command::Man(args) => shell::man(args).await,
                Command::Emulator(args) => emulator::run(args).await,
            }
        })
    });
    match result {
        Ok(Exit::Ok) if output::has_failed() => Exit::Failed.into(),
        Ok(exit) => exit.into(),
        Err(error) => {
            output::error(&format!("{error:#}"));
            Exit::Failed.into()
        }
    }
}
