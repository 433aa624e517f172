//! The fold of a scope's records, read from its newest snapshot on.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::JournalError;
use super::codec::{self, Unreadable};
use super::store::{Record, Scope, Seq, Snapshot, Store};
use crate::model::{Account, FleetId, History, Orders};

/// A snapshot of a fold is written every so many records: who reads it next folds fewer. Where a
/// test kills the daemon while it writes one, seconds must be enough to come to it.
pub(super) const SNAPSHOT_EVERY: usize = if cfg!(feature = "failpoints") { 8 } else { 200 };

/// A value that is built up from records.
pub(super) trait Fold: Default + Serialize {
    /// Whether what cannot be read is left out, and told. Not what a fleet did: without one of its
    /// records an instance would be bought twice, so it holds.
    const DOES_WITHOUT: bool;

    /// From a snapshot of version `v`.
    fn restore(v: i64, body: &str) -> Result<Self, Unreadable>;
    /// A record of version `v` is added.
    fn take(&mut self, v: i64, body: &str) -> Result<(), Unreadable>;
}

impl Fold for History {
    const DOES_WITHOUT: bool = false;

    fn restore(v: i64, body: &str) -> Result<History, Unreadable> {
        codec::history(v, body)
    }

    fn take(&mut self, v: i64, body: &str) -> Result<(), Unreadable> {
        codec::event(v, body).map(|event| self.apply(&event))
    }
}

impl Fold for Account {
    const DOES_WITHOUT: bool = true;

    fn restore(v: i64, body: &str) -> Result<Account, Unreadable> {
        codec::fold(v, body)
    }

    fn take(&mut self, v: i64, body: &str) -> Result<(), Unreadable> {
        codec::account_event(v, body).map(|event| self.apply(&event))
    }
}

impl Fold for Orders {
    const DOES_WITHOUT: bool = true;

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
    /// The first thing that could not be read and was left out.
    pub(super) left_out: Option<String>,
}

impl<T: Fold> Folded<T> {
    /// All that is recorded of `scope`.
    pub(super) async fn load(store: &dyn Store, scope: &Scope) -> Result<Folded<T>, JournalError> {
        let (snapshot, records) = store.load(scope).await?;
        let mut folded = Folded::<T>::default();
        if let Some(Snapshot { seq, v, body }) = snapshot {
            let restored = T::restore(v, &body);
            if let Some(value) =
                folded.unless_left_out(format!("the snapshot of {}", scope.name()), restored)?
            {
                folded.value = value;
            }
            folded.reached = seq;
        }
        folded.add(&records)?;
        Ok(folded)
    }

    /// Records that came later, in their order.
    pub(super) fn add(&mut self, records: &[Record]) -> Result<(), JournalError> {
        for record in records {
            let taken = self.value.take(record.v, &record.body);
            let what = format!("record {} of {}", record.seq, record.scope.name());
            self.unless_left_out(what, taken)?;
            self.reached = record.seq;
        }
        self.since_snapshot += records.len();
        Ok(())
    }

    /// The record, unless it is left out.
    fn unless_left_out<R>(
        &mut self,
        what: String,
        read: Result<R, Unreadable>,
    ) -> Result<Option<R>, JournalError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(Unreadable::Ignorable) => Ok(None),
            // A newer program may have said anything.
            Err(why @ Unreadable::Malformed(_)) if T::DOES_WITHOUT => {
                self.left_out.get_or_insert_with(|| unreadable(what, &why).to_string());
                Ok(None)
            }
            Err(why) => Err(unreadable(what, &why)),
        }
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
