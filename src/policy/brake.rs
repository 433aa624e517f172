//! How much of the way may be gone now: holds, hourly limits, launches that keep failing, an
//! account that is stopped. They bound the step, not the goal, and each says so.

use crate::model::{
    Amounts, BrakeScope, Brakes, Counterfactual, Decision, Direction, Failures, Gate, Inputs,
    Reason, Tracked, fingerprint,
};

use super::Proposal;

/// The decision: from the present size toward `goal`, as far as is allowed.
pub(super) fn decision(mut proposal: Proposal, goal: u32, inputs: &Inputs) -> Decision {
    let bounds = inputs.fleet.bounds;
    let current = proposal.current;
    let mut add = goal.saturating_sub(current);
    let mut remove = current.saturating_sub(goal);
    if add > 0 {
        add = launches(&mut proposal, inputs, add);
    }
    if remove > 0 {
        remove = removals(&mut proposal, inputs, remove);
    }
    // An inventory that is not believed is no reason to forget what was decided.
    let doubted = !inputs.inventory.doubts.is_empty();
    let goal = if doubted { goal.max(inputs.history.last_desired) } else { goal };
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

fn launches(proposal: &mut Proposal, inputs: &Inputs, wanted: u32) -> u32 {
    if held(proposal, inputs, Direction::Out) {
        return 0;
    }
    let failures = failing(inputs);
    if let Some((until, stopped, failures)) = failures
        && inputs.now < until
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
    let gate = inputs.account.launches(inputs.now);
    if let Gate::Closed(stop) = gate {
        proposal.block(Reason::AccountStopped {
            class: stop.class,
            until: stop.until,
            why: stop.message.clone(),
        });
        return 0;
    }
    let mut allowed = wanted;
    for (scope, brakes, used) in scopes(inputs) {
        let Some(limit) = brakes.launches_per_hour else { continue };
        let left = limit.saturating_sub(used.launches);
        if left < allowed {
            allowed = left;
            let (direction, used) = (Direction::Out, used.launches);
            proposal.block(Reason::Braked { direction, scope, limit, used });
        }
    }
    let stopped = failures.is_some_and(|(_, stopped, _)| stopped);
    if stopped && probe_is_under_way(inputs) {
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
fn failing(inputs: &Inputs) -> Option<(cloud::Timestamp, bool, &Failures)> {
    let failures = inputs.history.failures.as_ref()?;
    let stop_after = inputs.fleet.launch_failures;
    let current = failures.spec == fingerprint(&inputs.fleet.launch.spec);
    current.then(|| (failures.until(stop_after), failures.in_a_row >= stop_after, failures))
}

/// Whether an instance that we launched has yet to show that it comes into service.
fn probe_is_under_way(inputs: &Inputs) -> bool {
    let booting = |tracked: &Tracked| {
        tracked.launched_by.is_some() && !tracked.served && tracked.phase.is_capacity()
    };
    inputs.history.launches_in_doubt() > 0 || inputs.history.instances.values().any(booting)
}

fn removals(proposal: &mut Proposal, inputs: &Inputs, wanted: u32) -> u32 {
    if held(proposal, inputs, Direction::In) {
        return 0;
    }
    let mut allowed = wanted;
    for (scope, brakes, used) in scopes(inputs) {
        let size = match scope {
            BrakeScope::Fleet => inputs.inventory.capacity(),
            BrakeScope::Account => inputs.inventory.account_size,
        };
        let Some(limit) = brakes.removals_allowed(size, used) else { continue };
        let left = limit.saturating_sub(used.removals);
        if left < allowed {
            allowed = left;
            let (direction, used) = (Direction::In, used.removals);
            proposal.block(Reason::Braked { direction, scope, limit, used });
        }
    }
    allowed
}

fn scopes(inputs: &Inputs) -> [(BrakeScope, Brakes, Amounts); 2] {
    let Inputs { fleet, spent, .. } = inputs;
    [
        (BrakeScope::Fleet, fleet.brakes, spent.fleet),
        (BrakeScope::Account, fleet.account_brakes, spent.account),
    ]
}

fn held(proposal: &mut Proposal, inputs: &Inputs, direction: Direction) -> bool {
    let id = &inputs.fleet.id;
    let hold = inputs.holds.iter().find(|hold| hold.keeps(id, direction, inputs.now));
    let Some(hold) = hold else { return false };
    proposal.block(Reason::Held { hold: hold.clone() });
    proposal.counterfactuals.push(Counterfactual::After { direction, until: hold.until });
    true
}
