//! The memory of one signal.

use std::collections::VecDeque;
use std::time::Duration;

use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{Ring, Sample};

/// Samples kept per signal: rules look at runs of at most this many (checked by the configuration).
pub(crate) const SAMPLES_KEPT: usize = 64;
/// A signal that the whole fleet reported within a day is one that each instance reports.
const FULL_FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);
/// Answers of two replicas of a source come out of order by less than this (a scrape interval and a
/// time-out); what is newer by more, on our clock, is newer whatever its time stamp says.
const OUT_OF_ORDER_LONGEST: Duration = Duration::from_secs(60);

/// How far back the values of a signal are known whatever is done meanwhile: longer than a rule
/// that keeps its memory in the journal waits before it is written again.
const SERIES_KEPT: Duration = Duration::from_secs(20 * 60);
/// A fleet that ticks each second would keep a thousand: one per 5 s is enough, and the newest.
const SERIES_STEP: Duration = Duration::from_secs(5);
/// Gaps that come and go with each tick of a second are not thinned out.
const SERIES_LONGEST: usize = 1_200;

/// The memory of one signal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignalMemory {
    /// The run of samples since the last action, which clears it.
    pub window: SampleWindow,
    /// The values of the last 20 minutes; no action clears them.
    pub series: Series,
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

    /// By the source's clock; by ours where that of the source was set back, else the rule would be
    /// deaf until it has caught up.
    fn is_newer_than(&self, other: &Measured) -> bool {
        self.measured_at > other.measured_at
            || (self.measured_at < other.measured_at
                && self.true_at > clock::after(other.true_at, OUT_OF_ORDER_LONGEST))
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
        if !self.takes(&sample, acted) {
            return false;
        }
        self.0.push_back(sample);
        if self.0.len() > SAMPLES_KEPT {
            self.0.pop_front();
        }
        true
    }

    /// Whether `sample` counts beside those that are here: see [`SampleWindow::push`].
    pub(crate) fn takes(&self, sample: &Measured, acted: Option<Timestamp>) -> bool {
        let newer = self.0.back().is_none_or(|newest| sample.is_newer_than(newest));
        newer && acted.is_none_or(|acted| sample.true_at > acted)
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

/// One change of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(Timestamp, Timestamp, Option<f64>)", into = "(Timestamp, Timestamp, Option<f64>)")]
pub struct Point {
    /// The tick that first saw it.
    pub seen: Timestamp,
    /// By the source's clock; of a gap: the tick that found it.
    pub measured_at: Timestamp,
    /// `None`: from here on nothing could be read.
    pub value: Option<f64>,
}

impl From<(Timestamp, Timestamp, Option<f64>)> for Point {
    fn from((seen, measured_at, value): (Timestamp, Timestamp, Option<f64>)) -> Point {
        Point { seen, measured_at, value }
    }
}

impl Point {
    /// As [`Measured::is_newer_than`] has it.
    fn is_before(&self, sample: &Measured) -> bool {
        sample.measured_at > self.measured_at
            || (sample.measured_at < self.measured_at
                && sample.true_at > clock::after(self.seen, OUT_OF_ORDER_LONGEST))
    }
}

impl From<Point> for (Timestamp, Timestamp, Option<f64>) {
    fn from(Point { seen, measured_at, value }: Point) -> Self {
        (seen, measured_at, value)
    }
}

/// The readings of one signal, from each of these moments on, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Series(VecDeque<Point>);

impl Series {
    /// The points, oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.0.iter()
    }

    fn read(&mut self, sample: &Measured, seen: Timestamp) {
        let known = self.0.iter().rev().find(|point| point.value.is_some());
        let newest = self.0.back();
        // A value that is only repeated adds nothing; after a gap it is news again.
        if newest.is_some_and(|newest| newest.value.is_some())
            && known.is_some_and(|known| !known.is_before(sample))
        {
            return;
        }
        self.push(Point { seen, measured_at: sample.measured_at, value: Some(sample.value) });
    }

    fn missed(&mut self, at: Timestamp) {
        if self.0.back().is_none_or(|newest| newest.value.is_some()) {
            self.push(Point { seen: at, measured_at: at, value: None });
        }
    }

    fn push(&mut self, point: Point) {
        if let [.., before, newest] = &*self.0.make_contiguous()
            && let (Some(_), Some(_)) = (before.value, newest.value)
            && clock::age(newest.seen, before.seen) < SERIES_STEP
        {
            self.0.pop_back();
        }
        self.0.push_back(point);
        // One that began earlier still holds until the next.
        while self.0.get(1).is_some_and(|next| clock::age(point.seen, next.seen) >= SERIES_KEPT)
            || self.0.len() > SERIES_LONGEST
        {
            self.0.pop_front();
        }
    }

    pub(crate) fn forget_after(&mut self, now: Timestamp) {
        self.0.retain(|point| point.seen <= now);
    }
}

