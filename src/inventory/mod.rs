//! Surveying the cloud: which instances a fleet has, and whether that answer is to be believed.
//!
//! All fleets of an account share one listing by two of our tags (`listing.rs`). Instances that
//! change, and those that we know of and the listing does not show, are asked for by id, since
//! listings lag and tags get lost. A listing that suddenly lost most of a fleet is not believed at
//! first: an account without permission gets an empty list, not an error.

mod heard;
mod listing;
mod merge;

use std::collections::BTreeMap;
use std::sync::Mutex;

use cloud::{Error, InstanceId, Observe, Timestamp};

use crate::model::{AccountEvent, Fleet, FleetId, History, Inventory, Phase};

pub use heard::Heard;
pub(crate) use listing::FRESH;
pub use listing::{Listing, Region, patience};

/// What a survey found.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    pub inventory: Inventory,
    pub news: News,
}

/// What is not as the records have it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Instances whose phase is another one than the history says, with the new phase.
    pub phases: BTreeMap<InstanceId, Phase>,
    /// Instances that began (`false`) or ceased (`true`) to be silent.
    pub up: BTreeMap<InstanceId, bool>,
    /// What all fleets of the account should know: boot times, capacity that was missing after all.
    pub facts: Vec<AccountEvent>,
}

/// What surveys must remember from one tick to the next.
#[derive(Debug, Default)]
pub struct Surveyor {
    /// Fleets whose last listing had lost most of its instances, and how often in a row.
    suspects: Mutex<BTreeMap<FleetId, Suspect>>,
}

#[derive(Debug, Clone, Copy)]
struct Suspect {
    looks: u32,
    /// The listing of the last look: to read the same one again is no second look.
    listing: u64,
}

/// How many looks in a row, each at a new listing and with a permission probe, must agree before the
/// loss of more than half of a fleet is believed. The looks are an interval apart, so three are half
/// a minute at the default of 15 s: a listing that lies for a moment must not buy a second fleet.
const LOOKS: u32 = 3;

impl Surveyor {
    /// The instances of `fleet` by `listing`, and by asking for those ids that it does not settle.
    /// Any read that fails fails the survey: a partial listing is no listing.
    pub async fn survey(
        &self,
        region: &Region,
        listing: &Listing,
        fleet: &Fleet,
        history: &History,
        heard: Option<&Heard>,
        now: Timestamp,
    ) -> Result<Survey, Error> {
        let listed = listing.of(&fleet.id);
        let ids = merge::to_be_asked(listed, history, listing.asked_at >= now);
        let by_id = region.cloud().instances_by_ids(&ids).await?;
        let base = region.base(fleet, listing.asked_at).await?;
        let seen = merge::Seen { listed, asked: &ids, by_id: &by_id, base: &base, heard };
        let mut survey = merge::merge(fleet, &seen, history, now);
        survey.inventory.listed_at = listing.asked_at;
        survey.inventory.account_size = listing.total;
        if let Some(doubt) = self.cliff(region.cloud(), fleet, history, &survey, listing).await {
            survey.inventory.doubts.push(doubt);
            // What is doubted must not become history.
            survey.news = News::default();
        }
        Ok(survey)
    }

    /// Whether the fleet's last listing was doubted: then only a new one will do.
    #[must_use]
    pub fn is_suspect(&self, fleet: &FleetId) -> bool {
        self.suspects().contains_key(fleet)
    }

    /// Why the sudden loss of most of the fleet is not believed (yet), if so.
    async fn cliff(
        &self,
        cloud: &dyn Observe,
        fleet: &Fleet,
        history: &History,
        survey: &Survey,
        listing: &Listing,
    ) -> Option<String> {
        let merge::Loss { lost, of } = merge::loss(history, survey);
        if lost == 0 || lost * 2 <= of {
            self.suspects().remove(&fleet.id);
            return None;
        }
        let missing = format!("{lost} of {of} instances are missing");
        if let Err(error) = cloud.probe_list().await {
            return Some(format!("{missing} and the permission probe failed: {error}"));
        }
        let mut suspects = self.suspects();
        let suspect = suspects
            .entry(fleet.id.clone())
            .or_insert(Suspect { looks: 0, listing: listing.number.wrapping_sub(1) });
        if suspect.listing != listing.number {
            suspect.looks += 1;
            suspect.listing = listing.number;
        }
        if suspect.looks >= LOOKS {
            suspects.remove(&fleet.id);
            return None;
        }
        Some(format!("{missing} at once; look {} of {LOOKS} that must agree", suspect.looks))
    }

    fn suspects(&self) -> std::sync::MutexGuard<'_, BTreeMap<FleetId, Suspect>> {
        self.suspects.lock().expect("no holder of this lock can panic")
    }
}
