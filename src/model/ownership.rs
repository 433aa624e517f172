//! Whose an instance is, and how one becomes ours.
//!
//! An instance may be ended only if this fleet's journal launched it or took it over. The tag
//! `scale-owner` keeps installations apart: a fleet of the same name in the same account, from
//! another journal, is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{InstanceId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FleetId, IntentId, Phase};

/// Under which name an installation owns its instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Goes into the tags of every launch. `None`: a journal that keeps nothing has no name, since
    /// the next start would not know it.
    pub name: Option<String>,
    /// The journal's own id: what was launched before the installation was given a name carries it.
    pub journal: Option<Uuid>,
    /// A dry run that cannot read the journal does not know its name: every owner may be it.
    pub unknown: bool,
}

impl Owner {
    /// By the name that the configuration gives, or else by the journal's id.
    #[must_use]
    pub fn of(installation: Option<String>, journal: Option<Uuid>) -> Owner {
        let name = installation.or_else(|| journal.map(|id| id.to_string()));
        Owner { name, journal, unknown: false }
    }

    /// Whether the value of a `scale-owner` tag is this installation's.
    #[must_use]
    pub fn is(&self, tag: &str) -> bool {
        self.unknown
            || self.name.as_deref() == Some(tag)
            || self.journal.is_some_and(|id| id.to_string() == tag)
    }
}

/// A fleet took instances over: from now on they count as its own and may be ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// May be empty: a first listing that shows nothing, a request that found nothing.
    pub adopted: BTreeMap<InstanceId, Adopted>,
    pub why: TakenBecause,
}

/// Why instances were taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum TakenBecause {
    /// The fleet's first listing: nothing was known of the fleet before.
    FirstListing,
    /// They carry an intent of this journal whose answer was lost.
    Intent,
    /// Somebody asked for it.
    Asked { request: Uuid, author: String, reason: String },
}

/// An instance as it was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    pub phase: Phase,
    /// The value of its `scale-owner` tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The intent of ours that launched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentId>,
}

/// A person's wish that a fleet takes instances over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    pub id: Uuid,
    pub fleet: FleetId,
    /// These; empty: all that carry the fleet's tags.
    pub ids: BTreeSet<InstanceId>,
    pub author: String,
    pub reason: String,
    pub asked: Timestamp,
}

impl Adoption {
    /// Whether it is about `id`.
    #[must_use]
    pub fn covers(&self, id: &InstanceId) -> bool {
        self.ids.is_empty() || self.ids.contains(id)
    }
}

/// An instance that carries the fleet's tags and is not the fleet's: it counts for nothing and is
/// never ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    pub id: InstanceId,
    /// The other installation that it belongs to, if its tag names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}
