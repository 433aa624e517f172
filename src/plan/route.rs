//! Traffic: which instances the fleet's load balancers are to send new connections to, and the calls that
//! make it so.
//!
//! An instance gets traffic once it is fit, and while it serves. One that leaves loses it first. Backends
//! that the journal does not know are never touched, and nothing is changed in a group that could not be
//! read, or in which a change is under way.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Backend, BackendChange, InstanceId, Mutation, Status};

use super::Ids;
use crate::model::{
    Action, Balancer, GroupSeen, Inputs, Member, OpenIntent, Ownership, Phase, Plan,
};

/// The traffic that an instance should get of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// New connections.
    All,
    /// None; those that are there go on.
    NoNew,
    /// It is to be no backend any more.
    Gone,
    /// Whatever it gets.
    AsItIs,
}

/// Adds the changes of traffic to `plan`: those that take it away come before the ends, those that give it
/// after everything else.
pub(super) fn route(inputs: &Inputs, ids: &mut Ids, plan: &mut Plan) {
    let balancers = &inputs.fleet.lifecycle.balancers;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for (balancer, seen) in balancers.iter().zip(&inputs.inventory.groups) {
        let Some(seen) = seen.as_ref().filter(|seen| !seen.is_settling) else { continue };
        if inputs.history.open.values().any(|open| is_about(open, balancer)) {
            continue;
        }
        let changes = changes(inputs, balancer, seen, plan);
        for (change, of) in [BackendChange::Weigh { weight: 0 }, BackendChange::Detach]
            .into_iter()
            .map(|change| (change, &changes.away))
            .chain([
                (BackendChange::Weigh { weight: balancer.weight }, &changes.given),
                (BackendChange::Attach { weight: balancer.weight }, &changes.given),
            ])
        {
            let ids_of: Vec<InstanceId> =
                of.iter().filter(|(_, its)| **its == change).map(|(id, _)| id.clone()).collect();
            if ids_of.is_empty() {
                continue;
            }
            let group = balancer.group.clone();
            let action = ids.action(Mutation::Route { group, ids: ids_of, change });
            if change.ends_traffic() { first.push(action) } else { last.push(action) }
        }
    }
    let rest: Vec<Action> = std::mem::take(&mut plan.actions);
    plan.actions = first.into_iter().chain(rest).chain(last).collect();
}

/// The changes of one group, by instance.
#[derive(Default)]
struct Changes {
    away: BTreeMap<InstanceId, BackendChange>,
    given: BTreeMap<InstanceId, BackendChange>,
}

fn changes(inputs: &Inputs, balancer: &Balancer, seen: &GroupSeen, plan: &Plan) -> Changes {
    let moved: BTreeMap<&InstanceId, Phase> = plan.phases().collect();
    let ended: BTreeSet<&InstanceId> = plan.actions.iter().filter_map(ended).flatten().collect();
    let mut changes = Changes::default();
    for member in &inputs.inventory.members {
        let id = &member.instance.id;
        let is_ours =
            member.ownership == Ownership::Managed && inputs.history.instances.contains_key(id);
        if !is_ours {
            continue;
        }
        let phase = moved.get(id).copied().unwrap_or(member.phase);
        let wanted = if ended.contains(id) { Wanted::Gone } else { wanted(member, phase) };
        let backend = seen.backends.get(id);
        let Some(change) = change(wanted, backend, balancer.weight) else { continue };
        if change.ends_traffic() {
            // What is ended in this tick is detached whatever was refused before: it is the last chance.
            if !seen.not_taken.contains(id) || ended.contains(id) {
                changes.away.insert(id.clone(), change);
            }
        } else if !seen.not_given.contains(id) {
            changes.given.insert(id.clone(), change);
        }
    }
    changes
}

/// The traffic that a member should get in `phase`.
fn wanted(member: &Member, phase: Phase) -> Wanted {
    let runs = member.instance.status == Status::Running;
    match phase {
        Phase::InService if runs => Wanted::All,
        Phase::Warming if runs && member.is_fit => Wanted::All,
        Phase::Draining | Phase::Standby | Phase::Failed => Wanted::NoNew,
        Phase::Stopping | Phase::Terminating | Phase::Gone => Wanted::Gone,
        Phase::Requested | Phase::Booting | Phase::Warming | Phase::InService => Wanted::AsItIs,
    }
}

fn change(wanted: Wanted, backend: Option<&Backend>, weight: u32) -> Option<BackendChange> {
    match (wanted, backend) {
        (Wanted::All, None) => Some(BackendChange::Attach { weight }),
        // Another weight than ours is a person's; none at all was given by us, for a drain.
        (Wanted::All, Some(backend)) if backend.weight == 0 => {
            Some(BackendChange::Weigh { weight })
        }
        (Wanted::NoNew, Some(backend)) if backend.weight > 0 => {
            Some(BackendChange::Weigh { weight: 0 })
        }
        (Wanted::Gone, Some(_)) => Some(BackendChange::Detach),
        _ => None,
    }
}

/// The instances that an action ends.
fn ended(action: &Action) -> Option<&[InstanceId]> {
    let ends = matches!(action.mutation, Mutation::Stop { .. } | Mutation::Delete { .. });
    ends.then(|| action.mutation.ids())
}

/// Whether a change of unknown outcome concerns the balancer's group.
fn is_about(open: &OpenIntent, balancer: &Balancer) -> bool {
    match &open.intent.action.mutation {
        Mutation::Route { group, .. } => *group == balancer.group,
        _ => false,
    }
}
