//! Holds: an operator's temporary stop of a fleet, with author, reason and expiry; and what else people
//! say beside the daemon.

use std::collections::BTreeMap;

use cloud::Timestamp;
use cloud::text::one_line;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccountId, Adoption, Direction, FleetId, Instruction, Span, clock_time};

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
    /// A person instructed a fleet.
    Instructed {
        at: Timestamp,
        instruction: Instruction,
    },
    /// An instruction is in force no more.
    Withdrawn {
        at: Timestamp,
        id: Uuid,
        author: String,
        instruction: Option<Instruction>,
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

/// How many instructions may be in force: more than anybody has at once.
pub const INSTRUCTIONS_KEPT: usize = 1_000;

/// How many reports of health are kept among them: each tick of each fleet reads them, and a fleet in
/// which so many are bad at once needs a person.
const REPORTS_KEPT: usize = 200;

/// The fold of what people said, and of the journal's own beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Orders {
    pub holds: Vec<Hold>,
    /// The journal's id, once it was opened by a daemon.
    pub journal: Option<Uuid>,
    pub adoptions: Vec<Adoption>,
    /// In the order in which they were placed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instructions: Vec<Instruction>,
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
        instructions: Vec<Instruction>,
        #[serde(default)]
        accounts: BTreeMap<AccountId, String>,
    },
}

impl From<Written> for Orders {
    fn from(written: Written) -> Orders {
        match written {
            Written::Holds(holds) => Orders { holds, ..Orders::default() },
            Written::Orders { holds, journal, adoptions, instructions, accounts } => {
                Orders { holds, journal, adoptions, instructions, accounts }
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
            OperatorEvent::Instructed { at, instruction } => {
                let instruction = instruction.clone().in_lines();
                // The same word again is the word with another end.
                let is_same = |known: &Instruction| {
                    let says_same =
                        known.what == instruction.what && known.fleet == instruction.fleet;
                    known.id == instruction.id
                        || instruction.replaces(known)
                        || (says_same && !instruction.what.is_report())
                };
                self.instructions.retain(|known| !is_same(known) && *at < known.until);
                // What a person said first stays: it may be all that protects an instance.
                let is_report = instruction.what.is_report();
                let of_kind = |one: &&Instruction| one.what.is_report() == is_report;
                let known = self.instructions.iter().filter(of_kind).count();
                if is_report && known >= REPORTS_KEPT {
                    let oldest = self.instructions.iter().position(|one| one.what.is_report());
                    oldest.map(|oldest| self.instructions.remove(oldest));
                }
                if is_report || known < INSTRUCTIONS_KEPT {
                    self.instructions.push(instruction);
                }
            }
            OperatorEvent::Withdrawn { id, .. } => self.instructions.retain(|one| one.id != *id),
            OperatorEvent::Reloaded { .. } => {}
        }
    }

    /// The instructions that concern `fleet` and have not ended.
    #[must_use]
    pub fn instructions_of(&self, fleet: &FleetId, now: Timestamp) -> Vec<Instruction> {
        self.instructions.iter().filter(|one| one.concerns(fleet, now)).cloned().collect()
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
            OperatorEvent::Instructed { .. } | OperatorEvent::Withdrawn { .. } => "instruction",
            OperatorEvent::Reloaded { .. } => "reload",
        }
    }

    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            OperatorEvent::Held { at, .. }
            | OperatorEvent::Lifted { at, .. }
            | OperatorEvent::Opened { at, .. }
            | OperatorEvent::Instructed { at, .. }
            | OperatorEvent::Withdrawn { at, .. }
            | OperatorEvent::AccountAccepted { at, .. }
            | OperatorEvent::Reloaded { at, .. } => *at,
            OperatorEvent::Asked { adoption } => adoption.asked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Instructed;
    use crate::model::fixtures::now;
    use crate::model::instruction::reported;

    fn say(orders: &mut Orders, id: u128, what: Instructed, author: &str) {
        let instruction = Instruction {
            id: Uuid::from_u128(id),
            fleet: None,
            what,
            author: author.to_owned(),
            reason: "a look".to_owned(),
            placed: now(),
            until: now() + chrono::TimeDelta::hours(1),
        };
        orders.apply(&OperatorEvent::Instructed { at: now(), instruction });
    }

    #[test]
    fn a_report_replaces_the_same_authors_and_no_one_elses() {
        let mut orders = Orders::default();
        let well = || Instructed::ReportHealthy { instance: "i-1".into() };
        let ill = || Instructed::ReportUnhealthy { instance: "i-1".into() };
        for (id, what, author, health) in [
            (1, ill(), "mei", false),
            (2, well(), "ann", false),
            (3, well(), "mei", true),
            (4, ill(), "ann", false),
        ] {
            say(&mut orders, id, what, author);
            assert_eq!(reported(&orders.instructions, &"i-1".into()), Some(health), "{id}");
        }
        assert_eq!(orders.instructions.len(), 2);
        assert_eq!(reported(&orders.instructions, &"i-2".into()), None);
    }

    #[test]
    fn many_reports_push_out_no_word_of_a_person() {
        let mut orders = Orders::default();
        say(&mut orders, 0, Instructed::Protect { instance: "i-0".into() }, "mei");
        for n in 1..=2_000_u128 {
            let instance = format!("i-{n}").as_str().into();
            say(&mut orders, n, Instructed::ReportUnhealthy { instance }, "ann");
        }
        assert_eq!(orders.instructions.len(), 1 + REPORTS_KEPT);
        assert_eq!(orders.instructions[0].what.name(), "protect");
        assert_eq!(reported(&orders.instructions, &"i-2000".into()), Some(false));
    }
}
