//! Holds: an operator's temporary stop of a fleet, with author, reason and expiry.

use cloud::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Direction, FleetId, Span, clock_time};

/// What people said. Recorded beside the daemon, an input to its next tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OperatorEvent {
    Held {
        at: Timestamp,
        hold: Hold,
    },
    Lifted {
        at: Timestamp,
        id: Uuid,
        author: String,
        /// What was lifted; absent in records of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold: Option<Hold>,
    },
}

/// Shorter than a minute a hold would end before it is needed; longer than a month it would be
/// forgotten: then `min` and `max` are the place.
pub const HOLD_TIMES: std::ops::RangeInclusive<Span> =
    Span::secs(60)..=Span::secs(30 * 24 * 60 * 60);

/// A fleet keeps its size in a direction until the hold ends or is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub id: Uuid,
    /// `None`: all fleets.
    pub fleet: Option<FleetId>,
    /// `None`: both.
    pub direction: Option<Direction>,
    pub author: String,
    pub reason: String,
    pub placed: Timestamp,
    pub until: Timestamp,
}

impl Hold {
    /// Whether it keeps `fleet` from changing in `direction` at `now`.
    #[must_use]
    pub fn keeps(&self, fleet: &FleetId, direction: Direction, now: Timestamp) -> bool {
        self.fleet.as_ref().is_none_or(|held| held == fleet)
            && self.direction.is_none_or(|held| held == direction)
            && now < self.until
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.direction {
            Some(direction) => write!(f, "{direction}")?,
            None => f.write_str("scaling")?,
        }
        write!(f, " held by {} until {}: {}", self.author, clock_time(self.until), self.reason)
    }
}

/// The fold of what people said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Holds(pub Vec<Hold>);

impl Holds {
    pub fn apply(&mut self, event: &OperatorEvent) {
        match event {
            OperatorEvent::Held { at, hold } => {
                // What has ended is of no use to anybody.
                self.0.retain(|held| held.id != hold.id && *at < held.until);
                self.0.push(hold.clone());
            }
            OperatorEvent::Lifted { id, .. } => self.0.retain(|held| held.id != *id),
        }
    }

    /// Those that concern `fleet` and have not ended.
    #[must_use]
    pub fn of(&self, fleet: &FleetId, now: Timestamp) -> Vec<Hold> {
        let concerns =
            |hold: &&Hold| hold.fleet.as_ref().is_none_or(|f| f == fleet) && now < hold.until;
        self.0.iter().filter(concerns).cloned().collect()
    }
}

impl OperatorEvent {
    /// One word, to select records by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        "hold"
    }

    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            OperatorEvent::Held { at, .. } | OperatorEvent::Lifted { at, .. } => *at,
        }
    }
}
