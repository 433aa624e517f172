//! Retiring instances: which ones go, and in what order.
//!
//! The executor never chooses a victim; it is told. The oldest Running instance goes first, by
//! creation time and then id, of those that the journal launched or took over, unless the fleet's
//! `victims` say otherwise. Base and protected
//! instances, and any instance that does not show all of our tags, are never candidates. Nothing that
//! serves is given up for something that does not: what only warms up goes before it, and what boots is
//! waited for. What never came into service is cleared away beside that, whatever the fleet's size.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use cloud::{InstanceId, Mutation, Status, Terminate};

use super::drain::{self, can_return};
use crate::model::{
    Decision, Direction, Inputs, Inventory, Member, Ownership, Phase, Plan, Unhealthy, Victims,
    fingerprint, tags,
};

/// DeleteInstances and StopInstances take 1 to 100 ids per call.
const BATCH: usize = 100;

/// The deletion of those that we asked to stop and that have.
pub(super) fn stopped(inputs: &Inputs, drafts: &mut Vec<Mutation>) {
    let Inputs { inventory, .. } = inputs;
    let stopped = inventory.members.iter().filter(|member| {
        member.phase == Phase::Stopping
            && member.instance.status == Status::Stopped
            && is_ours(member, inputs)
            && !member.is_protected()
    });
    let stopped: Vec<InstanceId> = stopped.map(|member| member.instance.id.clone()).collect();
    batches(&stopped, |ids| Mutation::Delete { ids, how: Terminate::StopThenDelete }, drafts);
}

/// The end of those whose drain is over, unless they are needed again: then they come back.
pub(super) fn drained(
    inputs: &Inputs,
    decision: &Decision,
    drafts: &mut Vec<Mutation>,
    plan: &mut Plan,
) {
    let over = drain::over(inputs, plan);
    // Others may have gone since: what is drained may be all that is left.
    let too_few_serve = inputs.inventory.staying() < inputs.fleet.bounds.min;
    let may_return = decision.desired > decision.current || too_few_serve;
    let is_full = is_full(inputs);
    let member = |id: &InstanceId| inputs.inventory.members.iter().find(|m| m.instance.id == *id);
    let may_go = |id: &InstanceId| {
        let fits = |m: &Member| {
            // What is to be replaced does not come back, and may be all that is in the way; and so may
            // be, at `max`, what cannot serve again.
            is_ours(m, inputs)
                && m.instance.status == Status::Running
                && (m.outgoing || !may_return || (is_full && !can_return(m, inputs)))
        };
        may_be_ended(id, inputs) && member(id).is_some_and(fits)
    };
    let over: Vec<InstanceId> = over.into_iter().filter(may_go).collect();
    end(&over, inputs, drafts);
}

/// The end of those that served and are unhealthy: once enough others serve, or where `max` leaves no room
/// to launch another one first.
pub(super) fn unhealthy(inputs: &Inputs, decision: &Decision, drafts: &mut Vec<Mutation>) {
    let Inputs { fleet, inventory, now, .. } = inputs;
    if fleet.lifecycle.unhealthy != Unhealthy::Replace
        || inputs.holds.iter().any(|hold| hold.keeps(&fleet.id, Direction::In, *now))
    {
        return;
    }
    let is_replaced = inventory.staying() >= decision.desired.max(fleet.bounds.min);
    // They serve nobody: whatever else is on its way, one of them may make room.
    let makes_room = is_full(inputs) && !some_leave(inputs);
    if !is_replaced && !makes_room {
        return;
    }
    let unhealthy = inventory.members.iter().filter(|member| {
        member.phase == Phase::Failed
            && member.health == Some(false)
            && member.instance.status == Status::Running
            && inputs.history.instances.get(&member.instance.id).is_some_and(|t| t.served)
            && is_ours(member, inputs)
            && !member.is_protected()
            && may_be_ended(&member.instance.id, inputs)
    });
    let mut ids: Vec<InstanceId> = unhealthy.map(|member| member.instance.id.clone()).collect();
    if !is_replaced {
        // One at a time: each makes room for one that may serve.
        ids.truncate(1);
    }
    end(&ids, inputs, drafts);
}

