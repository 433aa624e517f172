//! How much of the way may be gone now: holds, hourly limits, limits over shorter times, launches that keep failing, an
//! account that is stopped. They bound the step, not the goal, and each says so.

use crate::model::{
    Amounts, BrakeScope, Brakes, Counterfactual, Decision, Direction, Failures, Gate, Reason,
    Situation, Used, fingerprint,
};

use super::Proposal;

/// The decision: from the present size toward `goal`, as far as is allowed.
pub(super) fn decision(mut proposal: Proposal, goal: u32, situation: &Situation<'_>) -> Decision {
    let bounds = proposal.bounds;
    let current = proposal.current;
    let mut add = goal.saturating_sub(current);
    // An instance that may not exist cannot go, and no other one goes in its place below `min`.
    let certain = current.saturating_sub(situation.census.in_doubt);
    let mut remove = current.saturating_sub(goal).min(certain.saturating_sub(bounds.min));
    if add > 0 {
        add = launches(&mut proposal, situation, add);
    }
    if remove > 0 {
        remove = removals(&mut proposal, situation, remove);
    }
    // An inventory that is not believed is no reason to forget what was decided.
    let doubted = situation.census.doubt.is_some();
    let goal = if doubted { goal.max(situation.past.last_desired) } else { goal };
    let Proposal { recommended, reasons, blocked_by, counterfactuals, .. } = proposal;
    Decision {
        current,
        recommended: recommended.clamp(bounds.min, bounds.max),
        desired: goal.clamp(bounds.min, bounds.max),
        add,
        remove,
        reasons,
        blocked_by,
        counterfactuals,
    }
}

fn launches(proposal: &mut Proposal, situation: &Situation<'_>, wanted: u32) -> u32 {
    if held(proposal, situation, Direction::Out) {
        return 0;
    }
    let failures = failing(situation);
    if let Some((until, stopped, failures)) = failures
        && situation.now < until
    {
        proposal.block(Reason::LaunchesFailed {
            in_a_row: failures.in_a_row,
            stopped,
            until,
            why: failures.why.clone(),
        });
        let direction = Direction::Out;
        proposal.counterfactuals.push(Counterfactual::After { direction, until });
        return 0;
    }
    let gate = situation.account.launches(situation.now);
    if let Gate::Closed(stop) = gate {
        proposal.block(Reason::AccountStopped {
            class: stop.class,
            until: stop.until,
            why: stop.message.clone(),
        });
        return 0;
    }
    let mut allowed = wanted;
    for (scope, brakes, used) in scopes(situation) {
        let Some(limit) = brakes.launches_per_hour else { continue };
        let left = limit.saturating_sub(used.launches);
        if left < allowed {
            allowed = left;
            let (direction, used) = (Direction::Out, used.launches);
            proposal.block(Reason::Braked { direction, scope, limit, used });
        }
    }
    allowed = paced(proposal, situation, Direction::Out, allowed);
    // A probe is under way as long as an instance that we launched has yet to serve.
    let stopped = failures.is_some_and(|(_, stopped, _)| stopped);
    if stopped && situation.census.unproven > 0 {
        proposal.block(Reason::Probing);
        return 0;
    }
    if (stopped || matches!(gate, Gate::Probe)) && allowed > 1 {
        proposal.block(Reason::Probing);
        allowed = 1;
    }
    allowed
}

/// Failed launches of the present spec: until when the next one waits, and whether they stopped.
fn failing<'a>(situation: &Situation<'a>) -> Option<(cloud::Timestamp, bool, &'a Failures)> {
    let failures = situation.past.failures?;
    let stop_after = situation.fleet.launch_failures;
    let current = failures.spec == fingerprint(&situation.fleet.launch.spec);
    current.then(|| (failures.until(stop_after), failures.in_a_row >= stop_after, failures))
}

fn removals(proposal: &mut Proposal, situation: &Situation<'_>, wanted: u32) -> u32 {
    if held(proposal, situation, Direction::In) {
        return 0;
    }
    let mut allowed = wanted;
    for (scope, brakes, used) in scopes(situation) {
        let size = match scope {
            BrakeScope::Fleet => situation.census.certain(),
            BrakeScope::Account => situation.census.account_size,
        };
        let Some(limit) = brakes.removals_allowed(size, used) else { continue };
        let left = limit.saturating_sub(used.removals);
        if left < allowed {
            allowed = left;
            let (direction, used) = (Direction::In, used.removals);
            proposal.block(Reason::Braked { direction, scope, limit, used });
        }
    }
    paced(proposal, situation, Direction::In, allowed)
}

/// How many of `wanted` the fleet's own limits over time leave.
fn paced(
    proposal: &mut Proposal,
    situation: &Situation<'_>,
    direction: Direction,
    wanted: u32,
) -> u32 {
    let Situation { fleet, census, past, now, .. } = *situation;
    let (limits, size, open) = match direction {
        // What may have been launched counts until it is known.
        Direction::Out => (&fleet.scale_out_limits, census.capacity, census.in_doubt),
        Direction::In => (&fleet.scale_in_limits, census.certain(), 0),
    };
    let mut allowed = wanted;
    for limit in limits {
        let Used { left, used, until } = limit.used(direction, size, past.moves, open, now);
        if left < allowed {
            allowed = left;
            proposal.block(Reason::Paced { direction, limit: *limit, used, until });
            if until > now {
                proposal.counterfactuals.push(Counterfactual::After { direction, until });
            }
        }
    }
    allowed
}

fn scopes(situation: &Situation<'_>) -> [(BrakeScope, Brakes, Amounts); 2] {
    let Situation { fleet, spent, census, .. } = situation;
    // What is drained is removed already, though it is not counted before its end.
    let with_drains =
        |used: Amounts| Amounts { removals: used.removals.saturating_add(census.draining), ..used };
    [
        (BrakeScope::Fleet, fleet.brakes, with_drains(spent.fleet)),
        (BrakeScope::Account, fleet.account_brakes, with_drains(spent.account)),
    ]
}

fn held(proposal: &mut Proposal, situation: &Situation<'_>, direction: Direction) -> bool {
    let id = &situation.fleet.id;
    let hold = situation.holds.iter().find(|hold| hold.keeps(id, direction, situation.now));
    let Some(hold) = hold else { return false };
    proposal.block(Reason::Held { hold: hold.clone() });
    proposal.counterfactuals.push(Counterfactual::After { direction, until: hold.until });
    true
}
