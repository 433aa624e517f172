//! The store in memory: for dry runs, the demo, simulations and tests.
//!
//! It keeps the whole contract, leases and limits included, so that several replicas of one process
//! behave over it as they do over a database. It ends with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use cloud::{Timestamp, clock};
use uuid::Uuid;

use super::{
    Durability, Fence, Held, JournalError, NewRecord, Query, Record, Retention, Scope, Seq,
    Snapshot, Spend, SpendLimit, Spent, Store, Whose, Write, Written,
};
use crate::model::{AccountId, FleetId, ReplicaId};

/// One process's handle on records in memory.
#[derive(Debug, Default)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    forgetful: bool,
    last: Seq,
    streams: BTreeMap<Scope, Stream>,
    /// Until when each replica lives.
    replicas: BTreeMap<ReplicaId, Timestamp>,
    leases: BTreeMap<Scope, Lease>,
    spend: BTreeMap<Uuid, Spend>,
    inputs: BTreeMap<Uuid, Inputs>,
}

#[derive(Debug, Default)]
struct Stream {
    snapshot: Option<Snapshot>,
    records: Vec<Record>,
}

#[derive(Debug)]
struct Lease {
    fence: Fence,
    holder: Option<ReplicaId>,
    /// When the last holder gave it up. Without meaning while there is a holder.
    free_since: Timestamp,
}

#[derive(Debug)]
struct Inputs {
    /// Of the first record that they came with.
    scope: Option<Scope>,
    /// The place of the last record that was there when they came, their own ones included.
    seq: Seq,
    at: Timestamp,
    body: Vec<u8>,
}

impl Memory {
    /// Keeps only what no snapshot covers: everything else would only grow where nobody prunes.
    #[must_use]
    pub fn forgetful() -> Memory {
        let kept = Kept { forgetful: true, ..Kept::default() };
        Memory { kept: Arc::new(Mutex::new(kept)), closed: AtomicBool::new(false) }
    }

    /// Another process's handle on the same records: closing one leaves the other open.
    #[must_use]
    pub fn beside(&self) -> Memory {
        Memory { kept: self.kept.clone(), closed: AtomicBool::new(false) }
    }

    /// Forgets everything about `scope` but its lease.
    pub(super) fn forget(&self, scope: &Scope) -> Result<(), JournalError> {
        self.kept()?.streams.remove(scope);
        Ok(())
    }

    fn kept(&self) -> Result<MutexGuard<'_, Kept>, JournalError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(JournalError::Closed);
        }
        Ok(self.kept.lock().expect("no holder of this lock can panic"))
    }
}

impl Kept {
    fn lives(&self, replica: &ReplicaId, now: Timestamp) -> bool {
        self.replicas.get(replica).is_some_and(|until| *until > now)
    }

    /// Since when, or from when on, `lease` is free.
    fn free_from(&self, lease: &Lease) -> Timestamp {
        match &lease.holder {
            None => lease.free_since,
            Some(holder) => self.replicas.get(holder).copied().unwrap_or(Timestamp::MIN_UTC),
        }
    }

    fn give_up(&mut self, me: &ReplicaId, now: Timestamp, gives_up: impl Fn(&Scope) -> bool) {
        // One that died before it gave up has left its leases free since then.
        let free_since = self.replicas.get(me).map_or(now, |until| now.min(*until));
        for (scope, lease) in &mut self.leases {
            if lease.holder.as_ref() == Some(me) && gives_up(scope) {
                lease.holder = None;
                lease.free_since = free_since;
            }
        }
    }

    fn record(&mut self, me: &ReplicaId, write: &Write, now: Timestamp) -> Written {
        if let Some(held) = &write.lease {
            let lease = self.leases.get(&held.scope);
            let mine = lease.is_some_and(|lease| {
                lease.holder.as_ref() == Some(me) && lease.fence == held.fence
            });
            if !mine || !self.lives(me, now) {
                return Written::LeaseLost;
            }
        }
        if let Some(spend) = &write.spend {
            let spent: Vec<u64> =
                spend.limits.iter().map(|limit| self.spent_against(limit, spend)).collect();
            if let Some(limit) = spend.passed(&spent) {
                return Written::Braked(limit.clone());
            }
            self.spend.insert(spend.intent, spend.clone());
        }
        let places = write.records.iter().map(|record| self.append(record)).collect();
        if let Some((decision, body)) = &write.inputs {
            let first = write.records.first();
            let scope = first.map(|record| record.scope.clone());
            let at = first.map_or(now, |record| record.at);
            let inputs = Inputs { scope, seq: self.last, at, body: body.clone() };
            self.inputs.insert(*decision, inputs);
        }
        Written::Done(places)
    }

    /// Removes the records that are `past` and that a snapshot covers.
    fn remove(&mut self, past: impl Fn(&Record) -> bool) {
        for stream in self.streams.values_mut() {
            let covered = stream.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
            stream.records.retain(|record| !past(record) || record.seq > covered);
        }
    }

