//! The journal: what happened, in order, and its fold.
//!
//! Events are appended and never changed. The fold of a fleet's events is its
//! [`History`], kept in memory and rebuilt from a snapshot and the later records after a restart.
//! An intent is durable before its first byte is sent; when it cannot be written, nothing is sent.

mod error;
mod memory;
mod old_store;
mod sqlite;
pub mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Timestamp, clock};
use tokio::sync::Mutex;

use crate::config::StateUrl;
use crate::model::{Event, FleetId, History, Intent, IntentId, Settlement};

pub use error::JournalError;
pub(crate) use old_store::{Durability, Record, Snapshot, Store};

/// A snapshot of the fold is written every so many records: a restart folds fewer than this.
const SNAPSHOT_EVERY: u64 = 200;
/// Records are kept for 30 days: long enough to explain last month's bill.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// And not beyond 256 MiB: at 2 kB a tick that is half a year of one fleet or 30 days of six.
const KEPT_BYTES: u64 = 256 * 1024 * 1024;

/// The journal of all fleets.
#[derive(Debug)]
pub struct Journal {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    fleets: Mutex<BTreeMap<FleetId, Arc<Mutex<Option<Folded>>>>>,
}

/// A fleet's history in memory.
#[derive(Debug)]
struct Folded {
    history: History,
    /// Records since the newest snapshot.
    since_snapshot: u64,
}

impl Journal {
    /// Opens the store at `url`, making it if there is none.
    pub async fn open(url: &StateUrl, clock: Arc<dyn Clock>) -> Result<Journal, JournalError> {
        let store: Arc<dyn Store> = match url {
            StateUrl::Memory => Arc::new(memory::Memory::default()),
            StateUrl::Sqlite { path } => Arc::new(sqlite::Sqlite::open(path).await?),
        };
        Ok(Journal::over(store, clock))
    }

    fn over(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Journal {
        Journal { store, clock, fleets: Mutex::default() }
    }

    /// What is known of `fleet`; empty when nothing was ever recorded.
    pub async fn history(&self, fleet: &FleetId) -> Result<History, JournalError> {
        let cell = self.cell(fleet).await;
        let mut folded = cell.lock().await;
        Ok(self.loaded(fleet, &mut folded).await?.history.clone())
    }

    /// Records a tick. A crash may lose the newest ticks, never an intent.
    pub async fn append(
        &self,
        fleet: &FleetId,
        events: Vec<Event>,
    ) -> Result<History, JournalError> {
        self.write(fleet, events, Durability::Lazy).await
    }

    /// Records that an action is about to be sent. After `Ok` it is on the disk.
    pub async fn intend(&self, fleet: &FleetId, intent: Intent) -> Result<(), JournalError> {
        let event = Event::Intended(Box::new(intent));
        self.write(fleet, vec![event], Durability::Durable).await.map(drop)
    }

    /// Records what became of an intent. After `Ok` it is on the disk.
    pub async fn settle(
        &self,
        fleet: &FleetId,
        at: Timestamp,
        intent: IntentId,
        settlement: Settlement,
    ) -> Result<History, JournalError> {
        let event = Event::Settled { at, intent, settlement };
        self.write(fleet, vec![event], Durability::Durable).await
    }

    /// Removes what is past its retention, but nothing that the newest snapshots do not cover.
    pub async fn prune(&self) -> Result<(), JournalError> {
        let now = self.clock.now();
        let before = now.checked_sub_signed(clock::delta(KEPT)).unwrap_or(Timestamp::MIN_UTC);
        self.store.prune(before, KEPT_BYTES).await
    }

    /// Writes what is buffered and gives the store up. Later calls fail.
    pub async fn close(&self) {
        self.store.close().await;
    }

    async fn cell(&self, fleet: &FleetId) -> Arc<Mutex<Option<Folded>>> {
        self.fleets.lock().await.entry(fleet.clone()).or_default().clone()
    }

    async fn write(
        &self,
        fleet: &FleetId,
        events: Vec<Event>,
        durability: Durability,
    ) -> Result<History, JournalError> {
        let cell = self.cell(fleet).await;
        let mut folded = cell.lock().await;
        let folded = self.loaded(fleet, &mut folded).await?;
        let now = self.clock.now();
        // The store first: what is not recorded has not happened.
        let seq = self.store.append(fleet, now, &events, durability).await?;
        for event in &events {
            folded.history.apply(event);
        }
        folded.since_snapshot += events.len() as u64;
        if folded.since_snapshot >= SNAPSHOT_EVERY {
            let snapshot = Snapshot { seq, history: folded.history.clone() };
            match self.store.save_snapshot(fleet, &snapshot).await {
                Ok(()) => folded.since_snapshot = 0,
                // The records are there; a snapshot only makes the next start faster.
                Err(error) => tracing::warn!(fleet.id = %fleet, "no snapshot was written: {error}"),
            }
        }
        Ok(folded.history.clone())
    }

    /// The fold in memory, read from the store the first time.
    async fn loaded<'a>(
        &self,
        fleet: &FleetId,
        folded: &'a mut Option<Folded>,
    ) -> Result<&'a mut Folded, JournalError> {
        if folded.is_none() {
            let (snapshot, records) = self.store.load(fleet).await?;
            let mut history = snapshot.map(|snapshot| snapshot.history).unwrap_or_default();
            for record in &records {
                history.apply(&record.event);
            }
            let since_snapshot = records.len() as u64;
            *folded = Some(Folded { history, since_snapshot });
        }
        Ok(folded.as_mut().expect("it was filled just now"))
    }
}

/// The file beside the database that says which process uses it.
fn lock_path(path: &std::path::Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
