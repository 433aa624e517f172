//! The histories of the fleets that this replica holds, and what of them is not written yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use cloud::Timestamp;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::OwnedMutexGuard;

use super::fold::{self, Folded};
use super::store::{Durability, Fence, Held, Scope, Seq, Snapshot, Spend, Store, Write, Written};
use super::{Intended, JournalError, Lease, codec};
use crate::model::{AccountEvent, AccountId, Event, FleetId, History, ReplicaId};

/// Fleets whose ticks are written in one transaction: long enough to be worth a commit, short enough
/// that a fleet that wants to act does not wait for all others.
const WRITTEN_TOGETHER: usize = 200;
/// Snapshots that are written in one transaction: 10,000 fleets need three a second, and a hundred take
/// some 20 ms.
const SAVED_TOGETHER: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Fleets {
    cells: Mutex<BTreeMap<FleetId, Arc<AsyncMutex<Cell>>>>,
    /// Leases that were taken, at which fence, and of which nothing is said yet.
    taken: Mutex<BTreeMap<FleetId, (Fence, Event)>>,
}

/// One fleet.
#[derive(Debug, Default)]
struct Cell {
    /// The fence under which `history` was read; `None`: it must be read before it is used.
    fence: Option<Fence>,
    /// Shared with who was given it until the next event.
    history: Option<Arc<History>>,
    /// Applied to `history`, not written yet.
    pending: Vec<Pending>,
    /// The last record that is in `history` and written.
    reached: Seq,
    /// Records since the newest snapshot.
    since_snapshot: usize,
    /// The lease was taken, at this fence: applied, and to be written before anything else.
    announce: Option<(Fence, Event)>,
}

#[derive(Debug)]
struct Pending {
    events: Vec<Event>,
    inputs: Option<(uuid::Uuid, Vec<u8>)>,
}

impl Fleets {
    fn cell(&self, fleet: &FleetId) -> Arc<AsyncMutex<Cell>> {
        let mut cells = self.cells.lock().expect("no holder of this lock can panic");
        cells.entry(fleet.clone()).or_default().clone()
    }

    /// The fleet was taken over. It waits for no cell: a tick of the fleet may be at work, under a
    /// lease that was lost meanwhile.
    pub(super) fn taken(&self, fleet: &FleetId, fence: Fence, me: ReplicaId, at: Timestamp) {
        let mut taken = self.taken.lock().expect("no holder of this lock can panic");
        taken.insert(fleet.clone(), (fence, Event::Leased { at, replica: me, fence }));
    }

    /// That `lease` was taken, unless it has been said.
    fn announcement(&self, lease: &Lease) -> Option<Event> {
        let mut taken = self.taken.lock().expect("no holder of this lock can panic");
        let is_it = taken.get(&lease.fleet).is_some_and(|(fence, _)| *fence == lease.fence);
        if is_it { taken.remove(&lease.fleet).map(|(_, event)| event) } else { None }
    }

