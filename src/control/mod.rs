//! The control loop: one tick is one pass over one fleet.
//!
//! This is the page to read first. Every stage is called here and nowhere else; the loop closes
//! only as data (the history), never by a call backwards. After a crash the next tick *is* the
//! recovery: it settles what is open and plans from the world as it is.

mod beat;
mod report;
mod wire;
mod world;

use std::collections::BTreeMap;

use crate::execute::{self, Hands};
use crate::inventory::Survey;
use crate::journal::JournalError;
use cloud::InstanceId;

use crate::model::{
    Entropy, Event, Fleet, History, Phase, Reading, Sample, SignalName, Signals, Ticked,
};
use crate::{plan, policy, signals};

pub use beat::{Beat, Sink, beat};
pub use report::{Counts, TickReport};
pub use wire::{Mode, WireError, clouds, sources, wire};
pub use world::{Member as FleetInWorld, World};

/// Why a tick ended without a plan carried out. The fleet keeps its size, the next tick tries
/// again.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    #[error("the cloud cannot be read, nothing is changed: {0}")]
    Survey(#[source] cloud::Error),
    #[error("the journal cannot be used, nothing is changed: {0}")]
    Journal(#[from] JournalError),
    #[error("the plan was refused by its review, nothing is changed: {0}")]
    Review(#[source] plan::Objection),
}

/// One pass over one fleet: observe, decide, plan, review, record, execute.
pub async fn tick(world: &World, member: &FleetInWorld) -> Result<TickReport, TickError> {
    let now = world.clock.now(); // the only clock read
    let fleet = &member.fleet;
    let history = world.journal.history(&fleet.id).await?;
    let history = settle(world, member, history, now).await?;
    let readings = signals::observe(&member.sources);
    let survey = world.surveyor.survey(&*member.cloud, fleet, &history, now);
    let (readings, survey) = tokio::join!(readings, survey);
    let Survey { inventory, phases } = survey.map_err(TickError::Survey)?;
    note_losses(fleet, &history, &phases);

    let decision = policy::decide(fleet, &inventory, &readings, &history, now);
    let entropy = Entropy(uuid::Uuid::new_v4());
    let plan = plan::plan(fleet, &decision, &inventory, &history, entropy, now);
    plan::review(&plan, fleet, &inventory).map_err(TickError::Review)?;

    let counts = Counts::of(&inventory);
    let samples = latest(&readings);
    let ticked = Ticked {
        at: now,
        entropy,
        signals: readings.clone(),
        phases,
        decision: decision.clone(),
        plan: plan.clone(),
    };
    world.journal.append(&fleet.id, vec![Event::Ticked(Box::new(ticked))]).await?;
    let outcomes = execute::run(&member.hands, &fleet.id, &plan.actions).await?;
    Ok(TickReport {
        fleet: fleet.id.clone(),
        at: now,
        bounds: fleet.bounds,
        counts,
        samples,
        signals: readings,
        decision,
        plan,
        outcomes,
    })
}

/// A dry run has intents of its own making neither to settle nor to send.
async fn settle(
    world: &World,
    member: &FleetInWorld,
    history: History,
    now: cloud::Timestamp,
) -> Result<History, TickError> {
    let Hands::Live(live) = &member.hands else { return Ok(history) };
    if history.open.is_empty() {
        return Ok(history);
    }
    execute::settle(live, &*member.cloud, &member.fleet, &history, now).await?;
    Ok(world.journal.history(&member.fleet.id).await?)
}

/// An instance that disappears without our doing is recorded and will be replaced; it is also said.
fn note_losses(fleet: &Fleet, history: &History, phases: &BTreeMap<InstanceId, Phase>) {
    for (id, phase) in phases {
        let before = history.instances.get(id).map(|tracked| tracked.phase);
        match (before, phase) {
            (Some(Phase::Requested), Phase::Gone) => tracing::warn!(
                fleet.id = %fleet.id, instance.id = %id,
                "fleet `{}`: {id} was accepted by the cloud but never appeared", fleet.id,
            ),
            (Some(Phase::Booting | Phase::Warming | Phase::InService), Phase::Gone) => {
                tracing::warn!(
                    fleet.id = %fleet.id, instance.id = %id,
                    "fleet `{}`: {id} is gone without our doing", fleet.id,
                );
            }
            (_, Phase::Failed) => tracing::warn!(
                fleet.id = %fleet.id, instance.id = %id,
                "fleet `{}`: {id} has failed: it is not Running and counts as no capacity", fleet.id,
            ),
            _ => {}
        }
    }
}

fn latest(signals: &Signals) -> BTreeMap<SignalName, Sample> {
    let usable = |(name, reading): (&SignalName, &Reading)| {
        reading.as_ref().ok().map(|sample| (name.clone(), *sample))
    };
    signals.iter().filter_map(usable).collect()
}
