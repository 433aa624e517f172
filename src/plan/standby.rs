//! Standby by a person's word: what leaves service and is kept, and what comes back.

use cloud::Status;

use crate::model::{Decision, Direction, Inputs, Ownership, Phase, Plan, instruction};

/// Adds to `plan` the instances that go on standby, and those that return from it.
///
/// Nothing returns while scale-out is held, nor in a tick that takes others out of service: the next one
/// brings it back.
pub(super) fn due(inputs: &Inputs, decision: &Decision, plan: &mut Plan) {
    let hold =
        inputs.holds.iter().find(|hold| hold.keeps(&inputs.fleet.id, Direction::Out, inputs.now));
    for member in &inputs.inventory.members {
        let id = &member.instance.id;
        let Some(wanted) = instruction::standby(&inputs.instructions, id) else { continue };
        let is_ours =
            member.ownership == Ownership::Managed && inputs.history.instances.contains_key(id);
        if !is_ours {
            continue;
        }
        let runs = member.instance.status == Status::Running;
        let may_go = matches!(member.phase, Phase::Warming | Phase::InService | Phase::Draining)
            || (member.phase == Phase::Failed && runs);
        if wanted && may_go {
            plan.retained.push(id.clone());
            continue;
        }
        let is_back = !wanted && member.phase == Phase::Standby && runs;
        if !is_back {
            continue;
        }
        match hold {
            Some(hold) => plan
                .shortfalls
                .push(format!("{id} stays on standby: {} holds scale-out", hold.author)),
            None if decision.remove > 0 => {}
            None => plan.returns.push(id.clone()),
        }
    }
}
