//! A fleet as the policy and the plan see it: bounds, signals, rules and what to launch.
//!
//! Where signals come from and how the cloud is reached is not here: see `config`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cloud::{InstanceId, LaunchSpec, Tags, Terminate};
use serde::{Deserialize, Serialize};

use super::{FleetId, SignalName, Span};

/// A named set of interchangeable instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    pub id: FleetId,
    pub bounds: Bounds,
    /// How long an instance needs from Running until its service carries load.
    pub warmup: Span,
    /// How long a launched instance may take to reach Running before it counts as failed.
    pub boot_timeout: Span,
    pub terminate: Terminate,
    pub base: Option<Base>,
    pub launch: LaunchTemplate,
    pub signals: BTreeMap<SignalName, SignalSpec>,
    /// In the order of the configuration; at least one.
    pub rules: Vec<Rule>,
}

/// `min ≤ desired ≤ max`, base instances included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

/// Instances that count as capacity but were not launched by us: never tagged, stopped or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Those with all of these tags (two or more, or none) …
    pub tags: Tags,
    /// … and these.
    pub ids: BTreeSet<InstanceId>,
}

/// What to launch; the candidates are every type × vSwitch, types first, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchTemplate {
    pub spec: LaunchSpec,
    /// In order of preference; at least one.
    pub instance_types: Vec<String>,
    /// One per zone, in order of preference; at least one.
    pub vswitches: Vec<String>,
}

/// What the policy must know of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSpec {
    /// Data older than this is a gap.
    pub max_age: Span,
}

/// One scaling policy of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    Threshold(Threshold),
}

impl Rule {
    /// The cool-downs of the rule.
    #[must_use]
    pub fn cooldown(&self) -> Cooldown {
        match self {
            Rule::Threshold(rule) => rule.cooldown,
        }
    }

    /// The signals that the rule reads.
    #[must_use]
    pub fn signals(&self) -> Vec<&SignalName> {
        match self {
            Rule::Threshold(rule) => vec![&rule.signal],
        }
    }
}

/// Threshold with hysteresis: out above one bound, in below a lower one, each after a run of new
/// samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub signal: SignalName,
    pub scale_out: Option<ScaleOut>,
    pub scale_in: Option<ScaleIn>,
    pub cooldown: Cooldown,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScaleOut {
    /// In the signal's unit; only a value greater than this counts.
    pub above: f64,
    /// How many new samples in a row.
    pub samples: u32,
    pub by: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScaleIn {
    /// In the signal's unit; only a value less than this counts.
    pub below: f64,
    /// How many new samples in a row.
    pub samples: u32,
    pub by: Step,
}

/// How long nothing more happens in a direction after an action in that direction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    pub out: Span,
    #[serde(rename = "in")]
    pub in_: Span,
}

/// The size of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Instances, at least 1.
    Count(u32),
    /// Percent of the current count, rounded up to a whole instance, at least 1.
    Percent(f64),
}

impl Step {
    /// The step in instances when there are `current`: at least 1.
    #[must_use]
    pub fn of(self, current: u32) -> u32 {
        match self {
            Step::Count(count) => count.max(1),
            Step::Percent(percent) => {
                let exact = (f64::from(current) * percent / 100.0).ceil().clamp(1.0, 1e9);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a whole number in 1..=1e9 after the clamp"
                )]
                let whole = exact as u32;
                whole
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Count(count) => write!(f, "{count}"),
            Step::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}
