//! The complete list of actions that take a fleet toward its decision. Execution chooses nothing.

use std::fmt;

use cloud::{BackendChange, InstanceId, Mutation, Timestamp};
use serde::{Deserialize, Serialize};

use super::{HookCall, IntentId, Phase};

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
            Mutation::Route { group, ids, change } => match change {
                BackendChange::Attach { weight } => {
                    write!(f, "attach {} to {group} with weight {weight}", list(ids))
                }
                BackendChange::Weigh { weight: 0 } => {
                    write!(f, "send no new connections of {group} to {}", list(ids))
                }
                BackendChange::Weigh { weight } => {
                    write!(f, "send connections of {group} to {} again, weight {weight}", list(ids))
                }
                BackendChange::Detach => write!(f, "detach {} from {group}", list(ids)),
            },
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
    /// Instances that leave service now and are ended once their drain is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drains: Vec<InstanceId>,
    /// Instances whose drain is given up, since they are needed again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<InstanceId>,
    /// Instances that are kept out of service from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained: Vec<InstanceId>,
    /// Hooks to be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookCall>,
}

impl Plan {
    /// Whether it changes anything that the fleet's size is made of: by a call, or by the word of the
    /// journal.
    #[must_use]
    pub fn changes_the_fleet(&self) -> bool {
        !(self.actions.is_empty()
            && self.drains.is_empty()
            && self.returns.is_empty()
            && self.retained.is_empty())
    }

    /// The phases that instances have from now on because it was decided, not because it was seen.
    pub fn phases(&self) -> impl Iterator<Item = (&InstanceId, Phase)> {
        let Plan { drains, returns, retained, .. } = self;
        let moves =
            [(drains, Phase::Draining), (returns, Phase::InService), (retained, Phase::Standby)];
        moves.into_iter().flat_map(|(ids, phase)| ids.iter().map(move |id| (id, phase)))
    }

    /// One line for each of them, for people.
    #[must_use]
    pub fn moves(&self) -> Vec<String> {
        let list =
            |ids: &[InstanceId]| ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ");
        let moves = [
            ("drain", &self.drains),
            ("return to service", &self.returns),
            ("keep out of service", &self.retained),
        ];
        let moves = moves.into_iter().filter(|(_, ids)| !ids.is_empty());
        moves.map(|(what, ids)| format!("{what} {}", list(ids))).collect()
    }
}
