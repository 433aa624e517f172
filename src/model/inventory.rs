//! The inventory: the cloud's instances of one fleet, counted one way for all stages.

use std::collections::BTreeSet;

use cloud::{Instance, InstanceId, Tags, Timestamp};
use serde::{Deserialize, Serialize};

use super::{GroupsSeen, Phase, Stranger, tags};

/// The owner of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// The fleet launched it or took it over, and it carries our tags.
    Managed,
    /// The operator's: counted, never changed.
    Base,
}

/// One listed instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub instance: Instance,
    pub ownership: Ownership,
    pub phase: Phase,
    /// Tags that our launch set and that a listing does not show: to be repaired.
    pub missing_tags: Tags,
    /// Whether the fleet's `up` query names it; `None` when there is no query, or no answer.
    #[serde(default)]
    pub up: Option<bool>,
    /// Whether its health checks agree that it can serve; `None` when it has none, or no verdict yet.
    #[serde(default)]
    pub health: Option<bool>,
    /// The work that it has, by the fleet's `busy` query.
    #[serde(default)]
    pub busy: Option<f64>,
    /// Whether a load balancer sends it new connections; `None`: the fleet has none, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<bool>,
    /// It would be in service if the fleet's load balancers sent it traffic.
    #[serde(default)]
    pub is_fit: bool,
    /// It is to be replaced: it serves, and does not count towards the size any more.
    #[serde(default)]
    pub outgoing: bool,
    /// A person keeps it from its end.
    #[serde(default)]
    pub kept: bool,
}

impl Member {
    /// Whether it is never ended: by its tag, by the provider's protection, or by a person's word.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.kept || tags::protect(&self.instance)
    }
}

/// One instance that we know of and no listing shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlisted {
    pub id: InstanceId,
    pub phase: Phase,
}

/// One fleet's instances at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    pub at: Timestamp,
    /// By id.
    pub members: Vec<Member>,
    /// By id.
    pub unlisted: Vec<Unlisted>,
    /// Instances of launches whose outcome is not known yet: they may exist.
    pub in_doubt: u32,
    /// Why this inventory is not to be trusted; empty when it is. With a doubt nothing is done.
    pub doubts: Vec<String>,
    /// Zones whose instances are all silent while others are heard of: what is there counts as
    /// existing, but not as capacity.
    #[serde(default)]
    pub lost_zones: BTreeSet<String>,
    /// When the cloud was asked for the listing under it.
    pub listed_at: Timestamp,
    /// Instances that carry the fleet's tags and are not its own. They count for nothing.
    #[serde(default)]
    pub strangers: Vec<Stranger>,
    /// Managed instances of the whole account, this fleet's included.
    pub account_size: u32,
    /// Its load balancers' groups, in the order of the fleet's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: GroupsSeen,
}

impl Inventory {
    /// How many instances serve or soon will: the size that a decision starts from.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        (self.count(Phase::is_capacity) - self.unreachable() - self.outgoing())
            .saturating_add(self.in_doubt)
    }

    /// The size without what may not exist: what limits on removals are shares of.
    #[must_use]
    pub fn certain(&self) -> u32 {
        self.capacity().saturating_sub(self.in_doubt)
    }

    /// How many instances serve by their phase, but are in a lost zone. What is launched there may
    /// still come up: until then it counts as capacity, or it would be launched again with each tick.
    #[must_use]
    pub fn unreachable(&self) -> u32 {
        let lost =
            |m: &&Member| m.phase == Phase::InService && self.lost_zones.contains(&m.instance.zone);
        u32::try_from(self.members.iter().filter(lost).count()).unwrap_or(u32::MAX)
    }

    /// How many instances would count as capacity if they were not to be replaced.
    #[must_use]
    pub fn outgoing(&self) -> u32 {
        let lost =
            |m: &Member| m.phase == Phase::InService && self.lost_zones.contains(&m.instance.zone);
        let outgoing = |m: &&Member| m.outgoing && m.phase.is_capacity() && !lost(m);
        u32::try_from(self.members.iter().filter(outgoing).count()).unwrap_or(u32::MAX)
    }

    /// How many instances carry load and are not to be replaced.
    #[must_use]
    pub fn staying(&self) -> u32 {
        let serves = |m: &&Member| {
            m.phase == Phase::InService
                && !m.outgoing
                && !self.lost_zones.contains(&m.instance.zone)
        };
        u32::try_from(self.members.iter().filter(serves).count()).unwrap_or(u32::MAX)
    }

    /// How many instances carry load.
    #[must_use]
    pub fn in_service(&self) -> u32 {
        u32::try_from(self.serving().count()).unwrap_or(u32::MAX)
    }

    /// Those that carry load, by id.
    pub fn serving(&self) -> impl Iterator<Item = &InstanceId> {
        let serves = |m: &&Member| {
            m.phase == Phase::InService && !self.lost_zones.contains(&m.instance.zone)
        };
        self.members.iter().filter(serves).map(|m| &m.instance.id)
    }

    /// How many instances exist or may exist: what `max` bounds.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.count(Phase::is_live).saturating_add(self.in_doubt)
    }

    /// How many instances are in a phase that `matches`.
    #[must_use]
    pub fn count(&self, matches: impl Fn(Phase) -> bool) -> u32 {
        let listed = self.members.iter().filter(|m| matches(m.phase)).count();
        let unlisted = self.unlisted.iter().filter(|u| matches(u.phase)).count();
        u32::try_from(listed + unlisted).unwrap_or(u32::MAX)
    }
}
