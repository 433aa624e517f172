//! Records of the journal, as they are streamed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::at;
use crate::journal::Entry;
use crate::journal::store::Scope;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its place in the journal; also the id of the event.
    pub seq: i64,
    pub at: DateTime<Utc>,
    /// The kind, as `fleetscaler journal --kind` names it; also the name of the event.
    pub kind: String,
    pub fleet: Option<String>,
    pub account: Option<String>,
    /// As the journal keeps it: `fleetscaler journal --json` shows the same.
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
}

impl From<&Entry> for EventView {
    fn from(entry: &Entry) -> EventView {
        let (fleet, account) = match &entry.scope {
            Scope::Fleet(fleet) => (Some(fleet.0.clone()), None),
            Scope::Account(account) => (None, Some(account.0.clone())),
            Scope::Operator => (None, None),
        };
        let record = serde_json::from_str(&entry.body);
        EventView {
            seq: entry.seq,
            at: at(entry.at),
            kind: entry.kind.clone(),
            fleet,
            account,
            record: record.unwrap_or_else(|_| serde_json::Value::String(entry.body.clone())),
        }
    }
}
