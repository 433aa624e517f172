//! A store that forgets: for dry runs, the demo and tests.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use cloud::Timestamp;

use super::{Durability, JournalError, Record, Snapshot, Store};
use crate::model::{Event, FleetId};

/// It keeps what a snapshot does not cover: everything else would only grow.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    seq: i64,
    fleets: BTreeMap<FleetId, (Option<Snapshot>, Vec<Record>)>,
}

impl Memory {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

#[async_trait]
impl Store for Memory {
    async fn append(
        &self,
        fleet: &FleetId,
        _at: Timestamp,
        events: &[Event],
        _durability: Durability,
    ) -> Result<i64, JournalError> {
        let mut held = self.held();
        for event in events {
            held.seq += 1;
            let record = Record { seq: held.seq, event: event.clone() };
            held.fleets.entry(fleet.clone()).or_default().1.push(record);
        }
        Ok(held.seq)
    }

    async fn load(&self, fleet: &FleetId) -> Result<(Option<Snapshot>, Vec<Record>), JournalError> {
        Ok(self.held().fleets.get(fleet).cloned().unwrap_or_default())
    }

    async fn save_snapshot(
        &self,
        fleet: &FleetId,
        snapshot: &Snapshot,
    ) -> Result<(), JournalError> {
        let mut held = self.held();
        let (kept, records) = held.fleets.entry(fleet.clone()).or_default();
        records.retain(|record| record.seq > snapshot.seq);
        *kept = Some(snapshot.clone());
        Ok(())
    }

    async fn prune(&self, _before: Timestamp, _bytes: u64) -> Result<(), JournalError> {
        Ok(())
    }

    async fn close(&self) {}
}
