//! Steps of the host's clock, noticed between two ticks of a fleet.
//!
//! The wall clock may be set by hand, by NTP, or by a host that wakes up; the monotonic clock is not. How
//! far the one went ahead of the other since the fleet's last tick is a step.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use cloud::{Timestamp, clock};

use crate::journal::Lease;
use crate::model::FleetId;

/// Smaller ones do no harm: every time-out is longer, and what NTP slews is less.
const LEAST_MILLIS: i64 = 5_000;

/// Both clocks at the last tick of each fleet.
#[derive(Debug, Default)]
pub struct Steps(Mutex<BTreeMap<FleetId, Reading>>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    fence: i64,
    wall: Timestamp,
    monotonic: Duration,
}

impl Steps {
    /// By how many milliseconds the clock was set since the last tick under this lease, forward if
    /// positive; `None` while there is nothing to compare with, or no step.
    pub(super) fn noticed(
        &self,
        lease: &Lease,
        wall: Timestamp,
        monotonic: Duration,
    ) -> Option<i64> {
        let now = Reading { fence: lease.fence, wall, monotonic };
        let mut readings = self.0.lock().expect("no holder of this lock can panic");
        let last = readings.insert(lease.fleet.clone(), now)?;
        last.step_to(now)
    }
}

/// Whether the wall clock was set forward between the beginning of a tick and the moment for which it decides:
/// `began` and `decides` by the wall clock, `passed` by the monotonic one. What takes long is no step.
pub(super) fn was_set_forward(began: Timestamp, decides: Timestamp, passed: Duration) -> bool {
    (decides - clock::after(began, passed)).num_milliseconds() >= LEAST_MILLIS
}

impl Reading {
    fn step_to(self, now: Reading) -> Option<i64> {
        // A step may cost the lease, which is taken again as the next one. With another replica in
        // between, the records are by another host's clock.
        if now.fence - self.fence > 1 {
            return None;
        }
        let passed = now.monotonic.saturating_sub(self.monotonic);
        let step = (now.wall - clock::after(self.wall, passed)).num_milliseconds();
        (step.abs() >= LEAST_MILLIS).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_during_which_the_clock_is_set_forward_is_told_from_a_slow_one() {
        let began: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a valid time");
        for (wall_secs, passed_secs, was_set) in
            [(1, 1, false), (90, 95, false), (577, 125, true), (3, 60, false), (6, 1, true)]
        {
            let decides = began + chrono::TimeDelta::seconds(wall_secs);
            let got = was_set_forward(began, decides, Duration::from_secs(passed_secs));
            assert_eq!(got, was_set, "{wall_secs} s in {passed_secs} s");
        }
    }

    #[test]
    fn a_step_is_what_the_wall_clock_went_beyond_the_time_that_passed() {
        let start: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a valid time");
        let at = |fence, wall_secs: i64, monotonic_secs| Reading {
            fence,
            wall: start + chrono::TimeDelta::seconds(wall_secs),
            monotonic: Duration::from_secs(monotonic_secs),
        };
        for (name, now, step) in [
            ("no step", at(1, 15, 115), None),
            ("a slow tick is none", at(1, 915, 1_015), None),
            ("slewed by a second", at(1, 16, 115), None),
            ("an hour ahead", at(1, 3_615, 115), Some(3_600_000)),
            ("an hour back", at(1, -3_585, 115), Some(-3_600_000)),
            ("an hour ahead, which cost the lease", at(2, 3_615, 115), Some(3_600_000)),
            ("another replica was at work", at(3, 3_615, 115), None),
        ] {
            assert_eq!(at(1, 0, 100).step_to(now), step, "{name}");
        }
    }
}
