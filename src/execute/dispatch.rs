//! The only door to the cloud's write side.
//!
//! A mutation is sent only after its intent is durable in the journal, under a [`Permit`] that is
//! made here and nowhere else. A dry run holds no provider that can write and no journal to record
//! intents in: it cannot change anything, it can only say what it would send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{
    Class, Clock, Deadline, Error, InstanceResult, Mutate, Mutation, Permit, Preview, clock,
};

use crate::journal::{Journal, JournalError};
use crate::model::{Action, FleetId, Intent, IntentId, Settlement};

use super::Outcome;

/// How long a permit is good for. Longer than the deadline of any one operation (so an operation
/// is not cut short by it), and short enough that a process that was paused does not wake up and
/// send what it planned long ago.
const PERMIT_VALID: Duration = Duration::from_secs(180);

/// What the executor may do.
#[derive(Debug, Clone)]
pub enum Hands {
    /// Change the cloud.
    Live(Live),
    /// Only say what would be sent.
    Dry(Arc<dyn Preview>),
}

/// The write side of one provider account, and the journal that every write goes through.
#[derive(Debug, Clone)]
pub struct Live {
    pub cloud: Arc<dyn Mutate>,
    pub journal: Arc<Journal>,
    pub clock: Arc<dyn Clock>,
}

impl Hands {
    pub async fn carry_out(
        &self,
        fleet: &FleetId,
        action: &Action,
    ) -> Result<Outcome, JournalError> {
        let text = action.to_string();
        match self {
            Hands::Dry(preview) => {
                Ok(Outcome::Dry { action: text, calls: preview.preview(&action.mutation) })
            }
            Hands::Live(live) => {
                let settlement = live.mutate(fleet, action).await?;
                Ok(Outcome::Sent { action: text, settlement })
            }
        }
    }
}

impl Live {
    /// Records the intent, sends the mutation, records the outcome.
    async fn mutate(&self, fleet: &FleetId, action: &Action) -> Result<Settlement, JournalError> {
        let intent = Intent { at: self.clock.now(), action: action.clone() };
        // Durable before the first byte leaves; if this fails, nothing is sent.
        self.journal.intend(fleet, intent).await?;
        self.send(fleet, action.intent, &action.mutation).await
    }

    /// Sends a mutation whose intent is in the journal already, for the first time or again with
    /// the same token, and records the outcome.
    pub(super) async fn send(
        &self,
        fleet: &FleetId,
        intent: IntentId,
        mutation: &Mutation,
    ) -> Result<Settlement, JournalError> {
        let until = clock::after(self.clock.now(), PERMIT_VALID);
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where a durable intent becomes a permit"
        )]
        let permit = Permit::after_commit(intent.0, Deadline::fixed(until), until);
        let settlement = apply(&*self.cloud, &permit, mutation).await;
        self.journal.settle(fleet, self.clock.now(), intent, settlement.clone()).await?;
        Ok(settlement)
    }

    /// Records an outcome that was found out by looking.
    pub(super) async fn found_out(
        &self,
        fleet: &FleetId,
        intent: IntentId,
        settlement: Settlement,
    ) -> Result<(), JournalError> {
        self.journal.settle(fleet, self.clock.now(), intent, settlement).await?;
        Ok(())
    }
}

async fn apply(cloud: &dyn Mutate, permit: &Permit, mutation: &Mutation) -> Settlement {
    match mutation {
        Mutation::Launch(launch) => match cloud.launch(permit, launch).await {
            Ok(ids) => Settlement::Launched { ids },
            Err(error) => failure(&error),
        },
        Mutation::Tag { ids, tags } => match cloud.tag(permit, ids, tags).await {
            Ok(()) => Settlement::Done { done: ids.clone(), failed: BTreeMap::new() },
            Err(error) => failure(&error),
        },
        Mutation::Start { ids } => batch(cloud.start(permit, ids).await),
        Mutation::Stop { ids } => batch(cloud.stop(permit, ids).await),
        Mutation::Delete { ids, how } => batch(cloud.delete(permit, ids, *how).await),
    }
}

fn batch(result: Result<Vec<InstanceResult>, Error>) -> Settlement {
    match result {
        Err(error) => failure(&error),
        Ok(results) => {
            let mut done = Vec::new();
            let mut failed = BTreeMap::new();
            for InstanceResult { id, result } in results {
                match result {
                    Ok(()) => done.push(id),
                    Err(error) => drop(failed.insert(id, error.to_string())),
                }
            }
            Settlement::Done { done, failed }
        }
    }
}

/// Only an ambiguous failure leaves its intent open; every other class says that nothing happened.
fn failure(error: &Error) -> Settlement {
    match error.class {
        Class::Ambiguous => Settlement::Open { message: error.to_string() },
        class => Settlement::Failed { class, message: error.to_string() },
    }
}
