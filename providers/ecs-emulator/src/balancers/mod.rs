//! Load balancers: which groups of backends there are, who is in them, and what their health checks say.
//! The wording of CLB is in `clb.rs`, that of ALB and NLB in `groups.rs`.
//!
//! No traffic goes through here: a proxy that plays the balancer asks `/_emulator/backends`.

mod clb;
mod groups;

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};

use crate::actions::Call;
use crate::answer::{ApiError, Outcome};
use crate::state::State;
use crate::time::Span;

/// The versions by which requests name the API that they mean.
const CLB: &str = "2014-05-15";
const ALB: &str = "2020-06-16";
const NLB: &str = "2022-04-30";

/// The load balancers of a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Balancers {
    /// By the id of the group; the default group of a CLB has the id of its balancer.
    pub groups: BTreeMap<String, ServerGroup>,
    /// How long a change of an ALB's or NLB's group goes on after it was answered.
    pub job: Span,
    /// How long after it was added a running backend is found healthy.
    pub check: Span,
    /// Instances that health checks find unhealthy.
    pub unhealthy: BTreeSet<String>,
    /// Backends that a group may have.
    pub servers_max: usize,
}

/// A group of backends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerGroup {
    pub kind: GroupKind,
    /// The balancer of a CLB's group, or the listener of the others.
    pub front: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// The default group of a CLB.
    Clb,
    /// A vServer group of a CLB.
    Vserver,
    Alb,
    Nlb,
}

impl Default for Balancers {
    fn default() -> Self {
        let group = |id: &str, kind, front: &str| {
            (id.to_owned(), ServerGroup { kind, front: front.to_owned() })
        };
        Balancers {
            groups: [
                group("lb-bp1example", GroupKind::Clb, "lb-bp1example"),
                group("rsp-bp1example", GroupKind::Vserver, "lb-bp1example"),
                group("sgp-bp1alb", GroupKind::Alb, "lsn-bp1alb"),
                group("sgp-bp1nlb", GroupKind::Nlb, "lsn-bp1nlb"),
            ]
            .into(),
            job: Span::secs(1),
            check: Span::secs(2),
            unhealthy: BTreeSet::new(),
            servers_max: 1_000,
        }
    }
}

impl Balancers {
    /// Health checks take so long.
    pub fn set_check(&mut self, check: std::time::Duration) {
        self.check = Span(check);
    }
}

/// The backends of one group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    servers: Vec<Server>,
    /// A change is under way until then.
    busy_until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Server {
    id: String,
    /// None in the default group of a CLB.
    port: Option<u16>,
    weight: u32,
    added: Timestamp,
    /// It is gone from then on.
    leaves: Option<Timestamp>,
}

/// A backend as tests and proxies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendView {
    pub id: String,
    pub port: Option<u16>,
    pub weight: u32,
    /// `initial`, `healthy` or `unhealthy`.
    pub health: String,
    pub private_ip: String,
}

/// Carries out a call of one of the balancers' APIs; `None`: it is of another API.
pub(crate) fn perform(state: &mut State, call: &mut Call<'_>) -> Option<Outcome> {
    match call.version {
        CLB => Some(clb::perform(state, call)),
        ALB => Some(groups::perform(state, call, GroupKind::Alb)),
        NLB => Some(groups::perform(state, call, GroupKind::Nlb)),
        _ => None,
    }
}

/// The prefix of the API's actions in a policy; `None` for that of ECS.
pub(crate) fn prefix(version: &str) -> Option<&'static str> {
    match version {
        CLB => Some("slb"),
        ALB => Some("alb"),
        NLB => Some("nlb"),
        _ => None,
    }
}

impl State {
    /// The backends of every group.
    pub(crate) fn backend_views(&mut self) -> BTreeMap<String, Vec<BackendView>> {
        let ids: Vec<String> = self.world.balancers.groups.keys().cloned().collect();
        ids.into_iter().map(|id| (id.clone(), self.backends_of(&id))).collect()
    }

    pub(crate) fn backends_of(&mut self, group: &str) -> Vec<BackendView> {
        let servers = self.group(group).servers.clone();
        let view = |server: Server| BackendView {
            health: self.health(&server).to_owned(),
            private_ip: self.existing(&server.id).map(|m| m.ip.clone()).unwrap_or_default(),
            id: server.id,
            port: server.port,
            weight: server.weight,
        };
        servers.into_iter().map(view).collect()
    }

    /// Somebody takes an instance out of a group, or puts it in.
    pub(crate) fn meddle(&mut self, group: &str, instance: &str, port: Option<u16>, adds: bool) {
        let added = self.now();
        let servers = &mut self.group(group).servers;
        servers.retain(|server| server.id != instance);
        if adds {
            let id = instance.to_owned();
            servers.push(Server { id, port, weight: 100, added, leaves: None });
        }
    }

    /// The group as it is now: released instances have left.
    fn group(&mut self, id: &str) -> &mut Group {
        let now = self.now();
        let mut group = self.backends.remove(id).unwrap_or_default();
        group.servers.retain(|server| {
            server.leaves.is_none_or(|at| at > now) && self.existing(&server.id).is_some()
        });
        group.busy_until = group.busy_until.filter(|at| *at > now);
        self.backends.entry(id.to_owned()).or_insert(group)
    }

    fn is_running(&self, id: &str) -> bool {
        let (now, boot) = (self.now(), self.world.boot.0);
        self.existing(id).and_then(|machine| machine.status(now, boot)) == Some("Running")
    }

    fn health(&self, server: &Server) -> &'static str {
        let balancers = &self.world.balancers;
        if balancers.unhealthy.contains(&server.id) || !self.is_running(&server.id) {
            "unhealthy"
        } else if clock::age(self.now(), server.added) < balancers.check.0 {
            "initial"
        } else {
            "healthy"
        }
    }

    /// Adds servers; refuses all of them when one cannot be added.
    fn add_servers(
        &mut self,
        group: &str,
        wanted: Vec<(String, Option<u16>, u32)>,
        ready_in: Span,
    ) -> Result<(), ApiError> {
        let (now, most) = (self.now(), self.world.balancers.servers_max);
        for (id, port, _) in &wanted {
            if !self.is_running(id) {
                let message = format!("The backend server {id} is not running.");
                return Err(ApiError::new(400, "BackendServer.NotRunning", message));
            }
            let is_there = |server: &Server| server.id == *id && server.port == *port;
            if self.group(group).servers.iter().any(is_there) {
                let message = format!("The backend server {id} is there already.");
                return Err(ApiError::new(400, "ResourceAlreadyExist.BackendServer", message));
            }
        }
        if self.group(group).servers.len() + wanted.len() > most {
            let message = "The group has as many servers as it may have.";
            return Err(ApiError::new(400, "QuotaExceeded.ServersNum", message));
        }
        let group = self.group(group);
        for (id, port, weight) in wanted {
            group.servers.push(Server { id, port, weight, added: now, leaves: None });
        }
        group.busy_until = Some(clock::after(now, ready_in.0)).filter(|at| *at > now);
        Ok(())
    }
}
