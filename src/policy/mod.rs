//! Deciding: how many instances a fleet should have, and why.
//!
//! Pure: equal inputs give equal decisions, so a decision can be replayed and a policy backtested.
//! Each rule gives an opinion; `combine` makes one number of them; `steady` keeps it from swinging;
//! `cliff` and `regret` keep it from being taken away by mistake; `schedule` narrows the bounds by the calendar; `guard` keeps it within the bounds; `brake` says how much of it may be done now.
//!
//! Absence of evidence is not evidence of idleness: a rule without a usable signal has no opinion,
//! and as long as one has none, nothing is removed.

mod adaptive;
mod brake;
mod cliff;
mod combine;
mod coverage;
mod guard;
mod regret;
mod schedule;
mod shadow;
mod size;
mod steady;
mod target;
#[cfg(test)]
mod tests;
mod threshold;

use cloud::Timestamp;

use crate::model::{
    Adaptive, AdaptiveState, Bounds, Counterfactual, Decision, Direction, Fixed, Fleet, Gap,
    Measured, Memories, Reason, RuleKind, RuleMemory, RuleName, SampleWindow, SignalName,
    Situation,
};

pub use shadow::{Shadow, shadow};

/// The opinion of one rule.
#[derive(Debug, Clone, PartialEq)]
struct Opinion {
    signal: SignalName,
    pull: Pull,
    reasons: Vec<Reason>,
    /// The reason that keeps the rule from acting on its pull now.
    blocked_by: Option<Reason>,
    counterfactuals: Vec<Counterfactual>,
}

/// Where a rule pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pull {
    /// To more instances: this many.
    Out(u32),
    /// To fewer instances: this many.
    In(u32),
    /// The present size is right.
    Stay,
    /// Nothing to say in this situation (a rule that only ever adds, below its bound).
    Neutral,
    /// No usable signal.
    Abstain,
}

/// The size that the rules want, on its way to a decision. Each stage may change `desired` and says why.
#[derive(Debug, Clone, PartialEq)]
struct Proposal {
    current: u32,
    /// The fleet's own, narrowed by its schedules.
    bounds: Bounds,
    /// If nothing held it back.
    recommended: u32,
    /// Now.
    desired: u32,
    reasons: Vec<Reason>,
    /// The first reason that kept `desired` from `recommended`.
    blocked_by: Option<Reason>,
    counterfactuals: Vec<Counterfactual>,
}

impl Proposal {
    /// Something keeps the fleet from what is recommended.
    fn block(&mut self, reason: Reason) {
        self.reasons.push(reason.clone());
        self.blocked_by.get_or_insert(reason);
    }
}

/// When the last actions ended, from the journal or, where it is newer (a lost journal, another
/// replica), from the `scale-timestamp` tags.
#[derive(Debug, Clone, Copy)]
struct Ends {
    out: Option<Timestamp>,
    in_: Option<Timestamp>,
    /// When the records began: a scale-in just before it would be unknown.
    began: Timestamp,
}

/// Decides for one fleet. `memory` is what this returned at the last tick: a rule that is not in it
/// begins anew. Returns the decision, and what the next tick is to be given.
#[must_use]
pub fn decide(situation: &Situation<'_>, mut memory: Memories) -> (Decision, Memories) {
    let rules = &situation.fleet.rules;
    let fleet = situation.fleet;
    memory.retain(|name, _| {
        rules.iter().any(|rule| rule.name == *name) || regret::remembers(fleet, name)
    });
    let mut opinions = Vec::with_capacity(situation.fleet.rules.len());
    for rule in &situation.fleet.rules {
        if !memory.contains_key(&rule.name) {
            memory.insert(rule.name.clone(), RuleMemory::new(None, situation.now));
        }
        let Some(remembered) = memory.get_mut(&rule.name) else { continue };
        let opinion = match &rule.kind {
            RuleKind::Threshold(rule) => threshold::opinion(rule, situation),
            RuleKind::Adaptive(rule) => {
                adaptive::opinion(rule, situation, &mut remembered.adaptive)
            }
            RuleKind::Target(rule) => target::opinion(rule, situation),
            RuleKind::Step(rule) => size::step(rule, situation),
            RuleKind::Queue(rule) => size::queue(rule, situation),
            RuleKind::External(rule) => size::external(rule, situation),
            RuleKind::Schedule(_) => schedule::opinion(),
            RuleKind::Fixed(rule) => fixed(*rule, situation),
        };
        remembered.ask(opinion.pull.wants(situation.census.capacity), situation.now);
        opinions.push(opinion);
    }
    let mut proposal = combine::combine(&opinions, situation);
    steady::fall_back(&mut proposal, situation);
    steady::stabilize(&mut proposal, situation);
    cliff::hold(&mut proposal, situation);
    regret::apply(&mut proposal, situation, &mut memory);
    schedule::apply(&mut proposal, situation);
    let goal = guard::guard(&mut proposal, situation);
    (brake::decision(proposal, goal, situation), memory)
}

