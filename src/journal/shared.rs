//! The records that fleets share: facts about accounts, people's words, and the spent allowance.
//!
//! Any replica adds to it, so it is read again every few seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::{Timestamp, clock};
use sha1::{Digest, Sha1};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::fold::{Fold, Folded};
use super::store::{self, Durability, Scope, Store, Write};
use super::{JournalError, codec};
use crate::model::{
    Account, AccountEvent, AccountId, Amounts, FleetId, Hold, OperatorEvent, Orders, ReplicaId,
    Spent,
};

/// The findings of other replicas are known here this much later at most.
const SHARED_FOR: Duration = Duration::from_secs(2);
/// Brakes look back over an hour.
pub(crate) const BRAKE_WINDOW: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Held by who reads what people said; `None` before the first time.
    operator: AsyncMutex<Option<Folded<Orders>>>,
    /// As it was last read, if the last reading worked: who does not know what people said may not
    /// act.
    orders: Mutex<Option<Result<Orders, JournalError>>>,
    accounts: Mutex<BTreeMap<AccountId, Arc<AccountCell>>>,
    /// Records that could not be read and were left out, by their scope.
    left_out: Mutex<BTreeMap<String, String>>,
}

/// The memory of one account.
#[derive(Debug, Default)]
struct AccountCell {
    cell: AsyncMutex<Cell>,
    /// As it was last read: to be had without waiting for who is reading. Shared by all ticks of the
    /// account's fleets.
    last: Mutex<Arc<Account>>,
    failures: Mutex<Failures>,
}

/// Reads that failed: how many, and why the last one did.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    last: Option<JournalError>,
}

#[derive(Debug, Default)]
struct Cell {
    /// `None` before it was read.
    account: Option<Folded<Account>>,
    /// When it was last read.
    read_at: Option<Timestamp>,
    spent: Option<(Timestamp, Tally)>,
}

/// The spent allowance of an account, added up once for all of its fleets.
#[derive(Debug, Default)]
struct Tally {
    account: Amounts,
    fleets: BTreeMap<FleetId, Amounts>,
}

impl Tally {
    fn of(rows: Vec<store::Spent>) -> Tally {
        let mut tally = Tally::default();
        for store::Spent { fleet, launches, removals } in rows {
            tally.account.launches += launches;
            tally.account.removals += removals;
            tally.fleets.insert(fleet, Amounts { launches, removals });
        }
        tally
    }

    fn of_fleet(&self, fleet: &FleetId) -> Spent {
        let own = self.fleets.get(fleet).copied().unwrap_or_default();
        Spent { fleet: own, account: self.account }
    }
}