/// The end, or the drain, of those that are to be replaced: as many as others serve for beyond the size, or one
/// where `max` leaves no room to launch another first.
pub(super) fn outgoing(
    inputs: &Inputs,
    decision: &Decision,
    drafts: &mut Vec<Mutation>,
    plan: &mut Plan,
) {
    let Inputs { fleet, inventory, now, .. } = inputs;
    if inputs.holds.iter().any(|hold| hold.keeps(&fleet.id, Direction::In, *now)) {
        return;
    }
    let outgoing = inventory.members.iter().filter(|member| {
        member.outgoing
            && matches!(member.phase, Phase::Warming | Phase::InService)
            && member.instance.status == Status::Running
            && is_ours(member, inputs)
            && !member.is_protected()
            && may_be_ended(&member.instance.id, inputs)
    });
    let (reclaimed, outgoing): (Vec<&Member>, Vec<&Member>) =
        outgoing.partition(|member| member.instance.is_reclaimed());
    // It is gone within minutes: others are launched already, and its work gets the time that there is.
    // Without a drain it serves until then.
    if fleet.lifecycle.drains() {
        plan.drains.extend(reclaimed.iter().map(|member| member.instance.id.clone()));
    }
    let mut ids: Vec<InstanceId> =
        outgoing.into_iter().map(|member| member.instance.id.clone()).collect();
    // All that serve, less the size: what has replaced them already.
    let wanted = decision.desired.max(fleet.bounds.min);
    let serve = inventory.in_service().saturating_sub(u32::try_from(reclaimed.len()).unwrap_or(0));
    let replaced = serve.saturating_sub(wanted) as usize;
    // One that leaves makes room, and one that comes is the replacement of one that left.
    let makes_room = is_full(inputs)
        && !some_leave(inputs)
        && !some_come(inputs)
        && inventory.in_service() > fleet.bounds.min;
    ids.truncate(if makes_room { replaced.max(1) } else { replaced });
    if fleet.lifecycle.drains() {
        plan.drains.extend(ids);
    } else {
        end(&ids, inputs, drafts);
    }
}

/// Whether `max` leaves no room to launch another one first.
fn is_full(inputs: &Inputs) -> bool {
    inputs.inventory.live() >= inputs.fleet.bounds.max
}

fn some_leave(inputs: &Inputs) -> bool {
    inputs.inventory.count(Phase::is_leaving) > 0
}

/// Whether something is on its way into service.
fn some_come(inputs: &Inputs) -> bool {
    let Inventory { members, unlisted, in_doubt, .. } = &inputs.inventory;
    let comes = |phase: Phase| phase.is_capacity() && phase != Phase::InService;
    *in_doubt > 0
        || unlisted.iter().any(|unlisted| comes(unlisted.phase))
        || members.iter().any(|member| comes(member.phase) && !member.outgoing)
}

/// Ends Running instances in the fleet's way.
fn end(ids: &[InstanceId], inputs: &Inputs, drafts: &mut Vec<Mutation>) {
    match inputs.fleet.terminate {
        Terminate::StopThenDelete => batches(ids, |ids| Mutation::Stop { ids }, drafts),
        how @ (Terminate::Graceful | Terminate::Force) => {
            batches(ids, |ids| Mutation::Delete { ids, how }, drafts);
        }
    }
}

