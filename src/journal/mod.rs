//! The journal: what happened, in order, and its folds.
//!
//! Events are appended and never changed. The fold of a fleet's events is its [`History`], kept in
//! memory while this replica holds the fleet's lease, and rebuilt from a snapshot and the later
//! records when it takes the lease. An intent is durable, under the lease, before its first byte is
//! sent; when it cannot be written, nothing is sent.
//!
//! Ticks that only look are written together, about once a second: a crash may lose the newest of
//! them, which the next tick sees again. Everything that led to an action is written with it.

pub mod codec;
mod copy;
mod error;
mod fleets;
mod fold;
mod leases;
mod shared;
pub mod store;
#[cfg(test)]
mod tests;
mod view;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::{Clock, clock};

use crate::config::{Daemon, StateUrl};
use crate::model::{
    Account, AccountEvent, AccountId, Adoption, DecisionId, Event, FleetId, History, Hold, Inputs,
    Instruction, Intent, IntentId, OperatorEvent, Owner, ReplicaId, Settlement, Spent,
};

pub use copy::{Copied, back_up, restore, verify};
pub use error::JournalError;
use fleets::Fleets;
pub use leases::{Lease, LeaseTime, Turn};
pub(crate) use shared::BRAKE_WINDOW;
use shared::Shared;
use store::{Retention, Scope, Spend, SpendLimit, Store};
pub use view::{Entry, Examined, Look, Reader, Recorded, Said, examine};

/// The part of the past that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    pub age: Duration,
    pub bytes: u64,
}

impl From<&Daemon> for Keep {
    fn from(daemon: &Daemon) -> Keep {
        Keep { age: daemon.keep.get(), bytes: u64::from(daemon.keep_mib) * 1024 * 1024 }
    }
}

/// Ticks, and the inputs of decisions, are kept for two days: for "what was it last night?".
const TICKS_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Under which name the instances of a journal are owned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    /// The configuration's `installation`.
    As(String),
    /// The journal's id.
    ByJournal,
    Nothing,
}

/// Whether an intent may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intended {
    /// It is recorded, durably.
    Recorded,
    /// Another replica acts for the fleet now.
    LeaseLost,
    /// An hourly limit would be passed.
    Braked(SpendLimit),
}

/// All that is known of a fleet's past and its surroundings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    pub history: Arc<History>,
    pub account: Arc<Account>,
    pub holds: Vec<Hold>,
    pub spent: Spent,
    /// Whose the fleet's instances are.
    pub owner: Owner,
    /// Wishes to take instances over that are still to be carried out.
    pub adoptions: Vec<Adoption>,
    /// People's instructions that are in force.
    pub instructions: Vec<Instruction>,
    /// The provider's id of the account that the fleet is in: as an operator accepted it, or as it was
    /// first recorded.
    pub identity: Option<String>,
}

/// The journal, as one replica uses it.
#[derive(Debug)]
pub struct Journal {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    leases: leases::Leases,
    fleets: Fleets,
    shared: Shared,
    /// How the last writing of what had gathered went.
    flushed: Mutex<Result<(), JournalError>>,
    keep: Keep,
    named: Named,
    /// Of a dry run: the recorded journal that it goes on from.
    beside: Option<Arc<store::DryRunStore>>,
    /// Of a dry run: why it goes on from nothing.
    blind: Option<JournalError>,
}

impl Journal {
    /// Opens the store at `url`, making it if there is none. A store on another machine need not be
    /// there yet.
    pub async fn open(
        url: &StateUrl,
        clock: Arc<dyn Clock>,
        lease: LeaseTime,
        keep: Keep,
    ) -> Result<Journal, JournalError> {
        let store = open_store(url).await?;
        let journal = Journal::over(store, clock, new_replica(), lease, keep);
        Ok(match url {
            // An id that is forgotten with the process would make its instances a stranger's.
            StateUrl::Memory => Journal { named: Named::Nothing, ..journal },
            StateUrl::Sqlite { .. } | StateUrl::Postgres { .. } => journal,
        })
    }

    /// This journal, its instances owned under `installation` where that is given.
    #[must_use]
    pub fn owned_by(self, installation: Option<String>) -> Journal {
        match installation {
            Some(name) => Journal { named: Named::As(name), ..self },
            None => self,
        }
    }

    /// A journal over `store`, for the replica `me`.
    #[must_use]
    pub fn over(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        me: ReplicaId,
        lease: LeaseTime,
        keep: Keep,
    ) -> Journal {
        Journal {
            leases: leases::Leases::new(me, lease),
            fleets: Fleets::default(),
            shared: Shared::default(),
            flushed: Mutex::new(Ok(())),
            store,
            clock,
            keep,
            named: Named::ByJournal,
            beside: None,
            blind: None,
        }
    }

