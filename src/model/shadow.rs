//! Shadow rules: the rules that a fleet might have, and the course that it would have taken with them.
//!
//! The course is a size that nobody launches. It begins at the live one and then follows the decisions
//! of the shadow rules alone; a launch of it never fails and serves at once. It is folded from what the
//! ticks recorded, as everything that is known of a fleet's past.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{
    Amounts, History, Measured, RECOMMENDED_KEPT, Rule, RuleName, SampleWindow, SignalName, Span,
};

/// An hour: what limits per hour count.
const MOVES_KEPT: Duration = Duration::from_secs(60 * 60);
/// A day: long enough for each hour of it, short enough to speak of the rules as they are.
const COMPARED: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two ticks further apart than this nobody looked, and no time is counted: the longest interval is an
/// hour, and a tick may take minutes.
const APART_MOST: Duration = Duration::from_secs(75 * 60);

/// Rules that run beside the live ones and change nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowRules {
    /// In the order of the configuration; at least one, each with a name of [`RuleName::in_shadow`].
    pub rules: Vec<Rule>,
    /// The fleet's, or where it was given none, the one that these rules would bring.
    pub stabilization: Span,
}

impl RuleName {
    /// What the names of shadow rules begin with: no live rule's name has a slash.
    const SHADOW: &str = "shadow/";

    /// The name of a shadow rule, which no live rule has.
    #[must_use]
    pub fn in_shadow(&self) -> RuleName {
        RuleName(format!("{}{}", RuleName::SHADOW, self.0))
    }

    /// Whether it is a shadow rule's.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.0.starts_with(RuleName::SHADOW)
    }
}

/// What the shadow rules came to at one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowTick {
    /// The simulated size that they decided from.
    pub size: u32,
    pub recommended: u32,
    pub desired: u32,
    /// The simulated size from here on.
    pub then: u32,
    /// Whether the live rules had something launched or removed.
    pub live_acts: bool,
}

/// One tick of both.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    pub at: Timestamp,
    pub shadow: ShadowTick,
    pub live: u32,
    pub live_desired: u32,
}

impl Compared {
    /// Whether the two want different sizes.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.shadow.desired != self.live_desired
    }
}

/// The course of the shadow rules until now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShadowCourse {
    /// The simulated size.
    pub size: u32,
    /// The end of the last simulated action in each direction.
    pub last_out: Option<Timestamp>,
    pub last_in: Option<Timestamp>,
    pub last_desired: u32,
    /// The recommended sizes, from each of these times on.
    pub recommended: VecDeque<(Timestamp, u32)>,
    /// The samples since the last simulated action.
    pub windows: BTreeMap<SignalName, SampleWindow>,
    /// The simulated actions of the last hour.
    pub moves: VecDeque<(Timestamp, Amounts)>,
    /// Since when the two want different sizes, if they do.
    pub differs_since: Option<Timestamp>,
    /// The newest tick.
    pub compared_at: Option<Timestamp>,
    /// The last 24 hours, oldest first.
    pub hours: VecDeque<ShadowSum>,
}

/// Both courses over some time, compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShadowSum {
    /// The first tick of it.
    pub since: Timestamp,
    pub ticks: u32,
    /// Ticks in which the two wanted different sizes.
    pub differing: u32,
    /// Ticks in which the shadow would have had fewer instances than the fleet had.
    pub fewer: u32,
    pub live_actions: u32,
    pub shadow_actions: u32,
    pub live_instance_secs: u64,
    pub shadow_instance_secs: u64,
}

impl ShadowCourse {
    /// The course of rules that have none yet: it leaves the live one where that is, at `size`.
    #[must_use]
    pub fn begin(history: &History, size: u32) -> ShadowCourse {
        let windows = history.signals.iter();
        ShadowCourse {
            size,
            last_out: history.last_out,
            last_in: history.last_in,
            last_desired: history.last_desired,
            recommended: history.recommended.clone(),
            windows: windows.map(|(name, memory)| (name.clone(), memory.window.clone())).collect(),
            ..ShadowCourse::default()
        }
    }

    /// When the last simulated action ended.
    #[must_use]
    pub fn last_action(&self) -> Option<Timestamp> {
        self.last_out.max(self.last_in)
    }

    /// A tick read this.
    pub(crate) fn read(&mut self, signal: &SignalName, sample: Measured) {
        let acted = self.last_action();
        self.windows.entry(signal.clone()).or_default().push(sample, acted);
    }

    /// Launched and removed within the hour before `now`.
    #[must_use]
    pub fn spent(&self, now: Timestamp) -> Amounts {
        let recent = self.moves.iter().filter(|(at, _)| clock::age(now, *at) < MOVES_KEPT);
        recent.fold(Amounts::default(), |sum, (_, moved)| Amounts {
            launches: sum.launches.saturating_add(moved.launches),
            removals: sum.removals.saturating_add(moved.removals),
        })
    }

    /// A tick decided this for both.
    pub fn ticked(&mut self, tick: &Compared) {
        self.count(tick);
        let Compared { at, shadow, .. } = *tick;
        self.last_desired = shadow.desired;
        if self.recommended.back().is_none_or(|(_, last)| *last != shadow.recommended) {
            self.recommended.push_back((at, shadow.recommended));
        }
        let ended = |next: &(Timestamp, u32)| clock::age(at, next.0) >= RECOMMENDED_KEPT;
        while self.recommended.get(1).is_some_and(ended) {
            self.recommended.pop_front();
        }
        self.differs_since = tick.differs().then(|| self.differs_since.unwrap_or(at));
        self.size = shadow.then;
        self.moves.retain(|(moved, _)| clock::age(at, *moved) < MOVES_KEPT);
        if shadow.then == shadow.size {
            return;
        }
        let launches = shadow.then.saturating_sub(shadow.size);
        let removals = shadow.size.saturating_sub(shadow.then);
        self.moves.push_back((at, Amounts { launches, removals }));
        if launches > 0 {
            self.last_out = Some(at);
        } else {
            self.last_in = Some(at);
        }
        self.windows.values_mut().for_each(SampleWindow::clear);
    }

