//! Backends of load balancers: CLB in `clb.rs`, the server groups of ALB and NLB in `groups.rs`.
//!
//! Changes go in batches. A batch that is refused because of one of its instances is repeated instance by
//! instance; one that finds the balancer busy is not: the caller comes back.

mod clb;
mod groups;

use cloud::{
    BackendChange, BackendGroup, Backends, BalancerKind, Class, Error, ErrorKind, InstanceId,
    InstanceResult, Permit, PlannedCall,
};
use uuid::Uuid;

use crate::call::{Api, CallAccess};
use crate::ecs::Ecs;
use crate::ecs::end::{all, concerns_one, doubt, gone_is_done, row};
use crate::rpc::Params;

/// Codes of a balancer or group that is busy with another change.
const BUSY: &[&str] = &[
    "ServiceIsConfiguring",
    "ServiceIsStopping",
    "VServerGroupProcessing",
    "OperationBusy",
    "SystemBusy",
    "BackendServer.configuring",
    "IncorrectStatus.ServerGroup",
    "IncorrectStatus.serverGroup",
    "Conflict.Lock",
    "OperationFailed.ResourceIsConfiguring",
];

/// The backend to add is there already.
const ALREADY: &[&str] = &["ResourceAlreadyExist.BackendServer", "BackendServer.Exist"];

/// One call: its action and its business parameters.
struct Changing {
    action: &'static str,
    params: Params,
}

/// The backends of `group`.
pub(in crate::ecs) async fn backends(ecs: &Ecs, group: &BackendGroup) -> Result<Backends, Error> {
    match group.kind {
        BalancerKind::Clb => clb::backends(ecs, group).await,
        BalancerKind::Alb | BalancerKind::Nlb => groups::backends(ecs, group).await,
    }
}

/// Changes backends in batches.
pub(in crate::ecs) async fn route(
    ecs: &Ecs,
    permit: &Permit,
    group: &BackendGroup,
    ids: &[InstanceId],
    change: BackendChange,
) -> Vec<InstanceResult> {
    let mut results = Vec::new();
    for batch in ids.chunks(batch_size(group.kind, change)) {
        match once(ecs, permit, group, batch, change).await {
            Ok(()) => results.extend(batch.iter().map(|id| row(id, Ok(())))),
            Err(error) if batch.len() > 1 && concerns_one(&error) && !is_one_of(&error, BUSY) => {
                results.extend(one_by_one(ecs, permit, group, batch, change, &error).await);
            }
            Err(error) => {
                results.extend(all(batch, &error).into_iter().map(|one| reached(one, change)));
            }
        }
    }
    results
}

/// The servers of a refused batch, each in a call of its own, until the group is busy with one of them.
async fn one_by_one(
    ecs: &Ecs,
    permit: &Permit,
    group: &BackendGroup,
    batch: &[InstanceId],
    change: BackendChange,
    refused: &Error,
) -> Vec<InstanceResult> {
    let mut results = Vec::new();
    for (n, id) in batch.iter().enumerate() {
        let result = once(ecs, permit, group, std::slice::from_ref(id), change).await;
        if let Err(error) = &result
            && is_one_of(error, BUSY)
        {
            results.extend(all(&batch[n..], error));
            break;
        }
        results.push(reached(doubt(row(id, result), refused), change));
    }
    results
}

/// The calls of a change, as they would be sent.
pub(in crate::ecs) fn preview(
    ecs: &Ecs,
    group: &BackendGroup,
    ids: &[InstanceId],
    change: BackendChange,
) -> Vec<PlannedCall> {
    let call = |ids: &[InstanceId]| {
        let token = "<client token, from the intent>";
        let Changing { action, params } = changing(ecs, group, ids, change, token);
        ecs.caller.preview(Api::Balancer(group.kind), action, &params)
    };
    ids.chunks(batch_size(group.kind, change)).map(call).collect()
}

/// The action that makes a change.
pub(in crate::ecs) fn action(group: &BackendGroup, change: BackendChange) -> &'static str {
    match group.kind {
        BalancerKind::Clb => clb::action(group, change),
        BalancerKind::Alb | BalancerKind::Nlb => groups::action(change),
    }
}

/// Servers in one call: 20 of a CLB; 200 of a server group, 40 where weights are changed.
fn batch_size(kind: BalancerKind, change: BackendChange) -> usize {
    match (kind, change) {
        (BalancerKind::Clb, _) => 20,
        (_, BackendChange::Weigh { .. }) => 40,
        _ => 200,
    }
}

fn changing(
    ecs: &Ecs,
    group: &BackendGroup,
    ids: &[InstanceId],
    change: BackendChange,
    token: &str,
) -> Changing {
    let action = action(group, change);
    let params = match group.kind {
        BalancerKind::Clb => clb::params(ecs, group, ids, change),
        BalancerKind::Alb | BalancerKind::Nlb => groups::params(ecs, group, ids, change, token),
    };
    Changing { action, params }
}

async fn once(
    ecs: &Ecs,
    permit: &Permit,
    group: &BackendGroup,
    ids: &[InstanceId],
    change: BackendChange,
) -> Result<(), Error> {
    let token = token(permit, ids).to_string();
    let Changing { action, params } = changing(ecs, group, ids, change, &token);
    let api = Api::Balancer(group.kind);
    ecs.caller.call_api(api, action, CallAccess::Write(permit), &params).await.map(drop)
}

/// The same for the same servers under the same intent, whoever sends it.
fn token(permit: &Permit, ids: &[InstanceId]) -> Uuid {
    crate::ecs::end::token(permit, ids)
}

/// A change that has reached its goal already is done.
fn reached(one: InstanceResult, change: BackendChange) -> InstanceResult {
    match (&one.result, change) {
        (_, BackendChange::Detach) => gone_is_done(one),
        (Err(error), BackendChange::Attach { .. }) if is_one_of(error, ALREADY) => {
            InstanceResult { result: Ok(()), ..one }
        }
        _ => one,
    }
}

fn is_one_of(error: &Error, codes: &[&str]) -> bool {
    matches!(&error.kind, ErrorKind::Refused { code, .. } if codes.contains(&code.as_str()))
}

/// An answer to a read without what it must have.
fn malformed(action: &str, what: &str) -> Error {
    crate::ecs::malformed(action, what, Class::Transient)
}
