//! Hooks: programs and HTTP servers that are told of a step in an instance's life, and may delay it.
//!
//! Which hook is due, and what follows from its outcome, is decided by the plan and the journal; here it
//! is called, beside the ticks. A call is made at least once: after a crash it is made again, with the id
//! that it had. A hook that hangs or answers garbage delays its own instance only.

mod attempt;
mod runner;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use cloud::Secret;

use crate::model::{FleetId, HookName, HookOutcome, HookPoint, IntentId, Span};

pub use runner::{HookRunner, HookRunnerError};

/// How a hook is called, as configured. When it is called is [`Hook`](crate::model::Hook).
#[derive(Debug, Clone, PartialEq)]
pub struct HookTarget {
    pub name: HookName,
    pub calls: Calls,
    /// Of one attempt.
    pub timeout: Span,
    /// Of all attempts.
    pub deadline: Span,
}

/// What is called.
#[derive(Debug, Clone, PartialEq)]
pub enum Calls {
    /// A POST with a JSON body.
    Http {
        url: String,
        /// Signs the body, so that the server knows who calls.
        secret: Option<Secret>,
        ca_file: Option<std::path::PathBuf>,
    },
    /// A program on this host, without a shell.
    Command { argv: Vec<String> },
}

/// The subject of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The same for every attempt of one call.
    pub id: IntentId,
    pub fleet: FleetId,
    pub instance: cloud::InstanceId,
    pub address: Option<IpAddr>,
    pub zone: String,
    pub instance_type: String,
    pub on: HookPoint,
    pub hook: HookName,
}

/// The outcome of a call: what the hook said, or why it failed.
pub type Called = Result<HookOutcome, String>;
