//! The contract of a store: records that are appended and never changed, snapshots of their folds,
//! who may write (leases), and how much was spent within the hour (brakes).
//!
//! A store knows nothing of what its records mean: a body is a text of a version. Every
//! implementation passes the suite in `conformance/`.
//!
//! **Time.** The store's time decides on leases. A store that several machines share has a clock of
//! its own and ignores the `now` that it is given; a store of one machine takes that `now`. What is
//! kept of a time is exact to the millisecond at least.

mod access;
mod dry_run;
mod memory;
mod postgres;
mod sqlite;
mod tables;

#[cfg(test)]
mod conformance;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use cloud::Timestamp;
use uuid::Uuid;

use super::JournalError;
use crate::model::{AccountId, FleetId, ReplicaId};

pub use access::StoreAccess;
pub use dry_run::DryRunStore;
pub use memory::Memory;
pub use postgres::{Postgres, PostgresOptions};
pub use sqlite::Sqlite;

/// The place of a record among all records. Within a scope, places only grow, and a reader that has
/// seen one has seen all smaller ones of that scope.
pub type Seq = i64;

/// Grows each time the lease of a scope changes hands.
pub type Fence = i64;

/// A stream of records with a fold of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The records of one fleet; written by the holder of its lease only.
    Fleet(FleetId),
    /// The records that all fleets of an account share. Every replica may add a fact.
    Account(AccountId),
    /// People's words.
    Operator,
}

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once the store has it; a power cut may lose it.
    Lazy,
    /// Once it survives a power cut.
    Durable,
}

/// A record to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    pub scope: Scope,
    pub at: Timestamp,
    /// A word such as `tick` or `intent`, to select records by.
    pub kind: &'static str,
    /// The version of the body's form.
    pub v: i64,
    pub body: String,
}

/// A record in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub seq: Seq,
    pub scope: Scope,
    pub at: Timestamp,
    pub kind: String,
    pub v: i64,
    pub body: String,
}

/// The fold of a scope's records up to and with `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub seq: Seq,
    pub v: i64,
    pub body: String,
}

/// The right to write for a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub scope: Scope,
    pub fence: Fence,
}

/// What an intent takes of the hour's allowance. Recorded again with the settlement, with what it
/// really took and without limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    pub intent: Uuid,
    /// Of the intent, also when it is recorded again.
    pub at: Timestamp,
    pub account: AccountId,
    pub fleet: FleetId,
    pub launches: u32,
    pub removals: u32,
    pub limits: Vec<SpendLimit>,
}

/// A limit on what is spent. It is passed only by a [`Spend`] that takes some of it: a limit that
/// was lowered below what is spent already keeps nobody from spending the other thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendLimit {
    pub whose: Whose,
    pub what: What,
    /// Everything later than this counts.
    pub since: Timestamp,
    /// At most this many, the new ones included.
    pub most: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Fleet,
    Account,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Launches,
    Removals,
}

/// The amounts that one fleet spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    pub fleet: FleetId,
    pub launches: u32,
    pub removals: u32,
}

/// Things to be recorded together, all or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Write {
    /// Nothing is recorded unless the writer holds this, at this fence, at this moment.
    pub lease: Option<Held>,
    pub records: Vec<NewRecord>,
    /// Nothing is recorded when one of its limits would be passed.
    pub spend: Option<Spend>,
    /// The inputs of a recorded decision, by its id. They are as old as the first of the records
    /// that they come with.
    pub inputs: Option<(Uuid, Vec<u8>)>,
}

/// The outcome of a [`Write`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The places of its records, in order.
    Done(Vec<Seq>),
    /// The lease is not (or no longer) the writer's: nothing of it was recorded.
    LeaseLost,
    /// A limit would be passed: nothing of it was recorded.
    Braked(SpendLimit),
}

/// Which records are asked for; every field narrows.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub scope: Option<Scope>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// At this time or earlier.
    pub until: Option<Timestamp>,
    /// At later places than this one.
    pub after: Option<Seq>,
    /// Only of these kinds; empty: of all.
    pub kinds: Vec<String>,
    /// Only those whose body has this text in it.
    pub containing: Option<String>,
    /// Only the newest so many; they come in the order of their places all the same.
    pub newest: Option<u32>,
    /// Only the oldest so many, where `newest` is not given.
    pub oldest: Option<u32>,
}

/// The records that are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Records of the kind `tick`, and inputs of decisions, from here on.
    pub ticks_from: Timestamp,
    /// All records, from here on.
    pub all_from: Timestamp,
    /// And no more than this in all; the oldest go first.
    pub bytes: u64,
}

