//! Deciding: how many instances a fleet should have, and why.
//!
//! Pure: equal inputs give equal decisions, so a decision can be replayed and a policy backtested.
//! Each rule gives an opinion; `combine` makes one number of them; `guard` has the last word.
//!
//! Absence of evidence is not evidence of idleness: a rule without a usable signal has no opinion,
//! and as long as one has none, nothing is removed.

mod combine;
mod guard;
#[cfg(test)]
mod tests;
mod threshold;

use cloud::Timestamp;

use crate::model::{
    Counterfactual, Decision, Direction, Fleet, History, Inventory, Reason, Rule, SampleWindow,
    SignalName, Signals, tags,
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

/// What every rule may look at.
struct Situation<'a> {
    current: u32,
    now: Timestamp,
    ends: Ends,
    signals: &'a Signals,
    history: &'a History,
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

/// Decides for one fleet. `signals` are this tick's readings; `history` ends before this tick.
#[must_use]
pub fn decide(
    fleet: &Fleet,
    inventory: &Inventory,
    signals: &Signals,
    history: &History,
    now: Timestamp,
) -> Decision {
    let situation = Situation {
        current: inventory.capacity(),
        now,
        ends: Ends::of(inventory, history, now),
        signals,
        history,
    };
    let opinions: Vec<Opinion> = fleet
        .rules
        .iter()
        .map(|rule| match rule {
            Rule::Threshold(rule) => threshold::opinion(rule, &situation),
        })
        .collect();
    let proposal = combine::combine(&opinions, &situation);
    guard::guard(proposal, fleet.bounds, inventory)
}

impl Ends {
    fn of(inventory: &Inventory, history: &History, now: Timestamp) -> Ends {
        let tagged = inventory.members.iter().filter_map(|member| {
            let text = member.instance.tags.get(tags::TIMESTAMP)?;
            // A time stamp ahead of our clock must not stretch a cool-down without end.
            text.parse::<Timestamp>().ok().map(|at| at.min(now))
        });
        Ends {
            out: history.last_out.map(|end| end.at).into_iter().chain(tagged).max(),
            in_: history.last_in.map(|end| end.at),
            began: history.began.unwrap_or(now),
        }
    }
}

impl Situation<'_> {
    /// The samples of `signal`, this tick's included.
    fn window(&self, signal: &SignalName) -> SampleWindow {
        let mut window = self.history.samples.get(signal).cloned().unwrap_or_default();
        if let Some(Ok(sample)) = self.signals.get(signal) {
            window.push(*sample);
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
