//! DeleteInstances and DeleteInstance.

use cloud::clock;
use serde_json::json;

use super::Call;
use crate::answer::{ApiError, Outcome};
use crate::machine::Power;
use crate::state::State;

pub(super) fn delete_instances(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let ids = call.list("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId.1"));
    }
    if ids.len() > 100 {
        return Err(ApiError::invalid("InstanceId", "more than 100 ids"));
    }
    call.once(state, |state, call| delete(state, call, &ids, "DRYRUN.SUCCESS"))
}

pub(super) fn delete_instance(state: &mut State, call: &mut Call<'_>) -> Outcome {
    let ids = vec![call.required("InstanceId")?.to_owned()];
    delete(state, call, &ids, "DryRunOperation")
}

/// All of them or none.
fn delete(state: &mut State, call: &mut Call<'_>, ids: &[String], dry: &str) -> Outcome {
    let force = call.is_true("Force");
    let (now, boot) = (state.now(), state.world.boot.0);
    for id in ids {
        let Some(machine) = state.existing(id) else {
            return Err(ApiError::not_found("InvalidInstanceId.NotFound", "InstanceId"));
        };
        if machine.deletion_protection {
            return Err(ApiError::protected());
        }
        let status = machine.status(now, boot);
        if machine.is_initializing(now) || status == Some("Pending") {
            return Err(ApiError::initializing());
        }
        if !force && status != Some("Stopped") {
            return Err(ApiError::wrong_status());
        }
    }
    call.dry_run(dry)?;
    // ForceStop is the default with Force: the power is cut.
    let graceful = force && call.get("ForceStop") == Some("false");
    let until = if graceful { clock::after(now, state.world.stop.0) } else { now };
    for id in ids {
        if let Some(machine) = state.existing_mut(id) {
            let (place, vswitch) =
                (format!("{}/{}", machine.zone, machine.instance_type), machine.vswitch.clone());
            if graceful {
                machine.power = Power::Stopping { until, then_gone: true };
            } else {
                machine.end(now, boot);
            }
            if let Some(stock) = state.world.stock.get_mut(&place) {
                *stock += 1;
            }
            if let Some(network) = state.world.vswitches.get_mut(&vswitch) {
                network.ips += 1;
            }
        }
    }
    call.deleted = ids.to_vec();
    Ok(json!({}))
}
