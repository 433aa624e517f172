//! The server groups of ALB and NLB. Changes are jobs: after the answer they go on for seconds, and the
//! group refuses others meanwhile.

use std::collections::BTreeMap;

use cloud::{
    Backend, BackendChange, BackendGroup, BackendHealth, Backends, BalancerKind, Error, InstanceId,
    Urgency,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::malformed;
use crate::call::{Api, CallAccess};
use crate::ecs::Ecs;
use crate::ecs::params::{put, put_some};
use crate::rpc::Params;
use crate::wire::{AtMost, Text};

/// The largest page of servers.
const PAGE: usize = 100;
/// The largest page of a listener's rules.
const HEALTH_PAGE: usize = 30;
/// A group has 1,000 servers at most; so many pages are a loop.
const PAGES_MAX: usize = 100;
/// More than any page has.
const ROWS_MOST: usize = 10_000;

pub(super) fn action(change: BackendChange) -> &'static str {
    match change {
        BackendChange::Attach { .. } => "AddServersToServerGroup",
        BackendChange::Weigh { .. } => "UpdateServerGroupServersAttribute",
        BackendChange::Detach => "RemoveServersFromServerGroup",
    }
}

pub(super) fn params(
    ecs: &Ecs,
    group: &BackendGroup,
    ids: &[InstanceId],
    change: BackendChange,
    token: &str,
) -> Params {
    let mut params = of_group(ecs, group);
    put(&mut params, "ClientToken", token);
    for (n, id) in ids.iter().enumerate() {
        let mut field = |name: &str, value: String| {
            put(&mut params, &format!("Servers.{}.{name}", n + 1), value);
        };
        field("ServerId", id.0.clone());
        field("ServerType", "Ecs".to_owned());
        field("Port", group.port.unwrap_or_default().to_string());
        if let BackendChange::Attach { weight } | BackendChange::Weigh { weight } = change {
            field("Weight", weight.to_string());
        }
    }
    params
}

/// The parameters that every action on a group has. ALB takes no region.
fn of_group(ecs: &Ecs, group: &BackendGroup) -> Params {
    let mut params = in_region(ecs, group.kind);
    put_some(&mut params, "ServerGroupId", group.group.as_ref());
    params
}

fn in_region(ecs: &Ecs, kind: BalancerKind) -> Params {
    if kind == BalancerKind::Nlb { ecs.params() } else { Params::new() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    servers: AtMost<Server, ROWS_MOST>,
    #[serde(default)]
    next_token: Text,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Server {
    server_id: Text,
    port: Text,
    weight: Text,
    status: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthPage {
    listener_health_status: AtMost<ListenerHealth, ROWS_MOST>,
    #[serde(default)]
    next_token: Text,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ListenerHealth {
    server_group_infos: AtMost<GroupHealth, ROWS_MOST>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct GroupHealth {
    server_group_id: Text,
    non_normal_servers: AtMost<Server, ROWS_MOST>,
}

pub(super) async fn backends(ecs: &Ecs, group: &BackendGroup) -> Result<Backends, Error> {
    let action = "ListServerGroupServers";
    let mut backends = Backends::default();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let mut params = of_group(ecs, group);
        put(&mut params, "MaxResults", PAGE);
        put_some(&mut params, "NextToken", token.as_ref());
        let page: Page = read(ecs, group.kind, action, &params).await?;
        for server in page.servers.0 {
            let is_changing = server.status.0.as_deref().is_some_and(|s| s != "Available");
            backends.is_busy |= is_changing;
            let (Some(id), true) = (server.server_id.0, is_on(&server.port, group.port)) else {
                continue;
            };
            let weight = server.weight.0.and_then(|weight| weight.parse().ok()).unwrap_or(100);
            let backend = Backend { weight, is_changing, health: BackendHealth::Unknown };
            backends.backends.insert(InstanceId(id), backend);
        }
        token = page.next_token.0;
        if token.is_none() {
            if let Some(verdicts) = health(ecs, group).await? {
                for (id, backend) in &mut backends.backends {
                    // Who is not named is healthy.
                    let verdict = verdicts.get(&id.0).copied();
                    backend.health = verdict.unwrap_or(BackendHealth::Healthy);
                }
            }
            return Ok(backends);
        }
    }
    Err(malformed(action, "its pages do not end"))
}

/// The servers that the listener does not find healthy; `None`: no listener was named, or it does not send
/// to the group.
async fn health(
    ecs: &Ecs,
    group: &BackendGroup,
) -> Result<Option<BTreeMap<String, BackendHealth>>, Error> {
    let action = "GetListenerHealthStatus";
    let Some(listener) = &group.listener else { return Ok(None) };
    let mut verdicts: Option<BTreeMap<String, BackendHealth>> = None;
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let mut params = in_region(ecs, group.kind);
        put(&mut params, "ListenerId", listener);
        if group.kind == BalancerKind::Alb {
            put(&mut params, "IncludeRule", true);
            put(&mut params, "MaxResults", HEALTH_PAGE);
            put_some(&mut params, "NextToken", token.as_ref());
        }
        let page: HealthPage = read(ecs, group.kind, action, &params).await?;
        let groups = page.listener_health_status.0.into_iter();
        for of in groups.flat_map(|listener| listener.server_group_infos.0) {
            if of.server_group_id.0 != group.group {
                continue;
            }
            let verdicts = verdicts.get_or_insert_default();
            for server in of.non_normal_servers.0 {
                let (Some(id), true) = (server.server_id.0, is_on(&server.port, group.port)) else {
                    continue;
                };
                let verdict = match server.status.0.as_deref() {
                    Some("Initial") => BackendHealth::Checking,
                    Some("Unhealthy") => BackendHealth::Unhealthy,
                    // The check is off, or no listener sends to it.
                    _ => BackendHealth::Unknown,
                };
                verdicts.insert(id, verdict);
            }
        }
        token = page.next_token.0;
        if token.is_none() || group.kind == BalancerKind::Nlb {
            return Ok(verdicts);
        }
    }
    Err(malformed(action, "its pages do not end"))
}

fn is_on(its: &Text, port: Option<u16>) -> bool {
    its.0.as_deref().and_then(|port| port.parse::<u16>().ok()) == port
}

async fn read<T: DeserializeOwned>(
    ecs: &Ecs,
    kind: BalancerKind,
    action: &str,
    params: &Params,
) -> Result<T, Error> {
    let access = CallAccess::List(Urgency::Look);
    let answer = ecs.caller.call_api(Api::Balancer(kind), action, access, params).await?;
    answer.read().map_err(|why| malformed(action, &why))
}
