//! The decision of a tick: its size, its reasons, what held it back, and what would have changed it.

use std::fmt;

use chrono::SecondsFormat;
use cloud::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Reason, SignalName};

/// The outcome of the policy for one fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Instances that serve or soon will.
    pub current: u32,
    /// The size that the rules ask for within the bounds, if nothing held them back.
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
    /// The changes that would have led to an action.
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

pub(super) fn sign(direction: Direction) -> char {
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
    /// The parts in which two decisions differ to a reader: their sizes, and what each reason is about, not
    /// the values and times that it rests on.
    #[must_use]
    pub fn gist(&self) -> String {
        let kinds: Vec<String> = self.reasons.iter().map(Reason::gist).collect();
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
