//! The contract of a store.

use std::fmt::Debug;

use async_trait::async_trait;
use cloud::Timestamp;
use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::model::{Event, FleetId, History};

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Once the store has it; a power cut may lose it.
    Lazy,
    /// Once it survives a power cut.
    Durable,
}

/// One event of one fleet, in its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) seq: i64,
    pub(crate) event: Event,
}

/// The fold of a fleet's records up to and with `seq`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) seq: i64,
    pub(crate) history: History,
}

/// Keeps records. Every implementation passes the suite in `tests.rs`.
#[async_trait]
pub(crate) trait Store: Debug + Send + Sync {
    /// Appends all of `events`, or none, and returns the last one's place. Places only grow.
    async fn append(
        &self,
        fleet: &FleetId,
        at: Timestamp,
        events: &[Event],
        durability: Durability,
    ) -> Result<i64, JournalError>;

    /// The newest usable snapshot of `fleet` and every later record, in order.
    async fn load(&self, fleet: &FleetId) -> Result<(Option<Snapshot>, Vec<Record>), JournalError>;

    /// Replaces the fleet's snapshot.
    async fn save_snapshot(&self, fleet: &FleetId, snapshot: &Snapshot)
    -> Result<(), JournalError>;

    /// Removes records older than `before`, and the oldest ones above `bytes` in all; never one
    /// that its fleet's snapshot does not cover.
    async fn prune(&self, before: Timestamp, bytes: u64) -> Result<(), JournalError>;

    /// Writes what is buffered and gives everything up.
    async fn close(&self);
}
