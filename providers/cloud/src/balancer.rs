//! Groups of backends of load balancers, as far as an autoscaler needs them: which instances are in a
//! group, with which weight, and whether the balancer finds them healthy.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::InstanceId;

/// The kinds of load balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalancerKind {
    /// Classic: the default group of an instance, or a vServer group.
    Clb,
    /// Application.
    Alb,
    /// Network.
    Nlb,
}

impl fmt::Display for BalancerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BalancerKind::Clb => "CLB",
            BalancerKind::Alb => "ALB",
            BalancerKind::Nlb => "NLB",
        })
    }
}

/// A group of backends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BackendGroup {
    pub kind: BalancerKind,
    /// The balancer itself. Of a CLB: required without `group`, and to learn of its health checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer: Option<String>,
    /// The server group; `None` for the default group of a CLB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The listener whose health checks count, of an ALB or NLB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The port of the backends. The default group of a CLB has none: its listeners have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl BackendGroup {
    /// The id by which people know it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.group.as_deref().or(self.balancer.as_deref()).unwrap_or_default()
    }
}

impl fmt::Display for BackendGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id())?;
        self.port.map_or(Ok(()), |port| write!(f, " port {port}"))
    }
}

/// The verdict of a balancer's own health check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendHealth {
    /// Nobody checks, or nobody tells.
    #[default]
    Unknown,
    /// The check has not come to a verdict.
    Checking,
    Healthy,
    Unhealthy,
}

/// One backend of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// 0: it gets no new connections.
    pub weight: u32,
    /// It is being added, changed or removed.
    pub is_changing: bool,
    pub health: BackendHealth,
}

/// The backends of a group, by instance: those on the group's port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backends {
    pub backends: std::collections::BTreeMap<InstanceId, Backend>,
    /// Somebody's change is under way: another one would be refused.
    pub is_busy: bool,
}

/// A change to some backends of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum BackendChange {
    Attach {
        weight: u32,
    },
    /// 0: no new connections, those that are there go on.
    Weigh {
        weight: u32,
    },
    Detach,
}

impl BackendChange {
    /// Whether a backend is as the change makes it; `None`: it is not in the group.
    #[must_use]
    pub fn is_done(self, backend: Option<&Backend>) -> bool {
        match self {
            BackendChange::Attach { .. } => backend.is_some(),
            BackendChange::Weigh { weight } => backend.is_some_and(|b| b.weight == weight),
            BackendChange::Detach => backend.is_none(),
        }
    }

    /// Whether the backend gets no new connections after it.
    #[must_use]
    pub fn ends_traffic(self) -> bool {
        matches!(self, BackendChange::Detach | BackendChange::Weigh { weight: 0 })
    }
}
