//! Deciding: how many instances a fleet should have, and why.
//!
//! Pure: equal inputs give equal decisions, so a decision can be replayed and a policy backtested.
//! Each rule gives an opinion; `combine` makes one number of them; `steady` keeps it from swinging;
//! `guard` keeps it within the bounds; `brake` says how much of it may be done now.
//!
//! Absence of evidence is not evidence of idleness: a rule without a usable signal has no opinion,
//! and as long as one has none, nothing is removed.

mod brake;
mod combine;
mod guard;
mod steady;
#[cfg(test)]
mod tests;
mod threshold;

use cloud::Timestamp;

use crate::model::{
    Counterfactual, Decision, Direction, History, Inputs, Inventory, Measured, Reason, Rule,
    SampleWindow, SignalName, Signals, tags,
};

/// What one rule wants.
#[derive(Debug, Clone, PartialEq)]
struct Opinion {
    signal: SignalName,
    pull: Pull,
    reasons: Vec<Reason>,
    /// What keeps the rule from acting on its pull now.
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

/// What the rules want, on its way to a decision. Each stage may change `desired` and says why.
#[derive(Debug, Clone, PartialEq)]
struct Proposal {
    current: u32,
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

/// What every rule may look at.
struct Situation<'a> {
    current: u32,
    now: Timestamp,
    in_service: u32,
    ends: Ends,
    signals: &'a Signals,
    history: &'a History,
    inputs: &'a Inputs,
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

/// Decides for one fleet.
#[must_use]
pub fn decide(inputs: &Inputs) -> Decision {
    let Inputs { now, inventory, signals, history, .. } = inputs;
    let situation = Situation {
        current: inventory.capacity(),
        now: *now,
        in_service: inventory.in_service(),
        ends: Ends::of(inventory, history, *now),
        signals,
        history,
        inputs,
    };
    let opinions: Vec<Opinion> = inputs
        .fleet
        .rules
        .iter()
        .map(|rule| match rule {
            Rule::Threshold(rule) => threshold::opinion(rule, &situation),
        })
        .collect();
    let mut proposal = combine::combine(&opinions, &situation);
    steady::fall_back(&mut proposal, inputs);
    steady::stabilize(&mut proposal, inputs);
    let goal = guard::guard(&mut proposal, inputs);
    brake::decision(proposal, goal, inputs)
}

impl Ends {
    fn of(inventory: &Inventory, history: &History, now: Timestamp) -> Ends {
        let tagged = inventory.members.iter().filter_map(|member| {
            let text = member.instance.tags.get(tags::TIMESTAMP)?;
            // A time stamp ahead of our clock must not stretch a cool-down without end.
            text.parse::<Timestamp>().ok().map(|at| at.min(now))
        });
        Ends {
            out: history.last_out.into_iter().chain(tagged).max(),
            in_: history.last_in,
            began: history.began.unwrap_or(now),
        }
    }
}

impl Situation<'_> {
    /// This tick's sample of `signal`, related to the fleet that it was measured on.
    fn measured(&self, signal: &SignalName) -> Option<Measured> {
        let sample = self.signals.get(signal)?.as_ref().ok()?;
        let true_at = cloud::clock::before(self.now, sample.age.get());
        let first = self.history.in_service.is_empty();
        let in_service = self.history.in_service_at(true_at).or(first.then_some(self.in_service));
        Some(Measured::of(sample, self.now, in_service))
    }

    /// The samples of `signal` that count, this tick's included.
    fn window(&self, signal: &SignalName) -> SampleWindow {
        let memory = self.history.signals.get(signal);
        let mut window = memory.map(|memory| memory.window.clone()).unwrap_or_default();
        if let Some(sample) = self.measured(signal) {
            window.push(sample, self.history.last_action());
        }
        window
    }

    /// Why nothing may happen in `direction` now, if so.
    ///
    /// A scale-out waits only for the last scale-out. A scale-in waits for the last action in
    /// either direction: to remove what was bought a minute ago is the flapping that a cool-down
    /// is for.
    fn cooling(&self, direction: Direction, cooldown: std::time::Duration) -> Option<Reason> {
        let last = match direction {
            Direction::Out => self.ends.out,
            Direction::In => self.ends.in_.max(self.ends.out),
        };
        let until = last.map(|at| cloud::clock::after(at, cooldown));
        if let Some(until) = until.filter(|until| self.now < *until) {
            return Some(Reason::CoolingDown { direction, until });
        }
        if direction == Direction::In && self.ends.in_.is_none() {
            let until = cloud::clock::after(self.ends.began, cooldown);
            return (self.now < until).then_some(Reason::NoRecordYet { until });
        }
        None
    }
}
