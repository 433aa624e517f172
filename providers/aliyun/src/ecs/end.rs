//! StartInstances, StopInstances, DeleteInstances: batches with one result per id.

use std::collections::BTreeMap;

use cloud::{Class, Error, ErrorKind, InstanceId, InstanceResult, Permit, Terminate};
use serde::Deserialize;
use uuid::Uuid;

use super::Ecs;
use super::params::{put, put_list};
use crate::call::CallAccess;
use crate::codes::{classify, concerns, is_known};
use crate::rpc::Params;
use crate::wire::{AtMost, Text};

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
    Ok(each(ecs, permit, "StartInstances", ids, start_params).await)
}

pub(super) async fn stop(
    ecs: &Ecs,
    permit: &Permit,
    ids: &[InstanceId],
) -> Result<Vec<InstanceResult>, Error> {
    Ok(each(ecs, permit, "StopInstances", ids, stop_params).await)
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

/// In batches; one that is refused as a whole because of one of its instances is repeated instance
/// by instance.
async fn each(
    ecs: &Ecs,
    permit: &Permit,
    action: &str,
    ids: &[InstanceId],
    params: fn(&Ecs, &[InstanceId]) -> Params,
) -> Vec<InstanceResult> {
    let mut results = Vec::new();
    for batch in batches(ids) {
        match each_once(ecs, permit, action, batch, &params(ecs, batch)).await {
            Ok(rows) => results.extend(rows),
            Err(error) if batch.len() > 1 && concerns_one(&error) => {
                for id in batch.chunks(1) {
                    let result = each_once(ecs, permit, action, id, &params(ecs, id)).await;
                    let rows = result.unwrap_or_else(|error| all(id, &error));
                    results.extend(rows.into_iter().map(|row| doubt(row, &error)));
                }
            }
            Err(error) => results.extend(all(batch, &error)),
        }
    }
    results
}

/// One call with SuccessFirst, whose answer has a code for each id.
async fn each_once(
    ecs: &Ecs,
    permit: &Permit,
    action: &str,
    ids: &[InstanceId],
    params: &Params,
) -> Result<Vec<InstanceResult>, Error> {
    let answer = ecs.caller.call(action, CallAccess::Write(permit), params).await?;
    // Accepted, but by an answer that nobody can read: only a look tells.
    let ambiguous = |what: &str| super::malformed(action, what, Class::Ambiguous);
    let told: DeleteAnswer = answer.read().map_err(|why| ambiguous(&why))?;
    let told: BTreeMap<String, DeletedRow> = told
        .responses
        .rows
        .0
        .into_iter()
        .filter_map(|mut row| Some((row.instance_id.0.take()?, row)))
        .collect();
    let result = |id: &InstanceId| {
        let Some(row) = told.get(&id.0) else {
            return Err(ambiguous(&format!("it does not name {id}")));
        };
        let code = row.code.0.clone().unwrap_or_default();
        if code == "200" {
            return Ok(());
        }
        let class = match classify(&code, 200, true) {
            Class::Gone => Class::Gone,
            // Its state forbids it, perhaps because the attempt without an answer did it.
            _ if answer.doubted => Class::Ambiguous,
            class => class,
        };
        Err(refused(action, class, code, row.message.0.clone().unwrap_or_default()))
    };
    Ok(ids.iter().map(|id| row(id, result(id))).collect())
}

/// A batch has 100 at most.
const ROWS_MOST: usize = 500;

/// One row for each instance, if the answer has any.
#[derive(Deserialize)]
struct DeleteAnswer {
    #[serde(rename = "InstanceResponses", default)]
    responses: Responses,
}

#[derive(Deserialize, Default)]
struct Responses {
    #[serde(rename = "InstanceResponse", default)]
    rows: AtMost<DeletedRow, ROWS_MOST>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct DeletedRow {
    instance_id: Text,
    code: Text,
    message: Text,
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
            Err(error) if batch.len() > 1 && concerns_one(&error) => {
                for id in batch {
                    let result = delete_once(ecs, permit, std::slice::from_ref(id), how).await;
                    results.push(gone_is_done(doubt(row(id, result), &error)));
                }
            }
            result => {
                results.extend(batch.iter().map(|id| gone_is_done(row(id, result.clone()))));
            }
        }
    }
    Ok(results)
}

/// The refusal of the last answer, whatever earlier attempts left open.
fn refusal(error: &Error) -> Option<Class> {
    match &error.kind {
        ErrorKind::Refused { code, .. } => Some(is_known(code).unwrap_or(error.class)),
        _ => None,
    }
}

/// Whether a batch was refused, and that may be due to one of its instances only.
pub(super) fn concerns_one(error: &Error) -> bool {
    let class = refusal(error);
    matches!(class, Some(Class::Gone | Class::Conflict | Class::Permanent | Class::Quota))
}

/// Once an attempt for all may have had its effect, a refusal of one is no proof that it had none.
pub(super) fn doubt(mut one: InstanceResult, batch: &Error) -> InstanceResult {
    if let (Err(error), Class::Ambiguous) = (&mut one.result, batch.class) {
        error.class = Class::Ambiguous;
    }
    one
}

/// An instance that is gone has reached its goal, whoever ended it.
pub(super) fn gone_is_done(one: InstanceResult) -> InstanceResult {
    match &one.result {
        Err(error) if refusal(error) == Some(Class::Gone) => {
            InstanceResult { result: Ok(()), ..one }
        }
        _ => one,
    }
}

pub(super) fn row(id: &InstanceId, result: Result<(), Error>) -> InstanceResult {
    InstanceResult { id: id.clone(), result }
}

async fn delete_once(
    ecs: &Ecs,
    permit: &Permit,
    ids: &[InstanceId],
    how: Terminate,
) -> Result<(), Error> {
    let params = delete_params(ecs, ids, how, &token(permit, ids).to_string());
    ecs.caller.call("DeleteInstances", CallAccess::Write(permit), &params).await.map(drop)
}

/// A token for the deletion of exactly these ids under this intent: the same after a crash, another
/// one for any other batch.
pub(super) fn token(permit: &Permit, ids: &[InstanceId]) -> Uuid {
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

pub(super) fn all(ids: &[InstanceId], error: &Error) -> Vec<InstanceResult> {
    ids.iter().map(|id| row(id, Err(error.clone()))).collect()
}

fn refused(action: &str, class: Class, code: String, message: String) -> Error {
    let concerns = concerns(&code);
    Error {
        action: action.to_owned(),
        class,
        kind: ErrorKind::Refused { code, message, concerns },
        status: Some(200),
        request_id: None,
        attempts: 1,
    }
}
