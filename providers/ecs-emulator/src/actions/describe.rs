//! DescribeInstances and DescribeInstanceStatus.

use cloud::Timestamp;
use serde_json::{Value, json};

use super::Call;
use crate::FaultKind;
use crate::answer::{ApiError, Outcome};
use crate::machine::Machine;
use crate::machines::TagWanted;
use crate::state::State;
use crate::time::minute;

/// A filter by tags covers at most this many instances.
const TAGGED_MAX: usize = 1_000;

pub(super) fn describe_instances(state: &mut State, call: &mut Call<'_>) -> Outcome {
    if state.world.lists_nothing && call.is_true("DryRun") {
        // Only a dry run says so: a listing just shows nothing.
        let message = "User not authorized to operate on the specified resource.";
        return Err(ApiError::new(403, "Forbidden.RAM", message));
    }
    call.dry_run("DryRunOperation")?;
    let filter = Filter::of(state, call)?;
    let shows = |(_, machine): &(usize, &Machine)| filter.matches(state, machine);
    if call.get("MaxResults").is_none() && call.token().is_none() {
        let matching: Vec<&Machine> = filter
            .candidates(state, usize::MAX)
            .filter(shows)
            .take(filter.most())
            .map(|(_, machine)| machine)
            .collect();
        let page = numbered(call, matching.len())?;
        let shown: Vec<Value> =
            matching[page.from..page.to].iter().map(|machine| show(state, machine)).collect();
        return Ok(json!({
            "Instances": { "Instance": shown },
            "NextToken": "",
            "TotalCount": matching.len(),
            "PageNumber": page.number,
            "PageSize": page.size,
        }));
    }
    // With MaxResults there is no total.
    let size = page_size(call, "MaxResults")?.unwrap_or(10);
    let begin = Cursor::of(call)?;
    let left = filter.most().saturating_sub(begin.shown);
    let mut found = filter.candidates(state, begin.below).filter(shows).take(left);
    let page: Vec<(usize, &Machine)> = found.by_ref().take(size).collect();
    let next = match (page.last(), found.next()) {
        (Some((last, _)), Some(_)) => {
            Cursor { below: *last, shown: begin.shown + page.len() }.token()
        }
        _ => String::new(),
    };
    let shown: Vec<Value> = page.iter().map(|(_, machine)| show(state, machine)).collect();
    Ok(json!({ "Instances": { "Instance": shown }, "NextToken": next }))
}

/// Which instances a listing shows.
struct Filter<'a> {
    call: &'a Call<'a>,
    now: Timestamp,
    ids: Option<Vec<String>>,
    tags: Vec<TagWanted>,
    /// It shows none, whatever there is.
    hidden: bool,
    /// It leaves every other one out.
    half: bool,
}

impl<'a> Filter<'a> {
    fn of(state: &State, call: &'a Call<'a>) -> Result<Filter<'a>, ApiError> {
        let ids: Option<Vec<String>> = match call.get("InstanceIds") {
            None => None,
            Some(text) => {
                let ids = serde_json::from_str(text).map_err(|_| {
                    ApiError::new(400, "InvalidInstanceIds.Malformed", "Not a JSON array.")
                })?;
                Some(ids)
            }
        };
        if ids.as_ref().is_some_and(|ids| ids.len() > 100) {
            return Err(ApiError::invalid("InstanceIds", "more than 100 ids"));
        }
        let hits = |kind| call.fault.is_some_and(|fault| fault.kind == kind);
        Ok(Filter {
            call,
            now: state.now(),
            ids,
            tags: call.tags(),
            hidden: state.world.lists_nothing || hits(FaultKind::EmptyListing),
            half: hits(FaultKind::PartialListing),
        })
    }

    /// The newest first, as the console shows them: a client must not rely on an order.
    fn candidates<'s>(
        &self,
        state: &'s State,
        below: usize,
    ) -> Box<dyn Iterator<Item = (usize, &'s Machine)> + 's> {
        if self.hidden {
            return Box::new(std::iter::empty());
        }
        state.instances.candidates(self.ids.as_deref(), &self.tags, below)
    }

    fn most(&self) -> usize {
        if self.tags.is_empty() { usize::MAX } else { TAGGED_MAX }
    }

    /// Whether a listing shows the machine now, and it satisfies every filter.
    fn matches(&self, state: &State, machine: &Machine) -> bool {
        let Some(status) = listed(state, machine) else { return false };
        let same =
            |name: &str, value: &str| self.call.get(name).is_none_or(|wanted| wanted == value);
        let tag = |(key, value): &TagWanted| {
            self.now >= machine.tags_visible_at
                && machine.tags.get(key).is_some_and(|got| value.as_ref().is_none_or(|v| v == got))
        };
        let is_odd = machine.id.bytes().next_back().is_some_and(|b| b % 2 == 1);
        self.now >= machine.visible_at
            && (is_odd || !self.half)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&machine.id))
            && self.tags.iter().all(tag)
            && same("Status", status)
            && same("ZoneId", &machine.zone)
            && same("VSwitchId", &machine.vswitch)
            && same("InstanceType", &machine.instance_type)
            && same("ImageId", &machine.image)
            && self.call.get("InstanceName").is_none_or(|like| is_like(like, &machine.name))
    }
}

