//! Launches that fail one after another, and instances that refuse to end: what is tried again, and
//! when.

use std::collections::VecDeque;
use std::time::Duration;

use cloud::{LaunchSpec, Timestamp, clock};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::IntentId;

/// After the first failed launch the next one waits a minute, doubling to 30: an image that does
/// not boot costs a few instances, not hundreds.
const FIRST: Duration = Duration::from_secs(60);
pub(super) const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Once launches of a spec have stopped, one instance is tried after 30 minutes, doubling to 4
/// hours: six a day, so that a fleet heals by itself when the cause is gone.
const PROBE_LONGEST: Duration = Duration::from_secs(4 * 60 * 60);
/// Launches whose failure has been counted: more are never under way at once in practice.
const COUNTED: usize = 32;

/// Launches of one spec that failed in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// Which spec: see [`fingerprint`].
    pub spec: String,
    pub in_a_row: u32,
    pub last: Timestamp,
    pub why: String,
    /// The launches that are in the count: ten instances of one launch that all fail are one
    /// failure.
    counted: VecDeque<IntentId>,
}

impl Failures {
    /// After one more failed launch of `spec`.
    pub(crate) fn count(
        before: Option<Failures>,
        spec: &str,
        launch: IntentId,
        at: Timestamp,
        why: &str,
    ) -> Failures {
        let mut failures = before.filter(|before| before.spec == spec).unwrap_or(Failures {
            spec: spec.to_owned(),
            in_a_row: 0,
            last: at,
            why: String::new(),
            counted: VecDeque::new(),
        });
        if !failures.counted.contains(&launch) {
            failures.in_a_row = failures.in_a_row.saturating_add(1);
            failures.last = at;
            failures.counted.push_back(launch);
            if failures.counted.len() > COUNTED {
                failures.counted.pop_front();
            }
        }
        failures.why = why.to_owned();
        failures
    }

    /// Until when nothing of this spec is launched, when launches stop after `stop_after` failures.
    #[must_use]
    pub fn until(&self, stop_after: u32) -> Timestamp {
        let wait = if self.in_a_row < stop_after {
            FIRST.saturating_mul(1 << self.in_a_row.saturating_sub(1).min(5)).min(LONGEST)
        } else {
            let more = self.in_a_row - stop_after;
            LONGEST.saturating_mul(1 << more.min(3)).min(PROBE_LONGEST)
        };
        clock::after(self.last, wait)
    }
}

/// A short name for a spec: equal specs have equal ones.
#[must_use]
pub fn fingerprint(spec: &LaunchSpec) -> String {
    let text = serde_json::to_string(spec).expect("a spec has text keys and finite numbers only");
    let hash = Sha1::digest(text.as_bytes());
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// An instance that could not be ended: the next oldest goes meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedEnd {
    /// Then it is tried again.
    pub until: Timestamp,
    pub strikes: u32,
    pub why: String,
}

impl RefusedEnd {
    /// After one more refusal: a minute, doubling to 30.
    pub(crate) fn again(before: Option<&RefusedEnd>, at: Timestamp, why: &str) -> RefusedEnd {
        let strikes = before.map_or(0, |before| before.strikes);
        let wait = FIRST.saturating_mul(1 << strikes.min(5)).min(LONGEST);
        let strikes = strikes.saturating_add(1);
        RefusedEnd { until: clock::after(at, wait), strikes, why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        let start: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a valid time");
        clock::after(start, Duration::from_secs(secs))
    }

    #[test]
    fn failures_in_a_row_wait_longer_and_then_are_probed_only() {
        let mut failures = None;
        for (n, minutes) in [(1u32, 1), (2, 2), (3, 4), (4, 8), (5, 30), (6, 60), (9, 240)] {
            while failures.as_ref().map_or(0, |f: &Failures| f.in_a_row) < n {
                let launch = IntentId(uuid::Uuid::from_u128(u128::from(
                    failures.as_ref().map_or(0, |f: &Failures| f.in_a_row),
                )));
                failures = Some(Failures::count(failures, "spec", launch, at(0), "never booted"));
            }
            let until = failures.as_ref().expect("counted").until(5);
            assert_eq!(until, at(minutes * 60), "after {n} failures");
        }
    }

    #[test]
    fn a_batch_that_fails_is_one_failure_and_another_spec_begins_anew() {
        let launch = IntentId(uuid::Uuid::nil());
        let one = Failures::count(None, "a", launch, at(0), "x");
        let two = Failures::count(Some(one), "a", launch, at(9), "x");
        assert_eq!((two.in_a_row, two.last), (1, at(0)));
        let other = Failures::count(Some(two), "b", launch, at(9), "x");
        assert_eq!((other.in_a_row, other.spec.as_str()), (1, "b"));
    }
}