    fn count(&mut self, tick: &Compared) {
        let Compared { at, shadow, live, .. } = *tick;
        let passed = self.compared_at.map(|last| clock::age(at, last));
        let secs = passed.filter(|passed| *passed <= APART_MOST).map_or(0, |p| p.as_secs());
        self.compared_at = Some(at);
        let hour = |at: Timestamp| at.timestamp().div_euclid(3_600);
        if self.hours.back().is_none_or(|newest| hour(newest.since) != hour(at)) {
            self.hours.push_back(ShadowSum { since: at, ..ShadowSum::default() });
        }
        while self.hours.front().is_some_and(|oldest| clock::age(at, oldest.since) >= COMPARED) {
            self.hours.pop_front();
        }
        let Some(sum) = self.hours.back_mut() else { return };
        sum.ticks += 1;
        sum.differing += u32::from(tick.differs());
        sum.fewer += u32::from(shadow.size < live);
        sum.live_actions += u32::from(shadow.live_acts);
        sum.shadow_actions += u32::from(shadow.then != shadow.size);
        sum.live_instance_secs += secs * u64::from(live);
        sum.shadow_instance_secs += secs * u64::from(shadow.size);
    }

    /// The last 24 hours at `now`; `None` while nothing was compared.
    #[must_use]
    pub fn sum(&self, now: Timestamp) -> Option<ShadowSum> {
        let recent = self.hours.iter().filter(|hour| clock::age(now, hour.since) < COMPARED);
        recent.copied().reduce(|sum, hour| ShadowSum {
            since: sum.since,
            ticks: sum.ticks + hour.ticks,
            differing: sum.differing + hour.differing,
            fewer: sum.fewer + hour.fewer,
            live_actions: sum.live_actions + hour.live_actions,
            shadow_actions: sum.shadow_actions + hour.shadow_actions,
            live_instance_secs: sum.live_instance_secs + hour.live_instance_secs,
            shadow_instance_secs: sum.shadow_instance_secs + hour.shadow_instance_secs,
        })
    }

    /// Every time in it, to be moved when the host's clock was set.
    pub(crate) fn times(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        let single =
            [&mut self.last_out, &mut self.last_in, &mut self.differs_since, &mut self.compared_at];
        let lists = self.recommended.iter_mut().map(|(at, _)| at);
        let lists = lists.chain(self.moves.iter_mut().map(|(at, _)| at));
        let lists = lists.chain(self.hours.iter_mut().map(|hour| &mut hour.since));
        single.into_iter().flatten().chain(lists)
    }

    /// Forgets the samples that were measured later than `now`.
    pub(crate) fn forget_after(&mut self, now: Timestamp) {
        self.windows.values_mut().for_each(|window| window.forget_after(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{ago, now};

    fn compared(secs_ago: u64, size: u32, then: u32, live: u32) -> Compared {
        let shadow = ShadowTick { size, recommended: then, desired: then, then, live_acts: false };
        Compared { at: ago(secs_ago), shadow, live, live_desired: live }
    }

    #[test]
    fn a_course_begins_at_the_live_size_and_follows_its_own_decisions() {
        let history = History { last_out: Some(ago(900)), ..History::default() };
        let mut course = ShadowCourse::begin(&history, 4);
        assert_eq!((course.size, course.last_out), (4, Some(ago(900))));
        course.ticked(&compared(60, 4, 6, 4));
        assert_eq!((course.size, course.last_out), (6, Some(ago(60))));
        assert_eq!(course.differs_since, Some(ago(60)));
        course.ticked(&compared(45, 6, 6, 4));
        assert_eq!(course.differs_since, Some(ago(60)), "it goes on");
        course.ticked(&compared(30, 6, 6, 6));
        assert_eq!(course.differs_since, None);
        assert_eq!(course.spent(now()), Amounts { launches: 2, removals: 0 });
        assert_eq!(course.spent(clock::after(now(), MOVES_KEPT)), Amounts::default());
    }

    #[test]
    fn the_sum_is_of_the_last_day_and_leaves_pauses_out() {
        let mut course = ShadowCourse::begin(&History::default(), 2);
        for minute in (0..60 * 40).rev() {
            course.ticked(&compared(minute * 60, 2, 2, 3));
        }
        let sum = course.sum(now()).expect("compared");
        assert!((23 * 60..=24 * 60).contains(&sum.ticks), "{sum:?}");
        assert_eq!((sum.differing, sum.fewer), (sum.ticks, sum.ticks));
        assert_eq!(sum.live_instance_secs, u64::from(sum.ticks) * 180);
        assert_eq!(sum.shadow_instance_secs, u64::from(sum.ticks) * 120);
        let mut paused = ShadowCourse::begin(&History::default(), 2);
        paused.ticked(&compared(7_200, 2, 2, 2));
        paused.ticked(&compared(0, 2, 2, 2));
        assert_eq!(paused.sum(now()).map(|sum| sum.live_instance_secs), Some(0));
    }
}
