//! The server groups of ALB and NLB as their APIs word them: servers as `Servers.N.…`, changes as jobs,
//! plain lists.

use cloud::clock;
use serde_json::{Value, json};

use super::GroupKind;
use crate::actions::Call;
use crate::answer::{ApiError, Outcome};
use crate::state::State;

pub(super) fn perform(state: &mut State, call: &mut Call<'_>, kind: GroupKind) -> Outcome {
    match call.action {
        "AddServersToServerGroup" => call.once(state, |state, call| add(state, call, kind)),
        "UpdateServerGroupServersAttribute" => {
            call.once(state, |state, call| update(state, call, kind))
        }
        "RemoveServersFromServerGroup" => call.once(state, |state, call| remove(state, call, kind)),
        "ListServerGroupServers" => list(state, call, kind),
        "GetListenerHealthStatus" => health(state, call, kind),
        other => {
            let message = format!("The emulator's balancers do not know the action {other:?}.");
            Err(ApiError::new(404, "InvalidAction.NotFound", message))
        }
    }
}

fn group_of(state: &State, call: &Call<'_>, kind: GroupKind) -> Result<String, ApiError> {
    let id = call.required("ServerGroupId")?;
    let known = state.world.balancers.groups.get(id).is_some_and(|group| group.kind == kind);
    let code = format!("ResourceNotFound.{}", word(kind));
    if known { Ok(id.to_owned()) } else { Err(ApiError::not_found(&code, "server group")) }
}

/// The two APIs spell it differently.
fn word(kind: GroupKind) -> &'static str {
    if kind == GroupKind::Nlb { "serverGroup" } else { "ServerGroup" }
}

/// The group of a change, unless another one is under way.
fn changed(state: &mut State, call: &Call<'_>, kind: GroupKind) -> Result<String, ApiError> {
    let id = group_of(state, call, kind)?;
    if state.group(&id).busy_until.is_some() {
        let code = format!("IncorrectStatus.{}", word(kind));
        return Err(ApiError::new(409, &code, "The server group is being changed."));
    }
    Ok(id)
}

/// `Servers.1.ServerId` and so on: the id, the port and the weight of each.
fn servers(call: &Call<'_>, most: usize) -> Result<Vec<(String, Option<u16>, u32)>, ApiError> {
    let mut servers = Vec::new();
    for n in 1.. {
        let field = |name: &str| call.get(&format!("Servers.{n}.{name}"));
        let Some(id) = field("ServerId") else { break };
        if field("ServerType") != Some("Ecs") {
            return Err(ApiError::invalid(&format!("Servers.{n}.ServerType"), "it must be Ecs"));
        }
        let port = field("Port").and_then(|port| port.parse::<u16>().ok()).filter(|p| *p > 0);
        if port.is_none() {
            return Err(ApiError::missing(&format!("Servers.{n}.Port")));
        }
        let weight = field("Weight").map_or(Some(100), |weight| weight.parse::<u32>().ok());
        let weight = weight.filter(|weight| *weight <= 100).ok_or_else(|| {
            ApiError::invalid(&format!("Servers.{n}.Weight"), "it must be 0 to 100")
        })?;
        servers.push((id.to_owned(), port, weight));
    }
    if servers.is_empty() || servers.len() > most {
        return Err(ApiError::invalid("Servers", &format!("1 to {most} servers")));
    }
    Ok(servers)
}

fn add(state: &mut State, call: &mut Call<'_>, kind: GroupKind) -> Outcome {
    let wanted = servers(call, 200)?;
    let group = changed(state, call, kind)?;
    let job = state.world.balancers.job;
    state.add_servers(&group, wanted, job)?;
    Ok(job_of(state))
}

