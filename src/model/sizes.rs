//! The figures of the rules that turn a value straight into a size: bands, a backlog, a recommendation.

use serde::{Deserialize, Serialize};

use super::{SignalName, Span};

/// A size for each band of a signal's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    pub signal: SignalName,
    /// The size below the first bound.
    pub lowest: u32,
    /// By their bounds, ascending; at least one.
    pub bands: Vec<Band>,
}

/// From a value on, up to the next band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// In the signal's unit.
    pub from: f64,
    pub size: u32,
}

/// The size that works a backlog off within a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Jobs that wait.
    pub signal: SignalName,
    /// Jobs that are being worked on: they count, too.
    pub running: Option<SignalName>,
    /// How many jobs one instance finishes in a minute; positive.
    pub per_minute: f64,
    /// The time within which everything is to be done.
    pub within: Span,
    /// How many jobs one instance works on at once: those that run keep their instances.
    pub slots: Option<u32>,
}

impl Queue {
    /// How many jobs one instance finishes within the time.
    #[must_use]
    pub fn per_instance(&self) -> f64 {
        self.per_minute * self.within.get().as_secs_f64() / 60.0
    }
}

/// A size that somebody else recommends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct External {
    /// Its value is the size.
    pub signal: SignalName,
}
