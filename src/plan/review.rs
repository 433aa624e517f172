//! A second opinion on every plan, written independently of the planner: it looks at the plan and
//! at the cloud's listing only, not at the decision, and refuses what must never happen.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{InstanceId, Mutation, Status};

use crate::model::{Direction, Fleet, Inputs, Member, Phase, Plan, tags};

/// Why a plan was refused. Nothing of it is executed; it is a defect of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("the plan launches {launches} beside {live} existing instances, above max = {max}")]
    AboveMax { launches: u32, live: u32, max: u32 },
    #[error("the plan leaves {left} serving instances, below min = {min}")]
    BelowMin { left: u32, min: u32 },
    #[error("the plan ends `{id}`, which does not carry {tag} for this fleet")]
    NotOurs { id: InstanceId, tag: &'static str },
    #[error("the plan ends `{id}`, which is protected")]
    Protected { id: InstanceId },
    #[error("the plan ends `{id}`, which is not in the listing")]
    NotListed { id: InstanceId },
    #[error("the plan ends `{id}` twice")]
    Twice { id: InstanceId },
    #[error("the plan ends `{id}`, which is {status:?}")]
    NotRunning { id: InstanceId, status: Status },
    #[error("the plan launches and removes at once")]
    BothWays,
    #[error("the plan changes the fleet although `{author}` holds it")]
    Held { author: String },
    #[error("the plan launches {amount} instances in one call; 1 to 100 are possible")]
    Amount { amount: u32 },
    #[error("the plan launches without the tag {tag}")]
    Untagged { tag: &'static str },
    #[error("the plan uses one client token twice")]
    TokenTwice,
    #[error("the plan acts although the inventory is in doubt")]
    InDoubt,
}

/// Objects to what must never happen.
pub fn review(plan: &Plan, inputs: &Inputs) -> Result<(), Objection> {
    let Inputs { fleet, inventory, .. } = inputs;
    if !inventory.doubts.is_empty() && !plan.actions.is_empty() {
        return Err(Objection::InDoubt);
    }
    let members: BTreeMap<&InstanceId, &Member> =
        inventory.members.iter().map(|member| (&member.instance.id, member)).collect();
    let mut launches = 0;
    let mut tokens = BTreeSet::new();
    let mut ended: Vec<(&InstanceId, Status)> = Vec::new();
    for action in &plan.actions {
        match &action.mutation {
            Mutation::Launch(launch) => {
                launches += launch.amount;
                if !(1..=100).contains(&launch.amount) {
                    return Err(Objection::Amount { amount: launch.amount });
                }
                if !tokens.insert(&launch.token) {
                    return Err(Objection::TokenTwice);
                }
                fully_tagged(&launch.tags, fleet)?;
            }
            Mutation::Stop { ids } => ended.extend(ids.iter().map(|id| (id, Status::Running))),
            Mutation::Delete { ids, how } => {
                let wanted = match how {
                    cloud::Terminate::StopThenDelete => Status::Stopped,
                    cloud::Terminate::Graceful | cloud::Terminate::Force => Status::Running,
                };
                for id in ids {
                    // What never served may be in any state.
                    let now = members.get(id).map(|member| member.instance.status);
                    ended
                        .push((id, now.filter(|s| never_served(id, *s, inputs)).unwrap_or(wanted)));
                }
            }
            Mutation::Tag { .. } | Mutation::Start { .. } => {}
        }
    }
    let ends = |(id, _): &(&InstanceId, Status)| {
        // What a drain began may end.
        members.get(id).is_none_or(|member| member.phase != Phase::Draining)
    };
    held(inputs, launches > 0, ended.iter().any(ends))?;
    let live = inventory.live();
    if launches > 0 && live + launches > fleet.bounds.max {
        return Err(Objection::AboveMax { launches, live, max: fleet.bounds.max });
    }
    let mut seen = BTreeSet::new();
    let mut lost = 0;
    for (id, wanted) in ended {
        if !seen.insert(id) {
            return Err(Objection::Twice { id: id.clone() });
        }
        if may_end(id, members.get(id).copied(), wanted, fleet)? {
            lost += 1;
        }
    }
    if lost > 0 && launches > 0 {
        return Err(Objection::BothWays);
    }
    let left = inventory.capacity().saturating_sub(lost);
    if lost > 0 && left < fleet.bounds.min {
        return Err(Objection::BelowMin { left, min: fleet.bounds.min });
    }
    Ok(())
}

/// Whether it never came up, as the records say, or, where they were lost, its status.
fn never_served(id: &InstanceId, status: Status, inputs: &Inputs) -> bool {
    match inputs.history.instances.get(id) {
        _ if status == Status::Unknown => false,
        Some(known) if known.served => false,
        Some(known) if known.launched_by.is_some() => true,
        _ => matches!(status, Status::Pending | Status::Starting),
    }
}

/// A hold keeps its direction, whatever was decided.
fn held(inputs: &Inputs, out: bool, in_: bool) -> Result<(), Objection> {
    for hold in inputs.holds.iter().filter(|hold| inputs.now < hold.until) {
        let concerns = hold.fleet.as_ref().is_none_or(|id| *id == inputs.fleet.id);
        let out = out && hold.direction != Some(Direction::In);
        let in_ = in_ && hold.direction != Some(Direction::Out);
        if concerns && (out || in_) {
            return Err(Objection::Held { author: hold.author.clone() });
        }
    }
    Ok(())
}

/// Whether ending `id` costs capacity; an objection when it must not be ended at all.
fn may_end(
    id: &InstanceId,
    member: Option<&Member>,
    wanted: Status,
    fleet: &Fleet,
) -> Result<bool, Objection> {
    let Some(member) = member else {
        return Err(Objection::NotListed { id: id.clone() });
    };
    let instance = &member.instance;
    let has = |key: &str, value: &str| instance.tags.get(key).is_some_and(|v| v == value);
    if !has(tags::SOURCE, tags::SOURCE_AUTO) {
        return Err(Objection::NotOurs { id: id.clone(), tag: tags::SOURCE });
    }
    if !has(tags::FLEET, &fleet.id.0) {
        return Err(Objection::NotOurs { id: id.clone(), tag: tags::FLEET });
    }
    let kept = instance.tags.get(tags::PROTECT).is_some_and(|value| value != "false");
    if kept || instance.deletion_protection {
        return Err(Objection::Protected { id: id.clone() });
    }
    if instance.status != wanted {
        return Err(Objection::NotRunning { id: id.clone(), status: instance.status });
    }
    Ok(member.phase.is_capacity())
}

fn fully_tagged(launch: &cloud::Tags, fleet: &Fleet) -> Result<(), Objection> {
    for tag in [tags::SOURCE, tags::TIMESTAMP, tags::FLEET, tags::INTENT] {
        if !launch.contains_key(tag) {
            return Err(Objection::Untagged { tag });
        }
    }
    if launch.get(tags::FLEET) != Some(&fleet.id.0) {
        return Err(Objection::Untagged { tag: tags::FLEET });
    }
    Ok(())
}
