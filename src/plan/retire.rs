//! Retiring instances: which ones go, and in what order.
//!
//! The executor never chooses a victim; it is told. The oldest Running managed instance goes
//! first, by creation time and then id. Base and protected instances, and any instance that does
//! not show all of our tags, are never candidates. What never came into service is cleared away
//! beside that, whatever the fleet's size.

use cloud::{InstanceId, Mutation, Status, Terminate};

use crate::model::{Direction, Inputs, Inventory, Member, Ownership, Phase, Plan, tags};

/// DeleteInstances and StopInstances take 1 to 100 ids per call.
const BATCH: usize = 100;

/// The deletion of those whose drain is over.
pub(super) fn drained(inventory: &Inventory, drafts: &mut Vec<Mutation>) {
    let drained = inventory.members.iter().filter(|member| {
        member.phase == Phase::Draining
            && member.instance.status == Status::Stopped
            && is_ours(member)
            && !tags::protect(&member.instance)
    });
    let drained: Vec<InstanceId> = drained.map(|member| member.instance.id.clone()).collect();
    batches(&drained, |ids| Mutation::Delete { ids, how: Terminate::StopThenDelete }, drafts);
}

/// The deletion of those that we launched and that never came into service. They carry no load, so
/// the power is cut: an operating system that did not come up cannot shut down.
pub(super) fn failed(inputs: &Inputs, drafts: &mut Vec<Mutation>) {
    let Inputs { fleet, inventory, history, now, .. } = inputs;
    if inputs.holds.iter().any(|hold| hold.keeps(&fleet.id, Direction::In, *now)) {
        return;
    }
    let failed = inventory.members.iter().filter(|member| {
        member.phase == Phase::Failed
            && history
                .instances
                .get(&member.instance.id)
                .is_some_and(|tracked| tracked.launched_by.is_some() && !tracked.served)
            && is_ours(member)
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
    let candidates = inputs.inventory.members.iter().filter(|member| is_candidate(member));
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

fn is_ours(member: &Member) -> bool {
    member.ownership == Ownership::Managed && member.missing_tags.is_empty()
}

fn is_candidate(member: &Member) -> bool {
    is_ours(member)
        && member.instance.status == Status::Running
        && matches!(member.phase, Phase::Warming | Phase::InService)
        && !tags::protect(&member.instance)
}
