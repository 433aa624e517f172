//! Every command and flag, with the help that teaches them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::instruct::args::{
    EvacuateArgs, InstructionsArgs, ProtectArgs, RefreshArgs, ReplaceArgs, ResumeInstanceArgs,
    SetArgs, StandbyArgs, WithdrawArgs,
};
use super::journal::args::JournalArgs;
use super::since::Since;
use crate::model::{HOLD_TIMES, Span};
use crate::observe::LogFormat;

/// Where the packages put the configuration.
pub(super) const CONFIG: &str = "/etc/fleetscaler/config.toml";

/// The flag that names `config`, with a blank before it, where a command needs it to find the same one.
pub(super) fn config_flag(config: &std::path::Path) -> String {
    let by_environment = std::env::var_os("FLEETSCALER_CONFIG");
    let known = by_environment.unwrap_or_else(|| CONFIG.into());
    if config.as_os_str() == known {
        String::new()
    } else {
        format!(" --config {}", config.display())
    }
}

/// Keeps fleets of cloud servers at the right size: signals in, policy decides, signed ECS calls
/// out.
#[derive(Debug, Parser)]
#[command(
    name = "fleetscaler",
    version = env!("FLEETSCALER_VERSION"),
    term_width = 80,
    after_help = "\
First steps:
  fleetscaler demo                        see it work on an embedded cloud
  fleetscaler check --config config.toml  every problem of it at once
  fleetscaler run --dry-run --config config.toml
                                          what it would do, call by call
  fleetscaler run --config config.toml    do it

At 3 a.m.:
  fleetscaler status                      a line a fleet: is it right, and why
  fleetscaler why web --at 03:00          what was seen and done, and why
  fleetscaler hold web --for 2h --reason \"…\"
                                          keep its size
  fleetscaler set web 10 --for 1h --reason \"…\"
                                          set its size
  fleetscaler journal --fleet web --since 2h
                                          what happened

Exit codes:
  0  done          1  failed while running    2  wrong command line
  3  the configuration has problems
  4  looked, and something is wrong: an online check failed, an audit has
     findings"
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
    /// Write the least RAM policy that a configuration needs
    RamPolicy(RamPolicyArgs),
    /// Show each fleet in a line: what serves, what it wants, what blocks it
    Status(StatusArgs),
    /// Tell why a fleet is as it is, or was at some time
    Why(WhyArgs),
    /// Show what happened and why, also beside a running daemon
    Journal(JournalArgs),
    /// Decide once more from the recorded inputs, and compare to the last bit
    Replay(ReplayArgs),
    /// Keep a fleet from changing its size for a while
    Hold(HoldArgs),
    /// Lift the holds of a fleet, or of all fleets
    Resume(ResumeArgs),
    /// List the holds that are in force
    Holds(HoldsArgs),
    /// Set a fleet's size, or its bounds, for a while
    Set(SetArgs),
    /// Keep an instance from being ended for a while
    Protect(ProtectArgs),
    /// Take an instance out of service and keep it, for a look
    Standby(StandbyArgs),
    /// Bring an instance back that is on standby
    ResumeInstance(ResumeInstanceArgs),
    /// Replace one instance: another one is launched first
    Replace(ReplaceArgs),
    /// Launch nothing in a vSwitch for a while, and replace what is there
    Evacuate(EvacuateArgs),
    /// Replace what an older template launched, some at a time
    Refresh(RefreshArgs),
    /// List the instructions that are in force
    Instructions(InstructionsArgs),
    /// Withdraw an instruction
    Withdraw(WithdrawArgs),
    /// Take instances over that carry a fleet's tags and are not its own
    Adopt(AdoptArgs),
    /// Let a provider's key be of another account than the one that was recorded
    AcceptAccount(AcceptAccountArgs),
    /// Let the running daemon take its changed configuration
    Reload(ReloadArgs),
    /// Make the shadow rules of a fleet its rules, in the configuration file
    Promote(PromoteArgs),
    /// Back up, verify or restore the journal
    State(StateArgs),
    /// Write an archive for somebody who helps from afar, without secrets
    Support(SupportArgs),
    /// Send a test message to the channels that are told of alerts
    Notify(NotifyArgs),
    /// Compare what the cloud lists, what the journal knows and what is up
    Audit(AuditArgs),
    /// Run policies over a recorded load and compare what they cost
    Backtest(super::backtest::args::BacktestArgs),
    /// Play scenarios of policies, and compare with what is expected of them
    Test(super::test::args::TestArgs),
    /// Play a configuration against an embedded cloud in which things go wrong
    Rehearse(super::rehearse::RehearseArgs),
    /// Watch the daemon scale a fleet on an embedded cloud, in two minutes
    Demo(DemoArgs),
    /// Serve an ECS look-alike on loopback, for tests and trials
    Emulator(EmulatorArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
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
recommended against the actual size and every call as it would be sent. It
reads the daemon's journal (holds, cool-downs, samples) and does not write it.
With --once each fleet ticks once; the exit code is 1 if a tick failed.")]
pub(super) struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
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
#[command(after_help = "\
A back-up is made beside the running daemon. To restore, stop the daemon first:
what was there is moved aside, and never removed.
  fleetscaler state backup /var/backups/fleetscaler.db
  systemctl stop fleetscaler
  fleetscaler state restore /var/backups/fleetscaler.db
  systemctl start fleetscaler")]
pub(super) struct StateArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG, global = true)]
    pub(super) config: PathBuf,
    #[command(subcommand)]
    pub(super) command: StateCommand,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The archive has the version and the system, the configuration as `check --print`
