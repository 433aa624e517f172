//! Times that a clock which was set has made wrong.
//!
//! A step that is noticed while the process runs is taken out of what was recorded before: an instance
//! that has booted for a minute has booted for a minute after the host's clock went an hour ahead.
//!
//! Records from the future were made while the clock was ahead, by a process that is no more. Taken at
//! their word, they would hold the fleet up until their time comes, hours later; so they count as made
//! just now.

use std::time::Duration;

use cloud::{Timestamp, clock};

use super::account::pause;
use super::{Account, History, ShadowCourse};

/// Clocks of several replicas differ by less.
const SKEW: Duration = Duration::from_secs(5);

/// `at` on a clock that was set by `millis`.
fn moved(at: &mut Timestamp, millis: i64) {
    let delta = chrono::TimeDelta::try_milliseconds(millis).unwrap_or_default();
    *at = at.checked_add_signed(delta).unwrap_or(*at);
}

fn back(at: &mut Timestamp, now: Timestamp) {
    *at = (*at).min(now);
}

impl History {
    /// Makes what is later than `now` to be of now. When intents were decided stays as it is: a token
    /// whose age is not known is an old one.
    pub(crate) fn not_after(&mut self, now: Timestamp) {
        if !self.is_ahead(now) {
            return;
        }
        for at in [&mut self.began, &mut self.last_out, &mut self.last_in, &mut self.last_change] {
            at.iter_mut().for_each(|at| back(at, now));
        }
        for tracked in self.instances.values_mut() {
            back(&mut tracked.since, now);
            tracked.launched_at.iter_mut().for_each(|at| back(at, now));
            let times = [&mut tracked.silent_since, &mut tracked.owned_at, &mut tracked.adopted_at];
            times.into_iter().flatten().for_each(|at| back(at, now));
        }
        self.open.values_mut().for_each(|open| back(&mut open.sent_at, now));
        self.standing.iter_mut().for_each(|standing| back(&mut standing.since, now));
        self.moves.iter_mut().for_each(|(at, _)| back(at, now));
        for (at, _) in self.in_service.iter_mut().chain(&mut self.recommended) {
            back(at, now);
        }
        self.failures.iter_mut().for_each(|failures| back(&mut failures.last, now));
        let latest = clock::after(now, super::failures::LONGEST);
        self.refused.values_mut().for_each(|refused| back(&mut refused.until, latest));
        self.alerts.values_mut().for_each(|at| back(at, now));
        for memory in self.signals.values_mut() {
            memory.missing_since.iter_mut().for_each(|at| back(at, now));
            memory.full_at.iter_mut().for_each(|at| back(at, now));
            memory.window.forget_after(now);
            memory.series.forget_after(now);
        }
        self.decided.iter_mut().for_each(|(at, _)| back(at, now));
        self.memory.values_mut().for_each(|memory| back(&mut memory.since, now));
        self.adoptions.values_mut().for_each(|at| back(at, now));
        self.past_launches.values_mut().for_each(|launch| back(&mut launch.at, now));
        self.shadow.iter_mut().flat_map(ShadowCourse::times).for_each(|at| back(at, now));
        self.shadow.iter_mut().for_each(|shadow| shadow.forget_after(now));
    }

