//! StartInstances and StopInstances.

use cloud::clock;
use serde_json::{Value, json};

use super::Call;
use crate::answer::{ApiError, Outcome};
use crate::machine::Power;
use crate::state::State;

pub(super) fn start_instances(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let now = state.now();
    each(state, call, "Stopped", "Starting", |_| Power::On { since: now })
}

pub(super) fn stop_instances(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let until = if call.is_true("ForceStop") {
        state.now()
    } else {
        clock::after(state.now(), state.world.stop.0)
    };
    each(state, call, "Running", "Stopping", |_| Power::Stopping { until, then_gone: false })
}

/// Every instance that is `from` becomes what `power` says; the others are refused, one by one
/// with SuccessFirst, all together without it.
fn each(
    state: &mut State,
    call: &mut Call<'_>,
    from: &str,
    to: &str,
    power: impl Fn(&str) -> Power,
) -> Outcome {
    let ids = call.list("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId.1"));
    }
    if ids.len() > 100 {
        return Err(ApiError::invalid("InstanceId", "more than 100 ids"));
    }
    if call.is_true("DryRun") {
        call.dry_run("DRYRUN.SUCCESS")?;
    }
    let success_first = call.get("BatchOptimization") == Some("SuccessFirst");
    let (now, boot) = (state.now(), state.world.boot.0);
    let refusal = |state: &State, id: &str| match state.existing(id) {
        None => Some(ApiError::not_found("InvalidInstanceId.NotFound", "InstanceId")),
        Some(machine) if machine.status(now, boot) != Some(from) => Some(ApiError::wrong_status()),
        Some(_) => None,
    };
    if !success_first && let Some(error) = ids.iter().find_map(|id| refusal(state, id)) {
        return Err(error);
    }
    let mut rows: Vec<Value> = Vec::new();
    for id in &ids {
        match refusal(state, id) {
            Some(error) => rows.push(json!({
                "InstanceId": id, "Code": error.code, "Message": error.message,
                "PreviousStatus": "", "CurrentStatus": "",
            })),
            None => {
                if let Some(machine) = state.existing_mut(id) {
                    machine.power = power(id);
                }
                rows.push(json!({
                    "InstanceId": id, "Code": "200", "Message": "success",
                    "PreviousStatus": from, "CurrentStatus": to,
                }));
            }
        }
    }
    Ok(json!({ "InstanceResponses": { "InstanceResponse": rows } }))
}
