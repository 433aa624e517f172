//! The flags of the commands by which people instruct fleets.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;

use crate::cli::args::{AuthorArgs, CONFIG, hold_time};
use crate::model::Span;

/// What every instruction has.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WordArgs {
    /// The configuration file, for its `state` and its fleets
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(in crate::cli) config: PathBuf,
    /// Why, for whoever finds it
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) reason: String,
    #[command(flatten)]
    pub(in crate::cli) author: AuthorArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The size, or the bounds, count instead of what schedules say until the time is
over; rules go on within them, and `min` and `max` of the configuration hold.
  fleetscaler set web 10 --for 1h --reason \"launch event\"
  fleetscaler set web --min 6 --for 2d --reason \"black Friday\"")]
pub(in crate::cli) struct SetArgs {
    /// The fleet
    #[arg(value_name = "FLEET")]
    pub(in crate::cli) fleet: String,
    /// Exactly so many instances
    #[arg(value_name = "SIZE", conflicts_with_all = ["min", "max"], required_unless_present_any = ["min", "max"])]
    pub(in crate::cli) size: Option<u32>,
    /// At least so many
    #[arg(long, value_name = "N")]
    pub(in crate::cli) min: Option<u32>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max: Option<u32>,
    /// How long: "1m" to "30d"
    #[arg(long = "for", value_name = "DURATION", value_parser = hold_time)]
    pub(in crate::cli) duration: Span,
    #[command(flatten)]
    pub(in crate::cli) word: WordArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The instance is never ended until the time is over. For good, give it the tag
scale-protect.")]
pub(in crate::cli) struct ProtectArgs {
    /// The instance
    #[arg(value_name = "ID")]
    pub(in crate::cli) instance: String,
    /// How long: "1m" to "30d"
    #[arg(long = "for", value_name = "DURATION", value_parser = hold_time)]
    pub(in crate::cli) duration: Span,
    #[command(flatten)]
    pub(in crate::cli) word: WordArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It leaves service at the next tick, load balancers send it nothing new, and it is
kept, for a look. Another one is launched for it. `resume-instance` brings it
back. On standby it counts against `max`, and costs.")]
pub(in crate::cli) struct StandbyArgs {
    /// The instance
    #[arg(value_name = "ID")]
    pub(in crate::cli) instance: String,
    #[command(flatten)]
    pub(in crate::cli) word: WordArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It comes back at the next tick if it runs, whether a person or a hook put it on
standby.")]
pub(in crate::cli) struct ResumeInstanceArgs {
    /// The instance
    #[arg(value_name = "ID")]
    pub(in crate::cli) instance: String,
    #[command(flatten)]
    pub(in crate::cli) word: WordArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Another one is launched first; once that serves, this one is drained and ended.
Where `max` leaves no room, it goes first. Holds, protection and the hourly
limits apply.")]
pub(in crate::cli) struct ReplaceArgs {
    /// The instance
    #[arg(value_name = "ID")]
    pub(in crate::cli) instance: String,
    #[command(flatten)]
    pub(in crate::cli) word: WordArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is launched there, and what is there is replaced elsewhere: launched
first, drained and ended as others serve. Without --fleet: for every fleet.")]
pub(in crate::cli) struct EvacuateArgs {
    /// The vSwitch
    #[arg(value_name = "VSWITCH")]
    pub(in crate::cli) vswitch: String,
    /// Only this fleet
    #[arg(long)]
    pub(in crate::cli) fleet: Option<String>,
    /// How long: "1m" to "30d"
    #[arg(long = "for", value_name = "DURATION", value_parser = hold_time)]
    pub(in crate::cli) duration: Span,
    #[command(flatten)]
    pub(in crate::cli) word: WordArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What was launched by another template than today's ([fleet.NAME.launch]: image,
user data, disks, …) is replaced, the oldest first: launched first, drained and
ended as others serve. A quarter of the fleet goes at a time, or `max_surge`. A
template whose instances do not come into service stops it, and the others serve
on. Instances that were taken over stay. `fleetscaler withdraw` stops it.")]
pub(in crate::cli) struct RefreshArgs {
    /// The fleet
    #[arg(value_name = "FLEET")]
    pub(in crate::cli) fleet: String,
    /// How long it goes on, for later changes of the template as well: "1m" to "30d"
    #[arg(long = "for", value_name = "DURATION", value_parser = hold_time, default_value = "1d")]
    pub(in crate::cli) duration: Span,
    #[command(flatten)]
    pub(in crate::cli) word: WordArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct InstructionsArgs {
    /// The configuration file, for its `state`
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(in crate::cli) config: PathBuf,
    /// One JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
`fleetscaler instructions` lists the ids. What was done by then stays done: an
instance on standby comes back with `resume-instance`.")]
pub(in crate::cli) struct WithdrawArgs {
    /// The instruction's id, or at least its first 4 digits
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
    /// The configuration file, for its `state`
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(in crate::cli) config: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) author: AuthorArgs,
}
