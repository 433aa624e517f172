//! Carrying out a plan, and settling what a crash or a lost reply left open.
//!
//! The executor chooses nothing and retries nothing: what is transient is absorbed below it, in
//! the provider's call path; everything else goes back to the next tick.

mod dispatch;
mod facts;
mod settle;
mod spend;
mod stop;

use std::collections::BTreeMap;

use cloud::{InstanceId, PlannedCall, Timestamp};
use serde::Serialize;

use crate::model::{Action, Refusal, Settlement};

pub use dispatch::{ActionContext, Executor, Live};
pub use settle::{CloudView, settle};
pub use stop::Stop;

/// The outcome of one action of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// It was sent; this is what the cloud said.
    Sent { action: String, settlement: Settlement },
    /// It was not sent, although it was planned.
    NotSent {
        action: String,
        why: String,
        /// When it may be tried again, where that is known.
        again_at: Option<Timestamp>,
    },
    /// It was not sent, because this is a dry run; these calls would have been.
    Dry { action: String, calls: Vec<PlannedCall> },
}

/// The outcome, found out now, of an action of an earlier tick.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settled {
    pub action: Action,
    pub settlement: Settlement,
}

impl Settled {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        format!("of an earlier tick: {}: {}", self.action, said(&self.settlement))
    }

    /// Whether the cloud refused it, or nobody knows yet.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        is_trouble(&self.settlement)
    }
}

impl Outcome {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Outcome::Dry { action, .. } => format!("would {action}"),
            Outcome::NotSent { action, why, .. } => format!("{action}: not sent: {why}"),
            Outcome::Sent { action, settlement } => format!("{action}: {}", said(settlement)),
        }
    }

    /// Whether the cloud refused it, or nobody knows.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        match self {
            Outcome::Dry { .. } => false,
            Outcome::NotSent { .. } => true,
            Outcome::Sent { settlement, .. } => is_trouble(settlement),
        }
    }
}

fn said(settlement: &Settlement) -> String {
    match settlement {
        Settlement::Launched { ids } => format!("accepted as {}", list(ids)),
        Settlement::Done { failed, .. } if failed.is_empty() => "done".to_owned(),
        Settlement::Done { failed, .. } => failures(failed),
        Settlement::Failed { message, .. } => format!("failed: {message}"),
        Settlement::Open { message, .. } => {
            format!("outcome unknown, the next tick looks: {message}")
        }
    }
}

fn is_trouble(settlement: &Settlement) -> bool {
    match settlement {
        Settlement::Launched { .. } => false,
        Settlement::Done { failed, .. } => !failed.is_empty(),
        Settlement::Failed { .. } | Settlement::Open { .. } => true,
    }
}

fn list(ids: &[InstanceId]) -> String {
    ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ")
}

fn failures(failed: &BTreeMap<InstanceId, Refusal>) -> String {
    failed
        .iter()
        .map(|(id, refusal)| format!("{id}: {}", refusal.message))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Executes `actions` in order. An action that fails does not keep the following from being tried:
/// they were planned to be independent. After `stop` none begins.
pub async fn run(
    executor: &Executor,
    context: ActionContext<'_>,
    actions: &[Action],
    stop: &Stop,
) -> Result<Vec<Outcome>, crate::journal::JournalError> {
    let mut outcomes = Vec::with_capacity(actions.len());
    for action in actions {
        outcomes.push(if stop.is_asked() {
            let why = "the process is told to stop".to_owned();
            Outcome::NotSent { action: action.to_string(), why, again_at: None }
        } else {
            executor.carry_out(context, action).await?
        });
    }
    Ok(outcomes)
}
