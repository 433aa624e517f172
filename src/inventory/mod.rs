//! Surveying the cloud: which instances a fleet has, and whether that answer is to be believed.
//!
//! To look, all fleets of an account share one listing by two of our tags; to act, a fleet reads its
//! own instances (`region.rs`). Instances that change, and those that we know of and the listing does
//! not show, are asked for by id, since listings lag and tags get lost. A listing that suddenly lost
//! most of a fleet is not believed at first (`credence.rs`): an account without permission gets an
//! empty list, not an error.

mod belongs;
mod credence;
mod facts;
mod fitness;
mod listing;
mod merge;
mod pace;
mod questions;
mod region;
mod reporting;
mod routing;
mod shared_read;
mod surge;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cloud::{Error, Instance, InstanceId, Timestamp, Urgency};

use crate::model::{
    AccountEvent, Adoption, Fleet, GroupsSeen, History, HookEnd, Instruction, Inventory, Phase,
    Takeover,
};

pub use credence::Surveyor;
pub(crate) use credence::{LOOKS_APART, LOOKS_AT_MANY};
pub(crate) use listing::FRESH;
pub use listing::{AccountListing, FleetListing, patience};
pub use region::Region;
pub use reporting::{ReportingHosts, Verdicts, WorkByHost};

use credence::Verdict;

/// The result of a survey.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    pub inventory: Inventory,
    pub news: News,
}

/// The differences from the records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Instances whose phase is another one than the history says, with the new phase.
    pub phases: BTreeMap<InstanceId, Phase>,
    /// Instances that began (`false`) or ceased (`true`) to be silent.
    pub up: BTreeMap<InstanceId, bool>,
    /// Instances that are to be replaced from now on (`true`), or no more.
    pub outgoing: BTreeMap<InstanceId, bool>,
    /// Instances that are the fleet's from now on.
    pub takeovers: Vec<Takeover>,
    /// Hooks of which it is known now what became of them.
    pub hooks: Vec<HookEnd>,
    /// News for all fleets of the account: boot times, capacity that was missing after all.
    pub facts: Vec<AccountEvent>,
}

/// One look at a fleet.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub listing: &'a FleetListing,
    /// The source that names the hosts that are up.
    pub reporting: Option<&'a ReportingHosts>,
    /// The newest verdicts of the health checks.
    pub verdicts: Option<&'a Verdicts>,
    /// The source that tells how much work each host has.
    pub busy: Option<&'a WorkByHost>,
    /// The groups of the fleet's load balancers.
    pub groups: &'a GroupsSeen,
    /// People's instructions that concern the fleet.
    pub instructions: &'a [Instruction],
    /// The takeovers that operators asked for.
    pub adoptions: &'a [Adoption],
    /// Whether something is to be done on it.
    pub urgency: Urgency,
    /// A listing that was asked for then or later shows how things are now.
    pub since: Timestamp,
}

impl Surveyor {
    /// The instances of `fleet` by a listing, and by asking for those ids that it does not settle.
    /// Any read that fails fails the survey: a partial listing is no listing.
    pub async fn survey(
        &self,
        region: &Region,
        view: View<'_>,
        fleet: &Fleet,
        history: &History,
        now: Timestamp,
    ) -> Result<Survey, Error> {
        let View { listing, reporting, verdicts, busy, groups, .. } = view;
        let View { instructions, adoptions, urgency, since, .. } = view;
        let mut ids = merge::to_be_asked(listing.instances(), history, listing.asked_at >= since);
        let doubtful = doubtful(listing, history);
        ids.extend(doubtful.iter().cloned());
        let by_id = region.by_ids(&ids, urgency).await?;
        let base = region.base(fleet, listing.asked_at).await?;
        let listed = without_ended(listing.instances(), &doubtful, &by_id);
        let seen = merge::Answers {
            listed: &listed,
            asked: &ids,
            by_id: &by_id,
            base: &base,
            reporting,
            verdicts,
            busy,
            adoptions,
            groups,
            instructions,
        };
        let mut survey = merge::merge(fleet, &seen, history, now);
        survey.inventory.listed_at = listing.asked_at;
        survey.inventory.groups.clone_from(groups);
        survey.inventory.account_size = listing.account.owned(&fleet.owner);
        match self.verdict(region, fleet, history, &survey, listing.asked_at).await {
            Verdict::Believed => self.remember_base(fleet, &survey.inventory),
            Verdict::NotYet(ids) => {
                merge::keep(&mut survey, &ids, history);
                self.keep_base(&mut survey.inventory, fleet, &ids);
            }
            Verdict::Doubted(why) => {
                survey.inventory.doubts.push(why);
                // A doubted inventory must not become history.
                survey.news = News::default();
            }
        }
        Ok(survey)
    }
}

/// Instances that the records do not know, in a listing that is older than the last change: it may show
/// what has ended since.
fn doubtful(listing: &FleetListing, history: &History) -> BTreeSet<InstanceId> {
    if history.last_change.is_none_or(|at| at < listing.asked_at) {
        return BTreeSet::new();
    }
    let unknown = |instance: &&Instance| !history.instances.contains_key(&instance.id);
    listing.instances().iter().filter(unknown).map(|instance| instance.id.clone()).collect()
}

/// The listing without instances that have ended since.
fn without_ended<'a>(
    listed: &'a [Instance],
    doubtful: &BTreeSet<InstanceId>,
    by_id: &[Instance],
) -> Cow<'a, [Instance]> {
    if doubtful.is_empty() {
        return Cow::Borrowed(listed);
    }
    let found: BTreeSet<&InstanceId> = by_id.iter().map(|instance| &instance.id).collect();
    let stays = |i: &&Instance| !doubtful.contains(&i.id) || found.contains(&i.id);
    Cow::Owned(listed.iter().filter(stays).cloned().collect())
}