/// The deletion of those that never came into service: the power is cut, since they carry no load
/// and an operating system that did not come up cannot shut down.
///
/// What once served and was stopped since may have been stopped by somebody who wants to look at it.
/// It is left alone, and so is what only may have served because the records of it were lost.
pub(super) fn failed(inputs: &Inputs, drafts: &mut Vec<Mutation>) {
    let Inputs { fleet, inventory, history, now, .. } = inputs;
    if inputs.holds.iter().any(|hold| hold.keeps(&fleet.id, Direction::In, *now)) {
        return;
    }
    let never_served = |member: &Member| {
        let instance = &member.instance;
        let known = history.instances.get(&instance.id);
        let launched = known.is_some_and(|tracked| tracked.launched_by.is_some());
        // Without the record of its launch, its tags and its status say enough.
        let hangs = matches!(instance.status, Status::Pending | Status::Starting)
            && instance.tags.contains_key(tags::INTENT);
        let is_known = instance.status != Status::Unknown;
        is_known && (launched || hangs) && known.is_none_or(|tracked| !tracked.served)
    };
    let failed = inventory.members.iter().filter(|member| {
        member.phase == Phase::Failed
            && never_served(member)
            && is_ours(member, inputs)
            && !member.is_protected()
            && may_be_ended(&member.instance.id, inputs)
    });
    let failed: Vec<InstanceId> = failed.map(|member| member.instance.id.clone()).collect();
    batches(&failed, |ids| Mutation::Delete { ids, how: Terminate::Force }, drafts);
}

/// The actions that end the surplus of a scale-in.
pub(super) fn surplus(
    inputs: &Inputs,
    decision: &Decision,
    drafts: &mut Vec<Mutation>,
    plan: &mut Plan,
) {
    // What goes on standby now is no part of the size any more.
    let kept =
        inputs.inventory.members.iter().filter(|member| {
            member.phase.is_capacity() && plan.retained.contains(&member.instance.id)
        });
    let remove = (decision.remove as usize).saturating_sub(kept.count());
    if remove == 0 {
        return;
    }
    let candidates = inputs.inventory.members.iter().filter(|member| is_candidate(member, inputs));
    let mut eligible: Vec<&Member> =
        candidates.filter(|member| may_be_ended(&member.instance.id, inputs)).collect();
    let idle = |member: &&Member| {
        let below = inputs.fleet.lifecycle.idle_below;
        member.busy.is_some_and(|work| work < below)
    };
    if inputs.fleet.lifecycle.victims == Victims::Idle {
        let all = eligible.len();
        eligible.retain(idle);
        if eligible.len() < remove.min(all) {
            plan.shortfalls.push(format!(
                "{remove} to remove, but only {} without work: the others are waited for",
                eligible.len(),
            ));
        }
    }
    sort(&mut eligible, inputs);
    if eligible.len() < remove {
        plan.shortfalls.push(format!(
            "{remove} to remove, but only {} eligible: instances are never removed that are base, \
             protected, not Running, not fully tagged or unknown to the journal, and those that \
             refused are left alone for a while",
            eligible.len(),
        ));
    }
    let victims = victims(&eligible, remove, spare(inputs, decision));
    if victims.len() < remove.min(eligible.len()) {
        plan.shortfalls.push(format!(
            "{remove} to remove, {} of them only once others serve: what serves is not given up for \
             what boots or may not exist",
            remove - victims.len(),
        ));
    }
    if inputs.fleet.lifecycle.drains() {
        plan.drains.extend(victims);
    } else {
        end(&victims, inputs, drafts);
    }
}

/// Puts those first that are to go first. Whatever the order, what only warms up goes before what serves.
fn sort(eligible: &mut [&Member], inputs: &Inputs) {
    let age = |member: &Member| (member.instance.created_at, member.instance.id.clone());
    let order = inputs.fleet.lifecycle.victims;
    match order {
        Victims::Oldest | Victims::Idle => eligible.sort_by_cached_key(|member| age(member)),
        Victims::Newest => eligible.sort_by_cached_key(|member| Reverse(age(member))),
        Victims::OldestTemplate => {
            let today = fingerprint(&inputs.fleet.launch.spec);
            let is_new = |member: &Member| {
                let tracked = inputs.history.instances.get(&member.instance.id);
                tracked.is_some_and(|tracked| tracked.spec.as_ref() == Some(&today))
            };
            eligible.sort_by_cached_key(|member| (is_new(member), age(member)));
        }
        Victims::LeastBusy => {
            // What nobody knows may be much.
            let work = |member: &Member| member.busy.unwrap_or(f64::INFINITY);
            eligible.sort_by(|a, b| work(a).total_cmp(&work(b)).then_with(|| age(a).cmp(&age(b))));
        }
        Victims::ZoneBalanced => {
            eligible.sort_by_cached_key(|member| age(member));
            balance(eligible, inputs);
        }
    }
}

