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
    /// Fleets whose last listing had lost instances.
    suspects: Mutex<BTreeMap<FleetId, Suspect>>,
}

/// Instances that are missing although nobody ended them.
#[derive(Debug, Default)]
struct Suspect {
    /// In how many looks in a row each was missing.
    missing: BTreeMap<InstanceId, u32>,
    /// The listing of the last look: to read the same one again is no second look.
    listing: u64,
}

/// What is made of a loss.
enum Verdict {
    /// It is as it looks.
    Believed,
    /// These may still be there.
    NotYet(Vec<InstanceId>),
    /// Nothing is done on that.
    Doubted(String),
}

/// How many looks in a row, each at a new listing, must miss an instance before it is gone: one
/// answer that left it out must not buy another one.
const LOOKS: u32 = 2;
/// How many of them, each with a permission probe, where more than half of the fleet is missing. The
/// looks are an interval apart, so three are half a minute at the default of 15 s.
const LOOKS_AT_MANY: u32 = 3;

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
        match self.verdict(region.cloud(), fleet, history, &survey, listing).await {
            Verdict::Believed => {}
            Verdict::NotYet(ids) => merge::keep(&mut survey, &ids, history),
            Verdict::Doubted(why) => {
                survey.inventory.doubts.push(why);
                // What is doubted must not become history.
                survey.news = News::default();
            }
        }
        Ok(survey)
    }

    /// Whether instances were missing in the fleet's last listing: then only a new one will do.
    #[must_use]
    pub fn is_suspect(&self, fleet: &FleetId) -> bool {
        self.suspects().contains_key(fleet)
    }

    /// Whether the loss of instances that nobody ended is believed (yet).
    async fn verdict(
        &self,
        cloud: &dyn Observe,
        fleet: &Fleet,
        history: &History,
        survey: &Survey,
        listing: &Listing,
    ) -> Verdict {
        let loss = merge::loss(history, survey);
        if loss.lost.is_empty() {
            self.suspects().remove(&fleet.id);
            return Verdict::Believed;
        }
        let missing = format!("{} of {} instances are missing", loss.lost.len(), loss.of);
        if loss.is_most()
            && let Err(error) = cloud.probe_list().await
        {
            return Verdict::Doubted(format!("{missing} and the permission probe failed: {error}"));
        }
        let mut suspects = self.suspects();
        let suspect = suspects.entry(fleet.id.clone()).or_default();
        suspect.look(&loss.lost, listing.number);
        let looks = |id: &InstanceId| suspect.missing.get(id).copied().unwrap_or(0);
        if loss.is_most() {
            let agreed = loss.lost.iter().map(looks).min().unwrap_or(0);
            if agreed < LOOKS_AT_MANY {
                let look = format!("look {agreed} of {LOOKS_AT_MANY} that must agree");
                return Verdict::Doubted(format!("{missing} at once; {look}"));
            }
        }
        let not_yet: Vec<InstanceId> =
            loss.lost.iter().filter(|id| looks(id) < LOOKS).cloned().collect();
        if not_yet.is_empty() {
            suspects.remove(&fleet.id);
            return Verdict::Believed;
        }
        Verdict::NotYet(not_yet)
    }

    fn suspects(&self) -> std::sync::MutexGuard<'_, BTreeMap<FleetId, Suspect>> {
        self.suspects.lock().expect("no holder of this lock can panic")
    }
}

impl Suspect {
    /// These are missing in that listing.
    fn look(&mut self, missing: &[InstanceId], listing: u64) {
        let is_new = self.missing.is_empty() || self.listing != listing;
        self.listing = listing;
        let before = std::mem::take(&mut self.missing);
        let count = |id: &InstanceId| {
            let before = before.get(id).copied().unwrap_or(0);
            (id.clone(), if is_new { before + 1 } else { before.max(1) })
        };
        self.missing = missing.iter().map(count).collect();
    }
}
