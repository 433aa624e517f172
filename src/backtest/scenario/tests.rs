//! A scenario is judged as a tick would have decided.

use std::collections::BTreeMap;

use super::*;
use crate::model::{
    Act, Bounds, Expectation, Fleet, Rule, RuleKind, ScenarioFault, Target, TargetOf, Tolerance,
    bare_fleet,
};

/// A fleet of 0 to 10 that wants one instance for each 10 of its load, at once.
fn scenario(values: &str, expectations: Vec<Expectation>) -> Scenario {
    let kind = RuleKind::Target(Target {
        signal: "load".into(),
        target: 10.0,
        of: TargetOf::Total,
        tolerance: Tolerance { out: 0.0, in_: 0.0 },
    });
    let rules = vec![Rule { name: kind.default_name(), kind }];
    let fleet = Fleet { bounds: Bounds { min: 0, max: 10 }, ..bare_fleet(rules) };
    let course = values.parse().expect("a course");
    Scenario {
        description: None,
        fleet,
        start: "2026-01-05T08:00:00Z".parse().expect("a time"),
        interval: Span::secs(30),
        boot: Span::secs(60),
        instances: 2,
        series: BTreeMap::from([("load".into(), GivenSeries { course, per_instance: false })]),
        faults: Vec::new(),
        expectations,
    }
}

fn at(secs: u64) -> Expectation {
    Expectation { at: Span::secs(secs), ..Expectation::default() }
}

fn fault(kind: ScenarioFaultKind, from: u64, lasts: u64) -> ScenarioFault {
    ScenarioFault { kind, from: Span::secs(from), lasts: Span::secs(lasts) }
}

/// In service and desired at each tick until `secs`.
fn course(scenario: &mut Scenario, secs: u64) -> Vec<(u32, u32)> {
    scenario.expectations = vec![at(secs)];
    let mut seen = Vec::new();
    play(scenario, |moment| seen.push((moment.in_service, moment.decision.desired)));
    seen
}

#[test]
fn what_is_launched_serves_after_its_boot_and_an_end_is_immediate() {
    let mut scenario = scenario("20 40x4 10", Vec::new());
    assert_eq!(
        course(&mut scenario, 180),
        [(2, 2), (2, 4), (2, 4), (4, 4), (4, 4), (4, 1), (1, 1)]
    );
}

#[test]
fn a_fleet_may_go_to_nothing_and_come_back() {
    let mut scenario = scenario("0x2 25", Vec::new());
    assert_eq!(course(&mut scenario, 120), [(2, 0), (0, 0), (0, 3), (0, 3), (3, 3)]);
}

#[test]
fn nothing_that_serves_goes_for_something_that_boots() {
    // Four are launched, and one tick later two would do: those that boot are waited for.
    let mut scenario = scenario("60 20", Vec::new());
    assert_eq!(course(&mut scenario, 120), [(2, 6), (2, 2), (6, 2), (2, 2), (2, 2)]);
}

#[test]
fn a_missing_value_removes_nothing() {
    let mut scenario = scenario("20 _", Vec::new());
    assert_eq!(course(&mut scenario, 60), [(2, 2), (2, 2), (2, 2)]);
}

#[test]
fn a_sold_out_place_is_left_alone_and_then_tried_with_one() {
    let mut scenario = scenario("40", Vec::new());
    scenario.faults = vec![fault(ScenarioFaultKind::NoStock, 0, 60)];
    let counts = course(&mut scenario, 420);
    assert!(counts.iter().all(|(_, desired)| *desired == 4), "{counts:?}");
    let serving: Vec<u32> = counts.iter().map(|(serving, _)| *serving).collect();
    // At 5m one is tried, and serves a minute later; the other follows a tick after it.
    assert_eq!(serving[..12], [2; 12]);
    assert_eq!(serving[12..], [3, 4, 4]);
}

#[test]
fn holds_and_doubt_keep_the_size_while_they_last() {
    for (kind, values, after) in [
        (ScenarioFaultKind::HoldOut, "40", 4),
        (ScenarioFaultKind::HoldIn, "10", 1),
        (ScenarioFaultKind::Doubt, "10", 1),
    ] {
        let mut scenario = scenario(values, Vec::new());
        scenario.faults = vec![fault(kind, 0, 60)];
        let serving: Vec<u32> = course(&mut scenario, 150).iter().map(|(n, _)| *n).collect();
        assert_eq!(serving[..3], [2; 3], "{kind:?}");
        assert_eq!(serving[5], after, "{kind:?}");
    }
}

#[test]
fn the_hour_counts_what_was_launched_and_removed() {
    let mut scenario = scenario("60", Vec::new());
    scenario.fleet.brakes.launches_per_hour = Some(3);
    let counts = course(&mut scenario, 3720);
    assert_eq!(counts[3], (5, 6), "three of four");
    assert_eq!(counts[119], (5, 6), "and no more within the hour");
    assert_eq!(counts[124], (6, 6), "then the rest");
}

#[test]
fn an_expectation_is_of_the_decision_in_force_at_its_time() {
    let expected = |secs, desired| Expectation { desired: Some(desired), ..at(secs) };
    let all = vec![expected(0, 2), expected(29, 2), expected(30, 4), expected(44, 4)];
    assert_eq!(check(&scenario("20 40", all)), []);
}

#[test]
fn each_part_that_is_not_so_is_told() {
    let all = |count, act, words: &str| Expectation {
        desired: Some(count),
        min_desired: Some(count),
        act: Some(act),
        reason_contains: Some(words.to_owned()),
        instances: Some(count),
        line: 7,
        ..at(30)
    };
    let right = Expectation { max_desired: Some(4), ..all(4, Act::ScaleOut, "load = 40") };
    let right = Expectation { instances: Some(2), ..right };
    assert_eq!(check(&scenario("20 40", vec![right])), []);
    let wrong = Expectation { max_desired: Some(3), ..all(5, Act::Hold, "cool-down") };
    let misses = check(&scenario("20 40", vec![wrong]));
    let [Miss { line: 7, differences, why, tick, .. }] = &misses[..] else { panic!("{misses:?}") };
    let told: Vec<String> =
        differences.iter().map(|d| format!("{} | {}", d.expected, d.got)).collect();
    assert_eq!(
        told,
        [
            "desired = 5 | desired = 4",
            "min_desired = 5 | desired = 4",
            "max_desired = 3 | desired = 4",
            "decision = \"hold\" | decision = \"scale_out\"",
            "instances = 5 | instances = 2",
            "reason_contains = \"cool-down\" | another reason",
        ]
    );
    assert!(why.starts_with("2 → 4: load = 40"), "{why}");
    assert_eq!(tick.to_rfc3339(), "2026-01-05T08:00:30+00:00");
}
