//! The course of the load. Pure.

use std::time::Duration;

use crate::backtest::Trace;

/// Points of the shape: the share of the time, and the share of the way from the least load to the most.
const SURGE: &[(f64, f64)] =
    &[(0.0, 0.1), (0.15, 0.1), (0.3, 1.0), (0.6, 1.0), (0.75, 0.1), (1.0, 0.1)];

/// A course of load over time.
#[derive(Debug, Clone)]
pub enum Course {
    /// As recorded: each value holds until the next one.
    Recorded(Trace),
    /// Calm, a rise to the most, a plateau, a fall, calm.
    Surge { least: f64, most: f64, lasts: Duration },
    /// The same load all the time.
    Steady(f64),
}

impl Course {
    /// The load so long after the beginning.
    #[must_use]
    pub fn at(&self, after: Duration) -> f64 {
        match self {
            Course::Steady(load) => *load,
            Course::Recorded(trace) => {
                let first = trace.times().first().copied().unwrap_or(0.0);
                let until = first + after.as_secs_f64();
                let passed = trace.times().partition_point(|at| *at <= until);
                trace.values().get(passed.saturating_sub(1)).copied().unwrap_or(0.0)
            }
            Course::Surge { least, most, lasts } => {
                let part = (after.as_secs_f64() / lasts.as_secs_f64().max(1.0)).min(1.0);
                let next = SURGE.iter().position(|(at, _)| *at > part).unwrap_or(SURGE.len() - 1);
                let ((from, low), (to, high)) = (SURGE[next - 1], SURGE[next]);
                let share = low + (high - low) * (part - from) / (to - from);
                least + (most - least) * share
            }
        }
    }

    /// How long a recorded one is.
    #[must_use]
    pub fn recorded_for(&self) -> Option<Duration> {
        let Course::Recorded(trace) = self else { return None };
        let (first, last) = (trace.times().first()?, trace.times().last()?);
        Some(Duration::from_secs_f64((last - first + trace.step_secs()).max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surge_rises_to_the_most_and_falls_again() {
        let lasts = Duration::from_secs(3_600);
        let surge = Course::Surge { least: 0.0, most: 100.0, lasts };
        for (minute, load) in
            [(0, 10.0), (9, 10.0), (18, 100.0), (30, 100.0), (45, 10.0), (60, 10.0)]
        {
            let at = surge.at(Duration::from_secs(minute * 60));
            assert!((at - load).abs() < 1e-6, "{minute}: {at}");
        }
    }

    #[test]
    fn a_recorded_value_holds_until_the_next() {
        let text = "timestamp,value\n1000,5\n1060,7\n1120,9\n";
        let course = Course::Recorded(Trace::read(text.as_bytes()).expect("a trace"));
        for (secs, load) in [(0, 5.0), (59, 5.0), (60, 7.0), (600, 9.0)] {
            assert!((course.at(Duration::from_secs(secs)) - load).abs() < 1e-9, "{secs}");
        }
        assert_eq!(course.recorded_for(), Some(Duration::from_secs(180)));
    }
}
