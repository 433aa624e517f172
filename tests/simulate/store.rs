//! The store as one replica reaches it, step by step.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloud::{Clock, Timestamp};
use fleetscaler::journal::JournalError;
use fleetscaler::journal::store::{
    Durability, Held, Query, Record, Retention, Scope, Seq, Snapshot, Spent, Store, Write, Written,
};
use fleetscaler::model::{AccountId, ReplicaId};
use uuid::Uuid;

use crate::check::Checks;
use crate::gates::Gates;
use crate::host::TrueClock;
use crate::kept::Kept;

/// The faults between a replica and its store.
#[derive(Debug, Default)]
pub(crate) struct StoreTrouble {
    pub(crate) down: Option<Down>,
    /// The next commit succeeds, and its answer is lost.
    pub(crate) lies: bool,
}

/// From when, and until when it cannot be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Down {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

#[derive(Debug)]
pub(crate) struct SteppedStore {
    pub(crate) place: usize,
    pub(crate) gates: Arc<Gates>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) clock: TrueClock,
    pub(crate) trouble: Arc<Mutex<StoreTrouble>>,
    pub(crate) checks: Arc<Checks>,
}

impl SteppedStore {
    /// The store's time: a server has its own, whatever the replica believes; a file has not.
    fn time(&self, of_the_replica: Timestamp) -> Timestamp {
        if self.kept.has_a_clock() { self.clock.now() } else { of_the_replica }
    }

    async fn before(&self) -> Result<(), JournalError> {
        self.gates.pass(self.place).await;
        let down = self.trouble.lock().expect("no panic").down;
        if down.is_some_and(|down| self.clock.now() < down.until) {
            return Err(unreachable());
        }
        Ok(())
    }

    async fn after<T>(&self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        self.gates.pass(self.place).await;
        result
    }

    /// Records for a fleet are recorded by the holder of its lease.
    async fn only_the_holder_writes(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        result: &Result<Vec<Written>, JournalError>,
        now: Timestamp,
    ) {
        let held = self.kept.call(self.inner.held(me, now)).await.unwrap_or_default();
        for (write, written) in writes.iter().zip(result.iter().flatten()) {
            if let (Some(lease), Written::Done(_)) = (&write.lease, written)
                && !held.contains(lease)
            {
                let scope = lease.scope.name();
                self.checks.fail(format!("{me} recorded for {scope}, which it does not hold"));
            }
        }
    }
}

fn unreachable() -> JournalError {
    JournalError::Unreachable { database: "simulated".into(), why: "it is away".into() }
}

macro_rules! stepped {
    ($self:ident, $call:expr) => {{
        $self.before().await?;
        let result = $self.kept.call($call).await;
        $self.after(result).await
    }};
}

#[async_trait]
impl Store for SteppedStore {
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError> {
        stepped!(self, self.inner.heartbeat(me, ttl, self.time(now)))
    }

    async fn held(&self, me: &ReplicaId, now: Timestamp) -> Result<Vec<Held>, JournalError> {
        stepped!(self, self.inner.held(me, self.time(now)))
    }

    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: Duration,
        now: Timestamp,
    ) -> Result<Vec<Held>, JournalError> {
        stepped!(self, self.inner.claim(me, wanted, most, free_for, self.time(now)))
    }

    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        stepped!(self, self.inner.release(me, scopes, self.time(now)))
    }

    async fn depart(&self, me: &ReplicaId, now: Timestamp) -> Result<(), JournalError> {
        stepped!(self, self.inner.depart(me, self.time(now)))
    }

    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        durability: Durability,
        now: Timestamp,
    ) -> Result<Vec<Written>, JournalError> {
        self.before().await?;
        let now = self.time(now);
        let result = self.kept.call(self.inner.commit(me, writes, durability, now)).await;
        self.only_the_holder_writes(me, writes, &result, now).await;
        let lies = std::mem::take(&mut self.trouble.lock().expect("no panic").lies);
        let result = if lies { result.and(Err(unreachable())) } else { result };
        self.after(result).await
    }

    async fn spent(
        &self,
        account: &AccountId,
        since: Timestamp,
    ) -> Result<Vec<Spent>, JournalError> {
        stepped!(self, self.inner.spent(account, since))
    }

    async fn load(&self, scope: &Scope) -> Result<(Option<Snapshot>, Vec<Record>), JournalError> {
        stepped!(self, self.inner.load(scope))
    }

    async fn since(&self, scope: &Scope, seq: Seq) -> Result<Vec<Record>, JournalError> {
        stepped!(self, self.inner.since(scope, seq))
    }

    async fn save_snapshot(&self, scope: &Scope, snapshot: &Snapshot) -> Result<(), JournalError> {
        stepped!(self, self.inner.save_snapshot(scope, snapshot))
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>, JournalError> {
        stepped!(self, self.inner.find(query))
    }

    async fn scopes(&self) -> Result<Vec<Scope>, JournalError> {
        stepped!(self, self.inner.scopes())
    }

    async fn inputs(&self, decision: Uuid) -> Result<Option<Vec<u8>>, JournalError> {
        stepped!(self, self.inner.inputs(decision))
    }

    async fn prune(&self, keep: Retention) -> Result<(), JournalError> {
        stepped!(self, self.inner.prune(keep))
    }

    async fn close(&self) {
        self.kept.call(self.inner.close()).await;
    }
}
