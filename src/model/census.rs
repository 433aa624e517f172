//! A fleet in numbers: what the policy knows of its instances.
//!
//! Counted once from the inventory and the history. Which instance is which, and what its tags
//! say, is the business of the plan: a policy that could see it could not be backtested.

use std::collections::BTreeMap;

use cloud::{Mutation, Timestamp};
use serde::{Deserialize, Serialize};

use super::{History, Inventory, Phase, Tracked, tags};

/// The counts of one fleet at one moment, in instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Serve or soon will, those in doubt included: the size that a decision starts from.
    pub capacity: u32,
    /// Carry load.
    pub in_service: u32,
    /// Exist or may exist: what `max` bounds.
    pub live: u32,
    /// Of launches whose outcome is not known.
    pub in_doubt: u32,
    /// Of ends whose outcome is not known.
    pub ends_open: u32,
    /// Serve by their phase, but in a zone that is lost.
    pub unreachable: u32,
    /// Never came into service, or broke.
    pub failed: u32,
    /// On their way out, those that are drained included.
    pub leaving: u32,
    /// Out of service and not ended yet: they can come back.
    #[serde(default)]
    pub draining: u32,
    /// Launched by us, and yet to serve for the first time.
    pub unproven: u32,
    /// Zones whose instances are all silent, with how many instances each holds.
    pub lost_zones: BTreeMap<String, u32>,
    /// Why the counts are not to be trusted, if so: the first reason.
    pub doubt: Option<String>,
    /// Managed instances of the whole account, this fleet's included.
    pub account_size: u32,
    /// The newest launch that the instances' tags tell of, never later than the moment counted at.
    pub last_launch: Option<Timestamp>,
}

impl Census {
    /// The size without what may not exist: limits on removals are shares of it.
    #[must_use]
    pub fn certain(&self) -> u32 {
        self.capacity.saturating_sub(self.in_doubt)
    }

    /// Counts what `inventory` and `history` hold at `now`.
    #[must_use]
    pub fn of(inventory: &Inventory, history: &History, now: Timestamp) -> Census {
        let zone_size = |zone: &String| {
            number(inventory.members.iter().filter(|member| member.instance.zone == *zone).count())
        };
        Census {
            capacity: inventory.capacity(),
            in_service: inventory.in_service(),
            live: inventory.live(),
            in_doubt: inventory.in_doubt,
            ends_open: ends_open(history),
            unreachable: inventory.unreachable(),
            failed: inventory.count(|phase| phase == Phase::Failed),
            leaving: inventory.count(Phase::is_leaving),
            draining: inventory.count(|phase| phase == Phase::Draining),
            unproven: number(history.instances.values().filter(|t| is_unproven(t)).count())
                .saturating_add(history.launches_in_doubt()),
            lost_zones: inventory
                .lost_zones
                .iter()
                .map(|zone| (zone.clone(), zone_size(zone)))
                .collect(),
            doubt: inventory.doubts.first().cloned(),
            account_size: inventory.account_size,
            last_launch: last_launch(inventory, history, now),
        }
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn ends_open(history: &History) -> u32 {
    let ends = history.open.values().filter_map(|open| match &open.intent.action.mutation {
        Mutation::Stop { ids } | Mutation::Delete { ids, .. } => Some(ids.len()),
        _ => None,
    });
    number(ends.sum::<usize>())
}

fn is_unproven(tracked: &Tracked) -> bool {
    tracked.launched_by.is_some() && !tracked.served && tracked.phase.is_capacity()
}

/// The newest launch of which only a tag tells: what the journal knows of launches counts already.
///
/// A time to come counts from when it was first seen. Whoever wrote it, it must not hold the fleet for
/// longer than one cool-down.
fn last_launch(inventory: &Inventory, history: &History, now: Timestamp) -> Option<Timestamp> {
    let tagged = inventory.members.iter().filter_map(|member| {
        let text = member.instance.tags.get(tags::TIMESTAMP)?;
        let at = text.parse::<Timestamp>().ok()?;
        let tracked = history.instances.get(&member.instance.id);
        if tracked.is_some_and(|tracked| tracked.launched_at.is_some()) {
            return None;
        }
        let first_seen = tracked.map_or(now, |t| t.adopted_at.unwrap_or(t.since));
        Some(at.min(first_seen).min(now))
    });
    tagged.max()
}
