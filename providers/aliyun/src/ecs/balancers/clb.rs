//! CLB: the default group of an instance, or a vServer group. Servers are a JSON text in one parameter.

use std::collections::BTreeMap;

use cloud::{
    Backend, BackendChange, BackendGroup, BackendHealth, Backends, BalancerKind, Error, InstanceId,
    Urgency,
};
use serde::Deserialize;
use serde_json::json;

use super::malformed;
use crate::call::{Api, CallAccess};
use crate::ecs::Ecs;
use crate::ecs::params::{put, put_some};
use crate::rpc::Params;
use crate::wire::{AtMost, Text};

const API: Api = Api::Balancer(BalancerKind::Clb);
/// More than any group or instance may have.
const ROWS_MOST: usize = 10_000;

pub(super) fn action(group: &BackendGroup, change: BackendChange) -> &'static str {
    match (group.group.is_some(), change) {
        (true, BackendChange::Attach { .. }) => "AddVServerGroupBackendServers",
        (true, BackendChange::Weigh { .. }) => "SetVServerGroupAttribute",
        (true, BackendChange::Detach) => "RemoveVServerGroupBackendServers",
        (false, BackendChange::Attach { .. }) => "AddBackendServers",
        (false, BackendChange::Weigh { .. }) => "SetBackendServers",
        (false, BackendChange::Detach) => "RemoveBackendServers",
    }
}

pub(super) fn params(
    ecs: &Ecs,
    group: &BackendGroup,
    ids: &[InstanceId],
    change: BackendChange,
) -> Params {
    let mut params = ecs.params();
    match &group.group {
        Some(id) => put(&mut params, "VServerGroupId", id),
        None => put_some(&mut params, "LoadBalancerId", group.balancer.as_ref()),
    }
    let server = |id: &InstanceId| {
        let mut server = json!({ "ServerId": id.0, "Type": "ecs" });
        if let BackendChange::Attach { weight } | BackendChange::Weigh { weight } = change {
            server["Weight"] = json!(weight.to_string());
        }
        if let Some(port) = group.port.filter(|_| group.group.is_some()) {
            server["Port"] = json!(port.to_string());
        }
        server
    };
    let servers: Vec<serde_json::Value> = ids.iter().map(server).collect();
    put(&mut params, "BackendServers", json!(servers));
    params
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    backend_servers: Servers,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Servers {
    backend_server: AtMost<Server, ROWS_MOST>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Server {
    server_id: Text,
    port: Text,
    weight: Text,
    server_health_status: Text,
}

pub(super) async fn backends(ecs: &Ecs, group: &BackendGroup) -> Result<Backends, Error> {
    let mut params = ecs.params();
    let action = match &group.group {
        Some(id) => {
            put(&mut params, "VServerGroupId", id);
            "DescribeVServerGroupAttribute"
        }
        None => {
            put_some(&mut params, "LoadBalancerId", group.balancer.as_ref());
            "DescribeLoadBalancerAttribute"
        }
    };
    let listed: Listed = read(ecs, action, &params).await?;
    let health = match &group.balancer {
        Some(balancer) => health(ecs, balancer, group.port).await?,
        None => BTreeMap::new(),
    };
    let mut backends = Backends::default();
    for server in listed.backend_servers.backend_server.0 {
        let on_port = group.group.is_none() || is_on(&server, group.port);
        let (Some(id), true) = (server.server_id.0, on_port) else { continue };
        let weight = server.weight.0.and_then(|weight| weight.parse().ok());
        // Without a figure it is the vendor's default.
        let weight = weight.unwrap_or(100);
        let health = health.get(&id).copied().unwrap_or_default();
        let backend = Backend { weight, is_changing: false, health };
        backends.backends.insert(InstanceId(id), backend);
    }
    Ok(backends)
}

/// The worst verdict of all listeners, by instance.
async fn health(
    ecs: &Ecs,
    balancer: &str,
    port: Option<u16>,
) -> Result<BTreeMap<String, BackendHealth>, Error> {
    let mut params = ecs.params();
    put(&mut params, "LoadBalancerId", balancer);
    let listed: Listed = read(ecs, "DescribeHealthStatus", &params).await?;
    let mut health = BTreeMap::new();
    for server in listed.backend_servers.backend_server.0.into_iter() {
        if !is_on(&server, port) {
            continue;
        }
        let verdict = match server.server_health_status.0.as_deref() {
            Some("normal") => BackendHealth::Healthy,
            Some("abnormal") => BackendHealth::Unhealthy,
            // Not finished, or not enabled.
            _ => BackendHealth::Checking,
        };
        let Some(id) = server.server_id.0 else { continue };
        let known = health.entry(id).or_insert(verdict);
        let worse = |verdict| match verdict {
            BackendHealth::Unhealthy => 2,
            BackendHealth::Checking => 1,
            BackendHealth::Healthy | BackendHealth::Unknown => 0,
        };
        if worse(verdict) > worse(*known) {
            *known = verdict;
        }
    }
    Ok(health)
}

/// Whether it is about `port`; a row without one is about all.
fn is_on(server: &Server, port: Option<u16>) -> bool {
    let its = server.port.0.as_deref().and_then(|port| port.parse::<u16>().ok());
    its.is_none() || port.is_none() || its == port
}

async fn read(ecs: &Ecs, action: &str, params: &Params) -> Result<Listed, Error> {
    let access = CallAccess::List(Urgency::Look);
    let answer = ecs.caller.call_api(API, action, access, params).await?;
    answer.read().map_err(|why| malformed(action, &why))
}
