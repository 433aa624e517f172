//! The bounds: `min ≤ desired ≤ max`, whatever signals and rules say; nothing is done on an
//! inventory that is in doubt.

use crate::model::{Census, Counterfactual, Reason, Situation};

use super::Proposal;

/// The size to reach with what there is room for. It may lie below `min` when what exists without
/// being capacity fills `max`.
pub(super) fn guard(proposal: &mut Proposal, situation: &Situation<'_>) -> u32 {
    let (bounds, census) = (proposal.bounds, situation.census);
    let current = proposal.current;
    if let Some(why) = &census.doubt {
        proposal.block(Reason::Doubt { why: why.clone() });
        return current;
    }
    let mut target = proposal.desired;
    for (zone, instances) in &census.lost_zones {
        let reason = Reason::ZoneLost { zone: zone.clone(), instances: *instances };
        if target < current {
            // A zone that comes back a minute later must not find the rest of the fleet removed.
            target = current;
            proposal.block(reason);
        } else {
            proposal.reasons.push(reason);
        }
    }
    if census.in_doubt > 0 {
        let reason = Reason::OutcomeOpen { instances: census.in_doubt };
        if target < current {
            // Those instances may not exist: to remove others on their account could undercut min.
            target = current;
            proposal.block(reason);
        } else {
            proposal.reasons.push(reason);
        }
    }
    if census.ends_open > 0 && target < current {
        // They may be on their way out already: others on top of them could be too many.
        target = current;
        proposal.block(Reason::EndOpen { instances: census.ends_open });
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
    room(proposal, situation, target)
}

/// An instance that exists without being capacity (failed, on its way out, unreachable) still counts against
/// max: it may be billed, and a fleet that keeps failing to boot must not buy without end.
fn room(proposal: &mut Proposal, situation: &Situation<'_>, target: u32) -> u32 {
    let (max, current) = (situation.fleet.bounds.max, proposal.current);
    let Census { live, failed, leaving, draining, unreachable, .. } = *situation.census;
    // What is drained comes back before anything is launched.
    let room = max.saturating_sub(live).saturating_add(draining);
    if target <= current || target - current <= room {
        return target;
    }
    proposal.block(if failed > 0 {
        Reason::FailedCountAgainstMax { failed, max }
    } else {
        Reason::LeavingCountAgainstMax { leaving: leaving + unreachable, max }
    });
    current + room
}
