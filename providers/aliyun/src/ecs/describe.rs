//! DescribeInstances: every page, by tags or by ids.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime};
use cloud::{Class, Error, Instance, InstanceId, Status, TagFilter, Tags, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::params::{put, put_tags};
use super::{Ecs, malformed};
use crate::call::Access;
use crate::rpc::Params;

const ACTION: &str = "DescribeInstances";
/// The largest page; without it a page has 10.
const PAGE: usize = 100;
/// The vendor's filters by tag cover this many instances at most, and say nothing of the others.
const TAGGED_MAX: usize = 1_000;
/// A million instances are more than an account has in one region: so many pages are a loop.
const PAGES_MAX: usize = 10_000;

/// A listing by tags, complete whatever its size. One that reaches what filters cover may be short,
/// so then the whole region is read and filtered here.
pub(super) async fn by_tags(ecs: &Ecs, filter: &TagFilter) -> Result<Vec<Instance>, Error> {
    let mut params = ecs.params();
    put_tags(&mut params, filter.tags().iter().map(|(key, value)| (key, value.as_ref())));
    let mut found = all_pages(ecs, params).await?;
    if found.len() >= TAGGED_MAX {
        let region = all_pages(ecs, ecs.params()).await?;
        tracing::debug!(
            found = found.len(),
            region = region.len(),
            "more instances than a filter by tags covers: the whole region was read",
        );
        // Added to what the filter found: a listing that shows fewer must not hide any.
        found.extend(region.into_iter().filter(|(_, instance)| filter.matches(&instance.tags)));
    }
    Ok(found.into_values().collect())
}

pub(super) async fn by_ids(ecs: &Ecs, ids: &[InstanceId]) -> Result<Vec<Instance>, Error> {
    let mut found = Vec::new();
    // An empty list of ids is a filter that matches nothing, never "all": `chunks` of nothing
    // sends nothing.
    for ids in ids.chunks(PAGE) {
        let mut params = ecs.params();
        let ids: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
        put(&mut params, "InstanceIds", Value::from(ids));
        found.extend(all_pages(ecs, params).await?.into_values());
    }
    Ok(found)
}

/// Follows NextToken to its end; the page without one is read too. An instance that two pages show
/// (the listing moved meanwhile) counts once.
async fn all_pages(ecs: &Ecs, mut base: Params) -> Result<BTreeMap<InstanceId, Instance>, Error> {
    put(&mut base, "MaxResults", PAGE);
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut token: Option<String> = None;
    loop {
        let mut params = base.clone();
        if let Some(token) = &token {
            put(&mut params, "NextToken", token);
        }
        let answer = ecs.caller.call(ACTION, Access::Read, &params).await?;
        let page: Page = serde_json::from_value(answer.value).map_err(|error| {
            malformed(ACTION, &format!("not a page of instances: {error}"), Class::Transient)
        })?;
        for wire in page.instances.instance {
            let instance = wire.into_instance()?;
            found.insert(instance.id.clone(), instance);
        }
        match page.next_token.filter(|token| !token.is_empty()) {
            None => return Ok(found),
            Some(next) if seen.len() < PAGES_MAX && seen.insert(next.clone()) => token = Some(next),
            Some(_) => return Err(malformed(ACTION, "its pages never end", Class::Transient)),
        }
    }
}

#[derive(Deserialize)]
struct Page {
    /// Must be there: an answer without it is not "no instances".
    #[serde(rename = "Instances")]
    instances: Instances,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Instances {
    #[serde(rename = "Instance")]
    instance: Vec<Wire>,
}

/// One instance as it is answered: fields that a scaler needs, lists wrapped once more than one
/// would think, optional objects absent or empty.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    instance_id: String,
    status: String,
    creation_time: String,
    #[serde(default)]
    zone_id: String,
    #[serde(default)]
    instance_type: String,
    #[serde(default)]
    deletion_protection: Option<bool>,
    #[serde(default)]
    tags: Option<Value>,
    #[serde(default)]
    vpc_attributes: Option<Value>,
    #[serde(default)]
    operation_locks: Option<Value>,
}

impl Wire {
    fn into_instance(self) -> Result<Instance, Error> {
        let created_at = time(&self.creation_time).ok_or_else(|| {
            let what = format!(
                "{} has no usable CreationTime: {:?}",
                self.instance_id, self.creation_time
            );
            malformed(ACTION, &what, Class::Transient)
        })?;
        let vpc = self.vpc_attributes.unwrap_or_default();
        let text = |value: &Value, pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
        };
        let locks = self.operation_locks.unwrap_or_default();
        Ok(Instance {
            id: InstanceId(self.instance_id),
            status: status(&self.status),
            created_at,
            zone: self.zone_id,
            instance_type: self.instance_type,
            vswitch: text(&vpc, "/VSwitchId"),
            private_ip: text(&vpc, "/PrivateIpAddress/IpAddress/0").and_then(|ip| ip.parse().ok()),
            tags: tags(self.tags.as_ref()),
            deletion_protection: self.deletion_protection.unwrap_or(false),
            locks: rows(Some(&locks), "LockReason")
                .filter_map(|row| row.get("LockReason")?.as_str().map(str::to_owned))
                .collect(),
        })
    }
}

/// The elements of a wrapped list: `{"Tag": [ … ]}`.
fn rows<'a>(list: Option<&'a Value>, name: &str) -> impl Iterator<Item = &'a Value> {
    list.and_then(|list| list.get(name)).and_then(Value::as_array).into_iter().flatten()
}

fn tags(list: Option<&Value>) -> Tags {
    let pair = |row: &Value| {
        let key = row.get("TagKey")?.as_str()?.to_owned();
        let value = row.get("TagValue").and_then(Value::as_str).unwrap_or_default().to_owned();
        Some((key, value))
    };
    rows(list, "Tag").filter_map(pair).collect()
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

    #[test]
    fn an_instance_without_its_optional_fields_is_read() {
        let wire: Wire = serde_json::from_str(
            r#"{"InstanceId":"i-1","Status":"Hibernating","CreationTime":"2017-12-10T04:04Z","New":1}"#,
        )
        .expect("the required fields are there");
        let instance = wire.into_instance().expect("usable");
        assert_eq!(instance.status, Status::Unknown);
        assert!(instance.tags.is_empty() && instance.locks.is_empty());
    }

    #[test]
    fn an_answer_without_its_list_is_not_an_empty_listing() {
        assert!(serde_json::from_str::<Page>(r#"{"RequestId":"x","TotalCount":0}"#).is_err());
    }
}
