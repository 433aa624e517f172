//! What the journal records. Folded in order, the events of a fleet are its [`History`](super::History).

use std::collections::BTreeMap;

use cloud::{Class, InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Action, Decision, Entropy, IntentId, Phase, Plan, Signals};

/// One entry of a fleet's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A tick observed, decided and planned.
    Ticked(Box<Ticked>),
    /// An action is about to be sent: written before its first byte leaves.
    Intended(Box<Intent>),
    /// What became of an intent.
    Settled { at: Timestamp, intent: IntentId, settlement: Settlement },
}

/// One tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticked {
    pub at: Timestamp,
    pub entropy: Entropy,
    pub signals: Signals,
    /// Instances whose phase changed in this tick, with the new phase.
    pub phases: BTreeMap<InstanceId, Phase>,
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
    Done { done: Vec<InstanceId>, failed: BTreeMap<InstanceId, String> },
    /// It did not happen.
    Failed { class: Class, message: String },
    /// Nobody knows yet: the intent stays open, and the next tick looks.
    Open { message: String },
}