/// Where the next page begins: with the machines before this one, after so many were shown.
struct Cursor {
    below: usize,
    shown: usize,
}

impl Cursor {
    fn of(call: &Call<'_>) -> Result<Cursor, ApiError> {
        let Some(token) = call.token() else {
            return Ok(Cursor { below: usize::MAX, shown: 0 });
        };
        let parts = token.strip_prefix("page-below-").and_then(|rest| rest.split_once("-after-"));
        let cursor = parts.and_then(|(below, shown)| {
            Some(Cursor { below: below.parse().ok()?, shown: shown.parse().ok()? })
        });
        cursor.ok_or_else(|| ApiError::new(400, "InvalidNextToken", "Unknown NextToken."))
    }

    fn token(&self) -> String {
        format!("page-below-{}-after-{}", self.below, self.shown)
    }
}

/// Its status in listings, which lag behind deletions.
fn listed(state: &State, machine: &Machine) -> Option<&'static str> {
    machine.listed(state.now(), state.world.boot.0, state.world.deletion_lag.0)
}

/// `*` stands for anything.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(begin) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let (last, middle) = parts.split_last().expect("split gives at least one part");
    for part in middle {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

struct Page {
    from: usize,
    to: usize,
    number: usize,
    size: usize,
}

fn page_size(call: &Call<'_>, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = call.get(name) else { return Ok(None) };
    let size: usize = text.parse().map_err(|_| ApiError::invalid(name, "not a number"))?;
    // Smaller and larger pages are clamped without a word.
    Ok(Some(size.clamp(10, 100)))
}

fn numbered(call: &Call<'_>, total: usize) -> Result<Page, ApiError> {
    let size = page_size(call, "PageSize")?.unwrap_or(10);
    let number = call.number("PageNumber", 1..=u32::MAX, 1)? as usize;
    let from = (number - 1).saturating_mul(size).min(total);
    Ok(Page { from, to: (from + size).min(total), number, size })
}

fn show(state: &State, machine: &Machine) -> Value {
    let now = state.now();
    let status = listed(state, machine).unwrap_or_default();
    let tags: Vec<Value> = machine
        .tags
        .iter()
        .map(|(key, value)| json!({ "TagKey": key, "TagValue": value }))
        .collect();
    let locks: Vec<Value> = match machine.is_reclaimed {
        true => vec![json!({ "LockReason": "Recycling", "LockMsg": "" })],
        false => Vec::new(),
    };
    let mut shown = json!({
        "InstanceId": machine.id,
        "InstanceName": machine.name,
        "HostName": machine.id,
        "RegionId": state.world.region,
        "ZoneId": machine.zone,
        "InstanceType": machine.instance_type,
        "ImageId": machine.image,
        "Cpu": 2,
        "Memory": 4096,
        "OSType": "linux",
        "Status": status,
        "CreationTime": minute(machine.created_at),
        "StartTime": minute(machine.created_at),
        "ExpiredTime": "2099-12-31T15:59Z",
        "AutoReleaseTime": "",
        "InstanceChargeType": "PostPaid",
        "SpotStrategy": machine.spot,
        "StoppedMode": if status == "Stopped" { "KeepCharging" } else { "Not-applicable" },
        "DeletionProtection": machine.deletion_protection,
        "DeviceAvailable": true,
        "OperationLocks": { "LockReason": locks },
        "VpcAttributes": {
            "VpcId": "vpc-bp1example",
            "VSwitchId": machine.vswitch,
            "PrivateIpAddress": { "IpAddress": [machine.ip] },
            "NatIpAddress": "",
        },
        "InnerIpAddress": { "IpAddress": [] },
        "PublicIpAddress": { "IpAddress": [] },
        "SecurityGroupIds": { "SecurityGroupId": machine.security_groups },
    });
    // An instance without tags has no such field.
    if !tags.is_empty() && now >= machine.tags_visible_at {
        shown["Tags"] = json!({ "Tag": tags });
    }
    shown
}

pub(super) fn describe_instance_status(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let now = state.now();
    let ids = call.list("InstanceId");
    let mut found: Vec<(&str, &str)> = state
        .instances
        .candidates(Some(ids.as_slice()).filter(|ids| !ids.is_empty()), &[], usize::MAX)
        .filter(|(_, machine)| now >= machine.visible_at)
        .filter_map(|(_, machine)| Some((machine.id.as_str(), listed(state, machine)?)))
        .collect();
    // The oldest first.
    found.reverse();
    let size = call.number("PageSize", 1..=50, 10)? as usize;
    let number = call.number("PageNumber", 1..=u32::MAX, 1)? as usize;
    let shown: Vec<Value> = found
        .iter()
        .skip((number - 1).saturating_mul(size))
        .take(size)
        .map(|(id, status)| json!({ "InstanceId": id, "Status": status }))
        .collect();
    Ok(json!({
        "InstanceStatuses": { "InstanceStatus": shown },
        "TotalCount": found.len(),
        "PageNumber": number,
        "PageSize": size,
    }))
}