/// Keeps records.
///
/// All methods fail with a [`JournalError`] when the store cannot be used; a failed `commit` may or
/// may not have taken effect (the connection may break while it is confirmed).
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Says that `me` lives, until the store's now + `ttl`, and returns all that live, sorted,
    /// `me` included. One that lives again has the leases that nobody took meanwhile.
    async fn heartbeat(
        &self,
        me: &ReplicaId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Vec<ReplicaId>, JournalError>;

    /// The leases of `me`, by scope. Empty when `me` does not live (any more).
    async fn held(&self, me: &ReplicaId, now: Timestamp) -> Result<Vec<Held>, JournalError>;

    /// Takes at most `most` of those of `wanted` that nobody living holds, in the order of
    /// `wanted`, each under a new fence, and returns them. Only those that have been free for
    /// `free_for` at least (a scope that was never held has been free for ever). Takes nothing when
    /// `me` does not live.
    async fn claim(
        &self,
        me: &ReplicaId,
        wanted: &[Scope],
        most: usize,
        free_for: Duration,
        now: Timestamp,
    ) -> Result<Vec<Held>, JournalError>;

    /// Gives up those of `scopes` that `me` holds.
    async fn release(
        &self,
        me: &ReplicaId,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<(), JournalError>;

    /// Gives up everything that `me` holds, and its life.
    async fn depart(&self, me: &ReplicaId, now: Timestamp) -> Result<(), JournalError>;

    /// Records `writes` in one transaction; each of them all or nothing. Returns what became of
    /// each.
    async fn commit(
        &self,
        me: &ReplicaId,
        writes: &[Write],
        durability: Durability,
        now: Timestamp,
    ) -> Result<Vec<Written>, JournalError>;

    /// What the fleets of `account` spent after `since`, by fleet; fleets that spent nothing are
    /// left out.
    async fn spent(
        &self,
        account: &AccountId,
        since: Timestamp,
    ) -> Result<Vec<Spent>, JournalError>;

    /// The snapshot of `scope`, and every later record of it, in order.
    async fn load(&self, scope: &Scope) -> Result<(Option<Snapshot>, Vec<Record>), JournalError>;

    /// The records of `scope` after `seq`, in order.
    async fn since(&self, scope: &Scope, seq: Seq) -> Result<Vec<Record>, JournalError>;

    /// Replaces the scope's snapshot, unless the one that is there reaches further.
    async fn save_snapshot(&self, scope: &Scope, snapshot: &Snapshot) -> Result<(), JournalError>;

    /// Replaces the snapshots of several scopes, in one transaction where the store has such. No scope
    /// comes twice.
    async fn save_snapshots(&self, snapshots: &[(Scope, Snapshot)]) -> Result<(), JournalError> {
        for (scope, snapshot) in snapshots {
            self.save_snapshot(scope, snapshot).await?;
        }
        Ok(())
    }

    /// Records of all scopes, in order.
    async fn find(&self, query: &Query) -> Result<Vec<Record>, JournalError>;

    /// Every scope that has a record or a snapshot, sorted.
    async fn scopes(&self) -> Result<Vec<Scope>, JournalError>;

    /// The inputs of a decision, if they are (still) there.
    async fn inputs(&self, decision: Uuid) -> Result<Option<Vec<u8>>, JournalError>;

    /// How much is recorded; `None` where it takes long to say.
    async fn bytes(&self) -> Result<Option<u64>, JournalError> {
        Ok(None)
    }

    /// Removes what is past its retention, but never a record that its scope's snapshot does not
    /// cover.
    async fn prune(&self, keep: Retention) -> Result<(), JournalError>;

    /// Writes what is buffered and gives everything up. Later calls fail with
    /// [`JournalError::Closed`].
    async fn close(&self);
}

impl Spend {
    /// How much of `what` it takes.
    fn takes(&self, what: What) -> u32 {
        match what {
            What::Launches => self.launches,
            What::Removals => self.removals,
        }
    }

    /// The first of its limits that it would pass. `spent` is what others spent against each.
    fn passed(&self, spent: &[u64]) -> Option<&SpendLimit> {
        let limits = self.limits.iter().zip(spent);
        let mut passed = limits.filter(|(limit, spent)| {
            let more = self.takes(limit.what);
            more > 0 && spent.saturating_add(more.into()) > limit.most.into()
        });
        passed.next().map(|(limit, _)| limit)
    }
}

impl Scope {
    /// `fleet/web`, `account/aliyun` or `operator`: how a store names it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Scope::Fleet(fleet) => format!("fleet/{fleet}"),
            Scope::Account(account) => format!("account/{account}"),
            Scope::Operator => "operator".to_owned(),
        }
    }

    /// The scope of that name, if it is one.
    #[must_use]
    pub fn of(name: &str) -> Option<Scope> {
        match name.split_once('/') {
            Some(("fleet", fleet)) => Some(Scope::Fleet(fleet.into())),
            Some(("account", account)) => Some(Scope::Account(account.into())),
            None if name == "operator" => Some(Scope::Operator),
            _ => None,
        }
    }
}
