//! The events that the journal records of a fleet. Folded in order, they are its
//! [`History`](super::History).

use std::collections::BTreeMap;

use cloud::{Class, Concerns, InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Action, Alert, AlertKey, Decision, DecisionId, HookName, HookOutcome, HookPoint, IntentId,
    MemoryChanges, Phase, Plan, ReplicaId, Sample, ShadowTick, SignalName, Takeover,
};

/// One entry of a fleet's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A tick saw and wanted this.
    Ticked(Box<Ticked>),
    /// A decision worth keeping: its whole text. What it was made from is kept beside it.
    Decided(Box<Decided>),
    /// An action is about to be sent: written before its first byte leaves.
    Intended(Box<Intent>),
    /// A launch of unknown outcome is about to be sent again, with the same token.
    Resent { at: Timestamp, intent: IntentId },
    /// The outcome of an intent.
    Settled { at: Timestamp, intent: IntentId, settlement: Settlement },
    /// The fleet took instances over.
    Adopted { at: Timestamp, takeover: Takeover },
    /// The host's clock was set while the process ran: by so much, forward if positive. What was
    /// recorded before is as old as it was.
    Stepped { at: Timestamp, millis: i64 },
    /// A replica took the fleet over.
    Leased { at: Timestamp, replica: ReplicaId, fence: i64 },
    /// A hook is about to be called: written before its first byte leaves.
    HookCalled { at: Timestamp, call: HookCall },
    /// The outcome of a hook.
    HookEnded { at: Timestamp, end: HookEnd },
    /// Something that a person should know began.
    Alerted { at: Timestamp, alert: Alert },
    /// And ended.
    Cleared { at: Timestamp, key: AlertKey },
    /// The shadow rules began to want another size than the live ones, or ceased to.
    Shadowed {
        at: Timestamp,
        differs: bool,
        live: u32,
        shadow: u32,
        /// What the shadow rules go by.
        why: String,
        /// A version that does not know of it may leave it out.
        ignorable: bool,
    },
}

/// The part of a tick that the history keeps; small, since there is one per fleet and interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticked {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<SignalName, Sample>,
    /// Signals that could not be read, each with the name of its gap.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gaps: BTreeMap<SignalName, String>,
    /// Instances whose phase changed, with the new phase.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<InstanceId, Phase>,
    /// Instances that began (`false`) or ceased (`true`) to be silent, by the fleet's `up` query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub up: BTreeMap<InstanceId, bool>,
    /// Instances that are to be replaced from now on (`true`), or no more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outgoing: BTreeMap<InstanceId, bool>,
    /// No listing of the fleet has been believed yet: whatever the first one shows is the fleet's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub before_first_listing: bool,
    pub current: u32,
    pub in_service: u32,
    pub recommended: u32,
    pub desired: u32,
    /// The new memory of rules that changed theirs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memory: MemoryChanges,
    /// What the shadow rules came to, while there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowTick>,
}

/// One call of a hook. It may be made more than once: after a crash nobody knows whether it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    /// The same for every attempt: whoever is called can tell a second one from a new call.
    pub id: IntentId,
    pub instance: InstanceId,
    pub hook: HookName,
    pub on: HookPoint,
}

/// What became of a call of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookEnd {
    pub id: IntentId,
    pub instance: InstanceId,
    pub hook: HookName,
    pub on: HookPoint,
    /// What follows from it.
    pub outcome: HookOutcome,
    /// Why it failed; `None`: it was done.
    pub failure: Option<String>,
}

/// A decision with its explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    pub id: DecisionId,
    pub at: Timestamp,
    pub decision: Decision,
    pub plan: Plan,
}

/// An action that may be on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub at: Timestamp,
    pub action: Action,
}

/// The outcome of an intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Settlement {
    /// Launched; the provider accepted these ids.
    Launched { ids: Vec<InstanceId> },
    /// Each instance of the batch, with the reason where it failed.
    Done { done: Vec<InstanceId>, failed: BTreeMap<InstanceId, Refusal> },
    /// It did not happen.
    Failed {
        class: Class,
        message: String,
        /// The provider's code and what it is about, where it gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<About>,
    },
    /// Nobody knows yet: the intent stays open, and the next tick looks.
    Open {
        message: String,
        /// Whether the same request may be sent again: not after the provider said that its token
        /// was used for something else.
        #[serde(default = "yes")]
        repeat: bool,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn yes() -> bool {
    true
}

/// The subject of a refused launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The provider's code.
    pub code: String,
    pub concerns: Concerns,
}

/// Why one instance of a batch was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub class: Class,
    pub message: String,
}

impl Event {
    /// One word, to select records by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Ticked(_) => "tick",
            Event::Decided(_) => "decision",
            Event::Intended(_) => "intent",
            Event::Resent { .. } => "resent",
            Event::Settled { .. } => "settlement",
            Event::Adopted { .. } => "adoption",
            Event::Stepped { .. } => "clock",
            Event::HookCalled { .. } | Event::HookEnded { .. } => "hook",
            Event::Leased { .. } => "lease",
            Event::Alerted { .. } | Event::Cleared { .. } => "alert",
            Event::Shadowed { .. } => "shadow",
        }
    }

    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Event::Ticked(ticked) => ticked.at,
            Event::Decided(decided) => decided.at,
            Event::Intended(intent) => intent.at,
            Event::Resent { at, .. }
            | Event::Settled { at, .. }
            | Event::Adopted { at, .. }
            | Event::Stepped { at, .. }
            | Event::HookCalled { at, .. }
            | Event::HookEnded { at, .. }
            | Event::Leased { at, .. }
            | Event::Alerted { at, .. }
            | Event::Cleared { at, .. }
            | Event::Shadowed { at, .. } => *at,
        }
    }
}

impl Settlement {
    /// It did not happen, and no code of the provider says what it is about.
    #[must_use]
    pub fn failed(class: Class, message: impl Into<String>) -> Settlement {
        Settlement::Failed { class, message: message.into(), about: None }
    }

    /// The subject of a failed launch; `None` when it did not fail.
    #[must_use]
    pub fn concerns(&self) -> Option<Concerns> {
        match self {
            Settlement::Failed { about: Some(about), .. } => Some(about.concerns),
            Settlement::Failed { class, about: None, .. } => Some(Concerns::of_class(*class)),
            _ => None,
        }
    }

    /// Instances that it launched.
    #[must_use]
    pub fn launched(&self) -> u32 {
        match self {
            Settlement::Launched { ids } => u32::try_from(ids.len()).unwrap_or(u32::MAX),
            _ => 0,
        }
    }
}