    /// The amount that all but `spend` itself took of `limit`.
    fn spent_against(&self, limit: &SpendLimit, spend: &Spend) -> u64 {
        let counts = |other: &&Spend| {
            let same = match limit.whose {
                Whose::Fleet => other.fleet == spend.fleet,
                Whose::Account => other.account == spend.account,
            };
            same && other.intent != spend.intent && other.at > limit.since
        };
        self.spend.values().filter(counts).map(|other| u64::from(other.takes(limit.what))).sum()
    }

    fn append(&mut self, record: &NewRecord) -> Seq {
        self.last += 1;
        let NewRecord { scope, at, kind, v, body } = record.clone();
        let record =
            Record { seq: self.last, scope: scope.clone(), at, kind: kind.to_owned(), v, body };
        self.streams.entry(scope).or_default().records.push(record);
        self.last
    }

    /// The place up to and with which everything must go for the rest to fit into `bytes`.
    fn too_much_up_to(&self, bytes: u64) -> Seq {
        let records = self.streams.values().flat_map(|stream| &stream.records);
        let records = records.map(|record| (record.seq, record.body.len()));
        let inputs = self.inputs.values().map(|inputs| (inputs.seq, inputs.body.len()));
        let mut sizes: Vec<(Seq, usize)> = records.chain(inputs).collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        let mut total = 0;
        let passes = sizes.into_iter().find(|(_, size)| {
            total += *size as u64;
            total > bytes
        });
        passes.map_or(0, |(seq, _)| seq)
    }
}

#[async_trait]
impl Store for Memory {
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError> {
        let mut kept = self.kept()?;
        kept.replicas.insert(me.clone(), clock::after(now, ttl));
        let living = kept.replicas.iter().filter(|(_, until)| **until > now);
        Ok(living.map(|(replica, _)| replica.clone()).collect())
    }

