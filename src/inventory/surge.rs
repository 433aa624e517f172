//! How many instances are replaced at a time: each costs until it goes, beside the one that comes for it.

use std::collections::{BTreeMap, BTreeSet};

use cloud::InstanceId;

use crate::model::{Fleet, History, Member, Phase, Step, Tracked, share_of};

/// A refresh replaces a quarter at a time where the fleet has no `max_surge`: a template that does not work
/// shows on some, and the others serve.
const REFRESHED_PERCENT: f64 = 25.0;

/// Whether an instance was launched by another template than `template`, the fingerprint of today's. Of
/// what was taken over nobody knows the template, and it stays. What drains goes anyway, or comes back
/// because it is needed now.
pub(super) fn is_outdated(tracked: Option<&Tracked>, phase: Phase, template: &str) -> bool {
    tracked.is_some_and(|tracked| {
        tracked.spec.as_deref().is_some_and(|spec| spec != template)
            && (phase != Phase::Draining || tracked.outgoing)
    })
}

/// Leaves those alone for which there is no room yet, the youngest first. What is under way goes on, and
/// what the vendor takes back waits for nobody. `refreshed`: those that go because of their template alone.
pub(super) fn bound(
    fleet: &Fleet,
    refreshed: &BTreeSet<InstanceId>,
    history: &History,
    members: &mut BTreeMap<InstanceId, Member>,
) {
    let size = members.values().filter(|member| member.phase.is_capacity()).count();
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let limit = fleet.lifecycle.max_surge.map(|surge| match surge {
        Step::Count(count) => count,
        Step::Percent(percent) => share_of(size, percent),
    });
    let mut room = limit.unwrap_or(u32::MAX);
    let mut room_of_refresh = limit.unwrap_or_else(|| share_of(size, REFRESHED_PERCENT));
    let is_under_way =
        |id: &InstanceId| history.instances.get(id).is_some_and(|tracked| tracked.outgoing);
    let mut waiting: Vec<&mut Member> = Vec::new();
    for (id, member) in members.iter_mut() {
        let costs = member.phase.is_capacity() || member.phase == Phase::Draining;
        if !member.outgoing || !costs || member.instance.is_reclaimed() {
            continue;
        }
        if is_under_way(id) {
            room = room.saturating_sub(1);
            room_of_refresh = room_of_refresh.saturating_sub(1);
        } else {
            waiting.push(member);
        }
    }
    // What a person named goes before what is only old.
    waiting.sort_by_key(|member| {
        let instance = &member.instance;
        (refreshed.contains(&instance.id), instance.created_at, instance.id.clone())
    });
    for member in waiting {
        let is_refreshed = refreshed.contains(&member.instance.id);
        let left = if is_refreshed { room.min(room_of_refresh) } else { room };
        member.outgoing = left > 0;
        if member.outgoing {
            room = room.saturating_sub(1);
            room_of_refresh = room_of_refresh.saturating_sub(1);
        }
    }
}

/// Those that are to go, or to stay, from now on.
pub(super) fn changed(
    history: &History,
    members: &BTreeMap<InstanceId, Member>,
) -> BTreeMap<InstanceId, bool> {
    let changed = members.iter().filter(|(id, member)| {
        let tracked = history.instances.get(*id);
        tracked.is_some_and(|tracked| tracked.outgoing != member.outgoing)
    });
    changed.map(|(id, member)| (id.clone(), member.outgoing)).collect()
}

#[cfg(test)]
mod tests;
