//! One group of backends: what was seen of it last, what was sent to it since, and for how long it is left
//! alone. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloud::{BackendChange, Backends, Class, InstanceId, Timestamp, clock};

use crate::model::GroupSeen;

/// An instance that somebody took out of a group is put back once in so long: whoever does so by hand has
/// time to say why, and two programs do not fight each other at every tick.
const CONTESTED: Duration = Duration::from_secs(10 * 60);
/// The first pause after a refusal that will not pass by itself, and the longest: a person mends it.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10 * 60));
/// A group that was not read for so long is not known any more: some reads may fail in a row.
const FORGOTTEN: Duration = Duration::from_secs(5 * 60);
/// A person is told of reads that fail once they have for this long.
const LATE: Duration = Duration::from_secs(2 * 60);

/// What is known of one group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The newest answer, with the time at which it was asked for.
    seen: Option<(Timestamp, Backends)>,
    /// Since when reads have failed, and why the last one did.
    failing: Option<(Timestamp, String)>,
    /// When a change was sent last: what was asked for before does not show it.
    sent: Option<Timestamp>,
    /// The last refusals, by instance and by whether its traffic was to end. A refusal of one instance
    /// keeps no other from being drained.
    refused: BTreeMap<(InstanceId, bool), Refused>,
    /// When each instance was given traffic last.
    given: BTreeMap<InstanceId, Timestamp>,
}

/// A change that a balancer refused, and that will not do by itself.
#[derive(Debug)]
struct Refused {
    /// It is not asked for again before.
    until: Timestamp,
    /// The pause that led to that.
    pause: Duration,
    why: String,
}

impl Group {
    pub(super) fn read(&mut self, asked: Timestamp, result: Result<Backends, String>) {
        match result {
            Ok(backends) => {
                self.seen = Some((asked, backends));
                self.failing = None;
            }
            Err(why) => {
                let since = self.failing.as_ref().map_or(asked, |(since, _)| *since);
                self.failing = Some((since, why));
            }
        }
    }

    /// A change was sent at `at`, with its result for each instance.
    pub(super) fn sent(
        &mut self,
        at: Timestamp,
        change: BackendChange,
        done: &[InstanceId],
        failed: &BTreeMap<InstanceId, (Class, String)>,
    ) {
        self.sent = Some(at);
        for id in done {
            if change.ends_traffic() {
                self.given.remove(id);
            } else {
                self.given.insert(id.clone(), at);
            }
            self.refused.remove(&(id.clone(), change.ends_traffic()));
        }
        self.given.retain(|_, given| clock::age(at, *given) < CONTESTED);
        self.refused.retain(|_, refused| refused.is_news(at));
        for (id, (class, why)) in failed {
            // It passes by itself: the next look tells when.
            if matches!(
                class,
                Class::Conflict | Class::Transient | Class::Ambiguous | Class::Throttled { .. }
            ) {
                continue;
            }
            let key = (id.clone(), change.ends_traffic());
            let before = self.refused.get(&key).map(|refused| refused.pause);
            let pause = before.map_or(PAUSES.0, |pause| (pause * 2).min(PAUSES.1));
            let refused = Refused { until: clock::after(at, pause), pause, why: why.clone() };
            self.refused.insert(key, refused);
        }
    }

    /// As the inventory gets it: of the instances that are `ours`.
    pub(super) fn seen(
        &self,
        now: Timestamp,
        ours: &dyn Fn(&InstanceId) -> bool,
    ) -> Option<GroupSeen> {
        let (at, backends) = self.seen.as_ref()?;
        if clock::age(now, *at) >= FORGOTTEN {
            return None;
        }
        let ours: BTreeMap<_, _> = backends
            .backends
            .iter()
            .filter(|(id, _)| ours(id))
            .map(|(id, backend)| (id.clone(), *backend))
            .collect();
        let is_older = self.sent.is_some_and(|sent| *at <= sent);
        let refused = |ends_traffic: bool| {
            let refused = self
                .refused
                .iter()
                .filter(move |((_, ends), refused)| *ends == ends_traffic && now < refused.until);
            refused.map(|((id, _), _)| id.clone())
        };
        let contested = if is_older { BTreeSet::new() } else { self.contested(now) };
        Some(GroupSeen {
            at: *at,
            is_settling: backends.is_busy || is_older,
            not_given: contested.into_iter().chain(refused(false)).collect(),
            not_taken: refused(true).collect(),
            backends: ours,
        })
    }

