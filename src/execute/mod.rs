//! Carrying out a plan, and settling what a crash or a lost reply left open.
//!
//! The executor chooses nothing and retries nothing: what is transient is absorbed below it, in
//! the provider's call path; everything else goes back to the next tick.

mod dispatch;
mod settle;

use std::collections::BTreeMap;

use cloud::{InstanceId, PlannedCall};
use serde::Serialize;

use crate::model::{Action, Settlement};

pub use dispatch::{Hands, Live};
pub use settle::settle;

/// What became of one action of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// It was sent; this is what the cloud said.
    Sent { action: String, settlement: Settlement },
    /// It was not sent, because this is a dry run; these calls would have been.
    Dry { action: String, calls: Vec<PlannedCall> },
}

impl Outcome {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Outcome::Dry { action, .. } => format!("would {action}"),
            Outcome::Sent { action, settlement } => match settlement {
                Settlement::Launched { ids } => format!("{action}: accepted as {}", list(ids)),
                Settlement::Done { failed, .. } if failed.is_empty() => format!("{action}: done"),
                Settlement::Done { failed, .. } => format!("{action}: {}", failures(failed)),
                Settlement::Failed { message, .. } => format!("{action}: failed: {message}"),
                Settlement::Open { message } => {
                    format!("{action}: outcome unknown, the next tick looks: {message}")
                }
            },
        }
    }

    /// Whether the cloud refused it, or nobody knows.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        match self {
            Outcome::Dry { .. } => false,
            Outcome::Sent { settlement, .. } => match settlement {
                Settlement::Launched { .. } => false,
                Settlement::Done { failed, .. } => !failed.is_empty(),
                Settlement::Failed { .. } | Settlement::Open { .. } => true,
            },
        }
    }
}

fn list(ids: &[InstanceId]) -> String {
    ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ")
}

fn failures(failed: &BTreeMap<InstanceId, String>) -> String {
    failed.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("; ")
}

/// Executes `actions` in order. An action that fails does not keep the following from being tried:
/// they were planned to be independent.
pub async fn run(
    hands: &Hands,
    fleet: &crate::model::FleetId,
    actions: &[Action],
) -> Result<Vec<Outcome>, crate::journal::JournalError> {
    let mut outcomes = Vec::with_capacity(actions.len());
    for action in actions {
        outcomes.push(hands.carry_out(fleet, action).await?);
    }
    Ok(outcomes)
}
