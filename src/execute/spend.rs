//! The share of the hour's allowance that an action takes. Pure.
//!
//! The decision stays within the allowance already; the store checks it once more with the intent,
//! since other fleets and replicas spend at the same time.

use cloud::{InstanceId, Mutation, clock};

use crate::journal::BRAKE_WINDOW;
use crate::journal::store::{Spend, SpendLimit, What, Whose};
use crate::model::{Inputs, Intent, Phase, Settlement};

/// The share that `intent` takes if all of it happens.
pub(super) fn of(intent: &Intent, inputs: &Inputs) -> Spend {
    let ended = match &intent.action.mutation {
        Mutation::Stop { ids } | Mutation::Delete { ids, .. } => ids.as_slice(),
        _ => &[],
    };
    let removed = count(ended, inputs);
    // What was drained was allowed then, when the fleet was larger.
    let limited = removed.saturating_sub(drained(ended, inputs));
    let launched = match &intent.action.mutation {
        Mutation::Launch(launch) => launch.amount,
        _ => 0,
    };
    Spend { limits: limits(inputs, launched, limited), ..spend(intent, inputs, launched, removed) }
}

/// The share that it really took, once that is known.
pub(super) fn really(intent: &Intent, settlement: &Settlement, inputs: &Inputs) -> Option<Spend> {
    let (launched, removed) = match settlement {
        Settlement::Open { .. } => return None,
        Settlement::Launched { .. } => (settlement.launched(), 0),
        Settlement::Failed { .. } => (0, 0),
        Settlement::Done { done, .. } => match &intent.action.mutation {
            Mutation::Stop { .. } | Mutation::Delete { .. } => (0, count(done, inputs)),
            _ => return None,
        },
    };
    Some(spend(intent, inputs, launched, removed))
}

fn spend(intent: &Intent, inputs: &Inputs, launches: u32, removals: u32) -> Spend {
    Spend {
        intent: intent.action.intent.0,
        at: intent.at,
        account: inputs.fleet.account.clone(),
        fleet: inputs.fleet.id.clone(),
        launches,
        removals,
        limits: Vec::new(),
    }
}

/// Instances whose end costs capacity: what never served, and what a stop began, does not count. What a
/// drain began counts with its end.
fn count(ids: &[InstanceId], inputs: &Inputs) -> u32 {
    let costs = |id: &&InstanceId| {
        let tracked = inputs.history.instances.get(*id);
        let phase = tracked.map(|tracked| tracked.phase);
        phase.is_some_and(|phase| phase.is_capacity() || phase == Phase::Draining)
    };
    u32::try_from(ids.iter().filter(costs).count()).unwrap_or(u32::MAX)
}

/// Those of `ids` that are drained.
fn drained(ids: &[InstanceId], inputs: &Inputs) -> u32 {
    let is_drained = |id: &&InstanceId| {
        let tracked = inputs.history.instances.get(*id);
        tracked.is_some_and(|tracked| tracked.phase == Phase::Draining)
    };
    u32::try_from(ids.iter().filter(is_drained).count()).unwrap_or(u32::MAX)
}

fn limits(inputs: &Inputs, launches: u32, removals: u32) -> Vec<SpendLimit> {
    let since = inputs.now - clock::delta(BRAKE_WINDOW);
    let Inputs { fleet, spent, inventory, .. } = inputs;
    let mut limits = Vec::new();
    for (whose, brakes, used, size) in [
        (Whose::Fleet, fleet.brakes, spent.fleet, inventory.certain()),
        (Whose::Account, fleet.account_brakes, spent.account, inventory.account_size),
    ] {
        let mut limit = |what, most: Option<u32>| {
            limits.extend(most.map(|most| SpendLimit { whose, what, since, most }));
        };
        if launches > 0 {
            limit(What::Launches, brakes.launches_per_hour);
        }
        if removals > 0 {
            limit(What::Removals, brakes.removals_allowed(size, used));
        }
    }
    limits
}
