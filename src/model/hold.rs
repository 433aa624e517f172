//! Holds: an operator's temporary stop of a fleet, with author, reason and expiry; and what else people
//! say beside the daemon.

use std::collections::BTreeMap;

use cloud::Timestamp;
use cloud::text::one_line;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccountId, Adoption, Direction, FleetId, Span, clock_time};

/// People's words. Recorded beside the daemon, an input to its next tick.
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
        /// The lifted hold; absent in records of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold: Option<Hold>,
    },
    /// The journal was opened for the first time. The id keeps its instances apart from another
    /// journal's; the first one that is recorded counts.
    Opened {
        at: Timestamp,
        id: Uuid,
    },
    /// A fleet is to take instances over.
    Asked {
        adoption: Adoption,
    },
    /// A provider's key may be of this account from now on.
    AccountAccepted {
        at: Timestamp,
        provider: AccountId,
        account: String,
        author: String,
        reason: String,
    },
    /// A changed configuration was taken. Changes no decision: an older version may leave it out.
    Reloaded {
        at: Timestamp,
        author: String,
        /// The changes, in one line.
        changes: String,
        ignorable: bool,
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

/// How many wishes to take instances over are kept: more than anybody has at once.
const ADOPTIONS_KEPT: usize = 100;

/// The fold of what people said, and of the journal's own beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Orders {
    pub holds: Vec<Hold>,
    /// The journal's id, once it was opened by a daemon.
    pub journal: Option<Uuid>,
    pub adoptions: Vec<Adoption>,
    /// By provider, the account that was accepted last.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<AccountId, String>,
}

/// A snapshot of what people said: earlier versions kept a list of holds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Holds(Vec<Hold>),
    Orders {
        holds: Vec<Hold>,
        journal: Option<Uuid>,
        adoptions: Vec<Adoption>,
        #[serde(default)]
        accounts: BTreeMap<AccountId, String>,
    },
}

impl From<Written> for Orders {
    fn from(written: Written) -> Orders {
        match written {
            Written::Holds(holds) => Orders { holds, ..Orders::default() },
            Written::Orders { holds, journal, adoptions, accounts } => {
                Orders { holds, journal, adoptions, accounts }
            }
        }
    }
}

impl Orders {
    pub fn apply(&mut self, event: &OperatorEvent) {
        match event {
            OperatorEvent::Held { at, hold } => {
                // Ended holds are of no use to anybody.
                self.holds.retain(|held| held.id != hold.id && *at < held.until);
                // Whoever can write the journal writes texts of any size, and each decision has them.
                self.holds.push(Hold {
                    author: one_line(&hold.author),
                    reason: one_line(&hold.reason),
                    ..hold.clone()
                });
            }
            OperatorEvent::Lifted { id, .. } => self.holds.retain(|held| held.id != *id),
            OperatorEvent::Opened { id, .. } => drop(self.journal.get_or_insert(*id)),
            OperatorEvent::Asked { adoption } => {
                self.adoptions.push(adoption.clone());
                let surplus = self.adoptions.len().saturating_sub(ADOPTIONS_KEPT);
                self.adoptions.drain(..surplus);
            }
            OperatorEvent::AccountAccepted { provider, account, .. } => {
                self.accounts.insert(provider.clone(), account.clone());
            }
            OperatorEvent::Reloaded { .. } => {}
        }
    }

    /// The holds that concern `fleet` and have not ended.
    #[must_use]
    pub fn holds_of(&self, fleet: &FleetId, now: Timestamp) -> Vec<Hold> {
        let concerns =
            |hold: &&Hold| hold.fleet.as_ref().is_none_or(|f| f == fleet) && now < hold.until;
        self.holds.iter().filter(concerns).cloned().collect()
    }

    /// The wishes that `fleet` takes instances over.
    #[must_use]
    pub fn adoptions_of(&self, fleet: &FleetId) -> Vec<Adoption> {
        self.adoptions.iter().filter(|adoption| adoption.fleet == *fleet).cloned().collect()
    }
}

impl OperatorEvent {
    /// One word, to select records by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            OperatorEvent::Held { .. } | OperatorEvent::Lifted { .. } => "hold",
            OperatorEvent::Opened { .. } => "journal",
            OperatorEvent::Asked { .. } => "adoption",
            OperatorEvent::AccountAccepted { .. } => "account",
            OperatorEvent::Reloaded { .. } => "reload",
        }
    }

    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            OperatorEvent::Held { at, .. }
            | OperatorEvent::Lifted { at, .. }
            | OperatorEvent::Opened { at, .. }
            | OperatorEvent::AccountAccepted { at, .. }
            | OperatorEvent::Reloaded { at, .. } => *at,
            OperatorEvent::Asked { adoption } => adoption.asked,
        }
    }
}
