//! The bounds: `min ≤ desired ≤ max`, whatever signals and rules say; nothing is done on an
//! inventory that is in doubt.

use cloud::Mutation;

use crate::model::{Counterfactual, Inputs, Phase, Reason};

use super::Proposal;

/// The size to reach with what there is room for. It may lie below `min` when what exists without
/// being capacity fills `max`.
pub(super) fn guard(proposal: &mut Proposal, inputs: &Inputs) -> u32 {
    let (bounds, inventory) = (inputs.fleet.bounds, &inputs.inventory);
    let current = proposal.current;
    if let Some(why) = inventory.doubts.first() {
        proposal.block(Reason::Doubt { why: why.clone() });
        return current;
    }
    let mut target = proposal.desired;
    for zone in &inventory.lost_zones {
        let lost = inventory.members.iter().filter(|m| m.instance.zone == *zone);
        let instances = u32::try_from(lost.count()).unwrap_or(u32::MAX);
        let reason = Reason::ZoneLost { zone: zone.clone(), instances };
        if target < current {
            // Who is heard of again a minute later must not find the others gone.
            target = current;
            proposal.block(reason);
        } else {
            proposal.reasons.push(reason);
        }
    }
    if inventory.in_doubt > 0 {
        let reason = Reason::OutcomeOpen { instances: inventory.in_doubt };
        if target < current {
            // Those instances may not exist: to remove others on their account could undercut min.
            target = current;
            proposal.block(reason);
        } else {
            proposal.reasons.push(reason);
        }
    }
    let ends = inputs.history.open.values().filter_map(|open| match &open.intent.action.mutation {
        Mutation::Stop { ids } | Mutation::Delete { ids, .. } => Some(ids.len()),
        _ => None,
    });
    let ending = u32::try_from(ends.sum::<usize>()).unwrap_or(u32::MAX);
    if ending > 0 && target < current {
        // They may be on their way out already: others on top of them could be too many.
        target = current;
        proposal.block(Reason::EndOpen { instances: ending });
    }
    if target > bounds.max {
        if current > bounds.max {
            proposal.reasons.push(Reason::LoweredToMax { max: bounds.max });
        } else {
            proposal.block(Reason::CappedAtMax { max: bounds.max });
            proposal.counterfactuals.push(Counterfactual::HigherMax { max: bounds.max });
        }
        target = bounds.max;
    } else if target < bounds.min {
        if current < bounds.min {
            proposal.reasons.push(Reason::RaisedToMin { min: bounds.min });
        } else {
            proposal.block(Reason::FlooredAtMin { min: bounds.min });
            proposal.counterfactuals.push(Counterfactual::LowerMin { min: bounds.min });
        }
        target = bounds.min;
    }
    room(proposal, inputs, target)
}

/// What exists without being capacity (failed, on its way out, unreachable) still counts against
/// max: it may be billed, and a fleet that keeps failing to boot must not buy without end.
fn room(proposal: &mut Proposal, inputs: &Inputs, target: u32) -> u32 {
    let (max, inventory, current) = (inputs.fleet.bounds.max, &inputs.inventory, proposal.current);
    let room = max.saturating_sub(inventory.live());
    if target <= current || target - current <= room {
        return target;
    }
    let failed = inventory.count(|phase| phase == Phase::Failed);
    let leaving = inventory.count(|p| matches!(p, Phase::Draining | Phase::Terminating));
    proposal.block(if failed > 0 {
        Reason::FailedCountAgainstMax { failed, max }
    } else {
        Reason::LeavingCountAgainstMax { leaving: leaving + inventory.unreachable(), max }
    });
    current + room
}