    /// The journal of a dry run: it goes on from what is recorded at `url`, reads there what a
    /// daemon and people add, and writes nothing. Where that cannot be read it begins with nothing,
    /// and [`Journal::blind`] says why.
    pub async fn dry(
        url: &StateUrl,
        clock: Arc<dyn Clock>,
        lease: LeaseTime,
        keep: Keep,
    ) -> Journal {
        let recorded = async {
            let store = view::open_to_look(url).await?;
            // A database is not asked before it is used.
            match store.load(&Scope::Operator).await {
                Ok(_) => Ok(Arc::new(store::DryRunStore::over(store))),
                Err(error) => {
                    store.close().await;
                    Err(error)
                }
            }
        };
        let over = |store| Journal::over(store, clock, new_replica(), lease, keep);
        match recorded.await {
            Ok(beside) => Journal { beside: Some(beside.clone()), ..over(beside) },
            Err(why) => Journal {
                blind: Some(why),
                named: Named::Nothing,
                ..over(Arc::new(store::Memory::forgetful()))
            },
        }
    }

    /// Why nothing is known of the past, where a dry run could not read it.
    #[must_use]
    pub fn blind(&self) -> Option<&JournalError> {
        self.blind.as_ref()
    }

    #[must_use]
    pub fn me(&self) -> &ReplicaId {
        self.leases.me()
    }

    /// All that is to be done beside the ticks, one after the other: [`Journal::renew`],
    /// [`Journal::flush`] and [`Journal::save_snapshots`]. Returns the fleets that were taken.
    pub async fn tend(&self, fleets: &[FleetId]) -> Result<Vec<FleetId>, JournalError> {
        let taken = self.renew(fleets).await;
        // Decisions are written, whatever cannot be read.
        self.flush().await?;
        self.save_snapshots().await;
        taken
    }

    /// Renews the leases, takes and gives fleets up, and learns what people said. To be called every
    /// [`Journal::renewal`], and by a task that does nothing else: the leases run out meanwhile.
    ///
    /// Returns the fleets that were taken.
    pub async fn renew(&self, fleets: &[FleetId]) -> Result<Vec<FleetId>, JournalError> {
        let taken = self.leases.tend(&*self.store, fleets, &*self.clock).await?;
        for (fleet, fence) in &taken {
            tracing::debug!(fleet.id = %fleet, fence, "fleet `{fleet}` is this replica's now");
            self.fleets.taken(fleet, *fence, self.me().clone(), self.clock.now());
        }
        self.fleets.keep_only(&self.leases.held());
        self.shared.refresh_operator(&*self.store).await?;
        if self.named == Named::ByJournal && self.beside.is_none() {
            let now = self.clock.now();
            self.shared.name_journal(&*self.store, self.me(), now).await?;
        }
        Ok(taken.into_iter().map(|(fleet, _)| fleet).collect())
    }

    /// How often [`Journal::renew`] is to be called.
    #[must_use]
    pub fn renewal(&self) -> Duration {
        self.leases.time().renewal()
    }

    /// Whether this replica may act for `fleet` now; waits for its turn.
    pub async fn turn(&self, fleet: &FleetId) -> Turn {
        self.leases.turn(fleet, &*self.clock).await
    }

    /// The lease of a fleet that is not configured any more, for one action; it is given up with the
    /// next [`Journal::tend`]. `None` while somebody else holds it.
    pub async fn borrow(&self, fleet: &FleetId) -> Result<Option<Lease>, JournalError> {
        self.leases.borrow(&*self.store, fleet, &*self.clock).await
    }

    /// All that is known of the fleet of `lease`.
    pub async fn known(&self, lease: &Lease, account: &AccountId) -> Result<Known, JournalError> {
        let now = self.clock.now();
        if let Some(beside) = &self.beside
            && beside.has_news(&lease.fleet).await?
        {
            self.fleets.stale(&lease.fleet).await;
        }
        let history = self.fleets.history(&*self.store, lease, now).await?;
        let asked = self.shared.orders(|orders| orders.adoptions_of(&lease.fleet))?;
        let shared = self.shared.account(&*self.store, account, now).await?;
        Ok(Known {
            owner: self.owner()?,
            adoptions: history.still_asked(&asked, now),
            instructions: self.shared.orders(|orders| orders.instructions_of(&lease.fleet, now))?,
            history,
            identity: self.identity(account, &shared)?,
            account: shared,
            holds: self.shared.holds(&lease.fleet, now)?,
            spent: self.shared.spent(&*self.store, account, &lease.fleet, now).await?,
        })
    }

