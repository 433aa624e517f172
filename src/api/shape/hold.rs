//! Holds: what keeps fleets from changing, and by whose word.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::at;
use crate::model::{Direction, Hold};

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldView {
    pub id: Uuid,
    /// `null`: all fleets.
    pub fleet: Option<String>,
    /// `scale_in`, `scale_out`, or `both`.
    pub holds: String,
    pub author: String,
    pub reason: String,
    pub placed_at: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// The holds that are in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldsView {
    pub holds: Vec<HoldView>,
}

/// A hold that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// `scale_in`, `scale_out`, or `both`, which is the default.
    #[serde(default = "both")]
    pub holds: String,
    /// The author, for the reader who finds it.
    pub author: String,
    pub reason: String,
    /// 60 to 2,592,000 (30 days).
    pub for_secs: u64,
}

fn both() -> String {
    "both".to_owned()
}

impl From<&Hold> for HoldView {
    fn from(hold: &Hold) -> HoldView {
        HoldView {
            id: hold.id,
            fleet: hold.fleet.as_ref().map(|fleet| fleet.0.clone()),
            holds: word(hold.direction).to_owned(),
            author: hold.author.clone(),
            reason: hold.reason.clone(),
            placed_at: at(hold.placed),
            until: at(hold.until),
        }
    }
}

fn word(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::In) => "scale_in",
        Some(Direction::Out) => "scale_out",
        None => "both",
    }
}

impl NewHold {
    /// The direction that is asked for; `Err` for a word that is none.
    pub(in crate::api) fn direction(&self) -> Result<Option<Direction>, ()> {
        [None, Some(Direction::In), Some(Direction::Out)]
            .into_iter()
            .find(|direction| word(*direction) == self.holds)
            .ok_or(())
    }
}
