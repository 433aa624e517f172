//! The memory of the adaptive rule: small, of fixed size, and written to the last bit.
//!
//! Loads are in instances here: the signal divided by what one instance carries. How the numbers
//! come about is in `policy::adaptive`.

mod packed;

use cloud::Timestamp;
use serde::{Deserialize, Serialize};

/// Features of the forecast, rounded up to a whole number of vector registers; the last is unused.
pub(crate) const FORECAST_LANES: usize = 12;
/// Features of the spread: none unused.
pub(crate) const SPREAD_LANES: usize = 6;
/// How many spreads of headroom an expert keeps. Ten values from none to many.
pub(crate) const KAPPAS: usize = 10;
/// For how long an expert keeps what it wanted.
pub(crate) const HOLDS: usize = 4;
/// One expert for each headroom and hold.
pub(crate) const EXPERTS: usize = KAPPAS * HOLDS;
/// Past loads that are kept: five minutes of ticks, and the newest.
pub(crate) const LOADS: usize = 21;

/// In which steps the state advances. With another shape the waiting forecasts are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Seconds from step to step.
    pub tick: u32,
    /// Steps from a launch until the instance serves.
    pub boot: u32,
    /// How many steps old the signal is.
    pub age: u32,
}

/// The longest maximum that is forecast: one minute.
const PEAK_SECS: u32 = 60;
/// The longest hold of an expert.
pub(crate) const HOLD_SECS_MOST: u32 = 600;
const DAY_SECS: u32 = 86_400;
/// One minute: finer than any daily habit, and a day of it is small.
const BIN_SECS: u32 = 60;

impl Shape {
    /// Steps that `secs` take, rounded down; one at least.
    pub(crate) fn steps(self, secs: u32) -> u32 {
        (secs / self.tick).max(1)
    }

    /// Steps over which the highest load is forecast.
    pub(crate) fn peak(self) -> u32 {
        self.steps(PEAK_SECS)
    }

    /// Steps until a forecast can be compared with what came.
    pub(crate) fn horizon(self) -> u32 {
        self.boot + self.age + self.peak() - 1
    }

    pub(crate) fn longest_hold(self) -> usize {
        self.steps(HOLD_SECS_MOST) as usize
    }

    pub(crate) fn day(self) -> u32 {
        self.steps(DAY_SECS)
    }

    /// Steps in one bin of the day.
    pub(crate) fn bin(self) -> u32 {
        self.steps(BIN_SECS)
    }

    /// Bins of a day, and two more: the one that fills, and the one after it.
    fn bins(self) -> usize {
        (self.day() / self.bin() + 2) as usize
    }
}

/// Least squares, weighted by age. A lane without covariance is never used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Regression<const N: usize> {
    pub(crate) weights: [f64; N],
    pub(crate) covariance: [[f64; N]; N],
    /// The usual size of its error.
    pub(crate) deviation: f64,
}

/// An exponential mean that begins as a plain one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    pub(crate) count: f64,
}

/// The load of a day, in bins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Day {
    /// A ring.
    pub(crate) bins: Vec<f32>,
    /// Bins that were ever filled.
    pub(crate) filled: u64,
    /// The present bin so far.
    pub(crate) sum: f64,
}

/// A forecast that waits for its time to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Waiting {
    pub(crate) features: [f32; FORECAST_LANES],
    pub(crate) spread_features: [f32; SPREAD_LANES],
    pub(crate) scale: f32,
    /// The forecasts of the regression …
    pub(crate) model: f32,
    /// … and what was used: the same, or the load of then.
    pub(crate) forecast: f32,
}

/// Everything that the rule knows of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "packed::Packed", into = "packed::Packed")]
pub struct AdaptiveState {
    pub(crate) shape: Shape,
    /// The cost of a missing instance; the costs of the experts are counted with it.
    pub(crate) price: f64,
    /// The moment of the newest step.
    pub(crate) at: Timestamp,
    pub(crate) steps: u64,
    /// Newest first.
    pub(crate) loads: [f64; LOADS],
    /// Over 10 min, 1 h and 6 h.
    pub(crate) means: [Mean; 3],
    pub(crate) day: Day,
    pub(crate) forecast: Regression<FORECAST_LANES>,
    pub(crate) spread: Regression<SPREAD_LANES>,
    /// Of the forecast's error, over 5 min, 1 h and 24 h.
    pub(crate) errors: [Mean; 3],
    pub(crate) error: f64,
    /// The regression's error over some hours, and that of "as now".
    pub(crate) rivals: [Mean; 2],
    /// A ring by step, as long as the horizon. Before it is full some are empty.
    pub(crate) waiting: Vec<Option<Waiting>>,
    /// Forecast and spread of the newest steps, a ring as long as the longest hold.
    pub(crate) outlooks: Vec<(f64, f64)>,
    /// The sizes that each expert wanted, a ring as long as boot and age.
    pub(crate) wanted: Vec<[f32; EXPERTS]>,
    pub(crate) costs: [f64; EXPERTS],
    /// Steps until it learns again, after a gap.
    pub(crate) gap: u32,
    /// The size that it asked for last.
    pub(crate) want: u32,
    /// The experts' result, in instances.
    pub(crate) target: f64,
}
