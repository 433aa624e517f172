//! Retiring instances: which ones go, and in what order.
//!
//! The executor never chooses a victim; it is told. The oldest Running managed instance goes
//! first, by creation time and then id. Base and protected instances, and any instance that does
//! not show all of our tags, are never candidates.

use cloud::{InstanceId, Mutation, Status, Terminate};

use crate::model::{Fleet, History, Inventory, Member, Ownership, Phase, Plan, tags};

/// DeleteInstances and StopInstances take 1 to 100 ids per call.
const BATCH: usize = 100;

/// Adds what ends `remove` instances to `drafts`, and the deletion of those whose drain is over.
pub(super) fn retire(
    fleet: &Fleet,
    inventory: &Inventory,
    history: &History,
    remove: u32,
    drafts: &mut Vec<Mutation>,
    plan: &mut Plan,
) {
    let how = fleet.terminate;
    let drained = inventory.members.iter().filter(|member| {
        member.phase == Phase::Draining
            && member.instance.status == Status::Stopped
            && is_ours(member)
            && !is_protected(member)
    });
    let drained: Vec<InstanceId> = drained.map(|member| member.instance.id.clone()).collect();
    batches(&drained, |ids| Mutation::Delete { ids, how: Terminate::StopThenDelete }, drafts);

    if remove == 0 {
        return;
    }
    let mut eligible: Vec<&Member> = inventory
        .members
        .iter()
        .filter(|member| is_candidate(member) && !is_in_flight(&member.instance.id, history))
        .collect();
    eligible.sort_by(|a, b| {
        (a.instance.created_at, &a.instance.id).cmp(&(b.instance.created_at, &b.instance.id))
    });
    if eligible.len() < remove as usize {
        plan.shortfalls.push(format!(
            "{remove} to remove, but only {} eligible: instances are never removed that are base, \
             protected, not Running or not fully tagged",
            eligible.len(),
        ));
    }
    let victims: Vec<InstanceId> =
        eligible.iter().take(remove as usize).map(|member| member.instance.id.clone()).collect();
    match how {
        Terminate::StopThenDelete => batches(&victims, |ids| Mutation::Stop { ids }, drafts),
        Terminate::Graceful | Terminate::Force => {
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

/// An instance that a mutation of unknown outcome concerns is left alone until that is settled.
fn is_in_flight(id: &InstanceId, history: &History) -> bool {
    history.open.values().any(|intent| match &intent.action.mutation {
        Mutation::Launch(_) => false,
        Mutation::Tag { ids, .. }
        | Mutation::Start { ids }
        | Mutation::Stop { ids }
        | Mutation::Delete { ids, .. } => ids.contains(id),
    })
}

fn is_ours(member: &Member) -> bool {
    member.ownership == Ownership::Managed && member.missing_tags.is_empty()
}

fn is_candidate(member: &Member) -> bool {
    is_ours(member)
        && member.instance.status == Status::Running
        && matches!(member.phase, Phase::Warming | Phase::InService)
        && !is_protected(member)
}

/// Protected by the provider, or by an operator's `scale-protect` tag (any value but `false`).
fn is_protected(member: &Member) -> bool {
    let tagged = member.instance.tags.get(tags::PROTECT);
    member.instance.deletion_protection || tagged.is_some_and(|value| value != "false")
}
