//! The load on a fine grid, what it demands, and the signal that a policy sees of it.

use cloud::{Timestamp, clock};

use super::trace::Trace;

/// The grid: fine enough for any boot time and lag that matters.
pub const GRID_SECS: u64 = 5;
/// Ten years of grid points: more would not fit into the memory of a small machine.
const POINTS_MOST: usize = 64_000_000;
/// Samples further apart than this are joined by lines: a staircase would have jumps that the real
/// load never had.
const HELD_SECS_MOST: f64 = 60.0;
/// The most that rounding errors may add to a whole number of instances.
const EPSILON: f64 = 1e-9;

/// Why a trace cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoadError {
    #[error("the trace has a single moment: a backtest needs a course of load")]
    TooShort,
    #[error(
        "the trace lasts {days:.0} days; a backtest takes up to ten years: cut it, or give another \
         unit of time"
    )]
    TooLong { days: f64 },
    #[error("with capacity {capacity} the load demands {demand:.0} instances: is it per instance?")]
    Capacity { capacity: f64, demand: f64 },
}

/// A course of load, and what it demands.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    start: Timestamp,
    capacity: f64,
    values: Vec<f64>,
    demand: Vec<u32>,
    /// Of all values before each grid point.
    sums: Vec<f64>,
}

impl Load {
    /// The load of `trace`, of which one instance carries `capacity`.
    pub fn new(trace: &Trace, capacity: f64) -> Result<Load, LoadError> {
        let (times, values) = (trace.times(), trace.values());
        let (first, last) = match (times.first(), times.last()) {
            (Some(first), Some(last)) if last > first => (*first, *last),
            _ => return Err(LoadError::TooShort),
        };
        let step = trace.step_secs();
        let holds = step <= HELD_SECS_MOST;
        let secs = last - first + if holds { step } else { 0.0 };
        let points = (secs / GRID_SECS as f64).ceil();
        if points > POINTS_MOST as f64 {
            return Err(LoadError::TooLong { days: secs / 86_400.0 });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number between 0 and POINTS_MOST"
        )]
        let points = points as usize;
        let values = if holds { held(times, values, points) } else { lines(times, values, points) };
        let start = clock::after(Timestamp::default(), std::time::Duration::from_secs_f64(first));
        Load::of_values(start, values, capacity)
    }

    /// The load that has these values, one per grid point.
    pub fn of_values(start: Timestamp, values: Vec<f64>, capacity: f64) -> Result<Load, LoadError> {
        /// More than any account may have: the unit is wrong.
        const DEMAND_MOST: f64 = 1e6;
        let highest = values.iter().copied().fold(0.0, f64::max) / capacity;
        if highest > DEMAND_MOST {
            return Err(LoadError::Capacity { capacity, demand: highest });
        }
        let demand = values.iter().map(|value| needed(*value / capacity)).collect();
        let mut sum = 0.0;
        let mut sums = Vec::with_capacity(values.len() + 1);
        sums.push(0.0);
        for value in &values {
            sum += value;
            sums.push(sum);
        }
        Ok(Load { start, capacity, values, demand, sums })
    }

    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The load that one instance carries.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    /// At each grid point.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// In instances, at each grid point; one at least.
    #[must_use]
    pub fn demand(&self) -> &[u32] {
        &self.demand
    }

    #[must_use]
    pub fn secs(&self) -> u64 {
        self.values.len() as u64 * GRID_SECS
    }

    /// The mean load of the `window_secs` that ended `lag_secs` before `now`: what a policy sees.
    #[must_use]
    pub fn signal(&self, now: u64, window_secs: u64, lag_secs: u64) -> f64 {
        let points = |secs: u64| usize::try_from(secs / GRID_SECS).unwrap_or(usize::MAX);
        let end = points(now).saturating_sub(points(lag_secs)).min(self.values.len());
        let begin = end.saturating_sub(points(window_secs).max(1));
        if end <= begin {
            return self.values[0];
        }
        (self.sums[end] - self.sums[begin]) / (end - begin) as f64
    }
}

/// Whole instances for `load`.
fn needed(load: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and a million"
    )]
    let needed = (load - EPSILON).ceil().max(1.0) as u32;
    needed
}

/// Each value until the next one.
fn held(times: &[f64], values: &[f64], points: usize) -> Vec<f64> {
    let mut sample = 0;
    let value = |point: usize| {
        let at = times[0] + (point as u64 * GRID_SECS) as f64;
        while times.get(sample + 1).is_some_and(|next| *next <= at) {
            sample += 1;
        }
        values[sample]
    };
    (0..points).map(value).collect()
}

/// Straight lines from value to value.
fn lines(times: &[f64], values: &[f64], points: usize) -> Vec<f64> {
    let mut sample = 0;
    let value = |point: usize| {
        let at = times[0] + (point as u64 * GRID_SECS) as f64;
        while times.get(sample + 1).is_some_and(|next| *next <= at) {
            sample += 1;
        }
        let Some(next) = times.get(sample + 1) else { return values[sample] };
        let slope = (values[sample + 1] - values[sample]) / (next - times[sample]);
        slope * (at - times[sample]) + values[sample]
    };
    (0..points).map(value).collect()
}