    async fn held(&self, me: &ReplicaId, now: Timestamp) -> Result<Vec<Held>, JournalError> {
        let kept = self.kept()?;
        if !kept.lives(me, now) {
            return Ok(Vec::new());
        }
        let mine = kept.leases.iter().filter(|(_, lease)| lease.holder.as_ref() == Some(me));
        Ok(mine.map(|(scope, lease)| Held { scope: scope.clone(), fence: lease.fence }).collect())
    }

    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: Duration,
        now: Timestamp,
    ) -> Result<Vec<Held>, JournalError> {
        let mut kept = self.kept()?;
        let mut taken = Vec::new();
        if !kept.lives(me, now) {
            return Ok(taken);
        }
        for scope in wanted {
            if taken.len() >= most {
                break;
            }
            let lease = kept.leases.get(scope);
            let free =
                lease.is_none_or(|lease| clock::after(kept.free_from(lease), free_for) <= now);
            if free {
                let fence = lease.map_or(0, |lease| lease.fence) + 1;
                let lease = Lease { fence, holder: Some(me.clone()), free_since: now };
                kept.leases.insert(scope.clone(), lease);
                taken.push(Held { scope: scope.clone(), fence });
            }
        }
        Ok(taken)
    }

    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let scopes: BTreeSet<&Scope> = scopes.iter().collect();
        self.kept()?.give_up(me, now, |scope| scopes.contains(scope));
        Ok(())
    }

    async fn depart(&self, me: &ReplicaId, now: Timestamp) -> Result<(), JournalError> {
        let mut kept = self.kept()?;
        kept.give_up(me, now, |_| true);
        kept.replicas.remove(me);
        Ok(())
    }

    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        _durability: Durability,
        now: Timestamp,
    ) -> Result<Vec<Written>, JournalError> {
        let mut kept = self.kept()?;
        Ok(writes.iter().map(|write| kept.record(me, write, now)).collect())
    }

    async fn spent(
        &self,
        account: &AccountId,
        since: Timestamp,
    ) -> Result<Vec<Spent>, JournalError> {
        let kept = self.kept()?;
        let mut fleets: BTreeMap<&FleetId, Spent> = BTreeMap::new();
        for spend in kept.spend.values() {
            if spend.account == *account && spend.at > since {
                let nothing = || Spent { fleet: spend.fleet.clone(), launches: 0, removals: 0 };
                let spent = fleets.entry(&spend.fleet).or_insert_with(nothing);
                spent.launches = spent.launches.saturating_add(spend.launches);
                spent.removals = spent.removals.saturating_add(spend.removals);
            }
        }
        Ok(fleets.into_values().filter(|spent| spent.launches > 0 || spent.removals > 0).collect())
    }

    async fn load(&self, scope: &Scope) -> Result<(Option<Snapshot>, Vec<Record>), JournalError> {
        let kept = self.kept()?;
        let Some(stream) = kept.streams.get(scope) else { return Ok((None, Vec::new())) };
        let covered = stream.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        let later = stream.records.iter().filter(|record| record.seq > covered);
        Ok((stream.snapshot.clone(), later.cloned().collect()))
    }

    async fn since(&self, scope: &Scope, seq: Seq) -> Result<Vec<Record>, JournalError> {
        let kept = self.kept()?;
        let Some(stream) = kept.streams.get(scope) else { return Ok(Vec::new()) };
        Ok(stream.records.iter().filter(|record| record.seq > seq).cloned().collect())
    }

    async fn save_snapshot(&self, scope: &Scope, snapshot: &Snapshot) -> Result<(), JournalError> {
        let mut kept = self.kept()?;
        let forgetful = kept.forgetful;
        let stream = kept.streams.entry(scope.clone()).or_default();
        if stream.snapshot.as_ref().is_some_and(|there| there.seq > snapshot.seq) {
            return Ok(());
        }
        stream.snapshot = Some(snapshot.clone());
        if forgetful {
            stream.records.retain(|record| record.seq > snapshot.seq);
            let of_another = |inputs: &Inputs| inputs.scope.as_ref() != Some(scope);
            kept.inputs.retain(|_, inputs| inputs.seq > snapshot.seq || of_another(inputs));
        }
        Ok(())
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>, JournalError> {
        let kept = self.kept()?;
        let asked = |record: &&Record| {
            query.scope.as_ref().is_none_or(|scope| record.scope == *scope)
                && query.since.is_none_or(|since| record.at >= since)
                && query.until.is_none_or(|until| record.at <= until)
                && query.after.is_none_or(|after| record.seq > after)
                && (query.kinds.is_empty() || query.kinds.contains(&record.kind))
                && query.containing.as_ref().is_none_or(|text| record.body.contains(text))
        };
        let records = kept.streams.values().flat_map(|stream| &stream.records);
        let mut found: Vec<Record> = records.filter(asked).cloned().collect();
        found.sort_unstable_by_key(|record| record.seq);
        let newest = query.newest.and_then(|newest| usize::try_from(newest).ok());
        let left_out = newest.map_or(0, |newest| found.len().saturating_sub(newest));
        if let (None, Some(oldest)) = (query.newest, query.oldest) {
            found.truncate(usize::try_from(oldest).unwrap_or(usize::MAX));
        }
        Ok(found.split_off(left_out))
    }

    async fn scopes(&self) -> Result<Vec<Scope>, JournalError> {
        let kept = self.kept()?;
        let has_some = |stream: &Stream| stream.snapshot.is_some() || !stream.records.is_empty();
        let streams = kept.streams.iter().filter(|(_, stream)| has_some(stream));
        Ok(streams.map(|(scope, _)| scope.clone()).collect())
    }

    async fn inputs(&self, decision: Uuid) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.kept()?.inputs.get(&decision).map(|inputs| inputs.body.clone()))
    }

    async fn prune(&self, keep: Retention) -> Result<(), JournalError> {
        let mut kept = self.kept()?;
        kept.remove(|record| {
            let from = if record.kind == "tick" { keep.ticks_from } else { keep.all_from };
            record.at < from.max(keep.all_from)
        });
        let inputs_from = keep.ticks_from.max(keep.all_from);
        kept.inputs.retain(|_, inputs| inputs.at >= inputs_from);
        // What has gone for its age makes room for what is left.
        let too_much = kept.too_much_up_to(keep.bytes);
        kept.remove(|record| record.seq <= too_much);
        kept.inputs.retain(|_, inputs| inputs.seq > too_much);
        kept.spend.retain(|_, spend| spend.at >= keep.all_from);
        kept.replicas.retain(|_, until| *until >= keep.all_from);
        Ok(())
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::store::conformance::{Rig, append, conforms, start};

    #[derive(Debug)]
    struct InMemory {
        store: Arc<Memory>,
        now: Timestamp,
    }

    #[async_trait]
    impl Rig for InMemory {
        fn store(&self) -> Arc<dyn Store> {
            self.store.clone()
        }

        fn now(&self) -> Timestamp {
            self.now
        }

        async fn reopen(&mut self) {
            let beside = self.store.beside();
            self.store.close().await;
            self.store = Arc::new(beside);
        }

        async fn pass(&mut self, time: Duration) {
            self.now = clock::after(self.now, time);
        }
    }

    async fn rig() -> InMemory {
        InMemory { store: Arc::default(), now: start() }
    }

    conforms!(rig());

    #[tokio::test]
    async fn a_forgetful_one_keeps_no_record_that_a_snapshot_covers() {
        let store = Memory::forgetful();
        let web = Scope::Fleet("web".into());
        let decision = Uuid::from_u128(1);
        let mut write =
            Write { inputs: Some((decision, b"inputs".to_vec())), ..append(&[(&web, "one")]) };
        let me = "a".into();
        for body in ["one", "two", "three"] {
            write.records[0].body = body.to_owned();
            let writes = [write.clone(), append(&[(&Scope::Operator, "hold")])];
            store.commit(&me, &writes, Durability::Lazy, start()).await.expect("recorded");
            write.inputs = None;
        }
        assert!(store.inputs(decision).await.expect("read").is_some());
        let snapshot = Snapshot { seq: 3, v: 1, body: "fold".to_owned() };
        store.save_snapshot(&web, &snapshot).await.expect("saved");
        let found = store.find(&Query::default()).await.expect("found");
        assert_eq!(found.iter().map(|record| record.seq).collect::<Vec<_>>(), [2, 4, 5, 6]);
        assert_eq!(store.inputs(decision).await.expect("read"), None);
    }
}
