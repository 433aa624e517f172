//! The hooks that are due: those of a step that an instance has reached, and that were not called for it
//! yet. A hook is called once for each step; what became of it is in the history.

use cloud::Status;

use super::Ids;
use super::drain::{Progress, progress};
use crate::model::{HookCall, HookPoint, Inputs, Member, Ownership, Phase, Plan, Tracked};

/// Adds the due calls to `plan`.
pub(super) fn due(inputs: &Inputs, ids: &mut Ids, plan: &mut Plan) {
    let lifecycle = &inputs.fleet.lifecycle;
    if lifecycle.hooks.is_empty() {
        return;
    }
    for member in &inputs.inventory.members {
        let id = &member.instance.id;
        let Some(tracked) = inputs.history.instances.get(id) else { continue };
        if member.ownership != Ownership::Managed || !member.missing_tags.is_empty() {
            continue;
        }
        let points = if plan.returns.contains(id) {
            Vec::new()
        } else if plan.drains.contains(id) {
            vec![HookPoint::Drain]
        } else {
            points(member, tracked, inputs)
        };
        for point in points {
            for hook in lifecycle.hooks_on(point) {
                if !tracked.hooks.contains_key(&hook.name) {
                    plan.hooks.push(HookCall {
                        id: ids.intent(),
                        instance: id.clone(),
                        hook: hook.name.clone(),
                        on: point,
                    });
                }
            }
        }
    }
}

/// The steps that an instance has reached.
fn points(member: &Member, tracked: &Tracked, inputs: &Inputs) -> Vec<HookPoint> {
    let runs = member.instance.status == Status::Running;
    match member.phase {
        // Those that were there before the hook was configured are not launched now.
        Phase::Warming if runs && !tracked.served => vec![HookPoint::Launch],
        Phase::InService if runs && tracked.hooks.values().any(|s| s.on == HookPoint::Launch) => {
            vec![HookPoint::Ready]
        }
        Phase::InService if runs && is_new(tracked, inputs) => vec![HookPoint::Ready],
        Phase::Draining => match progress(member, tracked, inputs) {
            Progress::LastHooks => vec![HookPoint::Drain, HookPoint::Terminate],
            _ => vec![HookPoint::Drain],
        },
        _ => Vec::new(),
    }
}

/// Whether it came into service with this tick.
fn is_new(tracked: &Tracked, inputs: &Inputs) -> bool {
    tracked.since == inputs.now
}
