//! StartInstances, StopInstances, DeleteInstances: batches with one result per id.

use std::collections::BTreeMap;

use cloud::{Class, Error, InstanceId, InstanceResult, Kind, Permit, Terminate};
use serde_json::Value;
use uuid::Uuid;

use super::Ecs;
use super::params::{put, put_list};
use crate::call::Access;
use crate::codes::{classify, is_known};
use crate::rpc::Params;

/// Each of the three takes 1 to 100 ids.
const BATCH: usize = 100;

pub(super) fn batches(ids: &[InstanceId]) -> impl Iterator<Item = &[InstanceId]> {
    ids.chunks(BATCH)
}

pub(super) async fn start(
    ecs: &Ecs,
    permit: &Permit,
    ids: &[InstanceId],
) -> Result<Vec<InstanceResult>, Error> {
    let mut results = Vec::new();
    for ids in batches(ids) {
        results.extend(each(ecs, permit, "StartInstances", ids, &start_params(ecs, ids)).await);
    }
    Ok(results)
}

pub(super) async fn stop(
    ecs: &Ecs,
    permit: &Permit,
    ids: &[InstanceId],
) -> Result<Vec<InstanceResult>, Error> {
    let mut results = Vec::new();
    for ids in batches(ids) {
        results.extend(each(ecs, permit, "StopInstances", ids, &stop_params(ecs, ids)).await);
    }
    Ok(results)
}

pub(super) fn start_params(ecs: &Ecs, ids: &[InstanceId]) -> Params {
    let mut params = ecs.params();
    // One bad id must not fail the others.
    put(&mut params, "BatchOptimization", "SuccessFirst");
    put_list(&mut params, "InstanceId", ids);
    params
}

pub(super) fn stop_params(ecs: &Ecs, ids: &[InstanceId]) -> Params {
    let mut params = start_params(ecs, ids);
    put(&mut params, "ForceStop", false);
    params
}

/// One call with SuccessFirst, whose answer has a code for each id.
async fn each(
    ecs: &Ecs,
    permit: &Permit,
    action: &str,
    ids: &[InstanceId],
    params: &Params,
) -> Vec<InstanceResult> {
    let answer = match ecs.caller.call(action, Access::Write(permit), params).await {
        Ok(answer) => answer,
        Err(error) => return all(ids, &error),
    };
    let rows =
        answer.value.pointer("/InstanceResponses/InstanceResponse").and_then(Value::as_array);
    let codes: BTreeMap<&str, &Value> = rows
        .into_iter()
        .flatten()
        .filter_map(|row| Some((row.get("InstanceId")?.as_str()?, row)))
        .collect();
    let result = |id: &InstanceId| {
        let text = |row: &Value, key: &str| match row.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let Some(row) = codes.get(id.0.as_str()) else {
            return Err(super::malformed(
                action,
                &format!("it does not name {id}"),
                Class::Ambiguous,
            ));
        };
        let code = text(row, "Code");
        if code == "200" {
            return Ok(());
        }
        let class = match classify(&code, 200, true) {
            Class::Gone => Class::Gone,
            // Its state forbids it, perhaps because the attempt without an answer did it.
            _ if answer.doubted => Class::Ambiguous,
            class => class,
        };
        Err(refused(action, class, code, text(row, "Message")))
    };
    ids.iter().map(|id| InstanceResult { id: id.clone(), result: result(id) }).collect()
}

/// Deletes in batches. A batch is all or nothing, so one that is refused because of one of its
/// instances is repeated instance by instance.
pub(super) async fn delete(
    ecs: &Ecs,
    permit: &Permit,
    ids: &[InstanceId],
    how: Terminate,
) -> Result<Vec<InstanceResult>, Error> {
    let mut results = Vec::new();
    for batch in batches(ids) {
        match delete_once(ecs, permit, batch, how).await {
            Err(error) if batch.len() > 1 && concerns_one(refusal(&error)) => {
                // Once an attempt for all may have had its effect, a refusal of one is no proof
                // that it had none.
                let doubted = error.class == Class::Ambiguous;
                for id in batch.chunks(1) {
                    let mut result = delete_once(ecs, permit, id, how).await;
                    if let (Err(error), true) = (&mut result, doubted) {
                        error.class = Class::Ambiguous;
                    }
                    results.extend(id.iter().map(|id| gone_is_done(id, result.clone())));
                }
            }
            result => results.extend(batch.iter().map(|id| gone_is_done(id, result.clone()))),
        }
    }
    Ok(results)
}

/// What the last answer said, whatever earlier attempts left open.
fn refusal(error: &Error) -> Class {
    match &error.kind {
        Kind::Refused { code, .. } => is_known(code).unwrap_or(error.class),
        _ => error.class,
    }
}

/// Whether a refusal of a batch may be due to one of its instances only.
fn concerns_one(class: Class) -> bool {
    matches!(class, Class::Gone | Class::Conflict | Class::Permanent | Class::Quota)
}

/// An instance that is gone has reached its goal, whoever ended it.
fn gone_is_done(id: &InstanceId, result: Result<(), Error>) -> InstanceResult {
    let result = match result {
        Err(error) if refusal(&error) == Class::Gone => Ok(()),
        result => result,
    };
    InstanceResult { id: id.clone(), result }
}

async fn delete_once(
    ecs: &Ecs,
    permit: &Permit,
    ids: &[InstanceId],
    how: Terminate,
) -> Result<(), Error> {
    let params = delete_params(ecs, ids, how, &token(permit, ids).to_string());
    ecs.caller.call("DeleteInstances", Access::Write(permit), &params).await.map(drop)
}

/// A token for the deletion of exactly these ids under this intent: the same after a crash, another
/// one for any other batch.
fn token(permit: &Permit, ids: &[InstanceId]) -> Uuid {
    use sha1::{Digest, Sha1};
    let mut hash = Sha1::new().chain_update(permit.intent().as_bytes());
    for id in ids {
        hash = hash.chain_update(id.0.as_bytes()).chain_update([0]);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

pub(super) fn delete_params(ecs: &Ecs, ids: &[InstanceId], how: Terminate, token: &str) -> Params {
    let mut params = ecs.params();
    put(&mut params, "ClientToken", token);
    match how {
        // Release a running instance, its operating system shut down first.
        Terminate::Graceful => {
            put(&mut params, "Force", true);
            put(&mut params, "ForceStop", false);
        }
        // Release a running instance, power cut.
        Terminate::Force => {
            put(&mut params, "Force", true);
            put(&mut params, "ForceStop", true);
        }
        // Only an instance that is stopped already.
        Terminate::StopThenDelete => put(&mut params, "Force", false),
    }
    put_list(&mut params, "InstanceId", ids);
    params
}

fn all(ids: &[InstanceId], error: &Error) -> Vec<InstanceResult> {
    ids.iter().map(|id| InstanceResult { id: id.clone(), result: Err(error.clone()) }).collect()
}

fn refused(action: &str, class: Class, code: String, message: String) -> Error {
    Error {
        action: action.to_owned(),
        class,
        kind: Kind::Refused { code, message },
        status: Some(200),
        request_id: None,
        attempts: 1,
    }
}
