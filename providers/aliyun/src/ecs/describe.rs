//! DescribeInstances: every page, by tags or by ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use chrono::{DateTime, NaiveDateTime};
use cloud::text::one_line;
use cloud::{
    Class, Error, Instance, InstanceId, Pages, Status, TagFilter, Tags, Timestamp, Urgency,
};
use serde::Deserialize;
use serde_json::Value;

use super::params::{put, put_tags};
use super::{Ecs, malformed};
use crate::call::CallAccess;
use crate::rpc::Params;
use crate::wire::{AtMost, Text, or_default};

pub(super) const ACTION: &str = "DescribeInstances";
/// The largest page; without it a page has 10.
const PAGE: usize = 100;
/// The vendor's filters by tag cover this many instances at most, and say nothing of the others.
const TAGGED_MAX: usize = 1_000;
/// A million instances are more than an account has in one region: so many pages are a loop.
const PAGES_MAX: usize = 10_000;

/// A filter is tried again when it selects so few: enough below what filters cover that a fleet at
/// the limit does not pay for both ways of reading in turn.
const TAGGED_AGAIN: usize = 900;

/// The filters whose last listing reached what filters by tag cover.
#[derive(Debug, Default)]
pub(super) struct BeyondFilters(Mutex<BTreeSet<String>>);

impl BeyondFilters {
    fn has(&self, filter: &TagFilter) -> bool {
        self.filters().contains(&key(filter))
    }

    /// Remembers how many instances `filter` selected.
    fn note(&self, filter: &TagFilter, selected: usize) {
        let mut filters = self.filters();
        if selected >= TAGGED_MAX {
            filters.insert(key(filter));
        } else if selected < TAGGED_AGAIN {
            filters.remove(&key(filter));
        }
    }