    /// The provider's id of `account`.
    fn identity(
        &self,
        account: &AccountId,
        known: &Account,
    ) -> Result<Option<String>, JournalError> {
        let accepted = self.shared.orders(|orders| orders.accounts.get(account).cloned())?;
        Ok(accepted.or_else(|| known.identity.clone()))
    }

    /// The provider's id of `account`, read from the store: for what runs beside ticks.
    pub async fn identity_read(
        &self,
        account: &AccountId,
    ) -> Result<(Arc<Account>, Option<String>), JournalError> {
        if self.owner().is_err() {
            self.shared.refresh_operator(&*self.store).await?;
        }
        let known = self.shared.account(&*self.store, account, self.clock.now()).await?;
        let identity = self.identity(account, &known)?;
        Ok((known, identity))
    }

    /// Whose instances this journal's are, read from the store where that was not done yet: for what
    /// runs before the first [`Journal::tend`].
    pub async fn owner_read(&self) -> Result<Owner, JournalError> {
        if self.owner().is_err() {
            self.shared.refresh_operator(&*self.store).await?;
        }
        self.owner()
    }

    /// Whose instances this journal's are.
    pub fn owner(&self) -> Result<Owner, JournalError> {
        let journal = self.shared.orders(|orders| orders.journal)?;
        let owner = match &self.named {
            Named::As(name) => Owner::of(Some(name.clone()), journal),
            Named::ByJournal => Owner::of(None, journal),
            Named::Nothing => Owner::default(),
        };
        // Only a dry run has no name although it should: the daemon that it looks at has one, or will
        // have.
        let is_dry = self.blind.is_some() || self.beside.is_some();
        Ok(Owner { unknown: owner.name.is_none() && is_dry, ..owner })
    }

    /// The holds of `fleet` as they are now, without asking the store.
    pub fn holds(&self, fleet: &FleetId) -> Result<Vec<Hold>, JournalError> {
        self.shared.holds(fleet, self.clock.now())
    }

    /// The instructions for `fleet` as they are now, without asking the store.
    pub fn instructions(&self, fleet: &FleetId) -> Result<Vec<Instruction>, JournalError> {
        let now = self.clock.now();
        self.shared.orders(|orders| orders.instructions_of(fleet, now))
    }

    /// Records what a person said to this daemon; it is known from now on.
    pub async fn say(&self, event: &OperatorEvent) -> Result<(), JournalError> {
        shared::say(&*self.store, event).await?;
        self.shared.refresh_operator(&*self.store).await
    }

    /// The last knowledge, without asking the store: for ticks that only look while it is away.
    pub async fn last_known(&self, fleet: &FleetId, account: &AccountId) -> Option<Known> {
        Some(Known {
            history: self.fleets.last_known(fleet).await?,
            account: self.shared.last_known(account),
            holds: self.shared.holds(fleet, self.clock.now()).unwrap_or_default(),
            spent: Spent::default(),
            owner: self.owner().ok()?,
            adoptions: Vec::new(),
            instructions: Vec::new(),
            identity: None,
        })
    }

    /// Records what a tick saw and decided. It is written with the next intent, or about a second
    /// later.
    pub async fn append(
        &self,
        lease: &Lease,
        events: Vec<Event>,
        decision: Option<(DecisionId, &Inputs)>,
    ) -> Result<(), JournalError> {
        let inputs = decision.and_then(|(id, inputs)| Some((id.0, codec::encode_inputs(inputs)?)));
        self.fleets.append(&*self.store, lease, events, inputs).await
    }

    /// Records facts about an account.
    pub async fn note(
        &self,
        account: &AccountId,
        facts: &[AccountEvent],
    ) -> Result<(), JournalError> {
        self.shared.note(&*self.store, self.me(), account, facts, self.clock.now()).await
    }

    /// Records that an action is about to be sent. After [`Intended::Recorded`] it is on the disk.
    pub async fn intend(
        &self,
        lease: &Lease,
        intent: Intent,
        spend: Spend,
    ) -> Result<Intended, JournalError> {
        self.shared.spending(&spend.account).await;
        let events = vec![Event::Intended(Box::new(intent))];
        let (me, now) = (self.me(), self.clock.now());
        self.fleets.record(&*self.store, me, lease, events, Some(spend), &[], now).await
    }

    /// Records that a launch of unknown outcome is about to be sent again.
    pub async fn resend(&self, lease: &Lease, intent: IntentId) -> Result<Intended, JournalError> {
        let (me, now) = (self.me(), self.clock.now());
        let events = vec![Event::Resent { at: now, intent }];
        self.fleets.record(&*self.store, me, lease, events, None, &[], now).await
    }

