//! A scenario: a made-up stretch of a fleet's life, and what its rules are expected to decide in it.
//!
//! A file is read into one by `config` and played by `backtest`, which know nothing of each other; so
//! the value that both speak of is here.

use std::collections::BTreeMap;

use cloud::Timestamp;

use super::{Course, Decision, Fleet, SignalName, Span};

/// One scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub description: Option<String>,
    /// Its rules, bounds and brakes are what is tried.
    pub fleet: Fleet,
    pub start: Timestamp,
    /// From one tick to the next; the first is at the start.
    pub interval: Span,
    /// From a launch until the instance serves.
    pub boot: Span,
    /// In service at the start.
    pub instances: u32,
    /// One for each signal of the fleet.
    pub series: BTreeMap<SignalName, GivenSeries>,
    pub faults: Vec<ScenarioFault>,
    /// In the order of the file; at least one.
    pub expectations: Vec<Expectation>,
}

/// What a signal shows.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenSeries {
    pub course: Course,
    /// Every instance in service reports it, as CPU is; else nobody asks who does.
    pub per_instance: bool,
}

/// Something that goes wrong, or that a person does, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScenarioFault {
    pub kind: ScenarioFaultKind,
    /// Since the start.
    pub from: Span,
    pub lasts: Span,
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScenarioFaultKind {
    /// Every place is sold out.
    NoStock,
    /// A person holds scale-ins.
    HoldIn,
    /// A person holds scale-outs.
    HoldOut,
    /// The listing is not believed.
    Doubt,
}

/// What is expected of the decision that is in force at one time. At least one part is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Where it stands in its file, counted from 1.
    pub line: usize,
    /// Since the start.
    pub at: Span,
    pub desired: Option<u32>,
    pub min_desired: Option<u32>,
    pub max_desired: Option<u32>,
    pub act: Option<Act>,
    /// A part of the sentence that explains the decision.
    pub reason_contains: Option<String>,
    /// In service at that tick, before anything is done.
    pub instances: Option<u32>,
}

/// What a decision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    ScaleOut,
    ScaleIn,
    Hold,
}

impl ScenarioFault {
    /// Whether it is on so long after the start: from its beginning on, its end excluded.
    #[must_use]
    pub fn is_on(&self, after: Span) -> bool {
        let end = self.from.get().saturating_add(self.lasts.get());
        self.from <= after && after.get() < end
    }
}

impl Act {
    /// As files name them.
    pub const NAMES: [(&str, Act); 3] =
        [("scale_out", Act::ScaleOut), ("scale_in", Act::ScaleIn), ("hold", Act::Hold)];

    /// What `decision` does.
    #[must_use]
    pub fn of(decision: &Decision) -> Act {
        match (decision.add, decision.remove) {
            (0, 0) => Act::Hold,
            (0, _) => Act::ScaleIn,
            _ => Act::ScaleOut,
        }
    }

    /// As files name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Act::ScaleOut => "scale_out",
            Act::ScaleIn => "scale_in",
            Act::Hold => "hold",
        }
    }
}

impl Expectation {
    /// Whether anything is expected at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Expectation {
            desired, min_desired, max_desired, act, reason_contains, instances, ..
        } = self;
        [desired, min_desired, max_desired, instances].iter().all(|count| count.is_none())
            && act.is_none()
            && reason_contains.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_on_from_its_beginning_until_just_before_its_end() {
        let kind = ScenarioFaultKind::Doubt;
        let fault = ScenarioFault { kind, from: Span::secs(60), lasts: Span::secs(30) };
        for (secs, expected) in [(0, false), (59, false), (60, true), (89, true), (90, false)] {
            assert_eq!(fault.is_on(Span::secs(secs)), expected, "{secs}");
        }
    }

    #[test]
    fn each_act_has_the_name_that_files_give_it() {
        assert!(Act::NAMES.iter().all(|(name, act)| act.name() == *name));
    }
}
