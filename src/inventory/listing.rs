//! One listing of an account's managed instances, shared by all its fleets.
//!
//! Whoever needs a newer listing first reads it; the others wait for the same one, but not for long:
//! a read that hangs must not hold up every fleet. So the number of reads depends on how often a
//! listing must be new, not on how many fleets there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Error, Instance, InstanceId, Observe, TagFilter, Timestamp, clock};
use tokio::sync::Mutex;

use crate::model::{Base, Fleet, FleetId, History, tags};

/// How old a listing may be that is acted on: fleets that act in the same seconds share one.
pub(crate) const FRESH: Duration = Duration::from_secs(5);
/// How old a listing may become of a fleet in which nothing changes: what happens to a serving
/// instance without our doing is seen within this.
const STEADY_LONGEST: Duration = Duration::from_secs(60);

/// Who waits for somebody else's read reads by itself after this: a page takes well under a second.
const SHARED_WAIT: Duration = Duration::from_secs(3);

/// The managed instances of an account at one moment, by fleet.
#[derive(Debug, Default)]
pub struct Listing {
    /// Grows with each reading.
    pub number: u64,
    /// Just before the cloud was asked: what happened later may be missing.
    pub asked_at: Timestamp,
    by_fleet: BTreeMap<String, Vec<Instance>>,
    /// How many instances there are in all.
    pub total: u32,
}

impl Listing {
    /// The instances that carry the tag of `fleet`.
    #[must_use]
    pub fn of(&self, fleet: &FleetId) -> &[Instance] {
        self.by_fleet.get(&fleet.0).map_or(&[], Vec::as_slice)
    }

    /// Every fleet that some instance belongs to, with its instances.
    pub fn fleets(&self) -> impl Iterator<Item = (&str, &[Instance])> {
        self.by_fleet.iter().map(|(fleet, instances)| (fleet.as_str(), instances.as_slice()))
    }
}

/// One account and region, as all its fleets read it.
#[derive(Debug)]
pub struct Region {
    cloud: Arc<dyn Observe>,
    clock: Arc<dyn Clock>,
    newest: std::sync::Mutex<Option<Arc<Listing>>>,
    /// Held by who reads.
    reading: Mutex<()>,
    /// Base instances, by what selects them.
    bases: std::sync::Mutex<BTreeMap<String, Bases>>,
}

/// What one selector of base instances found, and when it was asked.
#[derive(Debug)]
struct Bases {
    asked_at: Timestamp,
    found: Arc<Vec<Instance>>,
}

impl Region {
    #[must_use]
    pub fn new(cloud: Arc<dyn Observe>, clock: Arc<dyn Clock>) -> Region {
        Region {
            cloud,
            clock,
            newest: std::sync::Mutex::default(),
            reading: Mutex::default(),
            bases: std::sync::Mutex::default(),
        }
    }

    #[must_use]
    pub fn cloud(&self) -> &dyn Observe {
        &*self.cloud
    }

    /// A listing that was asked for at `since` or later.
    pub async fn listing(&self, since: Timestamp) -> Result<Arc<Listing>, Error> {
        if let Some(listing) = self.newest(since) {
            return Ok(listing);
        }
        let reading = tokio::select! {
            biased;
            reading = self.reading.lock() => Some(reading),
            () = self.clock.sleep(SHARED_WAIT) => None,
        };
        // Somebody may have read it meanwhile.
        if let Some(listing) = self.newest(since) {
            return Ok(listing);
        }
        let listing = self.read().await;
        drop(reading);
        listing
    }

    /// The newest listing, if it was asked for at `since` or later.
    fn newest(&self, since: Timestamp) -> Option<Arc<Listing>> {
        // A listing from the future means that the clock was set back.
        let now = self.clock.now();
        let newest = self.newest.lock().expect("no holder of this lock can panic");
        newest.as_ref().filter(|listing| (since..=now).contains(&listing.asked_at)).cloned()
    }

    async fn read(&self) -> Result<Arc<Listing>, Error> {
        let ours = TagFilter::of_any((tags::SOURCE, tags::SOURCE_AUTO), tags::FLEET);
        let asked_at = self.clock.now();
        let mut by_fleet: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        for instance in self.cloud.instances_by_tags(&ours).await? {
            if let Some(fleet) = instance.tags.get(tags::FLEET) {
                by_fleet.entry(fleet.clone()).or_default().push(instance);
            }
        }
        let mut newest = self.newest.lock().expect("no holder of this lock can panic");
        let number = newest.as_ref().map_or(1, |before| before.number + 1);
        let total = by_fleet.values().map(Vec::len).sum::<usize>();
        let total = u32::try_from(total).unwrap_or(u32::MAX);
        let listing = Arc::new(Listing { number, asked_at, by_fleet, total });
        // A read that hung may end after a newer one.
        if newest.as_ref().is_none_or(|newest| newest.asked_at <= asked_at) {
            *newest = Some(listing.clone());
        }
        Ok(listing)
    }

    /// The operator's own instances of `fleet`, each once, asked for at `since` or later.
    pub(crate) async fn base(
        &self,
        fleet: &Fleet,
        since: Timestamp,
    ) -> Result<Arc<Vec<Instance>>, Error> {
        let Some(base) = &fleet.base else { return Ok(Arc::default()) };
        let key = format!("{:?} {:?}", base.tags, base.ids);
        let now = self.clock.now();
        let held = {
            let bases = self.bases.lock().expect("no holder of this lock can panic");
            let new = |held: &&Bases| (since..=now).contains(&held.asked_at);
            bases.get(&key).filter(new).map(|held| held.found.clone())
        };
        if let Some(found) = held {
            return Ok(found);
        }
        let found = Arc::new(self.read_base(base).await?);
        let mut bases = self.bases.lock().expect("no holder of this lock can panic");
        bases.insert(key, Bases { asked_at: now, found: found.clone() });
        Ok(found)
    }

    async fn read_base(&self, base: &Base) -> Result<Vec<Instance>, Error> {
        let mut found = BTreeMap::new();
        let tags: Vec<(&str, &str)> =
            base.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if let [first, second, more @ ..] = tags.as_slice() {
            let filter = TagFilter::of(*first, *second, more);
            for instance in self.cloud.instances_by_tags(&filter).await? {
                found.insert(instance.id.clone(), instance);
            }
        }
        let ids: Vec<InstanceId> = base.ids.iter().cloned().collect();
        for instance in self.cloud.instances_by_ids(&ids).await? {
            found.insert(instance.id.clone(), instance);
        }
        Ok(found.into_values().collect())
    }
}

/// How old a listing may be for a look at a fleet with this history: a quarter of the time for
/// which nothing has changed, up to a minute. To act, a new one is read.
#[must_use]
pub fn patience(history: &History, now: Timestamp) -> Duration {
    let quiet = history.last_change.map_or(Duration::ZERO, |at| clock::age(now, at));
    (quiet / 4).min(STEADY_LONGEST)
}
