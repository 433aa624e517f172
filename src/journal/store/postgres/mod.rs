//! The store on PostgreSQL: one database for several replicas.
//!
//! It never blocks a tick: whatever the server or the network does, each method ends within
//! [`BOUND`], and works again by itself when the server is back. The tables are looked at, and made
//! where they are missing, by the first method that reaches the server.
//!
//! **Places.** Within a scope, places become visible in their order: whoever records for it holds a
//! lock of that scope (of its lease, or an advisory one) from before the place is drawn until after
//! the commit. Everybody takes locks in one order: leases by name, then advisory ones by key.

mod address;
mod claim;
mod commit;
mod failure;
mod leases;
mod prepare;
mod prune;
mod read;

#[cfg(all(test, feature = "peers"))]
mod tests;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use async_trait::async_trait;
use cloud::Timestamp;
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{PgPool, Postgres as Driver, pool::PoolConnection};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Durability, Held, JournalError, Query, Record, Retention, Scope, Seq, Snapshot, Spent, Store,
    StoreAccess, Write, Written,
};
use crate::model::{AccountId, ReplicaId};

pub use address::PostgresOptions;
use prune::Pruning;

/// One for the heartbeat, one for the ticks' records, two for reads and for pruning. Twenty
/// replicas take 80 of the 100 connections that a server has unless told otherwise.
const CONNECTIONS: u32 = 4;
/// A server in another zone answers within 0.1 s. Who is not let in for 3 s is not let in.
const ACQUIRE: Duration = Duration::from_secs(3);
/// No method takes longer. It is more than a connection (3 s) and one slow statement (5 s), and
/// about half a tick's interval: a tick that finds no database ends before the next one is due.
const BOUND: Duration = Duration::from_secs(8);
/// A transaction that lost a race is run again so often. Each try waits for the winner, so three
/// losses in a row are no longer chance.
const TRIES: u32 = 4;

/// A journal in a database.
pub struct Postgres {
    pool: PgPool,
    /// Its name in errors.
    name: String,
    access: StoreAccess,
    known_v: i64,
    /// Filled once the tables are known to be those of this version.
    prepared: OnceCell<()>,
}

impl Postgres {
    /// A journal at that address, which need not answer yet. `known_v` is the newest version of
    /// records that the caller reads. Must be called within the runtime.
    ///
    /// The tables are made, or carried over from an older version, with access to everything only.
    pub fn new(
        options: &PostgresOptions,
        access: StoreAccess,
        known_v: i64,
    ) -> Result<Postgres, JournalError> {
        let (connect, name) = options.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .connect_lazy_with(connect);
        Ok(Postgres { pool, name, access, known_v, prepared: OnceCell::new() })
    }

    /// As [`Postgres::new`], and fails where the database cannot be used right now.
    pub async fn connect(
        options: &PostgresOptions,
        known_v: i64,
    ) -> Result<Postgres, JournalError> {
        let store = Postgres::new(options, StoreAccess::Everything, known_v)?;
        store.run(|connection| async move { (connection, Ok(())) }).await?;
        Ok(store)
    }

    /// Runs `work` on a connection, within the bound, and again where it lost a race.
    ///
    /// A connection whose work failed or ran out of time is thrown away: nobody knows what is still
    /// on its way on it.
    async fn run<T, F>(
        &self,
        work: impl Fn(BorrowedConnection) -> F + Send + Sync,
    ) -> Result<T, JournalError>
    where
        T: Send,
        F: Future<Output = (BorrowedConnection, Result<T, sqlx::Error>)> + Send,
    {
        let failed = |error: sqlx::Error| failure::of(&self.name, &error);
        let bounded = timeout(BOUND, async {
            self.prepared.get_or_try_init(|| self.prepare()).await?;
            let mut tries = 0;
            loop {
                tries += 1;
                let connection = self.borrow().await.map_err(failed)?;
                let (connection, result) = work(connection).await;
                match result {
                    Ok(value) => {
                        connection.give_back();
                        return Ok(value);
                    }
                    Err(error) if failure::lost_a_race(&error) && tries < TRIES => drop(connection),
                    Err(error) => return Err(failed(error)),
                }
            }
        });
        bounded.await.unwrap_or_else(|_| Err(failure::too_slow(&self.name, BOUND)))
    }

    /// Refuses what only a daemon does.
    fn as_daemon(&self) -> Result<(), JournalError> {
        self.access.as_daemon(format_args!("the database {}", self.name))
    }

    async fn borrow(&self) -> Result<BorrowedConnection, sqlx::Error> {
        Ok(BorrowedConnection(Some(self.pool.acquire().await?)))
    }
}

/// The name only: neither the address nor the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("database", &self.name).finish_non_exhaustive()
    }
}

/// A connection of the pool, which is closed unless it is given back in good order.
struct BorrowedConnection(Option<PoolConnection<Driver>>);

const STAYS: &str = "it is taken out only when it is given back or dropped";

impl BorrowedConnection {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for BorrowedConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // Closed as it is: a farewell could wait for a network that is cut, and the pool would
            // count the connection until then. The server notices that it is gone.
            drop(connection.detach());
        }
    }
}

impl Deref for BorrowedConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect(STAYS)
    }
}

impl DerefMut for BorrowedConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect(STAYS)
    }
}

/// Runs one function of a submodule on a connection of `$store`.
macro_rules! run {
    ($store:ident, $work:path $(, $argument:expr)*) => {
        $store
            .run(|mut connection| async move {
                let result = $work(&mut connection $(, $argument)*).await;
                (connection, result)
            })
            .await
    };
}

#[async_trait]
impl Store for Postgres {
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: Duration,
        _now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError> {
        self.as_daemon()?;
        run!(self, leases::heartbeat, me, ttl)
    }

    async fn held(&self, me: &ReplicaId, _now: Timestamp) -> Result<Vec<Held>, JournalError> {
        run!(self, leases::held, me)
    }

    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: Duration,
        _now: Timestamp,
    ) -> Result<Vec<Held>, JournalError> {
        self.as_daemon()?;
        run!(self, claim::claim, me, wanted, most, free_for)
    }

    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        _now: Timestamp,
    ) -> Result<(), JournalError> {
        self.as_daemon()?;
        run!(self, leases::release, me, scopes)
    }

    async fn depart(&self, me: &ReplicaId, _now: Timestamp) -> Result<(), JournalError> {
        self.as_daemon()?;
        run!(self, leases::depart, me)
    }

    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        durability: Durability,
        now: Timestamp,
    ) -> Result<Vec<Written>, JournalError> {
        self.access.to_record(writes, format_args!("the database {}", self.name))?;
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

    async fn prune(&self, keep: Retention) -> Result<(), JournalError> {
        self.as_daemon()?;
        // Each part is within the bound; others use the connections between them.
        let mut next = Some(Pruning::of(keep));
        while let Some(pruning) = &next {
            next = run!(self, prune::part, pruning)?;
        }
        Ok(())
    }

    async fn close(&self) {
        // Every record is committed; a server that does not say goodbye loses nothing.
        if timeout(BOUND, self.pool.close()).await.is_err() {
            tracing::warn!("the database {} was left without a goodbye", self.name);
        }
    }
}