    /// Records what became of an intent, and what all fleets of the account should know of it.
    /// After `Ok` it is on the disk, unless the lease was lost: then who holds it now finds out by
    /// looking.
    pub async fn settle(
        &self,
        lease: &Lease,
        intent: IntentId,
        settlement: Settlement,
        spend: Option<Spend>,
        facts: &[(AccountId, AccountEvent)],
    ) -> Result<Intended, JournalError> {
        let (me, now) = (self.me(), self.clock.now());
        for (account, _) in facts {
            self.shared.stale(account).await;
        }
        if let Some(spend) = &spend {
            self.shared.spending(&spend.account).await;
        }
        let events = vec![Event::Settled { at: now, intent, settlement }];
        self.fleets.record(&*self.store, me, lease, events, spend, facts, now).await
    }

    /// Writes what has gathered.
    pub async fn flush(&self) -> Result<(), JournalError> {
        let flushed = self.fleets.flush(&*self.store, self.me(), self.clock.now()).await;
        *self.flushed() = flushed.clone();
        flushed
    }

    /// Whether what had gathered could be written the last time.
    pub fn written(&self) -> Result<(), JournalError> {
        self.flushed().clone()
    }

    fn flushed(&self) -> MutexGuard<'_, Result<(), JournalError>> {
        self.flushed.lock().expect("no holder of this lock can panic")
    }

    /// Writes the snapshots of some fleets for which it is time. To be called after
    /// [`Journal::flush`].
    pub async fn save_snapshots(&self) {
        self.fleets.save_snapshots(&*self.store).await;
    }

    /// What is in memory of `fleet` is not to be relied on: it is read from the store before it is used
    /// again.
    pub async fn forget(&self, fleet: &FleetId) {
        self.fleets.stale(fleet).await;
    }

    /// Removes what is past its retention, but nothing that the newest snapshots do not cover.
    pub async fn prune(&self) -> Result<(), JournalError> {
        let now = self.clock.now();
        let before = |age| clock::before(now, age);
        let all_from = before(self.keep.age);
        let ticks_from = before(TICKS_KEPT).max(all_from);
        self.store.prune(Retention { ticks_from, all_from, bytes: self.keep.bytes }).await
    }

    /// Whether more is recorded than is kept, where the store can say so at no cost.
    pub async fn is_too_large(&self) -> Result<bool, JournalError> {
        Ok(self.store.bytes().await?.is_some_and(|bytes| bytes > self.keep.bytes))
    }

    /// The records of accounts and of people's words that could not be read, and were left out.
    #[must_use]
    pub fn left_out(&self) -> Option<String> {
        self.shared.left_out()
    }

    /// Why the store cannot be used, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<JournalError> {
        self.leases.trouble()
    }

    /// Whether it is known which fleets are this replica's.
    #[must_use]
    pub fn tended(&self) -> bool {
        self.leases.tended()
    }

    /// How many fleets this replica holds, and how many replicas live.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.leases.counts()
    }

    /// The fleets that this replica may act for just now.
    #[must_use]
    pub fn mine(&self) -> Vec<FleetId> {
        self.leases.mine(self.clock.now())
    }

    /// Writes what has gathered and gives the leases and the store up. Later calls fail.
    pub async fn close(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!("the newest ticks were not recorded: {error}");
        }
        if let Err(error) = self.leases.depart(&*self.store, self.clock.now()).await {
            tracing::warn!("the leases were not given up, they end by themselves: {error}");
        }
        self.store.close().await;
    }

    /// Reads what is recorded, for tools.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::over(self.store.clone())
    }
}

/// Records what a person said, beside a running daemon.
pub async fn say(url: &StateUrl, event: &OperatorEvent) -> Result<(), JournalError> {
    let store = view::open_for_operator(url).await?;
    let result = shared::say(&*store, event).await;
    store.close().await;
    result
}

/// A name for this process, which no other one has or had.
fn new_replica() -> ReplicaId {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "host" } else { host };
    ReplicaId(format!("{host}-{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()))
}

async fn open_store(url: &StateUrl) -> Result<Arc<dyn Store>, JournalError> {
    Ok(match url {
        StateUrl::Memory => Arc::new(store::Memory::forgetful()),
        StateUrl::Sqlite { path } => Arc::new(store::Sqlite::open(path, codec::VERSION).await?),
        StateUrl::Postgres { url, password } => {
            let access = store::StoreAccess::Everything;
            Arc::new(store::Postgres::new(&options(url, password), access, codec::VERSION)?)
        }
    })
}

/// How a server is reached.
fn options(url: &str, password: &Option<cloud::Secret>) -> store::PostgresOptions {
    store::PostgresOptions { url: url.to_owned(), password: password.clone() }
}
