//! One cloud server, as every provider describes it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Tag key → value.
pub type Tags = BTreeMap<String, String>;

/// The provider's id of one instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub String);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for InstanceId {
    fn from(id: &str) -> Self {
        InstanceId(id.to_owned())
    }
}

/// What the provider says that the machine is doing. `Running` means that it is switched on, not
/// that its service is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    Starting,
    Running,
    Stopping,
    Stopped,
    /// A status that this version does not know: neither capacity nor a candidate for removal.
    Unknown,
}

/// One instance as a listing showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: InstanceId,
    pub status: Status,
    /// When the provider created it. ECS gives whole minutes only.
    pub created_at: Timestamp,
    pub zone: String,
    pub instance_type: String,
    pub vswitch: Option<String>,
    pub private_ip: Option<std::net::IpAddr>,
    pub tags: Tags,
    /// The provider refuses to delete it.
    pub deletion_protection: bool,
    /// The provider has locked it (arrears, security, a spot instance about to be reclaimed):
    /// its lock reasons, empty when it is fine.
    pub locks: Vec<String>,
}

/// Which instances a listing selects: those that carry **all** of the tags.
///
/// It cannot hold fewer than two tags, so that one missing tag can never select a whole account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter(Vec<(String, String)>);

impl TagFilter {
    /// A filter of two tags or more.
    #[must_use]
    pub fn of(first: (&str, &str), second: (&str, &str), more: &[(&str, &str)]) -> Self {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let mut tags = vec![own(first), own(second)];
        tags.extend(more.iter().copied().map(own));
        TagFilter(tags)
    }

    /// The tags, in the order in which they were given.
    #[must_use]
    pub fn tags(&self) -> &[(String, String)] {
        &self.0
    }

    /// Whether `tags` satisfies the filter.
    #[must_use]
    pub fn matches(&self, tags: &Tags) -> bool {
        self.0.iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}