shows it, the answers of the running daemon, its metrics, the newest 20,000 records
of the journal, and the unit with its log. What cannot be had is named, with the
reason. Nothing is sent anywhere.")]
pub(super) struct SupportArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// The new archive [default: fleetscaler-support-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// How far back the journal and the log go: 2h, 1w, 03:00, a date with its time
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(super) since: Since,
    /// Leave out the unit and its log
    #[arg(long)]
    pub(super) no_logs: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct NotifyArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG, global = true)]
    pub(super) config: PathBuf,
    #[command(subcommand)]
    pub(super) command: NotifyCommand,
}

/// What is done with the channels.
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Send one message to each, or to one
    Test {
        /// The channel
        name: Option<String>,
    },
}

/// What is done with the journal.
#[derive(Debug, Subcommand)]
pub(super) enum StateCommand {
    /// Write a whole copy into a new file, also while the daemon runs
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Look through every page and every record of a copy, or of the state
    Verify {
        /// The copy [default: the state]
        file: Option<PathBuf>,
    },
    /// Put a copy in the place of the state, while no daemon has it
    Restore {
        /// The copy
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// The form of the log on stderr: text on a terminal, journald fields under
    /// systemd, JSON elsewhere
    #[arg(long, value_enum, default_value = "auto", value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
    /// The messages to log: error, warn, info, debug or trace; or a filter such as
    /// "info,aliyun=debug"
    #[arg(long, default_value = "info", env = "FLEETSCALER_LOG", value_name = "FILTER")]
    pub(super) log: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Offline, every problem is printed with file, line and a hint.
With --online it also asks: are the credentials accepted, may they list, launch
and end instances (DryRun, nothing is changed), may they do more than is needed,
does each query answer, and how old is its data? Each question has 10 s.

With --json stdout is one document, with the same exit code:
  {\"file\": \"…\", \"ok\": true, \"problems\": [], \"warnings\": [],
   \"fleets\": [{\"name\", \"provider\", \"min\", \"max\", \"instance_types\",
               \"vswitches\", \"signals\", \"rules\"}],
   \"online\": [{\"what\", \"result\": \"ok|fail|more|skip\", \"text\", \"todo\"}]}
Problems and warnings are {\"file\", \"line\", \"column\", \"message\", \"hint\"};
\"ok\" is true when the exit code is 0.

Exit codes: 0 fine, 3 problems (with --strict also warnings), 4 a check of
--online failed.")]
pub(super) struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// Ask the cloud and the signal sources too
    #[arg(long)]
    pub(super) online: bool,
    /// Print it as files, templates and defaults make it, with the place of each value
    #[arg(long, conflicts_with = "online")]
    pub(super) print: bool,
    /// Take warnings for problems: they make the exit code 3
    #[arg(long)]
    pub(super) strict: bool,
    /// Print one JSON document, for programs
    #[arg(long, conflicts_with = "print")]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The policy is printed as JSON on stdout, what to know of it on stderr:
  fleetscaler ram-policy --config config.toml > policy.json
Write it again after each change of a fleet's name or launch.")]
pub(super) struct RamPolicyArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// The provider, where there are several
    #[arg(long, value_name = "NAME")]
    pub(super) provider: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The running daemon is asked over its socket; without one, the newest decisions
of the journal are shown, and it is said that they are. WANTS is the size that
the fleet goes for, with `!23` behind it where its rules ask for more than max.
SIGNAL has the newest value, the last few as a picture, and its age.")]
pub(super) struct StatusArgs {
    /// The configuration file, for its `api_socket`, its `state` and its fleets
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Again every 2 s, until Ctrl-C
    #[arg(long)]
    pub(super) watch: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The running daemon is asked over its socket, else the journal is read. A
decision that only repeats the one before is kept each ten minutes; what it was
made from, for two days.")]
pub(super) struct WhyArgs {
    /// The fleet
    #[arg(value_name = "FLEET")]
    pub(super) fleet: String,
    /// The configuration file, for its `api_socket` and its `state`
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// The decision that was in force then: how long ago ("2h"), the time of the
    /// day in UTC ("03:00"), or "2026-11-25T03:00:00Z"
    #[arg(long, value_name = "WHEN")]
    pub(super) at: Option<Since>,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The same inputs must lead to the same decision and the same plan. Exit code 0:
they do. 1: they do not (the difference is printed), or the decision is not
known, or its inputs are past their retention of two days.")]
pub(super) struct ReplayArgs {
    /// The configuration file, for its `state`
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// The decision's id, or at least its first 4 digits
    #[arg(long, value_name = "ID")]
    pub(super) decision: String,
}

/// Which fleets an operator speaks of.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct WhichArgs {
    /// This fleet
    #[arg(value_name = "FLEET", id = "name")]
    name: Option<String>,
    /// The same
    #[arg(long, value_name = "FLEET")]
    fleet: Option<String>,
    /// All fleets, those that are configured later among them
    #[arg(long)]
    pub(super) all_fleets: bool,
}

impl WhichArgs {
    /// The fleet that is named; `None`: all.
    pub(super) fn fleet(&self) -> Option<&String> {
        self.name.as_ref().or(self.fleet.as_ref())
    }
}

#[derive(Debug, clap::Args)]
// Clap does not wrap its own.
#[command(override_usage = "\
fleetscaler hold [--config <FILE>] (<FLEET> | --all-fleets)
           [--scale-in | --scale-out] --for <DURATION> --reason <TEXT>")]
#[command(after_help = "\
The hold is an entry of the journal: it works while the daemon runs and while it
is down, from each fleet's next tick on, and ends by itself. Without --scale-in
or --scale-out it holds both. A hold keeps instances from being launched or
removed, also where `min`, `max` or a loss asks for it; what is under way goes
on.")]
pub(super) struct HoldArgs {
    /// The configuration file, for its `state` and its fleets
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) which: WhichArgs,
    /// Only keep it from removing instances
    #[arg(long, conflicts_with = "scale_out")]
    pub(super) scale_in: bool,
    /// Only keep it from launching instances
    #[arg(long)]
    pub(super) scale_out: bool,
    /// How long: "1m" to "30d"
    #[arg(long = "for", value_name = "DURATION", value_parser = hold_time)]
    pub(super) duration: Span,
    /// Why, for whoever finds it
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) author: AuthorArgs,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "\
fleetscaler resume [--config <FILE>] (<FLEET> | --all-fleets)")]
#[command(after_help = "\
Each hold that is lifted is printed. --all-fleets lifts every hold; a hold of
all fleets cannot be lifted for one fleet alone.")]
pub(super) struct ResumeArgs {
    /// The configuration file, for its `state` and its fleets
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) which: WhichArgs,
    #[command(flatten)]
    pub(super) author: AuthorArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct HoldsArgs {
    /// The configuration file, for its `state`
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "\
fleetscaler adopt [--config <FILE>] --fleet <FLEET> [--id <ID>]...
           --reason <TEXT>")]
#[command(after_help = "\
Without --id: every instance that carries the fleet's tags (scale-source=auto
and scale-fleet=NAME) and is not its own, another installation's among them.
It is an entry of the journal, which the fleet's next tick carries out, within a
day or not at all. What was taken over counts as the fleet's and may be ended;
whoever had it before replaces it.")]
pub(super) struct AdoptArgs {
    /// The configuration file, for its `state` and its fleets
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// Which fleet takes them over
    #[arg(long)]
    pub(super) fleet: String,
    /// Only this instance; may be given several times
    #[arg(long = "id", value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// Why, for whoever reads the journal
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) author: AuthorArgs,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "\
fleetscaler accept-account [--config <FILE>] --provider <NAME>
           --account <ID> --reason <TEXT>")]
#[command(after_help = "\
The account is recorded at the first start. When a key of another one is found,
nothing is called any more, and the alert account_changed names both. With this
the fleets act in the account of that id from their next tick on. What ran in
the old account is theirs no more: it goes on there, and costs.")]
pub(super) struct AcceptAccountArgs {
    /// The configuration file, for its `state` and its providers
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// Which [provider.NAME]
    #[arg(long, value_name = "NAME")]
    pub(super) provider: String,
    /// The id of the account, as the alert says it
    #[arg(long, value_name = "ID")]
    pub(super) account: String,
    /// Why, for whoever reads the journal
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) author: AuthorArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon reads the file that it was started with, and takes it as a whole or
not at all. New fleets begin to tick, the instances of removed ones stay as
strays, and the others go on with their cool-downs and holds. Secrets and
certificates are read anew. A changed state, address or provider needs a
restart, and is refused by name. `systemctl reload fleetscaler` does the same.

Exit codes: 0 taken (or, with --dry-run, it would be); 1 a restart is needed,
or no daemon answers; 3 the configuration has problems, and the old one goes on")]
pub(super) struct ReloadArgs {
    /// The configuration file, for the daemon's socket
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// One JSON object, as the API gives it
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) author: AuthorArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints a unified diff of the configuration in which the tables
[[fleet.FLEET.rule]] are gone and [[fleet.FLEET.shadow]] stand in their place.
Comments stay, but for those of the old rules. It is checked as a whole first.

Exit codes: 0 done; 2 no such fleet; 3 the configuration has problems, or would
have some, or there are no shadow rules")]
pub(super) struct PromoteArgs {
    /// The fleet
    #[arg(value_name = "FLEET")]
    pub(super) fleet: String,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// Write it
    #[arg(long)]
    pub(super) write: bool,
}

/// The speaker.
#[derive(Debug, clap::Args)]
pub(super) struct AuthorArgs {
    /// The person who says so [default: $SUDO_USER, $USER,
    /// the user's number]
    #[arg(long, value_name = "NAME")]
    pub(super) author: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads only: the daemon audits each hour by itself, and only the daemon deletes
strays. Exit code 0: nothing found. 4: something was found. 1: an account could
not be audited.")]
pub(super) struct AuditArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(super) config: PathBuf,
    /// One JSON object a line, for each account
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn hold_time(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if HOLD_TIMES.contains(&span) {
        return Ok(span);
    }
    let (least, most) = (HOLD_TIMES.start(), HOLD_TIMES.end());
    Err(format!("a hold lasts from {least} to {most}; for good, set `min` and `max`"))
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
bash:  fleetscaler completions bash > /usr/share/bash-completion/completions/fleetscaler
zsh:   fleetscaler completions zsh > /usr/share/zsh/site-functions/_fleetscaler
fish:  fleetscaler completions fish > ~/.config/fish/completions/fleetscaler.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
One page for fleetscaler and one for each command:
  fleetscaler man /usr/local/share/man/man1 && man fleetscaler-hold")]
pub(super) struct ManArgs {
    /// The directory; it is made if need be
    pub(super) dir: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon, its HTTP calls and their signatures are the real ones; only the
cloud and the service under load are simulated, in this process, on loopback.")]
pub(super) struct DemoArgs {
    /// End after this long, "30s" at least
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
    /// The secret of that key; other users of this machine can read it here
    #[arg(long, default_value = "testsecret", value_name = "SECRET")]
    pub(super) access_key_secret: String,
    /// A file with the secret instead
    #[arg(long, value_name = "FILE", conflicts_with = "access_key_secret")]
    pub(super) access_key_secret_file: Option<PathBuf>,
    /// How long an instance takes from launch to Running
    #[arg(long, value_name = "DURATION")]
    pub(super) boot: Option<Span>,
    /// Give instances addresses of this machine (127.16.x.y), so that programs
    /// here can stand for them
    #[arg(long)]
    pub(super) loopback: bool,
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
        let own = command.render_long_help().to_string();
        let of_commands = command.get_subcommands_mut().map(|c| c.render_long_help().to_string());
        for help in std::iter::once(own).chain(of_commands.collect::<Vec<_>>()) {
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }

    #[test]
    fn a_hold_needs_fleets_a_time_within_a_month_and_a_reason() {
        let hold = |line: &str| {
            let line = format!("fleetscaler hold --config c.toml {line}");
            Args::try_parse_from(line.split(' ')).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(hold("web --for 2h --reason x"), Ok(()));
        assert_eq!(hold("--fleet web --for 2h --reason x"), Ok(()));
        assert_eq!(hold("--all-fleets --scale-in --for 30d --reason x"), Ok(()));
        for (line, said) in [
            ("--for 2h --reason x", "--fleet"),
            ("web --all-fleets --for 2h --reason x", "cannot be used with"),
            ("web --fleet web --for 2h --reason x", "cannot be used with"),
            ("--fleet web --all-fleets --for 2h --reason x", "cannot be used with"),
            ("--fleet web --scale-in --scale-out --for 2h --reason x", "cannot be used with"),
            ("--fleet web --reason x", "--for"),
            ("--fleet web --for 2h", "--reason"),
            ("--fleet web --for 2h --reason ", "a value is required"),
            ("--fleet web --for 59s --reason x", "from 1m to 30d"),
            ("--fleet web --for 31d --reason x", "from 1m to 30d"),
            ("--fleet web --for 2 --reason x", "write it as"),
        ] {
            let error = hold(line).expect_err(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
