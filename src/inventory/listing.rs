//! Listings: all managed instances of an account, or those of one fleet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Instance, Timestamp, clock};

use crate::model::{FleetId, History, Owner, tags};

/// How old a listing may be that is acted on: fleets that act in the same seconds share one.
pub(crate) const FRESH: Duration = Duration::from_secs(5);
/// How old a listing may become of a fleet in which nothing changes: what happens to a serving
/// instance without our doing is seen within this, where the account's size allows it.
const STEADY_LONGEST: Duration = Duration::from_secs(60);

/// The managed instances of an account, by fleet.
#[derive(Debug, Default)]
pub struct AccountListing {
    by_fleet: BTreeMap<String, Vec<Instance>>,
    pub(super) sizes: Arc<Sizes>,
}

/// How many instances an account has.
#[derive(Debug, Default)]
pub struct Sizes {
    pub total: u32,
    /// Of each installation that a tag names.
    by_owner: BTreeMap<String, u32>,
}

impl Sizes {
    /// Counts `instances`, those with the tag of a fleet.
    pub(super) fn of(instances: &[Instance]) -> Sizes {
        let mut sizes = Sizes::default();
        for instance in instances.iter().filter(|i| i.tags.contains_key(tags::FLEET)) {
            sizes.total = sizes.total.saturating_add(1);
            if let Some(owner) = instance.tags.get(tags::OWNER) {
                *sizes.by_owner.entry(owner.clone()).or_default() += 1;
            }
        }
        sizes
    }

    /// How many belong to `owner`: anybody can add to those that belong to nobody.
    #[must_use]
    pub fn owned(&self, owner: &Owner) -> u32 {
        if owner.name.is_none() {
            return self.total;
        }
        let ours = self.by_owner.iter().filter(|(name, _)| owner.is(name));
        ours.map(|(_, count)| *count).sum()
    }
}

impl AccountListing {
    /// Divides `instances` by the fleet that their tag names.
    pub(super) fn of(instances: Vec<Instance>) -> AccountListing {
        let mut by_fleet: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        let sizes = Arc::new(Sizes::of(&instances));
        for instance in instances {
            if let Some(fleet) = instance.tags.get(tags::FLEET) {
                by_fleet.entry(fleet.clone()).or_default().push(instance);
            }
        }
        AccountListing { by_fleet, sizes }
    }

    /// How many instances there are in all.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.sizes.total
    }

    /// The instances that carry the tag of `fleet`.
    #[must_use]
    pub fn of_fleet(&self, fleet: &FleetId) -> &[Instance] {
        self.by_fleet.get(&fleet.0).map_or(&[], Vec::as_slice)
    }

    /// Every fleet that some instance belongs to, with its instances.
    pub fn fleets(&self) -> impl Iterator<Item = (&str, &[Instance])> {
        self.by_fleet.iter().map(|(fleet, instances)| (fleet.as_str(), instances.as_slice()))
    }
}

/// The managed instances of one fleet.
#[derive(Debug, Clone)]
pub struct FleetListing {
    /// Just before the cloud was asked: what happened later may be missing.
    pub asked_at: Timestamp,
    /// Of the whole account, by its newest listing.
    pub account: Arc<Sizes>,
    found: ListingSource,
}

/// The origin of a fleet's listing.
#[derive(Debug, Clone)]
enum ListingSource {
    /// A read of this fleet alone.
    Own(Arc<Vec<Instance>>),
    Account(Arc<AccountListing>, FleetId),
}

impl FleetListing {
    /// The listing of a read of this fleet alone.
    pub(super) fn own(
        asked_at: Timestamp,
        instances: Arc<Vec<Instance>>,
        account: Arc<Sizes>,
    ) -> FleetListing {
        FleetListing { asked_at, account, found: ListingSource::Own(instances) }
    }

    /// The part of `fleet` in an account's listing.
    pub(super) fn part_of(
        account: Arc<AccountListing>,
        asked_at: Timestamp,
        fleet: &FleetId,
    ) -> FleetListing {
        let sizes = account.sizes.clone();
        FleetListing {
            asked_at,
            account: sizes,
            found: ListingSource::Account(account, fleet.clone()),
        }
    }

    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        match &self.found {
            ListingSource::Own(instances) => instances,
            ListingSource::Account(account, fleet) => account.of_fleet(fleet),
        }
    }
}

/// How old a listing may be for a look at a fleet with this history: a quarter of the time for
/// which nothing has changed, up to a minute. To act, a new one is read.
#[must_use]
pub fn patience(history: &History, now: Timestamp) -> Duration {
    let quiet = history.last_change.map_or(Duration::ZERO, |at| clock::age(now, at));
    (quiet / 4).min(STEADY_LONGEST)
}