    pub(super) async fn history(
        &self,
        store: &dyn Store,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Arc<History>, JournalError> {
        let cell = self.cell(&lease.fleet);
        let mut cell = cell.lock().await;
        let history = cell.loaded(store, lease).await?;
        if history.is_ahead(now) {
            Arc::make_mut(history).not_after(now);
        }
        Ok(history.clone())
    }

    fn all(&self) -> Vec<(FleetId, Arc<AsyncMutex<Cell>>)> {
        let cells = self.cells.lock().expect("no holder of this lock can panic");
        cells.iter().map(|(fleet, cell)| (fleet.clone(), cell.clone())).collect()
    }

    /// Only these fleets are this replica's: what is in memory of others is given back. Their records
    /// are the other replica's to go on with, and what is not written yet would be refused.
    pub(super) fn keep_only(&self, mine: &BTreeSet<FleetId>) {
        let mut cells = self.cells.lock().expect("no holder of this lock can panic");
        cells.retain(|fleet, _| mine.contains(fleet));
        let mut taken = self.taken.lock().expect("no holder of this lock can panic");
        taken.retain(|fleet, _| mine.contains(fleet));
    }

    /// How many fleets' histories are in memory.
    #[cfg(test)]
    pub(super) fn in_memory(&self) -> usize {
        self.cells.lock().expect("no holder of this lock can panic").len()
    }

    /// The memory of `fleet` is not the truth any more: it is read again before it is used.
    pub(super) async fn stale(&self, fleet: &FleetId) {
        self.cell(fleet).lock().await.fence = None;
    }

    pub(super) async fn last_known(&self, fleet: &FleetId) -> Option<Arc<History>> {
        self.cell(fleet).lock().await.history.clone()
    }

    /// Applies `events`; they are written later.
    pub(super) async fn append(
        &self,
        store: &dyn Store,
        lease: &Lease,
        events: Vec<Event>,
        inputs: Option<(uuid::Uuid, Vec<u8>)>,
    ) -> Result<(), JournalError> {
        let cell = self.cell(&lease.fleet);
        let mut cell = cell.lock().await;
        cell.loaded(store, lease).await?;
        cell.announce(lease.fence, self.announcement(lease));
        cell.apply(&events);
        cell.pending.push(Pending { events, inputs });
        Ok(())
    }

    /// Writes `events` durably, and everything of the fleet that was not written yet before them;
    /// applies them when they are recorded.
    #[expect(clippy::too_many_arguments, reason = "one transaction has all of these parts")]
    pub(super) async fn record(
        &self,
        store: &dyn Store,
        me: &ReplicaId,
        lease: &Lease,
        events: Vec<Event>,
        spend: Option<Spend>,
        facts: &[(AccountId, AccountEvent)],
        now: Timestamp,
    ) -> Result<Intended, JournalError> {
        let cell = self.cell(&lease.fleet);
        let mut cell = cell.lock().await;
        cell.loaded(store, lease).await?;
        cell.announce(lease.fence, self.announcement(lease));
        let mut writes = cell.take_pending(&lease.held());
        let scope = Scope::Fleet(lease.fleet.clone());
        let mut records: Vec<_> = events.iter().map(|event| codec::encode(&scope, event)).collect();
        for (account, fact) in facts {
            records.push(codec::encode(&Scope::Account(account.clone()), fact));
        }
        writes.push(Write { lease: Some(lease.held()), records, spend, inputs: None });
        let written = match store.commit(me, &writes, Durability::Durable, now).await {
            Ok(written) => written,
            Err(error) => {
                // Nobody knows whether it was recorded: read it again before it is used.
                cell.fence = None;
                return Err(error);
            }
        };
        let (last, before) = written.split_last().ok_or(JournalError::Closed)?;
        cell.written(before);
        let result = match last {
            Written::Done(seqs) => {
                cell.apply(&events);
                cell.reach(&seqs[..events.len().min(seqs.len())]);
                Intended::Recorded
            }
            Written::LeaseLost => {
                cell.fence = None;
                Intended::LeaseLost
            }
            Written::Braked(limit) => Intended::Braked(limit.clone()),
        };
        Ok(result)
    }

    /// Writes what is pending of all fleets.
    pub(super) async fn flush(
        &self,
        store: &dyn Store,
        me: &ReplicaId,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let cells = self.all();
        for chunk in cells.chunks(WRITTEN_TOGETHER) {
            // A fleet that is busy writes by itself, or the next time.
            let free = chunk.iter().filter_map(|(fleet, cell)| {
                let cell = cell.clone().try_lock_owned().ok()?;
                (!cell.pending.is_empty()).then(|| (fleet.clone(), cell))
            });
            flush_together(store, me, free.collect(), now).await?;
        }
        Ok(())
    }

    /// Writes the snapshots of some fleets for which it is time, in one transaction. The records are
    /// there: a snapshot only makes the next start faster.
    pub(super) async fn save_snapshots(&self, store: &dyn Store) {
        let mut due = Vec::new();
        let mut snapshots = Vec::new();
        for (fleet, cell) in self.all() {
            // A fleet that is busy has its turn the next time.
            let Ok(locked) = cell.try_lock() else { continue };
            if let Some(snapshot) = locked.due_snapshot(&fleet) {
                due.push((cell.clone(), locked.since_snapshot));
                snapshots.push((Scope::Fleet(fleet), snapshot));
            }
            if due.len() == SAVED_TOGETHER {
                break;
            }
        }
        if snapshots.is_empty() {
            return;
        }
        failpoint!("snapshot.before");
        let saved = store.save_snapshots(&snapshots).await;
        failpoint!("snapshot.after");
        match saved {
            Ok(()) => {
                for (cell, covered) in due {
                    let mut cell = cell.lock().await;
                    cell.since_snapshot = cell.since_snapshot.saturating_sub(covered);
                }
            }
            Err(error) => {
                tracing::warn!("{} snapshots were not written: {error}", snapshots.len());
            }
        }
    }
}

async fn flush_together(
    store: &dyn Store,
    me: &ReplicaId,
    mut cells: Vec<(FleetId, OwnedMutexGuard<Cell>)>,
    now: Timestamp,
) -> Result<(), JournalError> {
    let mut writes = Vec::new();
    let mut counts = Vec::new();
    for (fleet, cell) in &mut cells {
        let Some(fence) = cell.fence else {
            // Read under a fence that is not ours any more.
            cell.pending.clear();
            counts.push(0);
            continue;
        };
        let of_cell = cell.take_pending(&Held { scope: Scope::Fleet(fleet.clone()), fence });
        counts.push(of_cell.len());
        writes.extend(of_cell);
    }
    if writes.is_empty() {
        return Ok(());
    }
    failpoint!("flush.before");
    let written = match store.commit(me, &writes, Durability::Lazy, now).await {
        Ok(written) => written,
        Err(error) => {
            for (_, cell) in &mut cells {
                cell.fence = None;
            }
            return Err(error);
        }
    };
    failpoint!("flush.after");
    let mut written = written.as_slice();
    for ((_, cell), count) in cells.iter_mut().zip(counts) {
        let (of_cell, rest) = written.split_at(count.min(written.len()));
        written = rest;
        cell.written(of_cell);
    }
    Ok(())
}

impl Cell {
    /// The history, read from the store when it was last read under another fence.
    async fn loaded(
        &mut self,
        store: &dyn Store,
        lease: &Lease,
    ) -> Result<&mut Arc<History>, JournalError> {
        if self.fence != Some(lease.fence) || self.history.is_none() {
            self.pending.clear();
            let scope = Scope::Fleet(lease.fleet.clone());
            let Folded { value, reached, since_snapshot, .. } = Folded::load(store, &scope).await?;
            self.history = Some(Arc::new(value));
            self.reached = reached;
            self.since_snapshot = since_snapshot;
            self.fence = Some(lease.fence);
        }
        Ok(self.history.as_mut().expect("it was read just now"))
    }

