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
mod copy;
mod failure;
mod leases;
mod open;
mod private;
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

use self::commit::pruning::{self, Pruning};
use super::{
    Durability, Held, JournalError, Query, Record, Retention, Scope, Seq, Snapshot, Spent, Store,
    StoreAccess, Write, Written,
};
use crate::model::{AccountId, ReplicaId};

/// A journal in a file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    access: StoreAccess,
    /// Which file it is, whatever its name: the device and the number on it.
    file: (u64, u64),
    /// `None` once closed.
    opened: Mutex<Option<Opened>>,
}

#[derive(Debug)]
struct Opened {
    connection: Link,
    /// Keeps other daemons out for as long as this value lives.
    _lock: Option<File>,
}

#[derive(Debug)]
enum Link {
    Ready(SqliteConnection),
    /// A method uses it, or was abandoned while it did.
    Away,
    /// A method failed, and nobody knows in which transaction it left the connection: after a full
    /// disk it cannot begin another one, ever. The next method opens the file again.
    Failed(JournalError),
}

type Turn<'a> = MappedMutexGuard<'a, Opened>;

impl Sqlite {
    /// Waits until nobody else uses the connection.
    async fn turn(&self) -> Result<Turn<'_>, JournalError> {
        let opened = self.opened.lock().await;
        MutexGuard::try_map(opened, Option::as_mut).map_err(|_| JournalError::Closed)
    }

    /// The connection, opened again where it has to be.
    async fn connection(&self, opened: &mut Opened) -> Result<SqliteConnection, JournalError> {
        open::same_file(&self.path, self.file)?;
        let before = match std::mem::replace(&mut opened.connection, Link::Away) {
            Link::Ready(connection) => return Ok(connection),
            Link::Away => None,
            Link::Failed(why) => Some(why),
        };
        open::again(&self.path, self.access).await.map_err(|error| {
            // On a full disk a file cannot even be opened, and SQLite does not say why.
            let why = match error {
                JournalError::Io { .. } => before.unwrap_or(error),
                telling => telling,
            };
            opened.connection = Link::Failed(why.clone());
            why
        })
    }

    /// Refuses what only a daemon does.
    fn as_daemon(&self) -> Result<(), JournalError> {
        self.access.as_daemon(self.path.display())
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

/// Runs one function of a submodule on the connection of `$store`.
macro_rules! run {
    ($store:ident, $work:path $(, $argument:expr)*) => {{
        let mut opened = $store.turn().await?;
        let mut connection = $store.connection(&mut opened).await?;
        match $work(&mut connection $(, $argument)*).await {
            Ok(value) => {
                opened.connection = Link::Ready(connection);
                Ok(value)
            }
            Err(error) => {
                let why = $store.failed(&error);
                opened.connection = Link::Failed(why.clone());
                // The last one to close the file makes room: it empties the log beside it. That it
                // cannot is what failed already.
                drop(connection.close().await);
                Err(why)
            }
        }
    }};
}

#[async_trait]
impl Store for Sqlite {
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError> {
        self.as_daemon()?;
        run!(self, leases::heartbeat, me, ttl, now)
    }

    async fn held(&self, me: &ReplicaId, now: Timestamp) -> Result<Vec<Held>, JournalError> {
        run!(self, leases::held, me, now)
    }

    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: Duration,
        now: Timestamp,
    ) -> Result<Vec<Held>, JournalError> {
        self.as_daemon()?;
        run!(self, leases::claim, me, wanted, most, free_for, now)
    }

    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.as_daemon()?;
        run!(self, leases::release, me, scopes, now)
    }

    async fn depart(&self, me: &ReplicaId, now: Timestamp) -> Result<(), JournalError> {
        self.as_daemon()?;
        run!(self, leases::depart, me, now)
    }

    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        durability: Durability,
        now: Timestamp,
    ) -> Result<Vec<Written>, JournalError> {
        self.access.to_record(writes, self.path.display())?;
        run!(self, commit::commit, me, writes, durability, now)
    }

    async fn spent(
        &self,
        account: &AccountId,
        since: Timestamp,
    ) -> Result<Vec<Spent>, JournalError> {
        run!(self, read::spent, account, since)
    }

    async fn load(&self, scope: &Scope) -> Result<(Option<Snapshot>, Vec<Record>), JournalError> {
        run!(self, read::load, scope)
    }

    async fn since(&self, scope: &Scope, seq: Seq) -> Result<Vec<Record>, JournalError> {
        run!(self, read::since, scope, seq)
    }

    async fn save_snapshot(&self, scope: &Scope, snapshot: &Snapshot) -> Result<(), JournalError> {
        self.save_snapshots(&[(scope.clone(), snapshot.clone())]).await
    }

    async fn save_snapshots(&self, snapshots: &[(Scope, Snapshot)]) -> Result<(), JournalError> {
        self.as_daemon()?;
        run!(self, commit::save_snapshots, snapshots)
    }

    async fn find(&self, query: &Query) -> Result<Vec<Record>, JournalError> {
        run!(self, read::find, query)
    }

    async fn scopes(&self) -> Result<Vec<Scope>, JournalError> {
        run!(self, read::scopes)
    }

    async fn inputs(&self, decision: Uuid) -> Result<Option<Vec<u8>>, JournalError> {
        run!(self, read::inputs, decision)
    }

    async fn bytes(&self) -> Result<Option<u64>, JournalError> {
        run!(self, pruning::size).map(Some)
    }

    async fn prune(&self, keep: Retention) -> Result<(), JournalError> {
        self.as_daemon()?;
        // The connection is given back between the parts.
        let mut pruning = Pruning::of(keep);
        while run!(self, pruning::part, &mut pruning)? {}
        Ok(())
    }

    async fn close(&self) {
        let opened = self.opened.lock().await.take();
        if let Some(Opened { connection: Link::Ready(connection), .. }) = opened
            && let Err(error) = connection.close().await
        {
            tracing::warn!("the journal was not closed cleanly, which loses nothing: {error}");
        }
    }
}