impl SignalMemory {
    /// A sample was read at `at`.
    pub(crate) fn read(&mut self, sample: Measured, acted: Option<Timestamp>, at: Timestamp) {
        self.missing_since = None;
        self.series.read(&sample, at);
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
        self.series.missed(at);
    }

    /// Whether each instance reports it, as far as one can tell at `now`: all of them did, not long
    /// ago.
    #[must_use]
    pub fn is_per_instance(&self, now: Timestamp) -> bool {
        self.full_at.is_some_and(|at| clock::age(now, at) < FULL_FORGOTTEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::ago;

    fn measured(value: f64, secs_ago: u64) -> Measured {
        let at = ago(secs_ago);
        Measured { value, measured_at: at, true_at: at, reporting: None, in_service: None }
    }

    #[test]
    fn an_action_clears_the_window_and_not_the_series() {
        let mut memory = SignalMemory::default();
        memory.read(measured(80.0, 70), None, ago(60));
        memory.read(measured(80.0, 70), None, ago(45));
        memory.missed(ago(30));
        memory.missed(ago(15));
        memory.window.clear();
        memory.read(measured(70.0, 5), Some(ago(3)), ago(0));
        assert_eq!(memory.window.newest_first().count(), 0);
        let series: Vec<_> = memory.series.points().map(|p| (p.seen, p.value)).collect();
        assert_eq!(series, [(ago(60), Some(80.0)), (ago(30), None), (ago(0), Some(70.0))]);
        let text = serde_json::to_string(&memory).expect("a record");
        assert_eq!(serde_json::from_str::<SignalMemory>(&text).expect("a record"), memory);
    }

    #[test]
    fn a_series_reaches_twenty_minutes_back_and_no_further() {
        let mut memory = SignalMemory::default();
        for minute in (0..60).rev() {
            memory.read(measured(1.0, minute * 60), None, ago(minute * 60));
        }
        let first = memory.series.points().next().expect("points");
        assert_eq!(first.seen, ago(20 * 60));
    }

    #[test]
    fn a_fleet_that_ticks_each_second_remembers_as_long() {
        let mut memory = SignalMemory::default();
        for secs in (0..3_600).rev() {
            memory.read(measured(1.0, secs), None, ago(secs));
        }
        let seen: Vec<_> = memory.series.points().map(|point| point.seen).collect();
        assert!((240..=245).contains(&seen.len()), "{}", seen.len());
        assert!(seen[0] <= ago(20 * 60) && seen[0] > ago(20 * 60 + 10), "{}", seen[0]);
        assert_eq!(seen.last(), Some(&ago(0)));
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_timestamp(1_767_355_200 + secs, 0).expect("a time")
    }

    /// Measured at `source` by the source's clock, and at `ours` by this machine's.
    fn sample(source: i64, ours: i64) -> Measured {
        Measured {
            value: 80.0,
            measured_at: at(source),
            true_at: at(ours),
            reporting: None,
            in_service: None,
        }
    }

    #[test]
    fn a_source_whose_clock_is_set_back_is_heard_again_within_a_minute() {
        for back in [5, 30, 3600, 86_400] {
            let mut window = SampleWindow::default();
            assert!(window.push(sample(0, 0), None));
            let mut heard = (1..20)
                .map(|n| n * 15)
                .filter(|ours| window.push(sample(ours - back, *ours), None));
            let first = heard.next().expect("heard again");
            assert!(first <= 75, "set back by {back} s, heard after {first} s");
            assert_eq!(heard.count(), 19 - usize::try_from(first / 15).expect("positive"));
            let mut series = Series::default();
            series.read(&sample(0, 0), at(0));
            series.read(&sample(75 - back, 75), at(75));
            assert_eq!(series.points().count(), 2, "set back by {back} s");
        }
    }

    #[test]
    fn a_late_answer_and_a_repeated_one_do_not_count() {
        let mut window = SampleWindow::default();
        assert!(window.push(sample(0, 0), None));
        assert!(!window.push(sample(0, 7), None), "the same, read again");
        assert!(!window.push(sample(0, 600), None), "the same, however late");
        assert!(!window.push(sample(-15, -8), None), "another replica's, which lags");
        assert!(window.push(sample(15, 15), None));
    }
}
