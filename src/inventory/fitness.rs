//! Which instances may come into service, and which that served are given up. Pure.

use std::collections::BTreeMap;

use cloud::InstanceId;

use super::News;
use crate::model::{
    Fleet, History, Hook, HookGate, HookOutcome, HookPoint, Member, Ownership, Phase, Tracked,
    Unhealthy,
};

/// When more than 40 % are unhealthy at once, the check is broken, or something that all of them need:
/// new instances would be no better.
const UNHEALTHY_PERCENT_MAX: usize = 40;

/// Whether the hooks of its launch let an instance into service. One that served, or that the journal does
/// not know, is not launched any more.
pub(super) fn gate(fleet: &Fleet, tracked: Option<&Tracked>) -> HookGate {
    let Some(tracked) = tracked.filter(|tracked| !tracked.served) else { return HookGate::Open };
    let outcome = |hook: &Hook| tracked.hooks.get(&hook.name).and_then(|state| state.outcome);
    let outcomes = || fleet.lifecycle.hooks_on(HookPoint::Launch).map(outcome);
    if outcomes().any(|outcome| outcome == Some(HookOutcome::Abandon)) {
        HookGate::Abandoned
    } else if outcomes().any(|outcome| outcome.is_none()) {
        HookGate::Shut
    } else {
        HookGate::Open
    }
}

/// Instances that served and are unhealthy now have failed, so that others are launched in their place;
/// unless there are too many of them.
pub(super) fn give_up_unhealthy(
    fleet: &Fleet,
    members: &mut BTreeMap<InstanceId, Member>,
    news: &mut News,
    history: &History,
) {
    if fleet.lifecycle.unhealthy != Unhealthy::Replace {
        return;
    }
    let served = |id: &InstanceId| history.instances.get(id).is_some_and(|t| t.served);
    let is_managed = |member: &Member| member.ownership == Ownership::Managed;
    let (mut serving, mut given_up, mut unhealthy) = (0, 0, Vec::new());
    for (id, member) in members.iter().filter(|(_, member)| is_managed(member)) {
        let is_unhealthy = member.health == Some(false);
        match member.phase {
            Phase::InService => {
                serving += 1;
                unhealthy.extend(is_unhealthy.then(|| id.clone()));
            }
            Phase::Failed if is_unhealthy && served(id) => given_up += 1,
            _ => {}
        }
    }
    let all = unhealthy.len() + given_up;
    if all > 1 && all * 100 > (serving + given_up) * UNHEALTHY_PERCENT_MAX {
        return;
    }
    for id in unhealthy {
        if let Some(member) = members.get_mut(&id) {
            member.phase = Phase::Failed;
            news.phases.insert(id, Phase::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tracked;
    use crate::model::fixtures::{self, member};

    /// How many of `serving` are given up when `unhealthy` of them are.
    fn given_up(serving: usize, unhealthy: usize, before: usize) -> usize {
        let fleet = fixtures::fleet(1, 50);
        let mut history = History::default();
        let mut members = BTreeMap::new();
        for n in 0..serving + before {
            let id = InstanceId(format!("i-{n:03}"));
            let failed = n >= serving;
            let phase = if failed { Phase::Failed } else { Phase::InService };
            let health = Some(!failed && n >= unhealthy);
            members.insert(id.clone(), Member { phase, health, ..member(&id.0, 60) });
            let tracked = Tracked { served: true, ..fixtures::tracked(phase, ("c7", "vsw-h")) };
            history.instances.insert(id, tracked);
        }
        let mut news = News::default();
        give_up_unhealthy(&fleet, &mut members, &mut news, &history);
        news.phases.values().filter(|phase| **phase == Phase::Failed).count()
    }

    #[test]
    fn the_unhealthy_are_given_up_unless_they_are_too_many() {
        for (serving, unhealthy, before, expected) in [
            (5, 0, 0, 0),
            (1, 1, 0, 1),
            (5, 1, 0, 1),
            (5, 2, 0, 2),
            (5, 3, 0, 0),
            (4, 2, 0, 0),
            (3, 1, 2, 0),
            (20, 20, 0, 0),
        ] {
            let name = format!("{unhealthy} of {serving}, {before} before");
            assert_eq!(given_up(serving, unhealthy, before), expected, "{name}");
        }
    }
}