fn update(state: &mut State, call: &mut Call<'_>, kind: GroupKind) -> Outcome {
    let wanted = servers(call, 40)?;
    let group = changed(state, call, kind)?;
    let until = clock::after(state.now(), state.world.balancers.job.0);
    let of = state.group(&group);
    for (id, port, weight) in wanted {
        let server = of.servers.iter_mut().find(|s| s.id == id && s.port == port);
        let Some(server) = server else {
            return Err(ApiError::not_found("ResourceNotFound.BackendServer", &id));
        };
        server.weight = weight;
    }
    of.busy_until = Some(until);
    Ok(job_of(state))
}

fn remove(state: &mut State, call: &mut Call<'_>, kind: GroupKind) -> Outcome {
    let wanted = servers(call, 200)?;
    let group = changed(state, call, kind)?;
    let until = clock::after(state.now(), state.world.balancers.job.0);
    let of = state.group(&group);
    for (id, port, _) in wanted {
        let server = of.servers.iter_mut().find(|s| s.id == id && s.port == port);
        let Some(server) = server else {
            return Err(ApiError::not_found("ResourceNotFound.BackendServer", &id));
        };
        server.leaves = Some(until);
    }
    of.busy_until = Some(until);
    Ok(job_of(state))
}

fn job_of(state: &State) -> Value {
    json!({ "JobId": format!("job-{}", state.transcript.entries().len()) })
}

fn list(state: &mut State, call: &Call<'_>, kind: GroupKind) -> Outcome {
    let group = group_of(state, call, kind)?;
    let page = call.number("MaxResults", 1..=100, 20)? as usize;
    let from = match call.token() {
        None => 0,
        Some(token) => token.parse::<usize>().map_err(|_| ApiError::invalid("NextToken", "it"))?,
    };
    let of = state.group(&group);
    let is_busy = of.busy_until.is_some();
    let all = of.servers.clone();
    let status = |server: &super::Server| match (server.leaves, is_busy) {
        (Some(_), _) => "Removing",
        (None, true) => "Configuring",
        (None, false) => "Available",
    };
    let shown = |server: &super::Server| {
        json!({
            "ServerId": server.id,
            "ServerType": "Ecs",
            "Port": server.port,
            "Weight": server.weight,
            "Status": status(server),
            "ServerGroupId": group,
        })
    };
    let servers: Vec<Value> = all.iter().skip(from).take(page).map(shown).collect();
    let mut answer = json!({ "Servers": servers, "MaxResults": page, "TotalCount": all.len() });
    if from + page < all.len() {
        answer["NextToken"] = json!((from + page).to_string());
    }
    Ok(answer)
}

fn health(state: &mut State, call: &Call<'_>, kind: GroupKind) -> Outcome {
    let listener = call.required("ListenerId")?.to_owned();
    let groups = state.world.balancers.groups.iter();
    let is_its = |group: &super::ServerGroup| group.kind == kind && group.front == listener;
    let ids: Vec<String> =
        groups.filter(|(_, group)| is_its(group)).map(|(id, _)| id.clone()).collect();
    if ids.is_empty() {
        return Err(ApiError::not_found("ResourceNotFound.Listener", "listener"));
    }
    let mut infos = Vec::new();
    for id in ids {
        let mut troubled = Vec::new();
        for backend in state.backends_of(&id) {
            let (status, reason) = match backend.health.as_str() {
                "healthy" => continue,
                "unhealthy" => ("Unhealthy", "CONNECT_FAILED"),
                _ => ("Initial", "INITIAL"),
            };
            troubled.push(json!({
                "ServerId": backend.id,
                "ServerIp": backend.private_ip,
                "Port": backend.port,
                "Status": status,
                "Reason": { "ReasonCode": reason },
            }));
        }
        infos.push(json!({
            "ServerGroupId": id,
            "HealthCheckEnabled": "on",
            "NonNormalServers": troubled,
        }));
    }
    Ok(json!({
        "ListenerHealthStatus": [{ "ListenerId": listener, "ServerGroupInfos": infos }],
    }))
}
