//! What the records of a scope come to, read from its newest snapshot on.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::JournalError;
use super::codec::{self, Unreadable};
use super::store::{Record, Scope, Seq, Snapshot, Store};
use crate::model::{Account, FleetId, History, Orders};

/// A snapshot of a fold is written every so many records: who reads it next folds fewer. Where a
/// test kills the daemon while it writes one, seconds must be enough to come to it.
const SNAPSHOT_EVERY: usize = if cfg!(feature = "failpoints") { 8 } else { 200 };

/// What is built up from records.
pub(super) trait Fold: Default + Serialize {
    /// From a snapshot of version `v`.
    fn restore(v: i64, body: &str) -> Result<Self, Unreadable>;
    /// A record of version `v` is added.
    fn take(&mut self, v: i64, body: &str) -> Result<(), Unreadable>;
}

impl Fold for History {
    fn restore(v: i64, body: &str) -> Result<History, Unreadable> {
        codec::history(v, body)
    }

    fn take(&mut self, v: i64, body: &str) -> Result<(), Unreadable> {
        codec::event(v, body).map(|event| self.apply(&event))
    }
}

impl Fold for Account {
    fn restore(v: i64, body: &str) -> Result<Account, Unreadable> {
        codec::fold(v, body)
    }

    fn take(&mut self, v: i64, body: &str) -> Result<(), Unreadable> {
        codec::account_event(v, body).map(|event| self.apply(&event))
    }
}

impl Fold for Orders {
    fn restore(v: i64, body: &str) -> Result<Orders, Unreadable> {
        codec::fold(v, body)
    }

    fn take(&mut self, v: i64, body: &str) -> Result<(), Unreadable> {
        codec::operator_event(v, body).map(|event| self.apply(&event))
    }
}

/// A fold, and how far it reaches.
#[derive(Debug, Default)]
pub(super) struct Folded<T> {
    pub(super) value: T,
    /// The last record in it.
    pub(super) reached: Seq,
    /// Records in it that its newest snapshot does not cover.
    pub(super) since_snapshot: usize,
}

impl<T: Fold> Folded<T> {
    /// All that is recorded of `scope`.
    pub(super) async fn load(store: &dyn Store, scope: &Scope) -> Result<Folded<T>, JournalError> {
        let (snapshot, records) = store.load(scope).await?;
        let mut folded = Folded { value: T::default(), reached: 0, since_snapshot: 0 };
        if let Some(Snapshot { seq, v, body }) = snapshot {
            let what = || format!("the snapshot of {}", scope.name());
            folded.value = T::restore(v, &body).map_err(|why| unreadable(what(), &why))?;
            folded.reached = seq;
        }
        folded.add(&records)?;
        Ok(folded)
    }

    /// Records that came later, in their order.
    pub(super) fn add(&mut self, records: &[Record]) -> Result<(), JournalError> {
        for record in records {
            let taken = self.value.take(record.v, &record.body);
            taken.map_err(|why| unreadable(format!("record {}", record.seq), &why))?;
            self.reached = record.seq;
        }
        self.since_snapshot += records.len();
        Ok(())
    }

    /// Writes a snapshot when it is time for one. The records are there: a snapshot only makes the next
    /// start faster.
    pub(super) async fn snapshot_if_due(&mut self, store: &dyn Store, scope: &Scope) {
        if self.since_snapshot < SNAPSHOT_EVERY {
            return;
        }
        match store.save_snapshot(scope, &snapshot(self.reached, &self.value)).await {
            Ok(()) => self.since_snapshot = 0,
            Err(error) => tracing::warn!("no snapshot of {} was written: {error}", scope.name()),
        }
    }
}

/// After how many records a fleet's snapshot is written: once to twice [`SNAPSHOT_EVERY`], always the
/// same for one. Fleets that began together must not write theirs together for ever after.
pub(super) fn snapshot_after(fleet: &FleetId) -> usize {
    let mut hasher = DefaultHasher::new();
    fleet.hash(&mut hasher);
    let more = hasher.finish() % SNAPSHOT_EVERY as u64;
    SNAPSHOT_EVERY + usize::try_from(more).expect("smaller than a usize")
}

/// The snapshot of `value`, which reaches up to `seq`.
pub(super) fn snapshot(seq: Seq, value: &impl Serialize) -> Snapshot {
    Snapshot { seq, v: codec::VERSION, body: codec::text(value) }
}

fn unreadable(what: String, why: &Unreadable) -> JournalError {
    JournalError::Unreadable { what, why: why.to_string() }
}
