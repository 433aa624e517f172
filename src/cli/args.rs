//! Every command and flag, with the help that teaches them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::model::Span;
use crate::observe::LogFormat;

/// Keeps fleets of cloud servers at the right size: signals in, policy decides, signed ECS calls
/// out.
#[derive(Debug, Parser)]
#[command(
    name = "fleetscaler",
    version,
    term_width = 80,
    after_help = "\
First steps:
  fleetscaler demo                        see it work on an embedded cloud
  fleetscaler check --config config.toml  every problem of it at once
  fleetscaler run --dry-run --config config.toml
                                          what it would do, call by call
  fleetscaler run --config config.toml    do it

Exit codes:
  0  done          1  failed while running    2  wrong command line
  3  the configuration has problems           4  an online check failed"
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon until it is told to stop (SIGTERM or Ctrl-C)
    Run(RunArgs),
    /// Check a configuration; with --online also credentials, permissions and signals
    Check(CheckArgs),
    /// Watch the daemon scale a fleet on an embedded cloud, in two minutes
    Demo(DemoArgs),
    /// Serve an ECS look-alike on loopback, for tests and trials
    Emulator(EmulatorArgs),
}

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --dry-run the same loop runs, but nothing is changed: each tick prints the
recommended against the actual size and every call as it would be sent.
With --once each fleet ticks once; the exit code is 1 if a tick failed.")]
pub(super) struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Change nothing: print what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// One tick per fleet, then exit
    #[arg(long)]
    pub(super) once: bool,
    /// The form of the tick reports on stdout (with --dry-run or --once)
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// The form of the log on stderr: text on a terminal, journald fields under
    /// systemd, JSON elsewhere
    #[arg(long, value_enum, default_value = "auto", value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace; or a filter such as
    /// "info,aliyun=debug"
    #[arg(long, default_value = "info", env = "FLEETSCALER_LOG", value_name = "FILTER")]
    pub(super) log: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Offline, every problem is printed with file, line and a hint.
With --online it also asks: are the credentials accepted, may they list and
launch instances (DryRun, nothing is launched), does each query answer, and how
old is its data?")]
pub(super) struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Ask the cloud and the signal sources too
    #[arg(long)]
    pub(super) online: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon, its HTTP calls and their signatures are the real ones; only the
cloud and the service under load are simulated, in this process, on loopback.")]
pub(super) struct DemoArgs {
    /// End after this long
    #[arg(long = "for", default_value = "2m", value_name = "DURATION")]
    pub(super) duration: Span,
    /// Print lines instead of the live view
    #[arg(long)]
    pub(super) plain: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Point a configuration at it:
  [provider.aliyun]
  endpoint = \"http://127.0.0.1:8089\"
and give the daemon its key pair:
  ALIBABA_CLOUD_ACCESS_KEY_ID=testid ALIBABA_CLOUD_ACCESS_KEY_SECRET=testsecret
What happened there:
  curl -s http://127.0.0.1:8089/_emulator/transcript")]
pub(super) struct EmulatorArgs {
    /// Where to listen; loopback only
    #[arg(long, default_value = "127.0.0.1:8089", value_name = "ADDRESS")]
    pub(super) listen: SocketAddr,
    /// The access key id that it accepts
    #[arg(long, default_value = "testid", value_name = "ID")]
    pub(super) access_key_id: String,
    /// The secret of that key
    #[arg(long, default_value = "testsecret", value_name = "SECRET")]
    pub(super) access_key_secret: String,
    /// How long an instance takes from launch to Running
    #[arg(long, value_name = "DURATION")]
    pub(super) boot: Option<Span>,
    /// A TOML file that describes zones, types, stock and limits
    #[arg(long, value_name = "FILE")]
    pub(super) world: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_fits_80_columns() {
        Args::command().debug_assert();
        let mut command = Args::command();
        // Hands the width on to the commands.
        command.build();
        for name in ["run", "check", "demo", "emulator"] {
            let help = command.find_subcommand_mut(name).expect(name).render_long_help();
            for line in help.to_string().lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
            }
        }
    }
}
