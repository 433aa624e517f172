//! CLB as its API words it: servers as a JSON text, lists wrapped twice, every change answered with the
//! whole list.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{GroupKind, Server};
use crate::actions::Call;
use crate::answer::{ApiError, Outcome};
use crate::state::State;
use crate::time::Span;

/// Servers in one call.
const BATCH: usize = 20;

/// One server of the parameter `BackendServers`. The vendor takes texts and numbers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Wanted {
    server_id: String,
    #[serde(default)]
    weight: Option<Value>,
    #[serde(default)]
    port: Option<Value>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "it is accepted, and nobody asks for it")]
    description: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Set,
    Remove,
}

pub(super) fn perform(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let region = call.get("RegionId").unwrap_or(&state.world.region);
    if region != state.world.region {
        return Err(ApiError::not_found("InvalidRegionId.NotFound", "RegionId"));
    }
    match call.action {
        "AddBackendServers" => change(state, call, GroupKind::Clb, Change::Add),
        "SetBackendServers" => change(state, call, GroupKind::Clb, Change::Set),
        "RemoveBackendServers" => change(state, call, GroupKind::Clb, Change::Remove),
        "AddVServerGroupBackendServers" => change(state, call, GroupKind::Vserver, Change::Add),
        "SetVServerGroupAttribute" => change(state, call, GroupKind::Vserver, Change::Set),
        "RemoveVServerGroupBackendServers" => {
            change(state, call, GroupKind::Vserver, Change::Remove)
        }
        "DescribeLoadBalancerAttribute" => listed(state, call, GroupKind::Clb),
        "DescribeVServerGroupAttribute" => listed(state, call, GroupKind::Vserver),
        "DescribeHealthStatus" => health(state, call),
        other => {
            let message = format!("The emulator's CLB does not know the action {other:?}.");
            Err(ApiError::new(404, "InvalidAction.NotFound", message))
        }
    }
}

/// The group that the call names.
fn group_of(state: &State, call: &Call<'_>, kind: GroupKind) -> Result<String, ApiError> {
    let (name, code) = match kind {
        GroupKind::Vserver => ("VServerGroupId", "VServerGroup.NotFound"),
        _ => ("LoadBalancerId", "InvalidLoadBalancerId.NotFound"),
    };
    let id = call.required(name)?;
    let known = state.world.balancers.groups.get(id).is_some_and(|group| group.kind == kind);
    if known { Ok(id.to_owned()) } else { Err(ApiError::not_found(code, name)) }
}

fn change(state: &mut State, call: &mut Call<'_>, kind: GroupKind, what: Change) -> Outcome {
    let group = group_of(state, call, kind)?;
    let text = call.required("BackendServers")?;
    let wrong = |why: &str| ApiError::invalid("BackendServers", why);
    let wanted: Vec<Wanted> =
        serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
    if wanted.is_empty() || wanted.len() > BATCH {
        return Err(wrong("1 to 20 servers"));
    }
    let mut servers = Vec::new();
    for server in wanted {
        if server.kind.as_deref().is_some_and(|kind| kind != "ecs") {
            return Err(wrong("Type must be ecs"));
        }
        let port = match (kind, server.port.as_ref().map(number)) {
            (GroupKind::Vserver, Some(Some(port))) => Some(port),
            (GroupKind::Vserver, _) => return Err(wrong("Port is required")),
            (_, None) => None,
            (_, Some(_)) => return Err(wrong("the default group has no Port")),
        };
        let weight = server.weight.as_ref().map_or(Some(100), number);
        let weight = weight.filter(|weight| *weight <= 100).ok_or_else(|| wrong("Weight"))?;
        let port = port.map(u16::try_from).transpose().map_err(|_| wrong("Port"))?;
        servers.push((server.server_id, port, weight));
    }
    match what {
        Change::Add => state.add_servers(&group, servers, Span::secs(0))?,
        Change::Set => {
            let of = &mut state.group(&group).servers;
            for (id, port, weight) in servers {
                let server = of.iter_mut().find(|s| s.id == id && s.port == port);
                let Some(server) = server else {
                    return Err(ApiError::not_found("ResourceNotFound.BackendServer", &id));
                };
                server.weight = weight;
            }
        }
        Change::Remove => {
            let is_named = |server: &Server| {
                servers.iter().any(|(id, port, _)| *id == server.id && *port == server.port)
            };
            state.group(&group).servers.retain(|server| !is_named(server));
        }
    }
    listed_of(state, &group, kind)
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

fn listed(state: &mut State, call: &Call<'_>, kind: GroupKind) -> Outcome {
    let group = group_of(state, call, kind)?;
    listed_of(state, &group, kind)
}

fn listed_of(state: &mut State, group: &str, kind: GroupKind) -> Outcome {
    let servers: Vec<Value> = state.group(group).servers.iter().map(server).collect();
    let name = if kind == GroupKind::Vserver { "VServerGroupId" } else { "LoadBalancerId" };
    Ok(json!({ name: group, "BackendServers": { "BackendServer": servers } }))
}

fn server(server: &Server) -> Value {
    let mut shown = json!({ "ServerId": server.id, "Weight": server.weight, "Type": "ecs" });
    if let Some(port) = server.port {
        shown["Port"] = json!(port);
    }
    shown
}

/// The port of the one listener that a balancer here has.
const LISTENER_PORT: u16 = 80;

fn health(state: &mut State, call: &Call<'_>) -> Outcome {
    let balancer = group_of(state, call, GroupKind::Clb)?;
    let of_balancer = |(id, group): (&String, &super::ServerGroup)| {
        let is_its = matches!(group.kind, GroupKind::Clb | GroupKind::Vserver);
        (is_its && group.front == balancer).then(|| id.clone())
    };
    let groups: Vec<String> = state.world.balancers.groups.iter().filter_map(of_balancer).collect();
    let mut rows = Vec::new();
    for group in groups {
        for backend in state.backends_of(&group) {
            let status = match backend.health.as_str() {
                "healthy" => "normal",
                "unhealthy" => "abnormal",
                _ => "unavailable",
            };
            rows.push(json!({
                "ServerId": backend.id,
                "ServerIp": backend.private_ip,
                "Port": backend.port.unwrap_or(LISTENER_PORT),
                "ListenerPort": LISTENER_PORT,
                "Protocol": "http",
                "ServerHealthStatus": status,
            }));
        }
    }
    Ok(json!({ "BackendServers": { "BackendServer": rows } }))
}
