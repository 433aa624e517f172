//! A fleet of which nothing is known and nothing is seen.
//!
//! It may be new. Or its journal is lost, and a listing that is empty for a moment, or for want of a
//! permission, would buy it a second time. So before anything is launched for it, it is looked at again
//! as often, and as far apart, as a fleet that lost its instances, each time with a probe of the
//! permission. The tick waits for that: it happens once in the life of a fleet, and holds up no other.

use cloud::{Mutation, Urgency};

use super::{At, FleetInWorld, Proposal, TickError, World, own_listing, see, soon};
use crate::execute::Executor;
use crate::inventory::{LOOKS_APART, LOOKS_AT_MANY, News};
use crate::journal::Known;

/// `proposal`, or what further looks show where they are needed.
pub(super) async fn confirmed(
    world: &World,
    member: &FleetInWorld,
    known: &Known,
    mut proposal: Proposal,
) -> Result<Proposal, TickError> {
    if !needs_looks(world, member, known, &proposal) {
        return Ok(proposal);
    }
    let region = world.region(&member.fleet.account);
    let fleet = &member.fleet.id;
    tracing::info!(
        fleet.id = %fleet,
        "fleet `{fleet}`: nothing is known of it and nothing is listed: it is looked at \
         {LOOKS_AT_MANY} times before anything is launched",
    );
    for _ in 1..LOOKS_AT_MANY {
        if let Err(error) = region.may_list().await {
            return Ok(doubted(proposal, &error));
        }
        world.clock.sleep(LOOKS_APART).await;
        let since = world.clock.now();
        let listing = own_listing(world, member, since).await?;
        let observed = soon(member).await;
        let at = At { entropy: proposal.inputs.entropy, now: world.clock.now(), since };
        proposal = see(world, member, known, &observed, &listing, Urgency::Act, at).await?;
        if !needs_looks(world, member, known, &proposal) {
            return Ok(proposal);
        }
    }
    if let Err(error) = region.may_list().await {
        return Ok(doubted(proposal, &error));
    }
    world.surveyor.confirm_empty(fleet);
    Ok(proposal)
}

fn needs_looks(world: &World, member: &FleetInWorld, known: &Known, proposal: &Proposal) -> bool {
    let Proposal { inputs, plan, .. } = proposal;
    let launches = plan.actions.iter().any(|a| matches!(a.mutation, Mutation::Launch(_)));
    // A dry run launches nothing, and is to say at once what it would do.
    launches
        && matches!(member.executor, Executor::Live(_))
        && world.surveyor.is_first_look(&inputs.fleet, &known.history, &inputs.inventory)
}

/// The same with a doubt, on which nothing is done.
fn doubted(proposal: Proposal, error: &cloud::Error) -> Proposal {
    let mut inputs = proposal.inputs;
    let why = format!("nothing is listed and the permission probe failed: {error}");
    inputs.inventory.doubts.push(why);
    Proposal::of(inputs, News::default())
}
