//! Steadiness, so that the size does not follow every swing: the fall-back for a missing signal (which only
//! ever raises), and the stabilization window (which only ever delays a scale-in).

use cloud::clock;

use crate::model::{Counterfactual, Direction, OnMissing, Reason, Rule, Situation};

use super::Proposal;

/// A signal that has been missing for longer than its data may be old raises the fleet to its
/// fallback, if that is more.
pub(super) fn fall_back(proposal: &mut Proposal, situation: &Situation<'_>) {
    let Situation { fleet, past, signals, now, .. } = situation;
    let read: Vec<_> = fleet.rules.iter().flat_map(Rule::signals).collect();
    for (signal, spec) in fleet.signals.iter().filter(|(signal, _)| read.contains(signal)) {
        let OnMissing::Fallback(to) = spec.on_missing else { continue };
        if !matches!(signals.get(signal), None | Some(Err(_))) {
            continue;
        }
        // One lost answer is no reason to buy.
        let since = past.signals.get(signal).and_then(|memory| memory.missing_since);
        if since.is_none_or(|since| clock::age(*now, since) < spec.max_age.get()) {
            continue;
        }
        if to > proposal.desired {
            proposal.reasons.push(Reason::FellBack { signal: signal.clone(), to });
            proposal.recommended = proposal.recommended.max(to);
            proposal.desired = to;
        }
    }
}

/// A scale-in takes the highest size that was recommended within the window.
pub(super) fn stabilize(proposal: &mut Proposal, situation: &Situation<'_>) {
    let Situation { fleet, past, now, .. } = situation;
    let window = fleet.stabilization.get();
    if proposal.desired >= proposal.current || window.is_zero() {
        return;
    }
    // A size was recommended from its own time until the next one's.
    let ends = past.recommended.iter().skip(1).map(|(at, _)| *at).chain([*now]);
    let within = past
        .recommended
        .iter()
        .zip(ends)
        .filter(|((_, size), end)| *size > proposal.desired && clock::age(*now, *end) < window);
    let Some(highest) = within.clone().map(|((_, size), _)| *size).max() else { return };
    let until = within.map(|(_, end)| clock::after(end, window)).max().unwrap_or(*now);
    let desired = highest.min(proposal.current);
    if desired > proposal.desired {
        proposal.desired = desired;
        proposal.block(Reason::Stabilizing { highest, until });
        proposal.counterfactuals.push(Counterfactual::After { direction: Direction::In, until });
    }
}