    fn apply(&mut self, events: &[Event]) {
        if let Some(history) = &mut self.history {
            let history = Arc::make_mut(history);
            events.iter().for_each(|event| history.apply(event));
        }
    }

    /// The holder of the lease is part of the history, before anything that it does.
    fn announce(&mut self, fence: Fence, event: Option<Event>) {
        // Of a lease that was lost again before a word was written there is nothing to say.
        self.announce = self.announce.take().filter(|(said, _)| *said == fence);
        if let Some(event) = event {
            self.announce = Some((fence, event));
        }
        if let Some((_, event)) = self.announce.clone() {
            self.apply(&[event]);
        }
    }

    /// What is to be written: the change of hands first.
    fn take_pending(&mut self, held: &Held) -> Vec<Write> {
        let announce = self.announce.as_ref().filter(|(fence, _)| *fence == held.fence);
        let announce =
            announce.map(|(_, event)| Pending { events: vec![event.clone()], inputs: None });
        let write = |pending: Pending| Write {
            lease: Some(held.clone()),
            records: pending.events.iter().map(|e| codec::encode(&held.scope, e)).collect(),
            spend: None,
            inputs: pending.inputs,
        };
        announce.into_iter().chain(std::mem::take(&mut self.pending)).map(write).collect()
    }

    fn written(&mut self, written: &[Written]) {
        for written in written {
            match written {
                Written::Done(seqs) => {
                    // It goes first, so whatever is written comes after it.
                    self.announce = None;
                    self.reach(seqs);
                }
                // The memory is ahead of the records, which another replica goes on with.
                Written::LeaseLost | Written::Braked(_) => self.fence = None,
            }
        }
    }

    fn reach(&mut self, seqs: &[Seq]) {
        self.reached = seqs.last().copied().unwrap_or(self.reached);
        self.since_snapshot += seqs.len();
    }

    /// A snapshot, when it is time for one and everything in the history is recorded.
    fn due_snapshot(&self, fleet: &FleetId) -> Option<Snapshot> {
        let is_due = self.since_snapshot >= fold::snapshot_after(fleet);
        if !is_due || !self.pending.is_empty() || self.fence.is_none() {
            return None;
        }
        Some(fold::snapshot(self.reached, &**self.history.as_ref()?))
    }
}
