//! DescribeInstances and DescribeInstanceStatus.

use serde_json::{Value, json};

use super::Call;
use crate::FaultKind;
use crate::answer::{ApiError, Outcome};
use crate::machine::Machine;
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
    let hidden = call.fault.is_some_and(|fault| fault.kind == FaultKind::EmptyListing);
    let half = call.fault.is_some_and(|fault| fault.kind == FaultKind::PartialListing);
    let mut matching =
        if hidden || state.world.lists_nothing { Vec::new() } else { select(state, call)? };
    if half {
        matching.retain(|machine| machine.id.bytes().next_back().is_some_and(|b| b % 2 == 1));
    }
    let page = page(call, matching.len())?;
    let shown: Vec<Value> =
        matching[page.from..page.to].iter().map(|machine| show(state, machine)).collect();
    let mut answer = json!({ "Instances": { "Instance": shown }, "NextToken": page.next });
    // With MaxResults the total means nothing.
    if call.get("MaxResults").is_none() && call.get("NextToken").is_none() {
        answer["TotalCount"] = json!(matching.len());
        answer["PageNumber"] = json!(page.number);
        answer["PageSize"] = json!(page.size);
    }
    Ok(answer)
}

/// The instances that a listing shows now and that satisfy every filter.
fn select<'a>(state: &'a State, call: &Call<'_>) -> Result<Vec<&'a Machine>, ApiError> {
    let now = state.now();
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
    let tags = call.tags();
    let same = |name: &str, value: &str| call.get(name).is_none_or(|wanted| wanted == value);
    let matches = |machine: &&Machine| {
        let Some(status) = listed(state, machine) else { return false };
        let tag = |(key, value): &(String, Option<String>)| {
            now >= machine.tags_visible_at
                && machine.tags.get(key).is_some_and(|got| value.as_ref().is_none_or(|v| v == got))
        };
        now >= machine.visible_at
            && ids.as_ref().is_none_or(|ids| ids.contains(&machine.id))
            && tags.iter().all(tag)
            && same("Status", status)
            && same("ZoneId", &machine.zone)
            && same("VSwitchId", &machine.vswitch)
            && same("InstanceType", &machine.instance_type)
            && same("ImageId", &machine.image)
            && call.get("InstanceName").is_none_or(|pattern| is_like(pattern, &machine.name))
    };
    let mut found: Vec<&Machine> = state.instances.iter().filter(matches).collect();
    // The newest first, as the console shows them: a client must not rely on an order.
    found.reverse();
    if !tags.is_empty() {
        found.truncate(TAGGED_MAX);
    }
    Ok(found)
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
    next: String,
}

fn page(call: &Call<'_>, total: usize) -> Result<Page, ApiError> {
    let size = |name: &str| -> Result<Option<usize>, ApiError> {
        let Some(text) = call.get(name) else { return Ok(None) };
        let size: usize = text.parse().map_err(|_| ApiError::invalid(name, "not a number"))?;
        // Smaller and larger pages are clamped without a word.
        Ok(Some(size.clamp(10, 100)))
    };
    let token = call.get("NextToken").filter(|token| !token.is_empty());
    if let Some(size) = size("MaxResults")?.or(token.map(|_| 10)) {
        let from = match token {
            None => 0,
            Some(token) => token
                .strip_prefix("page-from-")
                .and_then(|from| from.parse().ok())
                .ok_or_else(|| ApiError::new(400, "InvalidNextToken", "Unknown NextToken."))?,
        };
        let to = (from + size).min(total);
        let next = if to < total { format!("page-from-{to}") } else { String::new() };
        return Ok(Page { from: from.min(to), to, number: 1, size, next });
    }
    let size = size("PageSize")?.unwrap_or(10);
    let number = call.number("PageNumber", 1..=u32::MAX, 1)? as usize;
    let from = (number - 1).saturating_mul(size).min(total);
    Ok(Page { from, to: (from + size).min(total), number, size, next: String::new() })
}

fn show(state: &State, machine: &Machine) -> Value {
    let now = state.now();
    let status = listed(state, machine).unwrap_or_default();
    let tags: Vec<Value> = machine
        .tags
        .iter()
        .map(|(key, value)| json!({ "TagKey": key, "TagValue": value }))
        .collect();
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
        "OperationLocks": { "LockReason": [] },
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
    let found: Vec<(&str, &str)> = state
        .instances
        .iter()
        .filter(|m| now >= m.visible_at && (ids.is_empty() || ids.contains(&m.id)))
        .filter_map(|m| Some((m.id.as_str(), listed(state, m)?)))
        .collect();
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
