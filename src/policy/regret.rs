//! Regret: what tells how well users are served worsened soon after a scale-in. The size is what it was before,
//! and no less for a while.

use cloud::{Timestamp, clock};

use crate::model::{
    Counterfactual, Direction, Fleet, Memories, Reason, Regret, RuleMemory, RuleName, Situation,
};

use super::Proposal;

/// The name under which the floor is remembered, beside the rules'. No rule can have it.
pub(in crate::policy) const NAME: &str = "/regret";

/// Whether `name` is remembered for `fleet` although no rule has it.
pub(super) fn remembers(fleet: &Fleet, name: &RuleName) -> bool {
    fleet.regret.is_some() && name.0 == NAME
}

/// Raises the size to the floor of an earlier regret, or of one that begins now.
pub(super) fn apply(proposal: &mut Proposal, situation: &Situation<'_>, memory: &mut Memories) {
    let Some(regret) = &situation.fleet.regret else { return };
    let name = RuleName::from(NAME);
    if let Some((floor, value)) = begins(regret, situation, memory.get(&name)) {
        let known =
            memory.entry(name.clone()).or_insert_with(|| RuleMemory::new(None, situation.now));
        *known = RuleMemory::new(Some(floor), situation.now);
        let signal = regret.signal.clone();
        proposal.reasons.push(Reason::Regretted { signal, value, above: regret.above, floor });
    }
    let Some((floor, since)) =
        memory.get(&name).and_then(|known| Some((known.wants?, known.since)))
    else {
        return;
    };
    let until = clock::after(since, regret.floor_for.get());
    if situation.now >= until {
        memory.remove(&name);
        return;
    }
    let floor = floor.min(situation.fleet.bounds.max);
    proposal.recommended = proposal.recommended.max(floor);
    if floor > proposal.desired {
        proposal.desired = floor;
        proposal.block(Reason::Regretting { floor, until });
        proposal.counterfactuals.push(Counterfactual::After { direction: Direction::In, until });
    }
}

/// The size before the last scale-in and the value that is regretted, if it is now.
fn begins(
    regret: &Regret,
    situation: &Situation<'_>,
    known: Option<&RuleMemory>,
) -> Option<(u32, f64)> {
    let Situation { past, signals, now, .. } = situation;
    let shrunk = past.last_in.filter(|at| clock::age(*now, *at) < regret.within.get())?;
    // One scale-in is regretted once.
    if known.is_some_and(|known| known.wants.is_some() && known.since >= shrunk) {
        return None;
    }
    let sample = signals.get(&regret.signal)?.as_ref().ok()?;
    let measured = clock::before(*now, sample.age.get());
    if measured <= shrunk || sample.value <= regret.above {
        return None;
    }
    Some((before(situation, shrunk, regret)?, sample.value))
}

/// The most that served within the time before the scale-in at `shrunk`.
fn before(situation: &Situation<'_>, shrunk: Timestamp, regret: &Regret) -> Option<u32> {
    let from = clock::before(shrunk, regret.within.get());
    let mut steps = situation.past.in_service.iter().filter(|(at, _)| *at < shrunk);
    let within = steps.clone().filter(|(at, _)| *at >= from).map(|(_, count)| *count);
    let held = steps.rfind(|(at, _)| *at < from).map(|(_, count)| *count);
    within.chain(held).max()
}
