//! One proposal from the opinions of all rules.
//!
//! The largest wish for more wins. Instances are removed only when no rule wants more, none wants
//! to stay and none lacks its signal; then the most careful wish counts.

use crate::model::{Counterfactual, Reason};

use super::{Opinion, Pull, Situation};

/// What the rules together want, before the bounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    pub(super) current: u32,
    /// If nothing held them back.
    pub(super) recommended: u32,
    /// Now.
    pub(super) desired: u32,
    pub(super) reasons: Vec<Reason>,
    pub(super) blocked_by: Option<Reason>,
    pub(super) counterfactuals: Vec<Counterfactual>,
}

pub(super) fn combine(opinions: &[Opinion], situation: &Situation<'_>) -> Proposal {
    let current = situation.current;
    let mut proposal = Proposal {
        current,
        recommended: current,
        desired: current,
        reasons: opinions.iter().flat_map(|opinion| opinion.reasons.clone()).collect(),
        blocked_by: None,
        counterfactuals: opinions.iter().flat_map(|o| o.counterfactuals.clone()).collect(),
    };
    let idle = opinions.iter().any(|opinion| matches!(opinion.pull, Pull::In(_)));
    if let Some(unfinished) = situation.history.unfinished.filter(|u| u.target > current && !idle) {
        // Decided before, cool-down and all: only its place was sold out.
        proposal.reasons.insert(0, Reason::Unfinished { target: unfinished.target });
        proposal.recommended = unfinished.target;
        proposal.desired = unfinished.target;
        return proposal;
    }
    let outs = opinions.iter().filter_map(|opinion| match opinion.pull {
        Pull::Out(target) => Some((target, opinion)),
        _ => None,
    });
    if let Some(recommended) = outs.clone().map(|(target, _)| target).max() {
        proposal.recommended = recommended;
        let free = outs.clone().filter(|(_, opinion)| opinion.blocked_by.is_none());
        match free.map(|(target, _)| target).max() {
            Some(target) => proposal.desired = target,
            None => proposal.blocked_by = outs.into_iter().find_map(|(_, o)| o.blocked_by.clone()),
        }
        return proposal;
    }
    let target = opinions
        .iter()
        .filter_map(|opinion| match opinion.pull {
            Pull::In(target) => Some(target),
            _ => None,
        })
        .max();
    let Some(target) = target else {
        proposal.blocked_by = opinions.iter().find_map(|opinion| opinion.blocked_by.clone());
        return proposal;
    };
    if let Some(veto) = opinions.iter().find(|o| matches!(o.pull, Pull::Stay | Pull::Abstain)) {
        let outvoted = Reason::Outvoted { signal: veto.signal.clone() };
        proposal.reasons.push(outvoted.clone());
        proposal.blocked_by = Some(veto.blocked_by.clone().unwrap_or(outvoted));
        return proposal;
    }
    proposal.recommended = target;
    match opinions.iter().find_map(|opinion| opinion.blocked_by.clone()) {
        Some(reason) => proposal.blocked_by = Some(reason),
        None => proposal.desired = target,
    }
    proposal
}
