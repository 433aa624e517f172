//! The store of a dry run: what the daemon recorded is read, and what the dry run itself would
//! record stays in memory.
//!
//! Leases are the dry run's own, so that it acts (on paper) for every fleet whoever holds it. Of a
//! fleet it goes on from what is recorded; as soon as a daemon records more, that is the truth again
//! and its own ticks are forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloud::Timestamp;
use uuid::Uuid;

use super::{
    Durability, Held, JournalError, Memory, Query, Record, Retention, Scope, Seq, Snapshot, Spent,
    Store, Write, Written,
};
use crate::model::{AccountId, FleetId, ReplicaId};

/// A recorded journal below one of its own.
#[derive(Debug)]
pub struct DryRunStore {
    /// Opened to look.
    recorded: Arc<dyn Store>,
    own: Memory,
    /// How far the record of each fleet was read.
    read: Mutex<BTreeMap<Scope, Seq>>,
}

impl DryRunStore {
    /// `recorded` is never written to.
    #[must_use]
    pub fn over(recorded: Arc<dyn Store>) -> DryRunStore {
        DryRunStore { recorded, own: Memory::forgetful(), read: Mutex::default() }
    }

    /// Whether more of `fleet` is recorded than was read.
    pub async fn has_news(&self, fleet: &FleetId) -> Result<bool, JournalError> {
        let scope = Scope::Fleet(fleet.clone());
        let read = self.read().get(&scope).copied();
        match read {
            Some(seq) => Ok(!self.recorded.since(&scope, seq).await?.is_empty()),
            None => Ok(false),
        }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, BTreeMap<Scope, Seq>> {
        self.read.lock().expect("no holder of this lock can panic")
    }
}

#[async_trait]
impl Store for DryRunStore {
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError> {
        self.own.heartbeat(me, ttl, now).await
    }

    async fn held(&self, me: &ReplicaId, now: Timestamp) -> Result<Vec<Held>, JournalError> {
        self.own.held(me, now).await
    }

    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: Duration,
        now: Timestamp,
    ) -> Result<Vec<Held>, JournalError> {
        self.own.claim(me, wanted, most, free_for, now).await
    }

    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.own.release(me, scopes, now).await
    }

    async fn depart(&self, me: &ReplicaId, now: Timestamp) -> Result<(), JournalError> {
        self.own.depart(me, now).await
    }

    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        durability: Durability,
        now: Timestamp,
    ) -> Result<Vec<Written>, JournalError> {
        self.own.commit(me, writes, durability, now).await
    }

    async fn spent(
        &self,
        account: &AccountId,
        since: Timestamp,
    ) -> Result<Vec<Spent>, JournalError> {
        self.recorded.spent(account, since).await
    }

    async fn load(&self, scope: &Scope) -> Result<(Option<Snapshot>, Vec<Record>), JournalError> {
        let (snapshot, mut records) = self.recorded.load(scope).await?;
        if !matches!(scope, Scope::Fleet(_)) {
            return Ok((snapshot, records));
        }
        let covered = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        let reached = records.last().map_or(covered, |record| record.seq);
        if self.read().insert(scope.clone(), reached) != Some(reached) {
            self.own.forget(scope)?;
            return Ok((snapshot, records));
        }
        // Its own snapshot goes on from what was read before.
        let (own_snapshot, own) = self.own.load(scope).await?;
        if own_snapshot.is_some() {
            return Ok((own_snapshot, own));
        }
        records.extend(own);
        Ok((snapshot, records))
    }

    async fn since(&self, scope: &Scope, seq: Seq) -> Result<Vec<Record>, JournalError> {
        match scope {
            Scope::Fleet(_) => self.own.since(scope, seq).await,
            _ => self.recorded.since(scope, seq).await,
        }
    }

    async fn save_snapshot(&self, scope: &Scope, snapshot: &Snapshot) -> Result<(), JournalError> {
        match scope {
            Scope::Fleet(_) => self.own.save_snapshot(scope, snapshot).await,
            // The daemon's to write.
            _ => Ok(()),
        }
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>, JournalError> {
        self.recorded.find(query).await
    }

    async fn scopes(&self) -> Result<Vec<Scope>, JournalError> {
        self.recorded.scopes().await
    }

    async fn inputs(&self, decision: Uuid) -> Result<Option<Vec<u8>>, JournalError> {
        self.recorded.inputs(decision).await
    }

    async fn prune(&self, keep: Retention) -> Result<(), JournalError> {
        self.own.prune(keep).await
    }

    async fn close(&self) {
        self.own.close().await;
        self.recorded.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::NewRecord;
    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().expect("a valid time")
    }

    async fn record(store: &dyn Store, scope: &Scope, body: &str) {
        let body = body.to_owned();
        let record = NewRecord { scope: scope.clone(), at: now(), kind: "tick", v: 1, body };
        let write = Write { records: vec![record], ..Write::default() };
        let me = ReplicaId("a".to_owned());
        store.commit(&me, &[write], Durability::Lazy, now()).await.expect("recorded");
    }

    async fn bodies(store: &dyn Store, scope: &Scope) -> Vec<String> {
        let (_, records) = store.load(scope).await.expect("read");
        records.into_iter().map(|record| record.body).collect()
    }

    #[tokio::test]
    async fn it_goes_on_from_what_is_recorded_until_more_is_and_writes_nothing() {
        let fleet = FleetId("web".to_owned());
        let scope = Scope::Fleet(fleet.clone());
        let daemon = Memory::default();
        record(&daemon, &scope, "one").await;
        record(&daemon, &Scope::Operator, "hold").await;
        let dry = DryRunStore::over(Arc::new(daemon.beside()));
        assert_eq!(bodies(&dry, &scope).await, ["one"]);
        assert_eq!(bodies(&dry, &Scope::Operator).await, ["hold"]);
        record(&dry, &scope, "its own").await;
        assert!(!dry.has_news(&fleet).await.expect("read"));
        assert_eq!(bodies(&dry, &scope).await, ["one", "its own"]);
        record(&daemon, &scope, "two").await;
        assert!(dry.has_news(&fleet).await.expect("read"));
        assert_eq!(bodies(&dry, &scope).await, ["one", "two"]);
        let all = daemon.find(&Query::default()).await.expect("read");
        assert_eq!(all.len(), 3, "nothing of its own");
    }
}