    /// Instances that have no traffic although it was given lately.
    fn contested(&self, now: Timestamp) -> BTreeSet<InstanceId> {
        let Some((_, backends)) = &self.seen else { return BTreeSet::new() };
        let lost =
            |id: &&InstanceId| backends.backends.get(id).is_none_or(|backend| backend.weight == 0);
        let lately = self.given.iter().filter(|(_, at)| clock::age(now, **at) < CONTESTED);
        lately.map(|(id, _)| id).filter(lost).cloned().collect()
    }

    /// Whether the next look is awaited: something was sent that no answer shows yet.
    pub(super) fn is_awaited(&self) -> bool {
        match (&self.seen, self.sent) {
            (None, _) => true,
            (Some((at, backends)), sent) => {
                backends.is_busy || sent.is_some_and(|sent| *at <= sent)
            }
        }
    }

    /// What a person should know of it.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<String> {
        if let Some((since, why)) = &self.failing
            && clock::age(now, *since) >= LATE
        {
            return Some(format!("it cannot be read: {why}"));
        }
        let mut refused = self.refused.iter().filter(|(_, refused)| refused.is_news(now));
        if let Some(((id, _), Refused { why, .. })) = refused.next() {
            let others = refused.count();
            let others = if others > 0 { format!(" and {others} others") } else { String::new() };
            return Some(format!("a change of {id}{others} was refused: {why}"));
        }
        let is_older = self.sent.zip(self.seen.as_ref()).is_some_and(|(sent, (at, _))| *at <= sent);
        let contested = if is_older { BTreeSet::new() } else { self.contested(now) };
        if contested.is_empty() {
            return None;
        }
        let names = contested.iter().take(4).map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ");
        Some(format!(
            "somebody took the traffic from {names}, which serves; it is given back in some minutes \
             (fleetscaler hold does not keep it away: drain the instance, or take it out of the fleet)"
        ))
    }
}

impl Refused {
    /// Whether it is asked for still. What is wanted is asked for again once its pause is over: what was
    /// not for as long as the longest pause is wanted no more.
    fn is_news(&self, now: Timestamp) -> bool {
        now < self.until || clock::age(now, self.until) < PAUSES.1
    }
}

#[cfg(test)]
mod tests {
    use cloud::{Backend, BackendHealth};

    use super::*;
    use crate::model::fixtures::now;

    fn at(secs: u64) -> Timestamp {
        clock::after(now(), Duration::from_secs(secs))
    }

    fn backends(weights: &[(&str, u32)]) -> Backends {
        let of = |(id, weight): &(&str, u32)| {
            let backend =
                Backend { weight: *weight, is_changing: false, health: BackendHealth::Healthy };
            (InstanceId::from(*id), backend)
        };
        Backends { backends: weights.iter().map(of).collect(), is_busy: false }
    }

    fn none() -> BTreeMap<InstanceId, (Class, String)> {
        BTreeMap::new()
    }

    fn seen(group: &Group, secs: u64) -> Option<GroupSeen> {
        group.seen(at(secs), &|id| id.0 != "i-other")
    }

    #[test]
    fn nothing_is_changed_before_the_last_change_was_seen() {
        let mut group = Group::default();
        assert!(group.is_awaited() && seen(&group, 0).is_none());
        group.read(at(0), Ok(backends(&[("i-1", 100), ("i-other", 5)])));
        let first = seen(&group, 1).expect("known");
        assert!(!first.is_settling && !group.is_awaited());
        assert_eq!(first.backends.len(), 1, "those of others are left out");
        group.sent(at(2), BackendChange::Attach { weight: 100 }, &["i-2".into()], &none());
        assert!(seen(&group, 3).expect("known").is_settling && group.is_awaited());
        group.read(at(4), Ok(backends(&[("i-1", 100), ("i-2", 100)])));
        assert!(!seen(&group, 5).expect("known").is_settling);
        assert_eq!(seen(&group, 4 + 300), None, "what is old is not known");
    }

