//! The complete list of actions that take a fleet toward its decision. Execution chooses nothing.

use std::fmt;

use cloud::{Mutation, Timestamp};
use serde::{Deserialize, Serialize};

use super::IntentId;

/// Where instances are launched: one type in one vSwitch (a vSwitch lies in one zone).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub instance_type: String,
    pub vswitch: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.instance_type, self.vswitch)
    }
}

/// One mutation and the intent under which it will be recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub intent: IntentId,
    pub mutation: Mutation,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ids: &[cloud::InstanceId]| {
            ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ")
        };
        match &self.mutation {
            Mutation::Launch(launch) => write!(
                f,
                "launch {} × {} in {}",
                launch.amount, launch.instance_type, launch.vswitch,
            ),
            Mutation::Tag { ids, .. } => write!(f, "repair the tags of {}", list(ids)),
            Mutation::Start { ids } => write!(f, "start {}", list(ids)),
            Mutation::Stop { ids } => write!(f, "stop {}", list(ids)),
            Mutation::Delete { ids, .. } => write!(f, "delete {}", list(ids)),
        }
    }
}

/// A candidate that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub place: Place,
    /// When it will be tried again.
    pub until: Timestamp,
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} skipped until {}: {}", self.place, self.until.format("%H:%M:%SZ"), self.why)
    }
}

/// The actions to take, in this order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub actions: Vec<Action>,
    pub skipped: Vec<Skipped>,
    /// The part that the plan could not do, and why: "3 to remove, 1 eligible".
    pub shortfalls: Vec<String>,
    /// Some launches only see whether there is stock again: once they have, more may follow at once.
    #[serde(default)]
    pub more_at_once: bool,
}
