//! The last word: `min ≤ desired ≤ max`, whatever signals and rules say; nothing is done on an
//! inventory that is in doubt.

use crate::model::{Bounds, Counterfactual, Decision, Inventory, Phase, Reason};

use super::combine::Proposal;

pub(super) fn guard(proposal: Proposal, bounds: Bounds, inventory: &Inventory) -> Decision {
    let Proposal {
        current,
        recommended,
        desired,
        mut reasons,
        mut blocked_by,
        mut counterfactuals,
    } = proposal;
    let Bounds { min, max } = bounds;
    let mut block = |reason: Reason, reasons: &mut Vec<Reason>| {
        reasons.push(reason.clone());
        blocked_by.get_or_insert(reason);
    };

    if let Some(why) = inventory.doubts.first() {
        block(Reason::Doubt { why: why.clone() }, &mut reasons);
        let recommended = recommended.clamp(min, max);
        let desired = current.clamp(min, max);
        return Decision { current, recommended, desired, reasons, blocked_by, counterfactuals };
    }
    let mut target = desired;
    if inventory.in_doubt > 0 {
        let reason = Reason::OutcomeOpen { instances: inventory.in_doubt };
        if target < current {
            // Those instances may not exist: to remove others on their account could undercut min.
            block(reason, &mut reasons);
            target = current;
        } else {
            reasons.push(reason);
        }
    }
    if target > max {
        if current > max {
            reasons.push(Reason::LoweredToMax { max });
        } else {
            block(Reason::CappedAtMax { max }, &mut reasons);
            counterfactuals.push(Counterfactual::HigherMax { max });
        }
        target = max;
    } else if target < min {
        if current < min {
            reasons.push(Reason::RaisedToMin { min });
        } else {
            block(Reason::FlooredAtMin { min }, &mut reasons);
            counterfactuals.push(Counterfactual::LowerMin { min });
        }
        target = min;
    }

    // What exists without being capacity (failed, on its way out) still counts against max: it may
    // be billed, and a fleet that keeps failing to boot must not buy without end.
    let room = max.saturating_sub(inventory.live());
    if target > current && target - current > room {
        let not_capacity = inventory.count(|phase| phase.is_live() && !phase.is_capacity());
        let failed = inventory.count(|phase| phase == Phase::Failed);
        let reason = if failed > 0 {
            Reason::FailedCountAgainstMax { failed, max }
        } else {
            Reason::LeavingCountAgainstMax { leaving: not_capacity, max }
        };
        block(reason, &mut reasons);
        target = current + room;
    }
    Decision {
        current,
        recommended: recommended.clamp(min, max),
        // With room for nothing `target` may lie below min: max outranks min, the plan then adds
        // nothing; what is reported as desired stays within the bounds.
        desired: target.clamp(min, max),
        reasons,
        blocked_by,
        counterfactuals,
    }
}
