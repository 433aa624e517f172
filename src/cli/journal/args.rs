//! The flags of `journal`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::args::CONFIG;
use crate::cli::since::Since;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each entry is a line: when, which fleet, what. Ids of decisions, intents and
holds are shortened to their first 8 digits; `replay` and --json take and show
them. Ticks are shown when an instance changed its phase, with --all always.
Kinds: decision, intent, resent, settlement, tick, lease, alert, hold,
instruction, stock, stop, boot, audit.
What comes again right after itself is one line with its number; with --all,
--json and -f each stands by itself. Where no terminal is, an entry is one line
with its day, for grep.")]
pub(in crate::cli) struct JournalArgs {
    /// The configuration file, for its `state`
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    pub(in crate::cli) config: PathBuf,
    /// Only this fleet, and what people said of it
    #[arg(long, value_name = "FLEET")]
    pub(in crate::cli) fleet: Option<String>,
    /// How far back: how long ago ("2h", "1w"), the time of the day in UTC ("03:00"), or
    /// "2026-11-25T03:00:00Z"
    #[arg(long, default_value = "24h", value_name = "WHEN")]
    pub(in crate::cli) since: Since,
    /// Only what this instance met: its launch, its steps, its end, what people said
    #[arg(long, value_name = "ID", conflicts_with = "fleet")]
    pub(in crate::cli) instance: Option<String>,
    /// Goes on with what is recorded from now on, until Ctrl-C
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    /// Only entries of this kind; may be given several times
    #[arg(long, value_enum, value_name = "KIND", hide_possible_values = true)]
    pub(in crate::cli) kind: Vec<EntryKind>,
    /// Only the newest so many
    #[arg(long, value_name = "N")]
    pub(in crate::cli) newest: Option<usize>,
    /// One JSON object a line: seq, at, scope, kind, v, body
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Quiet ticks too
    #[arg(long)]
    pub(in crate::cli) all: bool,
}

/// The kinds of entries, as the journal names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum EntryKind {
    Decision,
    Intent,
    Resent,
    Settlement,
    Tick,
    Lease,
    Alert,
    Hold,
    Instruction,
    Stock,
    Stop,
    Boot,
    Audit,
    Shadow,
}

impl EntryKind {
    /// As the journal names it.
    pub(in crate::cli) fn name(self) -> String {
        let value = self.to_possible_value().expect("no kind is skipped");
        value.get_name().to_owned()
    }
}
