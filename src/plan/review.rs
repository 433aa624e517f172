//! A second opinion on every plan, written independently of the planner: it looks at the plan and
//! at the cloud's listing only, not at the decision, and refuses what must never happen.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{InstanceId, Mutation, Status};

use crate::model::{Direction, Fleet, Inputs, Member, Ownership, Phase, Plan, tags};

/// Why a plan was refused. Nothing of it is executed; it is a defect of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("the plan launches {launches} beside {live} existing instances, above max = {max}")]
    AboveMax { launches: u32, live: u32, max: u32 },
    #[error("the plan leaves {left} instances, below min = {min}")]
    BelowMin { left: u32, min: u32 },
    #[error("the plan leaves {left} instances that certainly serve, below min = {min}")]
    TooFewServe { left: u32, min: u32 },
    #[error("the plan ends `{id}`, which does not carry {tag} for this fleet")]
    NotOurs { id: InstanceId, tag: &'static str },
    #[error("the plan ends `{id}`, which the journal neither launched nor took over")]
    NotKnown { id: InstanceId },
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
    #[error("the plan returns `{id}` to service, which is not drained")]
    NotDraining { id: InstanceId },
    #[error("the plan changes the traffic of `{id}`, which is not the fleet's")]
    TrafficOfOthers { id: InstanceId },
    #[error("the plan sends traffic to `{id}`, which is {phase}")]
    TrafficTooEarly { id: InstanceId, phase: Phase },
    #[error("the plan ends or drains `{id}`, and keeps it or returns it to service")]
    BothAtOnce { id: InstanceId },
}

/// Objects to what must never happen.
pub fn review(plan: &Plan, inputs: &Inputs) -> Result<(), Objection> {
    let Inputs { fleet, inventory, .. } = inputs;
    if !inventory.doubts.is_empty() && plan.changes_the_fleet() {
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
                    // An instance that never served may be in any state.
                    let now = members.get(id).map(|member| member.instance.status);
                    ended
                        .push((id, now.filter(|s| never_served(id, *s, inputs)).unwrap_or(wanted)));
                }
            }
            Mutation::Route { ids, change, .. } => routed(ids, *change, plan, &members, inputs)?,
            Mutation::Tag { .. } | Mutation::Start { .. } => {}
        }
    }
    // A drain ends in a deletion: it is judged as one.
    ended.extend(plan.drains.iter().map(|id| (id, Status::Running)));
    let ends = |(id, _): &(&InstanceId, Status)| {
        // An end that a stop began may be finished.
        members.get(id).is_none_or(|member| member.phase != Phase::Stopping)
    };
    held(inputs, launches > 0 || !plan.returns.is_empty(), ended.iter().any(ends))?;
    let live = inventory.live();
    if launches > 0 && live + launches > fleet.bounds.max {
        return Err(Objection::AboveMax { launches, live, max: fleet.bounds.max });
    }
    let mut seen = BTreeSet::new();
    let (mut lost, mut serving_lost) = (0, 0);
    for (id, wanted) in ended {
        if !seen.insert(id) {
            return Err(Objection::Twice { id: id.clone() });
        }
        let member = may_end(id, members.get(id).copied(), wanted, inputs)?;
        lost += u32::from(member.phase.is_capacity() && !member.outgoing);
        serving_lost += u32::from(certainly_serves(member, inputs));
    }
    for id in &plan.returns {
        let may_return = |phase| matches!(phase, Phase::Draining | Phase::Standby);
        if members.get(id).is_none_or(|member| !may_return(member.phase)) {
            return Err(Objection::NotDraining { id: id.clone() });
        }
        if seen.contains(id) || plan.retained.contains(id) {
            return Err(Objection::BothAtOnce { id: id.clone() });
        }
    }
    if let Some(id) = plan.retained.iter().find(|id| seen.contains(id)) {
        return Err(Objection::BothAtOnce { id: id.clone() });
    }
    if lost > 0 && (launches > 0 || !plan.returns.is_empty()) {
        return Err(Objection::BothWays);
    }
    let min = fleet.bounds.min;
    // Instances in doubt may not exist.
    let left = inventory.capacity().saturating_sub(inventory.in_doubt).saturating_sub(lost);
    if lost > 0 && left < min {
        return Err(Objection::BelowMin { left, min });
    }
    let serving = inventory.members.iter().filter(|member| certainly_serves(member, inputs));
    let serving = u32::try_from(serving.count()).unwrap_or(u32::MAX);
    let left = serving.saturating_sub(serving_lost);
    if serving_lost > 0 && left < min {
        return Err(Objection::TooFewServe { left, min });
    }
    Ok(())
}

/// Traffic is given to what serves or is fit to, and taken from what is the fleet's.
fn routed(
    ids: &[InstanceId],
    change: cloud::BackendChange,
    plan: &Plan,
    members: &BTreeMap<&InstanceId, &Member>,
    inputs: &Inputs,
) -> Result<(), Objection> {
    for id in ids {
        let member = members.get(id).filter(|member| member.ownership == Ownership::Managed);
        let member = member.filter(|_| inputs.history.instances.contains_key(id));
        let Some(member) = member else {
            return Err(Objection::TrafficOfOthers { id: id.clone() });
        };
        let serves = matches!(member.phase, Phase::InService | Phase::Draining)
            || (member.phase == Phase::Warming && member.is_fit)
            || (member.phase == Phase::Standby && plan.returns.contains(id));
        if !change.ends_traffic() && !serves {
            return Err(Objection::TrafficTooEarly { id: id.clone(), phase: member.phase });
        }
    }
    Ok(())
}

/// Whether it carries load, as far as the listing can tell: it is shown, Running, warm, not taken back by the
/// provider, and its zone is not lost.
fn certainly_serves(member: &Member, inputs: &Inputs) -> bool {
    member.phase == Phase::InService
        && member.instance.status == Status::Running
        && !member.instance.is_reclaimed()
        && !inputs.inventory.lost_zones.contains(&member.instance.zone)
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

/// The member `id`; an objection when it must not be ended.
fn may_end<'a>(
    id: &InstanceId,
    member: Option<&'a Member>,
    wanted: Status,
    inputs: &Inputs,
) -> Result<&'a Member, Objection> {
    let Inputs { fleet, history, .. } = inputs;
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
    if fleet.owner.name.as_ref() != instance.tags.get(tags::OWNER) && !fleet.owner.unknown {
        return Err(Objection::NotOurs { id: id.clone(), tag: tags::OWNER });
    }
    if !history.instances.contains_key(id) {
        return Err(Objection::NotKnown { id: id.clone() });
    }
    let kept = instance.tags.get(tags::PROTECT).is_some_and(|value| value != "false");
    if kept || member.kept || instance.deletion_protection {
        return Err(Objection::Protected { id: id.clone() });
    }
    if instance.status != wanted {
        return Err(Objection::NotRunning { id: id.clone(), status: instance.status });
    }
    Ok(member)
}

fn fully_tagged(launch: &cloud::Tags, fleet: &Fleet) -> Result<(), Objection> {
    for tag in [tags::SOURCE, tags::TIMESTAMP, tags::FLEET, tags::INTENT] {
        if !launch.contains_key(tag) {
            return Err(Objection::Untagged { tag });
        }
    }
    if launch.get(tags::OWNER) != fleet.owner.name.as_ref() {
        return Err(Objection::Untagged { tag: tags::OWNER });
    }
    if launch.get(tags::FLEET) != Some(&fleet.id.0) {
        return Err(Objection::Untagged { tag: tags::FLEET });
    }
    Ok(())
}
