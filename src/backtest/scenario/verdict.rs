//! What was decided beside what was expected.

use super::{Moment, Timestamp, play};
use crate::model::{Act, Expectation, Scenario, Span};

/// An expectation that did not come true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// Where it stands in its file.
    pub line: usize,
    /// Since the start.
    pub at: Span,
    /// The tick whose decision was in force then.
    pub tick: Timestamp,
    /// At least one.
    pub differences: Vec<Difference>,
    /// The decision in a sentence.
    pub why: String,
}

/// A part of an expectation that did not come true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub expected: String,
    pub got: String,
}

/// Plays `scenario` and returns what did not come true, in the order of the file.
#[must_use]
pub fn check(scenario: &Scenario) -> Vec<Miss> {
    let mut misses = Vec::new();
    play(scenario, |moment| {
        let next = moment.after.get().saturating_add(scenario.interval.get());
        let in_force = |at: Span| moment.after <= at && at.get() < next;
        let due = scenario.expectations.iter().filter(|expected| in_force(expected.at));
        misses.extend(due.filter_map(|expected| miss(expected, moment)));
    });
    misses.sort_by_key(|miss| miss.line);
    misses
}

fn miss(expected: &Expectation, moment: &Moment) -> Option<Miss> {
    let why = moment.decision.to_string();
    let differences = differences(expected, moment, &why);
    let Expectation { line, at, .. } = *expected;
    (!differences.is_empty()).then_some(Miss { line, at, tick: moment.now, differences, why })
}

fn differences(expected: &Expectation, moment: &Moment, why: &str) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |is_true: bool, expected: String, got: String| {
        if !is_true {
            differences.push(Difference { expected, got });
        }
    };
    let desired = moment.decision.desired;
    let got = || format!("desired = {desired}");
    if let Some(wanted) = expected.desired {
        compare(desired == wanted, format!("desired = {wanted}"), got());
    }
    if let Some(least) = expected.min_desired {
        compare(desired >= least, format!("min_desired = {least}"), got());
    }
    if let Some(most) = expected.max_desired {
        compare(desired <= most, format!("max_desired = {most}"), got());
    }
    if let Some(wanted) = expected.act {
        let act = Act::of(&moment.decision);
        let told = |act: Act| format!("decision = \"{}\"", act.name());
        compare(act == wanted, told(wanted), told(act));
    }
    if let Some(wanted) = expected.instances {
        let count = moment.in_service;
        let told = |count: u32| format!("instances = {count}");
        compare(count == wanted, told(wanted), told(count));
    }
    if let Some(words) = &expected.reason_contains {
        let got = "another reason".to_owned();
        compare(why.contains(words), format!("reason_contains = {words:?}"), got);
    }
    differences
}
