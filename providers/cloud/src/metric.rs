//! Metrics of instances, as the provider's own monitoring has measured them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{InstanceId, Timestamp};

/// One metric of instances, as the provider names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricQuery {
    /// Such as `acs_ecs_dashboard`.
    pub namespace: String,
    /// Such as `CPUUtilization`.
    pub metric: String,
    pub statistic: Statistic,
    /// The time that one point stands for.
    pub period: Duration,
}

/// The number that a point is of the values of its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    Average,
    Minimum,
    Maximum,
}

/// The newest point of one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    pub id: InstanceId,
    pub at: Timestamp,
    /// As it was answered: it may be no finite number.
    pub value: f64,
}

/// Calls that an account may make in a calendar month without paying for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeCalls {
    /// Of this process, in this month.
    pub used: u64,
    /// Of the account, in a month.
    pub free: u64,
}