impl Shared {
    fn last_orders(&self) -> std::sync::MutexGuard<'_, Option<Result<Orders, JournalError>>> {
        self.orders.lock().expect("no holder of this lock can panic")
    }

    fn shelf(&self, account: &AccountId) -> Arc<AccountCell> {
        let mut accounts = self.accounts.lock().expect("no holder of this lock can panic");
        accounts.entry(account.clone()).or_default().clone()
    }

    /// Reads what people said since the last time.
    pub(super) async fn refresh_operator(&self, store: &dyn Store) -> Result<(), JournalError> {
        let mut operator = self.operator.lock().await;
        let read = read(&mut operator, store, &Scope::Operator).await;
        let orders = read.map(|folded| {
            self.leave_out(&Scope::Operator, folded.left_out.as_ref());
            folded.value.clone()
        });
        *self.last_orders() = Some(orders.clone());
        orders.map(drop)
    }

    /// Gives the journal an id, if it was read and has none yet: replicas that do so at once agree on
    /// the one that is recorded first.
    pub(super) async fn name_journal(
        &self,
        store: &dyn Store,
        me: &ReplicaId,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let is_nameless =
            matches!(&*self.last_orders(), Some(Ok(orders)) if orders.journal.is_none());
        if !is_nameless {
            return Ok(());
        }
        // No other replica has or had this name, and the same one leads to the same id.
        let hash = Sha1::digest(me.0.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        say(store, &OperatorEvent::Opened { at: now, id }).await?;
        self.refresh_operator(store).await
    }

    /// The part of people's words that `look` takes; an error while they are not known.
    pub(super) fn orders<T>(&self, look: impl FnOnce(&Orders) -> T) -> Result<T, JournalError> {
        match &*self.last_orders() {
            Some(Ok(orders)) => Ok(look(orders)),
            Some(Err(error)) => Err(error.clone()),
            None => Err(JournalError::Unreadable {
                what: "what operators said".to_owned(),
                why: "it was not read yet".to_owned(),
            }),
        }
    }

    /// The holds of `fleet`; an error while it is not known what people said.
    pub(super) fn holds(&self, fleet: &FleetId, now: Timestamp) -> Result<Vec<Hold>, JournalError> {
        self.orders(|orders| orders.holds_of(fleet, now))
    }

    pub(super) async fn account(
        &self,
        store: &dyn Store,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<Arc<Account>, JournalError> {
        let shelf = self.shelf(account);
        let mut cell = shelf.turn().await?;
        let is_new = |at: Timestamp| at <= now && clock::age(now, at) < SHARED_FOR;
        if !cell.read_at.is_some_and(is_new) {
            let scope = Scope::Account(account.clone());
            let folded = shelf.tell(read(&mut cell.account, store, &scope).await)?;
            self.leave_out(&scope, folded.left_out.as_ref());
            folded.value.not_after(now);
            let mut last = shelf.last();
            if **last != folded.value {
                *last = Arc::new(folded.value.clone());
            }
            cell.read_at = Some(now);
        }
        Ok(shelf.last().clone())
    }

    fn leave_out(&self, scope: &Scope, what: Option<&String>) {
        if let Some(what) = what {
            let mut left_out = self.left_out.lock().expect("no holder of this lock can panic");
            left_out.entry(scope.name()).or_insert_with(|| what.clone());
        }
    }

    /// Records that could not be read and were left out.
    pub(super) fn left_out(&self) -> Option<String> {
        let left_out = self.left_out.lock().expect("no holder of this lock can panic");
        let all: Vec<&str> = left_out.values().map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    pub(super) fn last_known(&self, account: &AccountId) -> Arc<Account> {
        self.shelf(account).last().clone()
    }

    /// Something was added: what is in memory is not new any more.
    pub(super) async fn stale(&self, account: &AccountId) {
        self.shelf(account).cell.lock().await.read_at = None;
    }

    /// Something is spent.
    pub(super) async fn spending(&self, account: &AccountId) {
        self.shelf(account).cell.lock().await.spent = None;
    }

    pub(super) async fn spent(
        &self,
        store: &dyn Store,
        account: &AccountId,
        fleet: &FleetId,
        now: Timestamp,
    ) -> Result<Spent, JournalError> {
        let shelf = self.shelf(account);
        let mut cell = shelf.turn().await?;
        let is_new = |at: Timestamp| at <= now && clock::age(now, at) < SHARED_FOR;
        if !cell.spent.as_ref().is_some_and(|(at, _)| is_new(*at)) {
            let since = now - clock::delta(BRAKE_WINDOW);
            let rows = shelf.tell(store.spent(account, since).await)?;
            cell.spent = Some((now, Tally::of(rows)));
        }
        let spent = cell.spent.as_ref().map(|(_, tally)| tally.of_fleet(fleet));
        Ok(spent.unwrap_or_default())
    }

    /// Adds facts about an account.
    pub(super) async fn note(
        &self,
        store: &dyn Store,
        me: &ReplicaId,
        account: &AccountId,
        facts: &[AccountEvent],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        if facts.is_empty() {
            return Ok(());
        }
        let scope = Scope::Account(account.clone());
        let records = facts.iter().map(|fact| codec::encode(&scope, fact)).collect();
        let write = Write { records, ..Write::default() };
        store.commit(me, &[write], Durability::Lazy, now).await?;
        self.stale(account).await;
        Ok(())
    }
}

impl AccountCell {
    /// The cell, once it is free. Whoever had to wait for a read that failed fails with it: a store
    /// that is away lets everybody wait for seconds, and all fleets of the account stand in line here.
    async fn turn(&self) -> Result<MutexGuard<'_, Cell>, JournalError> {
        let before = self.failures().count;
        let cell = self.cell.lock().await;
        let failures = self.failures();
        match &failures.last {
            Some(why) if failures.count != before => Err(why.clone()),
            _ => Ok(cell),
        }
    }

    /// Lets those who wait know of a failure.
    fn tell<T>(&self, read: Result<T, JournalError>) -> Result<T, JournalError> {
        if let Err(error) = &read {
            let mut failures = self.failures();
            failures.count += 1;
            failures.last = Some(error.clone());
        }
        read
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Arc<Account>> {
        self.last.lock().expect("no holder of this lock can panic")
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().expect("no holder of this lock can panic")
    }
}

/// Brings `known` up to what is recorded of `scope`, and keeps its snapshot young.
async fn read<'a, T: Fold>(
    known: &'a mut Option<Folded<T>>,
    store: &dyn Store,
    scope: &Scope,
) -> Result<&'a mut Folded<T>, JournalError> {
    match known {
        Some(folded) => folded.add(&store.since(scope, folded.reached).await?)?,
        None => *known = Some(Folded::load(store, scope).await?),
    }
    let folded = known.as_mut().expect("it was read just now");
    folded.snapshot_if_due(store, scope).await;
    Ok(folded)
}

/// Records what a person said.
pub(super) async fn say(store: &dyn Store, event: &OperatorEvent) -> Result<(), JournalError> {
    let records = vec![codec::encode(&Scope::Operator, event)];
    let write = Write { records, ..Write::default() };
    // A person has no lease and no life as a replica.
    let nobody = ReplicaId("operator".to_owned());
    store.commit(&nobody, &[write], Durability::Durable, event.at()).await.map(drop)
}