    fn filters(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

fn key(filter: &TagFilter) -> String {
    format!("{:?}", filter.tags())
}

/// A listing by tags, complete whatever its size.
///
/// One that reaches what filters cover may be short. Then the whole region is read and filtered here,
/// also the next times: each reading says by its own size which way the next one goes, so only a
/// change of ways costs both.
pub(super) async fn by_tags(
    ecs: &Ecs,
    filter: &TagFilter,
    urgency: Urgency,
    pages: &Pages,
) -> Result<Vec<Instance>, Error> {
    let mut found = BTreeMap::new();
    if !ecs.beyond.has(filter) {
        let mut params = ecs.params();
        put_tags(&mut params, filter.tags().iter().map(|(key, value)| (key, value.as_ref())));
        found = all_pages(ecs, params, urgency, pages, |_| true).await?;
        if found.len() < TAGGED_MAX {
            return Ok(found.into_values().collect());
        }
        tracing::debug!("more instances than a filter by tags covers: the whole region is read");
    }
    let select = |instance: &Instance| filter.matches(&instance.tags);
    // Added to what the filter found: a listing that shows fewer must not hide any.
    found.extend(all_pages(ecs, ecs.params(), urgency, pages, select).await?);
    ecs.beyond.note(filter, found.len());
    Ok(found.into_values().collect())
}

pub(super) async fn by_ids(ecs: &Ecs, ids: &[InstanceId]) -> Result<Vec<Instance>, Error> {
    let mut found = Vec::new();
    let pages = Pages::default();
    // An empty list of ids is a filter that matches nothing, never "all": `chunks` of nothing
    // sends nothing.
    for ids in ids.chunks(PAGE) {
        let mut params = ecs.params();
        let ids: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
        put(&mut params, "InstanceIds", Value::from(ids));
        let page = all_pages(ecs, params, Urgency::Act, &pages, |_| true).await?;
        found.extend(page.into_values());
    }
    Ok(found)
}

/// Follows NextToken to its end and keeps what `select` selects; the page without one is read too.
/// An instance that two pages show (the listing moved meanwhile) counts once.
async fn all_pages(
    ecs: &Ecs,
    mut base: Params,
    urgency: Urgency,
    pages: &Pages,
    select: impl Fn(&Instance) -> bool,
) -> Result<BTreeMap<InstanceId, Instance>, Error> {
    put(&mut base, "MaxResults", PAGE);
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut token: Option<String> = None;
    loop {
        let mut params = base.clone();
        if let Some(token) = &token {
            put(&mut params, "NextToken", token);
        }
        let answer = ecs.caller.call(ACTION, CallAccess::List(urgency), &params).await?;
        pages.arrived();
        let page: ListingPage = answer.read().map_err(|error| {
            malformed(ACTION, &format!("not a page of instances: {error}"), Class::Transient)
        })?;
        for wire in page.instances.instance.0 {
            let instance = wire.into_instance(ecs.caller.now())?;
            if select(&instance) {
                found.insert(instance.id.clone(), instance);
            }
        }
        match page.next_token.0 {
            None => return Ok(found),
            Some(next) if seen.len() < PAGES_MAX && seen.insert(next.clone()) => token = Some(next),
            Some(_) => return Err(malformed(ACTION, "its pages never end", Class::Transient)),
        }
    }
}

/// A page has 100 at most, whatever is asked for.
const LISTED_MOST: usize = 500;
/// An instance has 20 tags at most.
const TAGS_MOST: usize = 64;
/// Lock reasons and addresses: a handful each.
const FEW: usize = 64;

#[derive(Deserialize)]
struct ListingPage {
    /// Must be there: an answer without it is not "no instances".
    #[serde(rename = "Instances")]
    instances: Instances,
    #[serde(rename = "NextToken", default)]
    next_token: Text,
}

#[derive(Deserialize)]
struct Instances {
    #[serde(rename = "Instance")]
    instance: AtMost<ListedInstance, LISTED_MOST>,
}

/// One instance as it is answered: fields that a scaler needs, lists wrapped once more than one
/// would think, optional objects absent, null or empty.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct ListedInstance {
    instance_id: Text,
    status: Text,
    creation_time: Text,
    zone_id: Text,
    instance_type: Text,
    deletion_protection: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    tags: WireTags,
    #[serde(deserialize_with = "or_default")]
    vpc_attributes: Vpc,
    #[serde(deserialize_with = "or_default")]
    operation_locks: Locks,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireTags {
    #[serde(deserialize_with = "or_default")]
    tag: AtMost<WireTag, TAGS_MOST>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireTag {
    tag_key: Text,
    tag_value: Text,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Vpc {
    v_switch_id: Text,
    #[serde(deserialize_with = "or_default")]
    private_ip_address: Addresses,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Addresses {
    #[serde(deserialize_with = "or_default")]
    ip_address: AtMost<Text, FEW>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Locks {
    #[serde(deserialize_with = "or_default")]
    lock_reason: AtMost<Lock, FEW>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Lock {
    lock_reason: Text,
}

impl ListedInstance {
    /// The instance. One that lacks a field that every instance has is there, in a status that
    /// nobody knows: it counts, and is never a victim.
    fn into_instance(self, now: Timestamp) -> Result<Instance, Error> {
        let Some(id) = self.instance_id.0 else {
            return Err(malformed(
                ACTION,
                "one of its instances has no InstanceId",
                Class::Transient,
            ));
        };
        let created_at = self.creation_time.0.as_deref().and_then(time);
        let lacks = [
            ("Status", self.status.0.is_none()),
            ("CreationTime", created_at.is_none()),
            ("ZoneId", self.zone_id.0.is_none()),
            ("InstanceType", self.instance_type.0.is_none()),
        ];
        let lacks: Vec<&str> =
            lacks.iter().filter(|(_, lacks)| *lacks).map(|(field, _)| *field).collect();
        let status = if lacks.is_empty() {
            self.status.0.as_deref().map_or(Status::Unknown, status)
        } else {
            let fields = lacks.join(", ");
            tracing::warn!(
                instance.id = %one_line(&id), fields,
                "{}: the provider's listing has no usable {fields}: its status counts as unknown",
                one_line(&id),
            );
            Status::Unknown
        };
        let first_ip = self.vpc_attributes.private_ip_address.ip_address.0.into_iter().next();
        Ok(Instance {
            id: InstanceId(id),
            status,
            // Without one it is the youngest there is.
            created_at: created_at.unwrap_or(now),
            zone: self.zone_id.0.unwrap_or_default(),
            instance_type: self.instance_type.0.unwrap_or_default(),
            vswitch: self.vpc_attributes.v_switch_id.0,
            private_ip: first_ip.and_then(|ip| ip.0?.parse().ok()),
            tags: tags(self.tags),
            deletion_protection: self.deletion_protection.unwrap_or(false),
            locks: self
                .operation_locks
                .lock_reason
                .0
                .into_iter()
                .filter_map(|lock| lock.lock_reason.0)
                .collect(),
        })
    }
}

fn tags(list: WireTags) -> Tags {
    let pairs = list.tag.0.into_iter();
    pairs.filter_map(|tag| Some((tag.tag_key.0?, tag.tag_value.0.unwrap_or_default()))).collect()
}

fn status(text: &str) -> Status {
    match text {
        "Pending" => Status::Pending,
        "Starting" => Status::Starting,
        "Running" => Status::Running,
        "Stopping" => Status::Stopping,
        "Stopped" => Status::Stopped,
        _ => Status::Unknown,
    }
}

/// `2017-12-10T04:04Z` (as every example has it) or with seconds (as the text says).
fn time(text: &str) -> Option<Timestamp> {
    let whole = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let minute = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%MZ").map(|at| at.and_utc());
    whole.or_else(|_| minute()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creation_times_are_read_with_and_without_seconds() {
        for text in ["2017-12-10T04:04Z", "2017-12-10T04:04:00Z"] {
            assert_eq!(time(text).map(|at| at.timestamp()), Some(1_512_878_640), "{text}");
        }
        assert_eq!(time("yesterday"), None);
    }

    fn read(wire: &str) -> Instance {
        let wire: ListedInstance = serde_json::from_str(wire).expect("JSON");
        wire.into_instance(now()).expect("it has an id")
    }

    fn now() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().expect("a valid time")
    }

    const WHOLE: &str = r#"{"InstanceId":"i-1","Status":"Running","CreationTime":"2017-12-10T04:04Z","ZoneId":"h","InstanceType":"c7","New":1}"#;

    #[test]
    fn an_instance_without_its_optional_fields_is_read() {
        let instance = read(WHOLE);
        assert_eq!(instance.status, Status::Running);
        assert!(instance.tags.is_empty() && instance.locks.is_empty());
        assert_eq!(read(&WHOLE.replace("Running", "Hibernating")).status, Status::Unknown);
        let nulls = WHOLE.replace(
            r#""New":1"#,
            r#""Tags":null,"VpcAttributes":{"PrivateIpAddress":null},"OperationLocks":{"LockReason":null},"DeletionProtection":null"#,
        );
        assert_eq!(read(&nulls), instance);
    }

    #[test]
    fn an_instance_that_lacks_what_every_instance_has_is_there_in_an_unknown_status() {
        for (name, wire) in [
            ("no zone", WHOLE.replace(r#""ZoneId":"h""#, r#""ZoneId":null"#)),
            ("no type", WHOLE.replace(r#""InstanceType":"c7""#, r#""InstanceType":null"#)),
            ("no status", WHOLE.replace(r#""Running""#, "null")),
            ("another shape", WHOLE.replace(r#""Running""#, r#"{"Name":"Running"}"#)),
            ("no time", WHOLE.replace(r#""2017-12-10T04:04Z""#, "null")),
            ("no usable time", WHOLE.replace("2017-12-10T04:04Z", "yesterday")),
        ] {
            let instance = read(&wire);
            assert_eq!(instance.id.0, "i-1", "{name}");
            assert_eq!(instance.status, Status::Unknown, "{name}");
        }
        let wire: ListedInstance = serde_json::from_str("{}").expect("JSON");
        let error = wire.into_instance(now()).expect_err("nobody knows which one").to_string();
        assert!(error.contains("InstanceId"), "{error}");
    }

    #[test]
    fn a_page_with_more_instances_than_any_has_is_refused() {
        let wire = format!(r#"{{"Instances":{{"Instance":[{}{{}}]}}}}"#, "{},".repeat(500));
        let error = serde_json::from_str::<ListingPage>(&wire).err().expect("refused").to_string();
        assert!(error.contains("more than 500"), "{error}");
    }

    #[test]
    fn an_answer_without_its_list_is_not_an_empty_listing() {
        assert!(
            serde_json::from_str::<ListingPage>(r#"{"RequestId":"x","TotalCount":0}"#).is_err()
        );
    }
}
