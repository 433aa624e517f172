//! One inventory from the listings and the history. Pure.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Instance, InstanceId, Status, Tags, Timestamp, clock};

use crate::model::{
    Fleet, History, IntentId, Inventory, Limits, Member, Ownership, Phase, Unlisted, rfc3339, tags,
};

use super::Survey;

/// Instances that we know of and that `listed` does not show.
pub(super) fn known_but_not_in(listed: &[Instance], history: &History) -> Vec<InstanceId> {
    let shown: BTreeSet<&InstanceId> = listed.iter().map(|instance| &instance.id).collect();
    history.instances.keys().filter(|id| !shown.contains(id)).cloned().collect()
}

/// Instances that should be in every listing: seen before, and not on their way out.
pub(super) fn expected_to_serve(history: &History) -> Vec<&InstanceId> {
    let seen = |phase: Phase| matches!(phase, Phase::Booting | Phase::Warming | Phase::InService);
    history.instances.iter().filter(|(_, t)| seen(t.phase)).map(|(id, _)| id).collect()
}

pub(super) fn merge(
    fleet: &Fleet,
    listed: &[Instance],
    by_id: &[Instance],
    base: &[Instance],
    history: &History,
    now: Timestamp,
) -> Survey {
    let limits = Limits { warmup: fleet.warmup.get(), boot_timeout: fleet.boot_timeout.get() };
    let mut members: BTreeMap<InstanceId, Member> = BTreeMap::new();
    let mut phases = BTreeMap::new();
    for instance in listed.iter().chain(by_id) {
        let phase = phase_of(instance, history, limits, now);
        if history.instances.get(&instance.id).map(|tracked| tracked.phase) != Some(phase) {
            phases.insert(instance.id.clone(), phase);
        }
        let member = Member {
            instance: instance.clone(),
            ownership: Ownership::Managed,
            phase,
            missing_tags: missing_tags(fleet, instance, history),
        };
        members.insert(instance.id.clone(), member);
    }
    for instance in base {
        // An instance that carries our tags is ours, whatever selector finds it as well.
        members.entry(instance.id.clone()).or_insert_with(|| Member {
            instance: instance.clone(),
            ownership: Ownership::Base,
            phase: base_phase(instance.status),
            missing_tags: Tags::new(),
        });
    }
    let mut unlisted = Vec::new();
    for (id, tracked) in history.instances.iter().filter(|(id, _)| !members.contains_key(id)) {
        let phase = tracked.phase.next(None, clock::age(now, tracked.since), limits);
        if phase != tracked.phase {
            phases.insert(id.clone(), phase);
        }
        // An id that no listing shows costs nothing: failed here means that it never came to be.
        if !matches!(phase, Phase::Gone | Phase::Failed) {
            unlisted.push(Unlisted { id: id.clone(), phase });
        } else {
            phases.insert(id.clone(), Phase::Gone);
        }
    }
    let inventory = Inventory {
        at: now,
        members: members.into_values().collect(),
        unlisted,
        in_doubt: history.launches_in_doubt(),
        doubts: Vec::new(),
    };
    Survey { inventory, phases }
}

fn phase_of(instance: &Instance, history: &History, limits: Limits, now: Timestamp) -> Phase {
    if let Some(tracked) = history.instances.get(&instance.id) {
        return tracked.phase.next(Some(instance.status), clock::age(now, tracked.since), limits);
    }
    // Not in our records (they were lost, or another host launched it): its own tag says when.
    let launched = instance.tags.get(tags::TIMESTAMP).and_then(|at| at.parse().ok());
    let age = clock::age(now, launched.unwrap_or(instance.created_at));
    if instance.status == Status::Running && age >= limits.warmup {
        return Phase::InService;
    }
    Phase::Requested.next(Some(instance.status), age, limits)
}

/// A base instance is not ours to judge: it serves when it runs.
fn base_phase(status: Status) -> Phase {
    match status {
        Status::Pending | Status::Starting => Phase::Booting,
        Status::Running => Phase::InService,
        Status::Stopping => Phase::Terminating,
        Status::Stopped | Status::Unknown => Phase::Failed,
    }
}

/// The tags of ours that an instance of ours does not show.
///
/// Only an instance that we launched (its id is in the answer to our call) is repaired: to tag
/// anything else would be to take possession of it.
fn missing_tags(fleet: &Fleet, instance: &Instance, history: &History) -> Tags {
    let tracked = history.instances.get(&instance.id);
    let Some(tracked) = tracked.filter(|tracked| tracked.launched_by.is_some()) else {
        return Tags::new();
    };
    let intent: Option<IntentId> = tracked.launched_by;
    let wanted = [
        (tags::SOURCE, Some(tags::SOURCE_AUTO.to_owned())),
        (tags::FLEET, Some(fleet.id.0.clone())),
        (tags::INTENT, intent.map(|id| id.to_string())),
        (tags::TIMESTAMP, Some(rfc3339(instance.created_at))),
    ];
    let missing = |key: &str, value: &String| match key {
        // Any time stamp will do; the provider's creation time replaces a lost one.
        tags::TIMESTAMP => !instance.tags.contains_key(key),
        _ => instance.tags.get(key) != Some(value),
    };
    wanted
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .filter(|(key, value)| missing(key, value))
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
