//! What a tick decided, why, what held it back, and what would have changed its mind.

use std::fmt;

use chrono::SecondsFormat;
use cloud::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Gap, SignalName, Step};

/// The outcome of the policy for one fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Instances that serve or soon will.
    pub current: u32,
    /// What the rules ask for within the bounds, if nothing held them back.
    pub recommended: u32,
    /// The size to go for: `min ≤ desired ≤ max`.
    pub desired: u32,
    /// Instances to launch now; fewer than missing where something forbids more.
    pub add: u32,
    /// Instances to end now; fewer than there are too many where something forbids more.
    pub remove: u32,
    /// In the order in which they were found.
    pub reasons: Vec<Reason>,
    /// The first reason that kept `desired` from `recommended`, or the rules from an opinion.
    pub blocked_by: Option<Reason>,
    /// What would have led to an action.
    pub counterfactuals: Vec<Counterfactual>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Out,
    In,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Out => "scale-out",
            Direction::In => "scale-in",
        })
    }
}

/// One reason, with the numbers that it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The run of samples that a rule waits for is complete.
    Crossed {
        signal: SignalName,
        direction: Direction,
        value: f64,
        bound: f64,
        samples: u32,
        by: Step,
    },
    /// The newest value is past the bound, but the run is not complete.
    RunIncomplete {
        signal: SignalName,
        direction: Direction,
        value: f64,
        bound: f64,
        have: u32,
        need: u32,
    },
    /// The newest value is between the bounds.
    WithinBand {
        signal: SignalName,
        value: f64,
    },
    /// The signal cannot be read: no opinion, hold.
    Missing {
        signal: SignalName,
        gap: Gap,
    },
    /// A cool-down runs.
    CoolingDown {
        direction: Direction,
        until: Timestamp,
    },
    /// Since when the records begin, no scale-in is known; one may have happened just before.
    NoRecordYet {
        until: Timestamp,
    },
    /// An earlier scale-out got only a part of its instances: the rest is looked for elsewhere.
    Unfinished {
        target: u32,
    },
    /// Instances were lost: they are replaced.
    Replacing {
        target: u32,
    },
    /// The shortage that the newest value shows has been answered already.
    Answered {
        signal: SignalName,
        /// Instances in service when it was measured.
        measured_with: u32,
        capacity: u32,
    },
    /// Too few instances report the signal: no opinion on fewer instances.
    Partial {
        signal: SignalName,
        reporting: u32,
        in_service: u32,
        min_coverage: f64,
    },
    /// A signal is missing and its fallback asks for more.
    FellBack {
        signal: SignalName,
        to: u32,
    },
    /// A higher size was recommended a short while ago.
    Stabilizing {
        highest: u32,
        until: Timestamp,
    },
    /// An operator's hold.
    Held {
        hold: super::Hold,
    },
    /// An hourly limit.
    Braked {
        direction: Direction,
        scope: BrakeScope,
        limit: u32,
        used: u32,
    },
    /// Launches of this spec failed in a row.
    LaunchesFailed {
        in_a_row: u32,
        stopped: bool,
        until: Timestamp,
        why: String,
    },
    /// Launches stopped for the whole account.
    AccountStopped {
        class: cloud::Class,
        until: Timestamp,
        why: String,
    },
    /// After a pause, one instance is tried.
    Probing,
    /// A zone's instances are all silent.
    ZoneLost {
        zone: String,
        instances: u32,
    },
    /// Scale-in waits because another rule asks for more instances, or cannot say.
    Outvoted {
        signal: SignalName,
    },
    RaisedToMin {
        min: u32,
    },
    LoweredToMax {
        max: u32,
    },
    CappedAtMax {
        max: u32,
    },
    FlooredAtMin {
        min: u32,
    },
    /// Failed instances exist and count against `max` until they are gone.
    FailedCountAgainstMax {
        failed: u32,
        max: u32,
    },
    /// Instances on their way out exist and count against `max` until they are gone.
    LeavingCountAgainstMax {
        leaving: u32,
        max: u32,
    },
    /// The inventory is not to be trusted.
    Doubt {
        why: String,
    },
    /// A mutation whose outcome is not known is settled first.
    OutcomeOpen {
        instances: u32,
    },
    /// Nobody knows yet whether these were ended.
    EndOpen {
        instances: u32,
    },
}

