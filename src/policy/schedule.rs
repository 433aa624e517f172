//! Schedules: they bound what the other rules want, and forbid directions, by the calendar.
//!
//! They stay within the fleet's own `min` and `max`, and the guards come after them. Of several entries
//! that are in force at once the highest `min` and the lowest `max` count; where those contradict each
//! other, the `min` does: when in doubt, capacity wins.

use cloud::Timestamp;

use crate::model::{
    Bounds, Counterfactual, Direction, Instructed, Reason, RuleKind, RuleName, Schedule, Situation,
};

use super::{Opinion, Proposal, Pull};

/// A schedule has no opinion of the load.
pub(super) fn opinion() -> Opinion {
    Opinion {
        signal: "schedule".into(),
        pull: Pull::Neutral,
        reasons: Vec::new(),
        blocked_by: None,
        counterfactuals: Vec::new(),
    }
}

/// Applies every schedule of the fleet.
pub(super) fn apply(proposal: &mut Proposal, situation: &Situation<'_>) {
    for rule in &situation.fleet.rules {
        let RuleKind::Schedule(schedule) = &rule.kind else { continue };
        bound(proposal, &rule.name, schedule, situation);
        forbid(proposal, &rule.name, schedule, situation);
    }
    // Two schedules, or two entries, may leave nothing between them.
    proposal.bounds.max = proposal.bounds.max.max(proposal.bounds.min);
    instructed(proposal, situation);
}

/// A person's size or bounds count instead of what schedules say, within the fleet's own; the newest
/// instruction counts last.
fn instructed(proposal: &mut Proposal, situation: &Situation<'_>) {
    let of = situation.fleet.bounds;
    for one in situation.instructions {
        let Instructed::Size { min, max } = one.what else { continue };
        let Bounds { min: lowest, max: highest } = &mut proposal.bounds;
        *lowest = min.map_or(*lowest, |min| min.clamp(of.min, of.max));
        *highest = max.map_or(*highest, |max| max.clamp(of.min, of.max));
        match (min, max) {
            (None, Some(_)) => *lowest = (*lowest).min(*highest),
            _ => *highest = (*highest).max(*lowest),
        }
        let (author, until) = (one.author.clone(), one.until);
        proposal.reasons.push(Reason::Instructed { author, min, max, until });
        let direction = if min.is_some() { Direction::In } else { Direction::Out };
        proposal.counterfactuals.push(Counterfactual::After { direction, until });
    }
}

/// Narrows the bounds within those of the fleet.
fn bound(proposal: &mut Proposal, name: &RuleName, rule: &Schedule, situation: &Situation<'_>) {
    let of = situation.fleet.bounds;
    let mut sets: Vec<(Option<u32>, Option<u32>, Option<Timestamp>)> = rule
        .in_force(situation.now)
        .filter(|(entry, _)| entry.sets.min.is_some() || entry.sets.max.is_some())
        .map(|(entry, until)| (entry.sets.min, entry.sets.max, Some(until)))
        .collect();
    if let (true, Some(size)) = (sets.is_empty(), rule.otherwise) {
        sets.push((Some(size), Some(size), None));
    }
    for (min, max, until) in sets {
        let Bounds { min: lowest, max: highest } = &mut proposal.bounds;
        *lowest = (*lowest).max(min.unwrap_or(of.min).min(of.max));
        *highest = (*highest).min(max.unwrap_or(of.max).max(of.min));
        proposal.reasons.push(Reason::Scheduled { rule: name.clone(), min, max, until });
        if let Some(until) = until {
            let direction = if min.is_some() { Direction::In } else { Direction::Out };
            proposal.counterfactuals.push(Counterfactual::After { direction, until });
        }
    }
}

/// Keeps the size in a direction that is forbidden now. Instances that were lost are replaced all the
/// same: that is no scale-out.
fn forbid(proposal: &mut Proposal, name: &RuleName, rule: &Schedule, situation: &Situation<'_>) {
    for (entry, until) in rule.in_force(situation.now) {
        let Some(direction) = entry.sets.forbids else { continue };
        let kept = match direction {
            Direction::Out => {
                let most = proposal.current.max(situation.past.last_desired);
                proposal.desired.min(most)
            }
            Direction::In => proposal.desired.max(proposal.current),
        };
        if kept != proposal.desired {
            proposal.desired = kept;
            proposal.block(Reason::Forbidden { rule: name.clone(), direction, until });
            proposal.counterfactuals.push(Counterfactual::After { direction, until });
        }
    }
}
