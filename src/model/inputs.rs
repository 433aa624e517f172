//! Everything that a decision is made from, as one value: what the journal keeps of a decision, and
//! what a replay or a backtest decides from.

use std::sync::Arc;

use cloud::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Account, Entropy, Fleet, History, Hold, Instruction, Inventory, Signals};

/// The inputs of one decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    pub now: Timestamp,
    pub entropy: Entropy,
    /// As configured, with what was learned in the place of what was left out.
    pub fleet: Fleet,
    pub inventory: Inventory,
    pub signals: Signals,
    /// Ends before this tick, but for the phases in which it found the instances.
    pub history: History,
    #[serde(with = "shared")]
    pub account: Arc<Account>,
    /// Those that concern the fleet.
    pub holds: Vec<Hold>,
    /// Those that concern the fleet and are in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instructions: Vec<Instruction>,
    pub spent: Spent,
}

/// The changes made within the hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub fleet: Amounts,
    /// This fleet's included.
    pub account: Amounts,
}

/// Instances launched and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    pub launches: u32,
    pub removals: u32,
}

impl Inputs {
    /// The inputs known before anything is looked at: enough to settle open intents.
    #[must_use]
    pub fn to_settle(
        now: Timestamp,
        fleet: &Fleet,
        history: History,
        account: Arc<Account>,
        holds: Vec<Hold>,
        spent: Spent,
    ) -> Inputs {
        let inventory = Inventory {
            at: now,
            members: Vec::new(),
            unlisted: Vec::new(),
            in_doubt: history.launches_in_doubt(),
            doubts: Vec::new(),
            lost_zones: std::collections::BTreeSet::new(),
            listed_at: now,
            strangers: Vec::new(),
            account_size: 0,
            groups: Vec::new(),
        };
        let entropy = Entropy(uuid::Uuid::nil());
        let (fleet, signals) = (fleet.clone(), Signals::new());
        let instructions = Vec::new();
        Inputs {
            now,
            entropy,
            fleet,
            inventory,
            signals,
            history,
            account,
            holds,
            instructions,
            spent,
        }
    }
}

/// All fleets of an account share what is known of it; in a record each has its own.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Arc<T>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        T::deserialize(deserializer).map(Arc::new)
    }
}
