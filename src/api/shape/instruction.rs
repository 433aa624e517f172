//! Instructions: what people asked for beside the configuration.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::at;
use crate::model::{Instructed, Instruction};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstructionView {
    pub id: Uuid,
    /// `null`: whichever fleet has the instance or the vSwitch.
    pub fleet: Option<String>,
    /// `size`, `protect`, `standby`, `return`, `replace`, `evacuate`, `refresh`, `report_healthy` or `report_unhealthy`.
    pub kind: String,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub instance: Option<String>,
    pub vswitch: Option<String>,
    pub author: String,
    pub reason: String,
    pub placed_at: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// The instructions that are in force, in the order in which they were placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstructionsView {
    pub instructions: Vec<InstructionView>,
}

/// An instruction that somebody gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInstruction {
    /// `size`, `protect`, `standby`, `return`, `replace`, `evacuate`, `refresh`, `report_healthy` or `report_unhealthy`.
    pub kind: String,
    /// Required for `size` and `refresh`; otherwise whichever fleet has the instance or the vSwitch.
    #[serde(default)]
    pub fleet: Option<String>,
    /// Of `size`: at least so many.
    #[serde(default)]
    pub min: Option<u32>,
    /// Of `size`: at most so many.
    #[serde(default)]
    pub max: Option<u32>,
    /// An id such as `i-bp1example`.
    #[serde(default)]
    pub instance: Option<String>,
    /// An id such as `vsw-bp1example`.
    #[serde(default)]
    pub vswitch: Option<String>,
    /// The author, for the reader who finds it.
    pub author: String,
    pub reason: String,
    /// 60 to 2,592,000 (30 days).
    pub for_secs: u64,
}

/// The health of an instance, as somebody found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReport {
    /// `false`: it cannot serve. `true` replaces what the same author reported before.
    pub healthy: bool,
    /// The one who found it: a person, or the name of a program.
    pub author: String,
    pub reason: String,
    /// 60 to 2,592,000 (30 days): after that the report counts no more.
    pub for_secs: u64,
}

/// The wish that an instance is not ended for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProtection {
    pub author: String,
    pub reason: String,
    /// 60 to 2,592,000 (30 days).
    pub for_secs: u64,
}

impl From<&Instruction> for InstructionView {
    fn from(one: &Instruction) -> InstructionView {
        let (min, max) = match one.what {
            Instructed::Size { min, max } => (min, max),
            _ => (None, None),
        };
        let vswitch = match &one.what {
            Instructed::Evacuate { vswitch } => Some(vswitch.clone()),
            _ => None,
        };
        InstructionView {
            id: one.id,
            fleet: one.fleet.as_ref().map(|fleet| fleet.0.clone()),
            kind: one.what.name().to_owned(),
            min,
            max,
            instance: one.what.instance().map(|id| id.0.clone()),
            vswitch,
            author: one.author.clone(),
            reason: one.reason.clone(),
            placed_at: at(one.placed),
            until: at(one.until),
        }
    }
}

impl InstructionsView {
    /// The view of all of `instructions`.
    #[must_use]
    pub fn of(instructions: &[Instruction]) -> InstructionsView {
        InstructionsView { instructions: instructions.iter().map(InstructionView::from).collect() }
    }
}
