//! What one tick saw, decided and did: the one source of log lines, terminal output and JSON.

use std::collections::BTreeMap;

use cloud::Timestamp;
use serde::Serialize;

use crate::execute::Outcome;
use crate::model::{
    Bounds, Decision, FleetId, Inventory, Ownership, Phase, Plan, Sample, SignalName, Signals,
};

/// One tick over one fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TickReport {
    pub fleet: FleetId,
    pub at: Timestamp,
    pub bounds: Bounds,
    pub counts: Counts,
    /// The usable samples among `signals`.
    #[serde(skip)]
    pub samples: BTreeMap<SignalName, Sample>,
    pub signals: Signals,
    pub decision: Decision,
    pub plan: Plan,
    pub outcomes: Vec<Outcome>,
}

/// Instances by what they are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub requested: u32,
    pub booting: u32,
    pub warming: u32,
    pub in_service: u32,
    pub leaving: u32,
    pub failed: u32,
    /// How many of all of them are base instances.
    pub base: u32,
}

impl Counts {
    #[must_use]
    pub(crate) fn of(inventory: &Inventory) -> Counts {
        let base = inventory.members.iter().filter(|m| m.ownership == Ownership::Base).count();
        Counts {
            requested: inventory.count(|p| p == Phase::Requested) + inventory.in_doubt,
            booting: inventory.count(|p| p == Phase::Booting),
            warming: inventory.count(|p| p == Phase::Warming),
            in_service: inventory.count(|p| p == Phase::InService),
            leaving: inventory.count(|p| matches!(p, Phase::Draining | Phase::Terminating)),
            failed: inventory.count(|p| p == Phase::Failed),
            base: u32::try_from(base).unwrap_or(u32::MAX),
        }
    }

    /// `3 in service, 2 booting`: what there is, without the zeros.
    #[must_use]
    pub fn line(&self) -> String {
        let parts = [
            (self.in_service, "in service"),
            (self.warming, "warming up"),
            (self.booting, "booting"),
            (self.requested, "requested"),
            (self.leaving, "leaving"),
            (self.failed, "failed"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if parts.is_empty() { "no instances".to_owned() } else { parts.join(", ") }
    }
}

impl TickReport {
    /// Whether a launch found no (or not enough) capacity, so that the next place should be tried
    /// at once instead of an interval later.
    #[must_use]
    pub(crate) fn wants_another_tick(&self) -> bool {
        use crate::model::Settlement;
        self.outcomes.iter().any(|outcome| match outcome {
            Outcome::Sent { settlement, .. } => {
                matches!(settlement, Settlement::Failed { class: cloud::Class::NoCapacity, .. })
            }
            Outcome::Dry { .. } => false,
        })
    }
}