    /// The host's clock was set by so much, forward if positive: what was recorded moves with it, so
    /// that it is as old as it was. When intents were decided stays as it is: a token of which nobody
    /// knows the age is an old one. Samples keep the times of their own source.
    pub(crate) fn shift(&mut self, millis: i64) {
        let moved = |at: &mut Timestamp| moved(at, millis);
        for at in [&mut self.began, &mut self.last_out, &mut self.last_in, &mut self.last_change] {
            at.iter_mut().for_each(moved);
        }
        for tracked in self.instances.values_mut() {
            moved(&mut tracked.since);
            for at in [
                &mut tracked.launched_at,
                &mut tracked.silent_since,
                &mut tracked.owned_at,
                &mut tracked.adopted_at,
            ] {
                at.iter_mut().for_each(moved);
            }
            tracked.hooks.values_mut().for_each(|hook| moved(&mut hook.since));
        }
        self.open.values_mut().for_each(|open| moved(&mut open.sent_at));
        self.standing.iter_mut().for_each(|standing| moved(&mut standing.since));
        self.moves.iter_mut().for_each(|(at, _)| moved(at));
        for (at, _) in self.in_service.iter_mut().chain(&mut self.recommended) {
            moved(at);
        }
        self.failures.iter_mut().for_each(|failures| moved(&mut failures.last));
        self.refused.values_mut().for_each(|refused| moved(&mut refused.until));
        self.alerts.values_mut().for_each(moved);
        for memory in self.signals.values_mut() {
            memory.missing_since.iter_mut().for_each(moved);
            memory.full_at.iter_mut().for_each(moved);
        }
        self.decided.iter_mut().for_each(|(at, _)| moved(at));
        self.memory.values_mut().for_each(|memory| moved(&mut memory.since));
        self.adoptions.values_mut().for_each(moved);
        self.past_launches.values_mut().for_each(|launch| moved(&mut launch.at));
        self.shadow.iter_mut().flat_map(ShadowCourse::times).for_each(moved);
    }

    /// Whether something in it is of the future.
    pub(crate) fn is_ahead(&self, now: Timestamp) -> bool {
        let changed = [self.began, self.last_out, self.last_in, self.last_change];
        let decided = self.decided.iter().map(|(at, _)| *at);
        let served = self.in_service.back().map(|(at, _)| *at);
        let latest = changed.into_iter().flatten().chain(decided).chain(served).max();
        latest.is_some_and(|latest| latest > clock::after(now, SKEW))
    }
}

impl Account {
    /// Makes what is later than `now` to be of now.
    pub(crate) fn not_after(&mut self, now: Timestamp) {
        let ahead = clock::after(now, SKEW);
        let cold = self.cold.values_mut().chain(self.refused.values_mut());
        for cold in cold.filter(|cold| cold.last > ahead) {
            back(&mut cold.last, now);
            back(&mut cold.until, clock::after(now, pause(u32::MAX)));
        }
        self.strikes.values_mut().for_each(|strikes| back(&mut strikes.last, now));
        if let Some(stop) = &mut self.stop {
            back(&mut stop.since, now);
            back(&mut stop.until, clock::after(now, pause(u32::MAX)));
        }
        self.strays.values_mut().for_each(|at| back(at, now));
        self.audited.iter_mut().for_each(|at| back(at, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{ago, now, tracked};
    use crate::model::{Cold, Phase, Place, Tracked};

    fn hence(hours: u64) -> Timestamp {
        clock::after(now(), Duration::from_secs(hours * 3_600))
    }

    #[test]
    fn what_was_recorded_while_the_clock_was_ahead_holds_nothing_up() {
        let since = Tracked { since: hence(8), ..tracked(Phase::Booting, ("c7", "vsw-h")) };
        let mut history = History {
            began: Some(hence(7)),
            last_out: Some(hence(8)),
            last_in: Some(ago(60)),
            instances: [("i-1".into(), since)].into(),
            in_service: [(ago(90), 1), (hence(8), 2)].into(),
            ..History::default()
        };
        history.not_after(now());
        assert_eq!(history.last_out, Some(now()));
        assert_eq!(history.began, Some(now()));
        assert_eq!(history.last_in, Some(ago(60)), "what was before stays");
        assert_eq!(history.instances[&"i-1".into()].since, now());
        assert_eq!(history.in_service, [(ago(90), 1), (now(), 2)]);
        let once = history.clone();
        history.not_after(clock::after(now(), Duration::from_secs(60)));
        assert_eq!(history, once, "from then on it grows old");
    }

    #[test]
    fn a_place_is_not_cold_for_hours_because_the_clock_was_ahead() {
        let place = Place { instance_type: "c7".into(), vswitch: "vsw-h".into() };
        let cold = Cold {
            until: hence(9),
            strikes: 1,
            last: hence(8),
            why: "NoStock".into(),
            code: String::new(),
        };
        let mut account = Account { cold: [(place.clone(), cold)].into(), ..Account::default() };
        account.not_after(now());
        assert_eq!(account.cold[&place].last, now());
        assert!(account.cold[&place].until <= clock::after(now(), Duration::from_secs(1_800)));
    }
}
