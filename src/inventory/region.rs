//! One account and region, as all its fleets read it.
//!
//! To look, they share one listing of the account, read as often as its size and the rate limit allow
//! (`pace.rs`); how old it may be follows from that. To act, a fleet reads its own instances, one page
//! as a rule, so that acting costs the same however many fleets there are. Where many fleets act at
//! once, one listing of the account costs less than one of each, and serves them all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::{
    Clock, Error, Instance, InstanceId, Observe, Pages, TagFilter, Timestamp, Urgency, clock,
};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::listing::{AccountListing, FRESH, FleetListing, Sizes};
use super::pace;
use super::questions::Questions;
use super::shared_read::{Dated, SharedRead};
use crate::model::{Base, Fleet, FleetId, tags};

/// A filter by tag may hide what is beyond this many instances: a fleet of that size is read with its
/// account.
const FILTERED_MOST: usize = 1_000;
/// A fleet's own listing is kept for looks that are repeated within seconds, no longer.
const OWN_KEPT: Duration = Duration::from_secs(60);

/// One account and region.
#[derive(Debug)]
pub struct Region {
    cloud: Arc<dyn Observe>,
    clock: Arc<dyn Clock>,
    account: SharedRead<AccountListing>,
    own: Mutex<Own>,
    /// Reads of single fleets that wait for their answer.
    acting: AtomicU32,
    /// Base instances, by what selects them.
    bases: Mutex<BTreeMap<String, Arc<SharedRead<Vec<Instance>>>>>,
    /// Whether listing is permitted.
    permission: SharedRead<()>,
    /// Questions by id of those who look, and of those who act.
    looking: Questions,
    urgent: Questions,
}

/// The listings of single fleets.
#[derive(Debug, Default)]
struct Own {
    reads: BTreeMap<FleetId, Arc<SharedRead<Vec<Instance>>>>,
    /// When those that are old were dropped last.
    tidied: Option<Timestamp>,
}

/// One more read under way, until it is dropped.
struct Counted<'a>(&'a AtomicU32);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Region {
    /// The cloud itself, to read what is no instance.
    #[must_use]
    pub fn observe(&self) -> Arc<dyn Observe> {
        self.cloud.clone()
    }

    #[must_use]
    pub fn new(cloud: Arc<dyn Observe>, clock: Arc<dyn Clock>) -> Region {
        let apart = pace::between_questions(cloud.pages_per_second());
        Region {
            account: SharedRead::new(clock.clone()),
            own: Mutex::default(),
            acting: AtomicU32::new(0),
            bases: Mutex::default(),
            permission: SharedRead::new(clock.clone()),
            looking: Questions::new(cloud.clone(), clock.clone(), apart),
            urgent: Questions::new(cloud.clone(), clock.clone(), Duration::ZERO),
            cloud,
            clock,
        }
    }

    #[must_use]
    pub fn cloud(&self) -> &dyn Observe {
        &*self.cloud
    }

    /// How old a view of the account may be where everything is well; `None` before the first one.
    #[must_use]
    pub fn view_may_be(&self) -> Option<Duration> {
        let newest = self.account.newest()?;
        Some(pace::oldest(newest.pages, self.cloud.pages_per_second()))
    }

    /// The fleet's part of the account's listing, to look at. One that was asked for before `wanted`
    /// is good enough while a newer one is not due yet or, in a large account, still being read.
    pub async fn view(&self, fleet: &FleetId, wanted: Timestamp) -> Result<FleetListing, Error> {
        let part = |dated: Dated<AccountListing>| {
            FleetListing::part_of(dated.value, dated.asked_at, fleet)
        };
        let begin = |pages| self.begin_account(Urgency::Look, pages);
        let Some(newest) = self.account.newest() else {
            return self.account.next(&begin).await.map(part);
        };
        let rate = self.cloud.pages_per_second();
        let age = clock::age(self.clock.now(), newest.asked_at);
        if newest.asked_at >= wanted || age < pace::between_listings(newest.pages, rate) {
            return Ok(part(newest));
        }
        let goes_on = !pace::is_waited_for(newest.pages, rate) && self.account.begin_aside(&begin);
        if !goes_on {
            return self.account.next(&begin).await.map(part);
        }
        // Twice as old as it may be: the cause is no passing one, and is to be said.
        match self.account.failure() {
            Some(error) if age > 2 * pace::oldest(newest.pages, rate) => Err(error),
            _ => Ok(part(newest)),
        }
    }

    /// The account's listing, asked for at `since` or later.
    pub async fn account(&self, since: Timestamp) -> Result<Arc<AccountListing>, Error> {
        let begin = |pages| self.begin_account(Urgency::Act, pages);
        Ok(self.account.since(since, &begin).await?.value)
    }

