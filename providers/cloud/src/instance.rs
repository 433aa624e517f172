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

/// The status of the machine by the provider. `Running` means that it is switched on, not
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

/// The lock of a spot instance that is released within minutes, in the words of ECS.
const RECLAIMED: &str = "Recycling";

impl Instance {
    /// Whether the provider takes it back, whatever anybody wants: it serves for some minutes more.
    #[must_use]
    pub fn is_reclaimed(&self) -> bool {
        self.locks.iter().any(|lock| lock == RECLAIMED)
    }
}

/// Which instances a listing selects: those that carry **all** of the tags.
///
/// It cannot hold fewer than two tags, so that one missing tag can never select a whole account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter(Vec<(String, Option<String>)>);

impl TagFilter {
    /// A filter of two tags or more, each with its value.
    #[must_use]
    pub fn of(first: (&str, &str), second: (&str, &str), more: &[(&str, &str)]) -> Self {
        let own = |(key, value): (&str, &str)| (key.to_owned(), Some(value.to_owned()));
        let mut tags = vec![own(first), own(second)];
        tags.extend(more.iter().copied().map(own));
        TagFilter(tags)
    }

    /// A filter of one tag with its value and one with any value.
    #[must_use]
    pub fn of_any(first: (&str, &str), key: &str) -> Self {
        let (name, value) = first;
        TagFilter(vec![(name.to_owned(), Some(value.to_owned())), (key.to_owned(), None)])
    }

    /// The tags, in the order in which they were given; without a value any will do.
    #[must_use]
    pub fn tags(&self) -> &[(String, Option<String>)] {
        &self.0
    }

    /// Whether `tags` satisfies the filter.
    #[must_use]
    pub fn matches(&self, tags: &Tags) -> bool {
        let has = |(key, value): &(String, Option<String>)| {
            tags.get(key).is_some_and(|got| value.as_ref().is_none_or(|wanted| wanted == got))
        };
        self.0.iter().all(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_wants_every_tag_and_a_key_alone_takes_any_value() {
        let tags = |pairs: &[(&str, &str)]| -> Tags {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let exact = TagFilter::of(("source", "auto"), ("fleet", "web"), &[]);
        let any = TagFilter::of_any(("source", "auto"), "fleet");
        for (name, carried, by_value, by_key) in [
            ("both", tags(&[("source", "auto"), ("fleet", "web")]), true, true),
            ("another fleet's", tags(&[("source", "auto"), ("fleet", "db")]), false, true),
            ("an empty value", tags(&[("source", "auto"), ("fleet", "")]), false, true),
            ("one only", tags(&[("source", "auto")]), false, false),
            ("the other only", tags(&[("fleet", "web")]), false, false),
            ("none", tags(&[]), false, false),
        ] {
            assert_eq!(
                (exact.matches(&carried), any.matches(&carried)),
                (by_value, by_key),
                "{name}"
            );
        }
    }
}
