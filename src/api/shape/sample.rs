//! A number that is sent.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A number that somebody sends for a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSample {
    /// In the unit of the signal; a finite number.
    pub value: f64,
    /// When it was true; the moment of sending where it is left out. It is no more than 10 s ahead, and not
    /// older than the newest one.
    #[serde(default)]
    pub time: Option<DateTime<Utc>>,
}

/// A number as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampleView {
    pub fleet: String,
    pub signal: String,
    pub value: f64,
    /// When it was true.
    pub time: DateTime<Utc>,
    /// Whether it was not known before.
    pub is_new: bool,
    /// Whether this replica decides for the fleet now. Where it does not, the replica that does needs the
    /// number as well.
    pub acts: bool,
}
