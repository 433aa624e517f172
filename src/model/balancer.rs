//! Load balancers, as the inventory and the plan need them: which groups a fleet serves in, and who was
//! seen in each.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Backend, BackendGroup, InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

/// A group of backends that a fleet's instances serve in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    pub group: BackendGroup,
    /// The weight with which instances are attached, 1 to 100.
    pub weight: u32,
}

/// A group as it was read last. Backends that are not the fleet's are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSeen {
    /// When it was asked for.
    pub at: Timestamp,
    pub backends: BTreeMap<InstanceId, Backend>,
    /// Nothing is to be changed just now: a change is under way, or its effect is not seen yet.
    #[serde(default)]
    pub is_settling: bool,
    /// Instances that are given no traffic for a while: somebody took it from them lately, or the balancer
    /// refused it.
    #[serde(default, alias = "contested")]
    pub not_given: BTreeSet<InstanceId>,
    /// Instances that no traffic is taken from for a while, since the balancer refused that.
    #[serde(default)]
    pub not_taken: BTreeSet<InstanceId>,
}

/// The groups of a fleet, in the order of its balancers; `None`: one that could not be read lately.
pub type GroupsSeen = Vec<Option<GroupSeen>>;