    /// The fleet's instances, asked for at `since` or later: to act on.
    pub async fn fleet(&self, fleet: &FleetId, since: Timestamp) -> Result<FleetListing, Error> {
        let part = |dated: Dated<AccountListing>| {
            FleetListing::part_of(dated.value, dated.asked_at, fleet)
        };
        let newest = self.account.newest();
        if let Some(newest) = newest.clone().filter(|newest| newest.asked_at >= since) {
            return Ok(part(newest));
        }
        let others = self.acting.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(&self.acting);
        let own = self.own_read(fleet);
        let account_is_cheaper = newest.as_ref().is_some_and(|newest| {
            newest.pages <= others || newest.value.of_fleet(fleet).len() >= FILTERED_MOST
        });
        if account_is_cheaper && own.newest().is_none_or(|own| own.asked_at < since) {
            let begin = |pages| self.begin_account(Urgency::Act, pages);
            return self.account.since(since, &begin).await.map(part);
        }
        let begin = |pages| self.begin_own(fleet, pages);
        let found = own.since(since, &begin).await?;
        let whole = newest.filter(|newest| newest.value.total() as usize >= found.value.len());
        let sizes = match whole {
            Some(newest) => newest.value.sizes.clone(),
            None => Arc::new(Sizes::of(&found.value)),
        };
        Ok(FleetListing::own(found.asked_at, found.value, sizes))
    }

    /// Asks whether listing is permitted: an account without the permission gets an empty list, not an
    /// error. Fleets that ask in the same seconds share one answer.
    pub(crate) async fn may_list(&self) -> Result<(), Error> {
        let cloud = self.cloud.clone();
        let begin = move |_| {
            let cloud = cloud.clone();
            async move { cloud.probe_list().await }.boxed()
        };
        self.permission.since(clock::before(self.clock.now(), FRESH), &begin).await.map(drop)
    }

    /// Those of `ids` that exist, asked together with what others ask.
    pub(super) async fn by_ids(
        &self,
        ids: &[InstanceId],
        urgency: Urgency,
    ) -> Result<Vec<Instance>, Error> {
        match urgency {
            Urgency::Act => self.urgent.ask(ids).await,
            Urgency::Look => self.looking.ask(ids).await,
        }
    }

    /// The operator's own instances of `fleet`, each once, asked for at `since` or later.
    pub(crate) async fn base(
        &self,
        fleet: &Fleet,
        since: Timestamp,
    ) -> Result<Arc<Vec<Instance>>, Error> {
        let Some(base) = &fleet.base else { return Ok(Arc::default()) };
        let read = {
            let mut bases = self.bases.lock().expect("no holder of this lock can panic");
            let read = bases.entry(format!("{:?} {:?}", base.tags, base.ids));
            read.or_insert_with(|| Arc::new(SharedRead::new(self.clock.clone()))).clone()
        };
        let begin = |pages| read_base(self.cloud.clone(), base.clone(), pages).boxed();
        Ok(read.since(since, &begin).await?.value)
    }

    fn begin_account(
        &self,
        urgency: Urgency,
        pages: Arc<Pages>,
    ) -> BoxFuture<'static, Result<AccountListing, Error>> {
        let cloud = self.cloud.clone();
        let read = async move {
            let ours = TagFilter::of_any((tags::SOURCE, tags::SOURCE_AUTO), tags::FLEET);
            Ok(AccountListing::of(cloud.listing(&ours, urgency, &pages).await?))
        };
        read.boxed()
    }

    fn begin_own(
        &self,
        fleet: &FleetId,
        pages: Arc<Pages>,
    ) -> BoxFuture<'static, Result<Vec<Instance>, Error>> {
        let (cloud, fleet) = (self.cloud.clone(), fleet.clone());
        let read = async move {
            let own =
                TagFilter::of((tags::SOURCE, tags::SOURCE_AUTO), (tags::FLEET, &fleet.0), &[]);
            cloud.listing(&own, Urgency::Act, &pages).await
        };
        read.boxed()
    }

    fn own_read(&self, fleet: &FleetId) -> Arc<SharedRead<Vec<Instance>>> {
        let mut own = self.own();
        own.tidy(self.clock.now());
        let read = own.reads.entry(fleet.clone());
        read.or_insert_with(|| Arc::new(SharedRead::new(self.clock.clone()))).clone()
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().expect("no holder of this lock can panic")
    }
}

impl Own {
    /// Drops what is old: ten thousand fleets that acted once must not be held twice for ever.
    fn tidy(&mut self, now: Timestamp) {
        if self.tidied.is_some_and(|at| at <= now && clock::age(now, at) < OWN_KEPT) {
            return;
        }
        self.tidied = Some(now);
        self.reads.retain(|_, read| {
            let is_new = |at: Timestamp| clock::age(now, at) < OWN_KEPT;
            // A read that somebody waits for is held by them, too.
            Arc::strong_count(read) > 1
                || read.newest().is_some_and(|newest| is_new(newest.asked_at))
        });
    }
}

async fn read_base(
    cloud: Arc<dyn Observe>,
    base: Base,
    pages: Arc<Pages>,
) -> Result<Vec<Instance>, Error> {
    let mut found = BTreeMap::new();
    let tags: Vec<(&str, &str)> =
        base.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if let [first, second, more @ ..] = tags.as_slice() {
        let filter = TagFilter::of(*first, *second, more);
        for instance in cloud.listing(&filter, Urgency::Act, &pages).await? {
            found.insert(instance.id.clone(), instance);
        }
    }
    let ids: Vec<InstanceId> = base.ids.iter().cloned().collect();
    for instance in cloud.instances_by_ids(&ids).await? {
        found.insert(instance.id.clone(), instance);
    }
    Ok(found.into_values().collect())
}
