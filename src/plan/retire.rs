//! Retiring instances: which ones go, and in what order.
//!
//! The executor never chooses a victim; it is told. The oldest Running managed instance goes
//! first, by creation time and then id. Base and protected instances, and any instance that does
//! not show all of our tags, are never candidates. What never came into service is cleared away
//! beside that, whatever the fleet's size.

use cloud::{InstanceId, Mutation, Status, Terminate};

use crate::model::{Direction, Fleet, Inputs, Member, Ownership, Phase, Plan, tags};

/// DeleteInstances and StopInstances take 1 to 100 ids per call.
const BATCH: usize = 100;

/// The deletion of those whose drain is over.
pub(super) fn drained(inputs: &Inputs, drafts: &mut Vec<Mutation>) {
    let Inputs { fleet, inventory, .. } = inputs;
    let drained = inventory.members.iter().filter(|member| {
        member.phase == Phase::Draining
            && member.instance.status == Status::Stopped
            && is_ours(member, fleet)
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
            && is_ours(member, fleet)
            && !tags::protect(&member.instance)
            && may_be_ended(&member.instance.id, inputs)
    });
    let failed: Vec<InstanceId> = failed.map(|member| member.instance.id.clone()).collect();
    batches(&failed, |ids| Mutation::Delete { ids, how: Terminate::Force }, drafts);
}

/// What ends `remove` instances that serve.
pub(super) fn surplus(inputs: &Inputs, remove: u32, drafts: &mut Vec<Mutation>, plan: &mut Plan) {
    if remove == 0 {
        return;
    }
    let candidates =
        inputs.inventory.members.iter().filter(|member| is_candidate(member, &inputs.fleet));
    let mut eligible: Vec<&Member> =
        candidates.filter(|member| may_be_ended(&member.instance.id, inputs)).collect();
    eligible.sort_by(|a, b| {
        (a.instance.created_at, &a.instance.id).cmp(&(b.instance.created_at, &b.instance.id))
    });
    if eligible.len() < remove as usize {
        plan.shortfalls.push(format!(
            "{remove} to remove, but only {} eligible: instances are never removed that are base, \
             protected, not Running or not fully tagged, and those that refused are left alone for \
             a while",
            eligible.len(),
        ));
    }
    let victims: Vec<InstanceId> =
        eligible.iter().take(remove as usize).map(|member| member.instance.id.clone()).collect();
    match inputs.fleet.terminate {
        Terminate::StopThenDelete => batches(&victims, |ids| Mutation::Stop { ids }, drafts),
        how @ (Terminate::Graceful | Terminate::Force) => {
            batches(&victims, |ids| Mutation::Delete { ids, how }, drafts);
        }
    }
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

/// By its own tags, not by our records only: where they were lost, or do not show yet, it is left
/// alone until they do.
fn is_ours(member: &Member, fleet: &Fleet) -> bool {
    let shows = |key: &str, value: &str| member.instance.tags.get(key).is_some_and(|v| v == value);
    member.ownership == Ownership::Managed
        && member.missing_tags.is_empty()
        && shows(tags::SOURCE, tags::SOURCE_AUTO)
        && shows(tags::FLEET, &fleet.id.0)
}

fn is_candidate(member: &Member, fleet: &Fleet) -> bool {
    is_ours(member, fleet)
        && member.instance.status == Status::Running
        && matches!(member.phase, Phase::Warming | Phase::InService)
        && !tags::protect(&member.instance)
}
