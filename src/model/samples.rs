//! What is remembered of one signal.

use std::collections::VecDeque;
use std::time::Duration;

use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{Ring, Sample};

/// Samples kept per signal: rules look at runs of at most this many (checked by the configuration).
pub(crate) const SAMPLES_KEPT: usize = 64;
/// A signal that the whole fleet reported within a day is one that each instance reports.
const FULL_FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// The memory of one signal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignalMemory {
    pub window: SampleWindow,
    /// Since when it cannot be read.
    pub missing_since: Option<Timestamp>,
    /// How old samples are when they are first seen, in seconds.
    pub lag: Ring,
    /// When every instance in service last reported it.
    pub full_at: Option<Timestamp>,
}

/// One sample, related to the fleet that it was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub value: f64,
    /// By the source's clock: equal times mean the same sample.
    pub measured_at: Timestamp,
    /// When that was by our clock.
    pub true_at: Timestamp,
    /// Instances that reported it, where that is known.
    pub reporting: Option<u32>,
    /// Instances that were in service when it was measured, where that is known.
    pub in_service: Option<u32>,
}

impl Measured {
    /// `sample`, read at `at`, when `in_service` instances served at its time.
    #[must_use]
    pub fn of(sample: &Sample, at: Timestamp, in_service: Option<u32>) -> Measured {
        Measured {
            value: sample.value,
            measured_at: sample.measured_at,
            true_at: clock::before(at, sample.age.get()),
            reporting: sample.reporting,
            in_service,
        }
    }
}

/// The newest samples of one signal, oldest first, no sample twice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SampleWindow(VecDeque<Measured>);

impl SampleWindow {
    /// Adds `sample` if it is newer than the newest (a repeated sample does not count twice) and
    /// was measured after `acted`: what was true before an action cannot show its effect. Returns
    /// whether it was added.
    pub(crate) fn push(&mut self, sample: Measured, acted: Option<Timestamp>) -> bool {
        let newer = self.0.back().is_none_or(|newest| sample.measured_at > newest.measured_at);
        if !newer || acted.is_some_and(|acted| sample.true_at <= acted) {
            return false;
        }
        self.0.push_back(sample);
        if self.0.len() > SAMPLES_KEPT {
            self.0.pop_front();
        }
        true
    }

    /// Newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Measured> {
        self.0.iter().rev()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets what was measured later than `now`.
    pub(crate) fn forget_after(&mut self, now: Timestamp) {
        self.0.retain(|sample| sample.true_at <= now);
    }
}

impl SignalMemory {
    /// A sample was read at `at`.
    pub(crate) fn read(&mut self, sample: Measured, acted: Option<Timestamp>, at: Timestamp) {
        self.missing_since = None;
        if self.window.push(sample, acted) {
            self.lag.push(clock::age(at, sample.true_at).as_secs_f64());
        }
        if sample.reporting.is_some_and(|n| n >= 2) && sample.reporting == sample.in_service {
            self.full_at = Some(at);
        }
    }

    /// Nothing could be read at `at`.
    pub(crate) fn missed(&mut self, at: Timestamp) {
        self.missing_since.get_or_insert(at);
    }

    /// Whether each instance reports it, as far as one can tell at `now`: all of them did, not long
    /// ago.
    #[must_use]
    pub fn is_per_instance(&self, now: Timestamp) -> bool {
        self.full_at.is_some_and(|at| clock::age(now, at) < FULL_FORGOTTEN)
    }
}