/// The rules of `fleet` that learn from their signal, shadow rules included.
pub fn learners(fleet: &Fleet) -> impl Iterator<Item = (&RuleName, &Adaptive)> {
    let shadow = fleet.shadow.iter().flat_map(|shadow| &shadow.rules);
    fleet.rules.iter().chain(shadow).filter_map(|rule| match &rule.kind {
        RuleKind::Adaptive(adaptive) => Some((&rule.name, adaptive)),
        _ => None,
    })
}

/// The memory that `rule` would have, had it been there while these readings were made: when, the value, and
/// how many instances served; oldest first. `None` where nothing was read.
pub fn recall(
    rule: &Adaptive,
    readings: impl Iterator<Item = (Timestamp, Option<f64>, u32)>,
) -> Option<AdaptiveState> {
    adaptive::recall(rule, readings)
}

/// The opinion of a rule without a signal.
fn fixed(rule: Fixed, situation: &Situation<'_>) -> Opinion {
    let Fixed { size } = rule;
    Opinion {
        // Other rules may object to a scale-in, and are told who wanted it.
        signal: "fixed".into(),
        pull: match size.cmp(&situation.census.capacity) {
            std::cmp::Ordering::Greater => Pull::Out(size),
            std::cmp::Ordering::Less => Pull::In(size),
            std::cmp::Ordering::Equal => Pull::Stay,
        },
        reasons: vec![Reason::Fixed { size }],
        blocked_by: None,
        counterfactuals: Vec::new(),
    }
}

/// No opinion, since there is no usable reading of `signal`.
fn missing(signal: SignalName, situation: &Situation<'_>) -> Opinion {
    let gap = match situation.signals.get(&signal) {
        Some(Err(gap)) => gap.clone(),
        // The tick reads every configured signal; one that is absent was not read.
        _ => Gap::Empty,
    };
    let reason = Reason::Missing { signal: signal.clone(), gap };
    Opinion {
        pull: Pull::Abstain,
        reasons: vec![reason.clone()],
        blocked_by: Some(reason),
        counterfactuals: vec![Counterfactual::SignalReturns { signal: signal.clone() }],
        signal,
    }
}

impl Pull {
    /// The size that it comes to, when there are `current`.
    fn wants(self, current: u32) -> Option<u32> {
        match self {
            Pull::Out(size) | Pull::In(size) => Some(size),
            Pull::Stay => Some(current),
            Pull::Neutral | Pull::Abstain => None,
        }
    }
}

impl Ends {
    fn of(situation: &Situation<'_>) -> Ends {
        let past = &situation.past;
        Ends {
            out: past.last_out.max(situation.census.last_launch),
            in_: past.last_in,
            began: past.began.unwrap_or(situation.now),
        }
    }
}

impl Situation<'_> {
    /// This tick's sample of `signal`, related to the fleet that it was measured on.
    fn measured(&self, signal: &SignalName) -> Option<Measured> {
        let sample = self.signals.get(signal)?.as_ref().ok()?;
        let true_at = cloud::clock::before(self.now, sample.age.get());
        let first = self.past.in_service.is_empty();
        let serve = first.then_some(self.census.in_service);
        Some(Measured::of(sample, self.now, self.past.in_service_at(true_at).or(serve)))
    }

    /// The samples of `signal` since the last action, newest first, `measured` of this tick included.
    fn run<'b>(
        &'b self,
        signal: &SignalName,
        measured: &'b Measured,
    ) -> impl Iterator<Item = &'b Measured> {
        let window = self.past.signals.get(signal).map(|memory| &memory.window);
        let acted = self.past.last_action();
        let counts = match window {
            Some(window) => window.takes(measured, acted),
            None => SampleWindow::default().takes(measured, acted),
        };
        let earlier = window.into_iter().flat_map(SampleWindow::newest_first);
        Some(measured).filter(|_| counts).into_iter().chain(earlier)
    }

    /// Why nothing may happen in `direction` now, if so.
    ///
    /// A scale-out waits only for the last scale-out. A scale-in waits for the last action in
    /// either direction: to remove what was bought a minute ago is the flapping that a cool-down
    /// is for.
    fn cooling(&self, direction: Direction, cooldown: std::time::Duration) -> Option<Reason> {
        let ends = Ends::of(self);
        let last = match direction {
            Direction::Out => ends.out,
            Direction::In => ends.in_.max(ends.out),
        };
        let until = last.map(|at| cloud::clock::after(at, cooldown));
        if let Some(until) = until.filter(|until| self.now < *until) {
            return Some(Reason::CoolingDown { direction, until });
        }
        if direction == Direction::In && ends.in_.is_none() {
            let until = cloud::clock::after(ends.began, cooldown);
            return (self.now < until).then_some(Reason::NoRecordYet { until });
        }
        None
    }
}
