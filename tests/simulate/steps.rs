//! Steps: everything that a daemon asks of the outside, one at a time.
//!
//! Each call of the store, the cloud or a source of signals stops before it begins and after it has
//! had its effect, until the driver lets it go on. So the driver decides in which order replicas and
//! fleets proceed, and a crash may come at every one of these points.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use aliyun::{HttpRequest, HttpResponse, Transport, TransportError};
use async_trait::async_trait;
use cloud::{Clock, ManualClock, Timestamp};
use ecs_emulator::{Emulator, RawRequest};
use fleetscaler::journal::JournalError;
use fleetscaler::journal::store::{
    Durability, Held, Memory, Query, Record, Retention, Scope, Seq, Snapshot, Spent, Store, Write,
    Written,
};
use fleetscaler::model::{AccountId, ReplicaId};
use futures::channel::oneshot;
use uuid::Uuid;

use crate::check::Checks;

/// Where steps wait.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    replica: usize,
    go: oneshot::Sender<()>,
}

impl Gates {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().expect("no holder of this lock can panic")
    }

    async fn pass(&self, replica: usize) {
        let (go, gone) = oneshot::channel();
        self.waiting().push(Waiting { replica, go });
        // The driver forgets a gate only when it crashes the replica, which drops this future.
        gone.await.unwrap_or_default();
    }

    /// The replicas that wait, one entry per waiting step.
    pub(crate) fn replicas(&self) -> Vec<usize> {
        self.waiting().iter().map(|waiting| waiting.replica).collect()
    }

    /// Lets the nth waiting step go on.
    pub(crate) fn release(&self, nth: usize) {
        let waiting = self.waiting().remove(nth);
        // Nobody waits any more when its time was over.
        waiting.go.send(()).unwrap_or_default();
    }

    /// The replica is gone, and all its steps with it.
    pub(crate) fn forget(&self, replica: usize) {
        self.waiting().retain(|waiting| waiting.replica != replica);
    }
}

/// What goes wrong between a replica and its store.
#[derive(Debug, Default)]
pub(crate) struct StoreTrouble {
    pub(crate) down_until: Option<Timestamp>,
    /// The next commit succeeds, and its answer is lost.
    pub(crate) lies: bool,
}

/// The store as one replica reaches it.
#[derive(Debug)]
pub(crate) struct SteppedStore {
    pub(crate) replica: usize,
    pub(crate) gates: Arc<Gates>,
    pub(crate) inner: Memory,
    pub(crate) clock: ManualClock,
    pub(crate) trouble: Arc<Mutex<StoreTrouble>>,
    pub(crate) checks: Arc<Checks>,
}

impl SteppedStore {
    async fn before(&self) -> Result<(), JournalError> {
        self.gates.pass(self.replica).await;
        let down = self.trouble.lock().expect("no panic").down_until;
        if down.is_some_and(|until| self.clock.now() < until) {
            return Err(unreachable());
        }
        Ok(())
    }

    /// What was recorded for a fleet was recorded by the holder of its lease.
    async fn only_the_holder_writes(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        result: &Result<Vec<Written>, JournalError>,
    ) {
        let held = self.inner.held(me, self.clock.now()).await.unwrap_or_default();
        for (write, written) in writes.iter().zip(result.iter().flatten()) {
            if let (Some(lease), Written::Done(_)) = (&write.lease, written)
                && !held.contains(lease)
            {
                let scope = lease.scope.name();
                self.checks.fail(format!("{me} recorded for {scope}, which it does not hold"));
            }
        }
    }

    async fn after<T>(&self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        self.gates.pass(self.replica).await;
        result
    }
}

fn unreachable() -> JournalError {
    JournalError::Unreachable { database: "simulated".into(), why: "it is away".into() }
}

macro_rules! stepped {
    ($self:ident, $call:expr) => {{
        $self.before().await?;
        let result = $call.await;
        $self.after(result).await
    }};
}

#[async_trait]
impl Store for SteppedStore {
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: std::time::Duration,
        now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError> {
        // The store's time, not what the replica believed when it asked.
        let _ = now;
        stepped!(self, self.inner.heartbeat(me, ttl, self.clock.now()))
    }

    async fn held(&self, me: &ReplicaId, _now: Timestamp) -> Result<Vec<Held>, JournalError> {
        stepped!(self, self.inner.held(me, self.clock.now()))
    }

    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: std::time::Duration,
        _now: Timestamp,
    ) -> Result<Vec<Held>, JournalError> {
        stepped!(self, self.inner.claim(me, wanted, most, free_for, self.clock.now()))
    }

    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        _now: Timestamp,
    ) -> Result<(), JournalError> {
        stepped!(self, self.inner.release(me, scopes, self.clock.now()))
    }

    async fn depart(&self, me: &ReplicaId, _now: Timestamp) -> Result<(), JournalError> {
        stepped!(self, self.inner.depart(me, self.clock.now()))
    }

    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        durability: Durability,
        _now: Timestamp,
    ) -> Result<Vec<Written>, JournalError> {
        self.before().await?;
        let result = self.inner.commit(me, writes, durability, self.clock.now()).await;
        self.only_the_holder_writes(me, writes, &result).await;
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
        self.inner.close().await;
    }
}

/// The cloud as one replica reaches it: its requests in one process with the emulator.
pub(crate) struct SteppedCloud {
    pub(crate) replica: usize,
    pub(crate) gates: Arc<Gates>,
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) clock: ManualClock,
    pub(crate) checks: Arc<Checks>,
}

impl fmt::Debug for SteppedCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SteppedCloud({})", self.replica)
    }
}

#[async_trait]
impl Transport for SteppedCloud {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.gates.pass(self.replica).await;
        let path = request.url.strip_prefix(&self.emulator.url()).unwrap_or_default();
        let raw = RawRequest {
            method: request.method,
            path_and_query: path.to_owned(),
            headers: request.headers,
            body: request.body,
        };
        let answer = tokio::select! {
            biased;
            answer = self.emulator.call(raw) => match answer {
                Ok(raw) => Ok(HttpResponse {
                    status: raw.status,
                    headers: raw.headers as BTreeMap<String, String>,
                    body: raw.body,
                }),
                Err(cut) => Err(TransportError::Cut { why: cut.to_string() }),
            },
            () = self.clock.sleep(request.timeout) => Err(TransportError::TimedOut),
        };
        self.checks.called();
        self.gates.pass(self.replica).await;
        answer
    }
}
