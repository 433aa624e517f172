//! One proposal from the opinions of all rules.
//!
//! The largest wish for more wins. Instances are removed only when no rule wants more, none wants
//! to stay and none lacks its signal; then the most careful wish counts.

use crate::model::{Reason, Short, Situation};

use super::{Opinion, Proposal, Pull};

pub(super) fn combine(opinions: &[Opinion], situation: &Situation<'_>) -> Proposal {
    let current = situation.census.capacity;
    let mut proposal = Proposal {
        current,
        bounds: situation.fleet.bounds,
        recommended: current,
        desired: current,
        reasons: opinions.iter().flat_map(|opinion| opinion.reasons.clone()).collect(),
        blocked_by: None,
        counterfactuals: opinions.iter().flat_map(|o| o.counterfactuals.clone()).collect(),
    };
    out(&mut proposal, opinions);
    let idle = opinions.iter().any(|opinion| matches!(opinion.pull, Pull::In(_)));
    if let Some((target, why)) = standing(situation)
        && target > proposal.desired
        && !idle
    {
        // Decided before, cool-down and all: only its place was sold out, or instances were lost.
        proposal.reasons.insert(
            0,
            match why {
                Short::Remainder => Reason::Unfinished { target },
                Short::Lost => Reason::Replacing { target },
                Short::NeverBooted => Reason::NeverBooted { target },
            },
        );
        proposal.recommended = proposal.recommended.max(target);
        proposal.desired = target;
        if proposal.recommended == target {
            proposal.blocked_by = None;
        }
    } else if proposal.recommended == current {
        in_(&mut proposal, opinions);
    }
    proposal
}

/// A size that was decided and is not reached through no decision of ours. What a lost zone held is
/// lost for as long as the zone is, although its instances are still listed.
fn standing(situation: &Situation<'_>) -> Option<(u32, Short)> {
    let past = &situation.past;
    let lost = !situation.census.lost_zones.is_empty();
    let of_zone = lost.then_some((past.last_desired, Short::Lost));
    let known = past.standing.map(|standing| (standing.target, standing.why));
    known.into_iter().chain(of_zone).max_by_key(|(target, _)| *target)
}

/// The largest wish for more, and of those that may act now.
fn out(proposal: &mut Proposal, opinions: &[Opinion]) {
    let outs = opinions.iter().filter_map(|opinion| match opinion.pull {
        Pull::Out(target) => Some((target, opinion)),
        _ => None,
    });
    let Some(recommended) = outs.clone().map(|(target, _)| target).max() else { return };
    proposal.recommended = recommended;
    let free = outs.clone().filter(|(_, opinion)| opinion.blocked_by.is_none());
    match free.map(|(target, _)| target).max() {
        Some(target) => proposal.desired = target,
        None => proposal.blocked_by = outs.into_iter().find_map(|(_, o)| o.blocked_by.clone()),
    }
}

/// The most careful wish for fewer, if nobody objects.
fn in_(proposal: &mut Proposal, opinions: &[Opinion]) {
    let ins = opinions.iter().filter_map(|opinion| match opinion.pull {
        Pull::In(target) => Some(target),
        _ => None,
    });
    let Some(target) = ins.max() else {
        proposal.blocked_by = opinions.iter().find_map(|opinion| opinion.blocked_by.clone());
        return;
    };
    if let Some(veto) = opinions.iter().find(|o| matches!(o.pull, Pull::Stay | Pull::Abstain)) {
        let outvoted = Reason::Outvoted { signal: veto.signal.clone() };
        proposal.reasons.push(outvoted.clone());
        proposal.blocked_by = Some(veto.blocked_by.clone().unwrap_or(outvoted));
        return;
    }
    proposal.recommended = target;
    match opinions.iter().find_map(|opinion| opinion.blocked_by.clone()) {
        Some(reason) => proposal.blocked_by = Some(reason),
        None => proposal.desired = target,
    }
}