/// Puts them into the order in which the largest zone always loses its oldest.
fn balance(eligible: &mut [&Member], inputs: &Inputs) {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for member in inputs.inventory.members.iter().filter(|member| member.phase.is_capacity()) {
        *sizes.entry(member.instance.zone.as_str()).or_default() += 1;
    }
    for at in 0..eligible.len() {
        let largest = (at..eligible.len()).max_by_key(|n| {
            let zone = eligible[*n].instance.zone.as_str();
            (sizes.get(zone).copied().unwrap_or(0), Reverse(*n))
        });
        let Some(largest) = largest else { return };
        eligible[at..=largest].rotate_right(1);
        if let Some(size) = sizes.get_mut(eligible[at].instance.zone.as_str()) {
            *size = size.saturating_sub(1);
        }
    }
}

/// How many of those that certainly serve may go: the size that was decided must be left of them, and
/// `min`. What boots, or may exist, is not counted: it may never serve.
fn spare(inputs: &Inputs, decision: &Decision) -> usize {
    let least = (decision.current - decision.remove.min(decision.current))
        .max(decision.desired)
        .max(inputs.fleet.bounds.min);
    inputs.inventory.staying().saturating_sub(least) as usize
}

/// The oldest first, but no more than `spare` of those that serve.
fn victims(eligible: &[&Member], remove: usize, spare: usize) -> Vec<InstanceId> {
    let mut serving = 0;
    let may_go = eligible.iter().filter(|member| {
        let serves = member.phase == Phase::InService;
        serving += usize::from(serves);
        !serves || serving <= spare
    });
    may_go.take(remove).map(|member| member.instance.id.clone()).collect()
}

fn batches(
    ids: &[InstanceId],
    mutation: impl Fn(Vec<InstanceId>) -> Mutation,
    drafts: &mut Vec<Mutation>,
) {
    drafts.extend(ids.chunks(BATCH).map(|ids| mutation(ids.to_vec())));
}

/// Not while a mutation of unknown outcome concerns it, nor shortly after it refused.
fn may_be_ended(id: &InstanceId, inputs: &Inputs) -> bool {
    let history = &inputs.history;
    let refused = history.refused.get(id).is_some_and(|refused| inputs.now < refused.until);
    !refused && !history.is_in_flight(id)
}

/// By the journal, which launched it or took it over, and by its own tags: where either was lost, or
/// does not show yet, it is left alone until it does.
fn is_ours(member: &Member, inputs: &Inputs) -> bool {
    let shows = |key: &str, value: &str| member.instance.tags.get(key).is_some_and(|v| v == value);
    member.ownership == Ownership::Managed
        && inputs.history.instances.contains_key(&member.instance.id)
        && member.missing_tags.is_empty()
        && shows(tags::SOURCE, tags::SOURCE_AUTO)
        && shows(tags::FLEET, &inputs.fleet.id.0)
}

/// What a lost zone holds is no candidate: it is no part of the size that is too large.
fn is_candidate(member: &Member, inputs: &Inputs) -> bool {
    is_ours(member, inputs)
        && member.instance.status == Status::Running
        && matches!(member.phase, Phase::Warming | Phase::InService)
        && !member.outgoing
        && !inputs.inventory.lost_zones.contains(&member.instance.zone)
        && !member.is_protected()
}
