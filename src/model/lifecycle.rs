//! How a fleet's instances come into service and leave it: what the operator configured, as the plan and
//! the inventory need it. Who is called, and which port is probed, is not here: see `config`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Balancer, Span, Step};

/// The life of a fleet's instances beyond booting and warming up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// Health checks exist: an instance is in service once all of them agree.
    pub has_checks: bool,
    /// What happens to an instance that served and is unhealthy now.
    pub unhealthy: Unhealthy,
    /// Instances are drained before they are ended; `None`: they are ended at once.
    pub drain: Option<Drain>,
    /// A query tells how much work each instance has.
    pub has_busy: bool,
    /// An instance with less work than this is idle.
    pub idle_below: f64,
    /// Which instances go first.
    pub victims: Victims,
    /// So many instances are replaced at a time; `None`: see `inventory::surge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<Step>,
    /// In the order of the configuration.
    pub hooks: Vec<Hook>,
    /// The load balancers that send to the instances, in the order of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub balancers: Vec<Balancer>,
}

/// The time before an instance is ended in which it gets no new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// It lasts at least this long: whoever sends work must learn of it.
    pub wait: Span,
    /// It ends after this time, whatever the instance still does.
    pub timeout: Span,
}

/// What becomes of an instance that served and is unhealthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unhealthy {
    /// Another one is launched; once that serves, this one is deleted.
    #[default]
    Replace,
    /// It is told, and stays.
    Nothing,
}

/// The order in which instances are chosen to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victims {
    #[default]
    Oldest,
    Newest,
    /// Of the zone with the most instances, the oldest.
    ZoneBalanced,
    /// Those that another launch template made, the oldest.
    OldestTemplate,
    /// The one with the least work.
    LeastBusy,
    /// Only those without work, the oldest.
    Idle,
}

/// A program or an HTTP server that is told of a step in an instance's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// No two hooks of a fleet have the same.
    pub name: HookName,
    pub on: HookPoint,
    /// No answer for so long counts as a failure.
    pub deadline: Span,
    /// The outcome when it fails.
    pub otherwise: HookOutcome,
}

/// The name of a hook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HookName(pub String);

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The step of an instance's life at which a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookPoint {
    /// It runs for the first time. It is not in service before the hook is done.
    Launch,
    /// It came into service. Nothing waits for the hook.
    Ready,
    /// Its drain begins. The drain does not end before the hook is done.
    Drain,
    /// Its drain is over otherwise. It is not ended before the hook is done.
    Terminate,
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HookPoint::Launch => "launch",
            HookPoint::Ready => "ready",
            HookPoint::Drain => "drain",
            HookPoint::Terminate => "terminate",
        })
    }
}

/// What follows from a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookOutcome {
    /// The instance goes on as if there were no hook.
    Continue,
    /// Before service: the instance has failed and is deleted. Otherwise the same as `Continue`.
    Abandon,
    /// While it leaves: it is kept, out of service, for a person to look at.
    Retain,
}

impl fmt::Display for HookOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HookOutcome::Continue => "continue",
            HookOutcome::Abandon => "abandon",
            HookOutcome::Retain => "retain",
        })
    }
}

impl Lifecycle {
    /// Whether instances pass through a drain before they are ended.
    #[must_use]
    pub fn drains(&self) -> bool {
        let leaving = |hook: &Hook| matches!(hook.on, HookPoint::Drain | HookPoint::Terminate);
        self.drain.is_some() || self.hooks.iter().any(leaving)
    }

    /// The hooks of one step.
    pub fn hooks_on(&self, on: HookPoint) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(move |hook| hook.on == on)
    }
}