    #[test]
    fn what_somebody_takes_away_is_given_back_after_some_minutes_and_told() {
        let mut group = Group::default();
        group.sent(at(0), BackendChange::Attach { weight: 100 }, &["i-1".into()], &none());
        group.read(at(5), Ok(backends(&[("i-1", 100)])));
        assert_eq!(group.trouble(at(6)), None);
        group.read(at(60), Ok(backends(&[])));
        assert!(seen(&group, 61).expect("known").not_given.contains(&"i-1".into()));
        assert!(group.trouble(at(61)).is_some_and(|why| why.contains("i-1")));
        group.read(at(600), Ok(backends(&[])));
        assert!(seen(&group, 600).expect("known").not_given.is_empty());
        group.sent(at(601), BackendChange::Attach { weight: 100 }, &["i-1".into()], &none());
        group.sent(at(700), BackendChange::Weigh { weight: 0 }, &["i-1".into()], &none());
        group.read(at(701), Ok(backends(&[("i-1", 0)])));
        assert!(seen(&group, 702).expect("known").not_given.is_empty(), "we took it away");
    }

    #[test]
    fn a_refusal_pauses_its_instance_for_longer_each_time_and_busy_ones_do_not() {
        let mut group = Group::default();
        group.read(at(0), Ok(backends(&[("i-2", 100)])));
        let attach = BackendChange::Attach { weight: 100 };
        let refusal = |class| [("i-1".into(), (class, "no".to_owned()))].into();
        let is_paused = |group: &Group, secs| {
            let seen = seen(group, secs).expect("known");
            assert!(!seen.is_settling && seen.not_taken.is_empty(), "others can be drained");
            seen.not_given.contains(&"i-1".into())
        };
        group.sent(at(1), attach, &[], &refusal(Class::Conflict));
        group.read(at(2), Ok(backends(&[])));
        assert!(!is_paused(&group, 3));
        assert_eq!(group.trouble(at(3)), None);
        group.sent(at(10), attach, &[], &refusal(Class::Quota));
        group.read(at(11), Ok(backends(&[])));
        assert!(is_paused(&group, 39) && !is_paused(&group, 40));
        group.sent(at(40), attach, &[], &refusal(Class::Quota));
        group.read(at(41), Ok(backends(&[])));
        assert!(is_paused(&group, 99), "twice as long");
        assert!(group.trouble(at(99)).is_some_and(|why| why.contains("i-1 was refused")));
        group.sent(at(101), attach, &["i-1".into()], &none());
        assert_eq!(group.trouble(at(101)), None);
    }

    #[test]
    fn a_refused_end_of_traffic_is_asked_for_again_later_and_forgotten_when_it_is_not() {
        let mut group = Group::default();
        let refusal = [("i-1".into(), (Class::Quota, "no".to_owned()))].into();
        group.sent(at(0), BackendChange::Weigh { weight: 0 }, &[], &refusal);
        group.read(at(1), Ok(backends(&[("i-1", 100)])));
        let first = seen(&group, 2).expect("known");
        assert!(first.not_taken.contains(&"i-1".into()) && first.not_given.is_empty());
        group.read(at(629), Ok(backends(&[])));
        assert!(group.trouble(at(629)).is_some());
        assert_eq!(group.trouble(at(630)), None, "nobody asked for it since");
    }

    #[test]
    fn reads_that_fail_are_told_after_some_time() {
        let mut group = Group::default();
        group.read(at(0), Err("no answer".to_owned()));
        group.read(at(119), Err("no answer".to_owned()));
        assert_eq!(group.trouble(at(119)), None);
        assert!(group.trouble(at(120)).is_some_and(|why| why.contains("no answer")));
        group.read(at(121), Ok(backends(&[])));
        assert_eq!(group.trouble(at(200)), None);
    }
}