/// Whose hourly limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrakeScope {
    Fleet,
    Account,
}

/// A change that would have led to an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Counterfactual {
    /// The signal stays past the bound for this many more new samples.
    Samples { signal: SignalName, direction: Direction, bound: f64, more: u32 },
    /// The cool-down ends.
    After { direction: Direction, until: Timestamp },
    /// The signal can be read again.
    SignalReturns { signal: SignalName },
    /// `max` is raised.
    HigherMax { max: u32 },
    /// `min` is lowered.
    LowerMin { min: u32 },
}

/// `12:04:10Z`: a moment within the day, for people. Journal and JSON carry the whole time stamp.
pub(crate) fn clock_time(at: Timestamp) -> String {
    at.format("%H:%M:%SZ").to_string()
}

fn sign(direction: Direction) -> char {
    match direction {
        Direction::Out => '>',
        Direction::In => '<',
    }
}

/// A value for people: at most two decimals, no trailing zeros.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(crate) fn plural(count: u32, noun: &str) -> String {
    let ending = if noun.ends_with("ch") { "es" } else { "s" };
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}{ending}") }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Crossed { signal, direction, value, bound, samples, by } => {
                let run =
                    if *samples == 1 { String::new() } else { format!(" for {samples} samples") };
                let verb = if *direction == Direction::Out { "add" } else { "remove" };
                write!(
                    f,
                    "{signal} = {} {} {}{run}: {verb} {by}",
                    number(*value),
                    sign(*direction),
                    number(*bound),
                )
            }
            Reason::RunIncomplete { signal, direction, value, bound, have, need } => write!(
                f,
                "{signal} = {} {} {} for {have} of {need} samples",
                number(*value),
                sign(*direction),
                number(*bound),
            ),
            Reason::WithinBand { signal, value } => {
                write!(f, "{signal} = {} is within its band", number(*value))
            }
            Reason::Missing { signal, gap } => write!(f, "{signal} is missing: {gap}"),
            Reason::CoolingDown { direction, until } => {
                write!(f, "{direction} cool-down until {}", clock_time(*until))
            }
            Reason::NoRecordYet { until } => write!(
                f,
                "the records begin here and a scale-in may have just ended: no scale-in until {}",
                clock_time(*until),
            ),
            Reason::Unfinished { target } => {
                write!(f, "the scale-out to {target} is not complete")
            }
            Reason::Replacing { target } => {
                write!(f, "instances were lost: back to {target}")
            }
            Reason::Answered { signal, measured_with, capacity } => write!(
                f,
                "{signal} was measured with {measured_with} in service and is answered by the \
                 {capacity} that there are now or soon",
            ),
            Reason::Partial { signal, reporting, in_service, min_coverage } => write!(
                f,
                "{signal} is reported by {reporting} of {in_service} instances, below \
                 min_coverage = {}",
                number(*min_coverage),
            ),
            Reason::FellBack { signal, to } => {
                write!(f, "{signal} is missing: at least {to} instances until it is back")
            }
            Reason::Stabilizing { highest, until } => write!(
                f,
                "{highest} were recommended a short while ago: no fewer until {}",
                clock_time(*until),
            ),
            Reason::Held { hold } => write!(f, "{hold}"),
            Reason::Braked { direction, scope, limit, used } => {
                let what = match direction {
                    Direction::Out => "launches",
                    Direction::In => "removals",
                };
                let whose = match scope {
                    BrakeScope::Fleet => "the fleet",
                    BrakeScope::Account => "the account",
                };
                write!(f, "brake: {whose} had {used} of {limit} {what} within the hour")
            }
            Reason::LaunchesFailed { in_a_row, stopped, until, why } => {
                write!(
                    f,
                    "{} in a row failed ({why}): {} until {}",
                    plural(*in_a_row, "launch"),
                    if *stopped { "stopped" } else { "the next one waits" },
                    clock_time(*until),
                )
            }
            Reason::AccountStopped { class, until, why } => write!(
                f,
                "launches of the account stopped until {} ({class}): {why}",
                clock_time(*until),
            ),
            Reason::Probing => f.write_str("one instance is tried first"),
            Reason::ZoneLost { zone, instances } => write!(
                f,
                "{} of {zone} {} silent and not counted",
                plural(*instances, "instance"),
                if *instances == 1 { "is" } else { "are" },
            ),
            Reason::Outvoted { signal } => {
                write!(f, "{signal} does not agree to a scale-in")
            }
            Reason::RaisedToMin { min } => write!(f, "below min = {min}"),
            Reason::LoweredToMax { max } => write!(f, "above max = {max}"),
            Reason::CappedAtMax { max } => write!(f, "max = {max} is reached"),
            Reason::FlooredAtMin { min } => write!(f, "min = {min} is reached"),
            Reason::FailedCountAgainstMax { failed, max } => write!(
                f,
                "{} still {} and count against max = {max}",
                plural(*failed, "failed instance"),
                if *failed == 1 { "exists" } else { "exist" },
            ),
            Reason::LeavingCountAgainstMax { leaving, max } => write!(
                f,
                "{} on the way out still {} against max = {max}",
                plural(*leaving, "instance"),
                if *leaving == 1 { "counts" } else { "count" },
            ),
            Reason::Doubt { why } => write!(f, "the inventory is in doubt: {why}"),
            Reason::EndOpen { instances } => write!(
                f,
                "it is not known yet whether {} {} ended",
                plural(*instances, "instance"),
                if *instances == 1 { "was" } else { "were" },
            ),
            Reason::OutcomeOpen { instances } => write!(
                f,
                "the outcome of a launch of {} is not known yet",
                plural(*instances, "instance"),
            ),
        }
    }
}

