//! Retiring instances: which ones go, and in what order.
//!
//! The executor never chooses a victim; it is told. The oldest Running instance goes first, by
//! creation time and then id, of those that the journal launched or took over. Base and protected
//! instances, and any instance that does not show all of our tags, are never candidates. Nothing that
//! serves is given up for something that does not: what only warms up goes before it, and what boots is
//! waited for. What never came into service is cleared away beside that, whatever the fleet's size.

use cloud::{InstanceId, Mutation, Status, Terminate};

use crate::model::{Decision, Direction, Inputs, Member, Ownership, Phase, Plan, tags};

/// DeleteInstances and StopInstances take 1 to 100 ids per call.
const BATCH: usize = 100;

/// The deletion of those whose drain is over.
pub(super) fn drained(inputs: &Inputs, drafts: &mut Vec<Mutation>) {
    let Inputs { inventory, .. } = inputs;
    let drained = inventory.members.iter().filter(|member| {
        member.phase == Phase::Draining
            && member.instance.status == Status::Stopped
            && is_ours(member, inputs)
            && !tags::protect(&member.instance)
    });
    let drained: Vec<InstanceId> = drained.map(|member| member.instance.id.clone()).collect();
    batches(&drained, |ids| Mutation::Delete { ids, how: Terminate::StopThenDelete }, drafts);
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
            && !tags::protect(&member.instance)
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
    let remove = decision.remove as usize;
    if remove == 0 {
        return;
    }
    let candidates = inputs.inventory.members.iter().filter(|member| is_candidate(member, inputs));
    let mut eligible: Vec<&Member> =
        candidates.filter(|member| may_be_ended(&member.instance.id, inputs)).collect();
    eligible.sort_by_key(|member| (member.instance.created_at, &member.instance.id));
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
    match inputs.fleet.terminate {
        Terminate::StopThenDelete => batches(&victims, |ids| Mutation::Stop { ids }, drafts),
        how @ (Terminate::Graceful | Terminate::Force) => {
            batches(&victims, |ids| Mutation::Delete { ids, how }, drafts);
        }
    }
}

/// How many of those that certainly serve may go: the size that was decided must be left of them, and
/// `min`. What boots, or may exist, is not counted: it may never serve.
fn spare(inputs: &Inputs, decision: &Decision) -> usize {
    let least = (decision.current - decision.remove.min(decision.current))
        .max(decision.desired)
        .max(inputs.fleet.bounds.min);
    inputs.inventory.in_service().saturating_sub(least) as usize
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
        && !inputs.inventory.lost_zones.contains(&member.instance.zone)
        && !tags::protect(&member.instance)
}
