//! The store on SQLite: one file on the ops host.
//!
//! One connection does everything: SQLite has one writer anyway, and with one connection nothing
//! of this process ever waits for a lock. WAL keeps a commit to one append; `synchronous` is FULL
//! for what must be durable (the commit is on the disk when it returns) and NORMAL for the rest (a
//! power cut may lose the newest, which the next tick observes again).
//!
//! One daemon has the file at a time. Beside it, a command may look at the file, and an operator's
//! word may be added to it; nothing else.

mod commit;
mod failure;
mod leases;
mod open;
mod read;
mod versions;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use cloud::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Sqlite as Driver, Transaction};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use uuid::Uuid;

use super::{
    Access, Durability, Held, JournalError, Query, Record, Retention, Scope, Seq, Snapshot, Spent,
    Store, Write, Written,
};
use crate::model::{AccountId, ReplicaId};

/// A journal in a file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    access: Access,
    /// `None` once closed.
    opened: Mutex<Option<Opened>>,
}

#[derive(Debug)]
struct Opened {
    connection: SqliteConnection,
    /// Keeps other daemons out for as long as this value lives.
    _lock: Option<File>,
}

type Connected<'a> = MappedMutexGuard<'a, SqliteConnection>;

impl Sqlite {
    /// The connection, to read.
    async fn to_read(&self) -> Result<Connected<'_>, JournalError> {
        let opened = self.opened.lock().await;
        let connected = MutexGuard::try_map(opened, |opened| {
            opened.as_mut().map(|opened| &mut opened.connection)
        });
        connected.map_err(|_| JournalError::Closed)
    }

    /// The connection, to do what only a daemon does.
    async fn to_write(&self) -> Result<Connected<'_>, JournalError> {
        self.access.as_daemon(self.path.display())?;
        self.to_read().await
    }

    /// The connection, to record `writes`.
    async fn to_record(&self, writes: &[Write]) -> Result<Connected<'_>, JournalError> {
        self.access.to_record(writes, self.path.display())?;
        self.to_read().await
    }

    fn failed(&self, error: &sqlx::Error) -> JournalError {
        failure::of(&self.path, error)
    }
}

/// Begins a transaction that writes, and says when it counts as done. It takes the place of the
/// writer at once: one that began as a reader could not wait for another process's write.
async fn begin(
    connection: &mut SqliteConnection,
    durability: Durability,
) -> Result<Transaction<'_, Driver>, sqlx::Error> {
    let synchronous = match durability {
        Durability::Durable => "PRAGMA synchronous = FULL",
        Durability::Lazy => "PRAGMA synchronous = NORMAL",
    };
    // It takes effect with the next transaction, which is this one.
    sqlx::raw_sql(synchronous).execute(&mut *connection).await?;
    connection.begin_with("BEGIN IMMEDIATE").await
}

/// A duration as the file counts it.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait]
impl Store for Sqlite {
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError> {
        let mut connection = self.to_write().await?;
        let beat = leases::heartbeat(&mut connection, me, ttl, now).await;
        beat.map_err(|error| self.failed(&error))
    }

    async fn held(&self, me: &ReplicaId, now: Timestamp) -> Result<Vec<Held>, JournalError> {
        let mut connection = self.to_read().await?;
        leases::held(&mut connection, me, now).await.map_err(|error| self.failed(&error))
    }

    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: Duration,
        now: Timestamp,
    ) -> Result<Vec<Held>, JournalError> {
        let mut connection = self.to_write().await?;
        let claim = leases::claim(&mut connection, me, wanted, most, free_for, now).await;
        claim.map_err(|error| self.failed(&error))
    }

    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let mut connection = self.to_write().await?;
        leases::release(&mut connection, me, scopes, now).await.map_err(|error| self.failed(&error))
    }

    async fn depart(&self, me: &ReplicaId, now: Timestamp) -> Result<(), JournalError> {
        let mut connection = self.to_write().await?;
        leases::depart(&mut connection, me, now).await.map_err(|error| self.failed(&error))
    }

    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        durability: Durability,
        now: Timestamp,
    ) -> Result<Vec<Written>, JournalError> {
        let mut connection = self.to_record(writes).await?;
        let commit = commit::commit(&mut connection, me, writes, durability, now).await;
        commit.map_err(|error| self.failed(&error))
    }

    async fn spent(
        &self,
        account: &AccountId,
        since: Timestamp,
    ) -> Result<Vec<Spent>, JournalError> {
        let mut connection = self.to_read().await?;
        read::spent(&mut connection, account, since).await.map_err(|error| self.failed(&error))
    }

    async fn load(&self, scope: &Scope) -> Result<(Option<Snapshot>, Vec<Record>), JournalError> {
        let mut connection = self.to_read().await?;
        read::load(&mut connection, scope).await.map_err(|error| self.failed(&error))
    }

    async fn since(&self, scope: &Scope, seq: Seq) -> Result<Vec<Record>, JournalError> {
        let mut connection = self.to_read().await?;
        read::since(&mut connection, scope, seq).await.map_err(|error| self.failed(&error))
    }

    async fn save_snapshot(&self, scope: &Scope, snapshot: &Snapshot) -> Result<(), JournalError> {
        let mut connection = self.to_write().await?;
        let saved = commit::save_snapshot(&mut connection, scope, snapshot).await;
        saved.map_err(|error| self.failed(&error))
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>, JournalError> {
        let mut connection = self.to_read().await?;
        read::find(&mut connection, query).await.map_err(|error| self.failed(&error))
    }

    async fn scopes(&self) -> Result<Vec<Scope>, JournalError> {
        let mut connection = self.to_read().await?;
        read::scopes(&mut connection).await.map_err(|error| self.failed(&error))
    }

    async fn inputs(&self, decision: Uuid) -> Result<Option<Vec<u8>>, JournalError> {
        let mut connection = self.to_read().await?;
        read::inputs(&mut connection, decision).await.map_err(|error| self.failed(&error))
    }

    async fn prune(&self, keep: Retention) -> Result<(), JournalError> {
        let mut connection = self.to_write().await?;
        commit::prune(&mut connection, keep).await.map_err(|error| self.failed(&error))
    }

    async fn close(&self) {
        let opened = self.opened.lock().await.take();
        if let Some(opened) = opened
            && let Err(error) = opened.connection.close().await
        {
            tracing::warn!("the journal was not closed cleanly, which loses nothing: {error}");
        }
    }
}