impl fmt::Display for Counterfactual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = |direction: &Direction| match direction {
            Direction::Out => "out",
            Direction::In => "in",
        };
        match self {
            Counterfactual::Samples { signal, direction, bound, more } => write!(
                f,
                "would scale {} if {signal} {} {} for {} more {}",
                verb(direction),
                sign(*direction),
                number(*bound),
                more,
                if *more == 1 { "sample" } else { "samples" },
            ),
            Counterfactual::After { direction, until } => {
                write!(f, "could scale {} after {}", verb(direction), clock_time(*until))
            }
            Counterfactual::SignalReturns { signal } => {
                write!(f, "would decide again once {signal} can be read")
            }
            Counterfactual::HigherMax { max } => {
                write!(f, "would scale out if max were above {max}")
            }
            Counterfactual::LowerMin { min } => write!(f, "would scale in if min were below {min}"),
        }
    }
}

impl Decision {
    /// What makes two decisions different to a reader: everything but the numbers.
    #[must_use]
    pub fn gist(&self) -> String {
        let kinds: Vec<String> = self
            .reasons
            .iter()
            .map(|reason| {
                let value = serde_json::to_value(reason).unwrap_or_default();
                let word = |key: &str| {
                    value.get(key).and_then(|v| v.as_str()).map(str::to_owned).unwrap_or_default()
                };
                let gap = value.get("gap").and_then(|gap| gap.get("gap")).and_then(|g| g.as_str());
                format!(
                    "{} {} {} {}",
                    word("reason"),
                    word("signal"),
                    word("direction"),
                    gap.unwrap_or_default()
                )
            })
            .collect();
        let Decision { current, desired, add, remove, .. } = self;
        format!("{current} {desired} +{add} -{remove} {}", kinds.join(","))
    }
}

impl fmt::Display for Decision {
    /// One line: `3 → 5: cpu = 88.1 > 75 for 2 samples: add 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goal = self.current + self.add - self.remove.min(self.current);
        if goal == self.current {
            write!(f, "stays at {}", self.current)?;
        } else {
            write!(f, "{} → {goal}", self.current)?;
        }
        if self.recommended != goal {
            write!(f, " (recommended {})", self.recommended)?;
        }
        for (n, reason) in self.reasons.iter().enumerate() {
            write!(f, "{} {reason}", if n == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

/// RFC 3339 with whole seconds and `Z`: how times are written into tags.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
