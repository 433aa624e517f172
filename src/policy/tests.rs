//! The policy as tables of cases and as properties.

use std::sync::Arc;
use std::time::Duration;

use cloud::clock;
use proptest::prelude::*;

use super::decide;
use crate::model::fixtures::{self, CPU, ago, now, running};
use crate::model::*;

fn fleet(min: u32, max: u32) -> Fleet {
    Fleet { rules: vec![rule(2, 1)], ..fixtures::fleet(min, max) }
}

fn rule(out_by: u32, in_by: u32) -> Rule {
    Rule::Threshold(Threshold {
        signal: CPU.into(),
        scale_out: Some(ScaleOut { above: 75.0, samples: 2, by: Step::Count(out_by) }),
        scale_in: Some(ScaleIn { below: 30.0, samples: 3, by: Step::Count(in_by) }),
        cooldown: Cooldown { out: Span::secs(180), learned_out: false, in_: Span::secs(300) },
    })
}

/// A reading of `value` that is `age` seconds old, by a source whose clock is ours.
fn reading(value: f64, age: u64) -> Reading {
    Ok(Sample { value, measured_at: ago(age), age: Span::secs(age), reporting: None })
}

/// A history in which the older of `values` (oldest first) were seen, 15 s apart, and this tick's
/// reading of the newest.
fn seen(values: &[f64]) -> (History, Signals) {
    let mut history = History { began: Some(ago(86_400)), ..History::default() };
    history.last_in = Some(ago(80_000));
    let (newest, older) = values.split_last().expect("at least one value");
    let window = &mut history.signals.entry(CPU.into()).or_default().window;
    for (n, value) in older.iter().enumerate() {
        let age = 15 * (older.len() - n) as u64;
        let sample = reading(*value, age).expect("a sample");
        window.push(Measured::of(&sample, now(), None), None);
    }
    (history, [(CPU.into(), reading(*newest, 0))].into())
}

fn inputs(fleet: &Fleet, inventory: &Inventory, signals: &Signals, history: &History) -> Inputs {
    let inputs = fixtures::inputs(fleet.clone(), inventory.clone(), history.clone());
    Inputs { signals: signals.clone(), ..inputs }
}

fn decided(fleet: &Fleet, inventory: &Inventory, signals: &Signals, history: &History) -> Decision {
    decide(&inputs(fleet, inventory, signals, history))
}

#[test]
fn a_run_of_new_samples_past_a_bound_moves_the_fleet_by_its_step() {
    for (name, values, current, desired, reason) in [
        ("two above add", vec![80.0, 90.0], 4, 6, "cpu = 90 > 75 for 2 samples: add 2"),
        ("one above waits", vec![50.0, 90.0], 4, 4, "cpu = 90 > 75 for 1 of 2 samples"),
        ("a dip breaks the run", vec![90.0, 50.0, 90.0], 4, 4, "cpu = 90 > 75 for 1 of 2 samples"),
        (
            "exactly on the bound is not above it",
            vec![75.0, 75.0],
            4,
            4,
            "cpu = 75 is within its band",
        ),
        (
            "three below remove",
            vec![20.0, 10.0, 15.5],
            4,
            3,
            "cpu = 15.5 < 30 for 3 samples: remove 1",
        ),
        ("two below wait", vec![50.0, 10.0, 15.0], 4, 4, "cpu = 15 < 30 for 2 of 3 samples"),
        (
            "exactly on the lower bound is not below it",
            vec![30.0, 30.0, 30.0],
            4,
            4,
            "cpu = 30 is within its band",
        ),
        ("max caps", vec![80.0, 90.0], 9, 10, "max = 10 is reached"),
        ("min floors", vec![1.0, 1.0, 1.0], 2, 2, "min = 2 is reached"),
        ("below min is raised", vec![50.0], 1, 2, "below min = 2"),
        ("above max is lowered", vec![50.0], 12, 10, "above max = 10"),
    ] {
        let (history, signals) = seen(&values);
        let decision = decided(&fleet(2, 10), &running(current), &signals, &history);
        assert_eq!(decision.desired, desired, "{name}: {decision}");
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        assert!(reasons.iter().any(|r| r == reason), "{name}: {reasons:?}");
    }
}

#[test]
fn a_repeated_sample_does_not_count_twice() {
    let (mut history, _) = seen(&[50.0]);
    let same = reading(90.0, 10);
    let sample = same.clone().expect("a sample");
    let window = &mut history.signals.entry(CPU.into()).or_default().window;
    window.push(Measured::of(&sample, now(), None), None);
    let signals = [(CPU.into(), same)].into();
    let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
    assert_eq!(decision.desired, 4, "{decision}");
}

#[test]
fn a_gap_of_any_kind_holds_and_says_so() {
    let gaps = [
        Gap::Empty,
        Gap::Stale { age: Span::secs(120), max_age: Span::secs(90) },
        Gap::NotFinite { value: "NaN".into() },
        Gap::Unreachable { why: "connection refused".into() },
        Gap::SeveralSeries { count: 2, examples: vec!["{a=\"1\"}".into()] },
    ];
    for gap in gaps {
        // A run of idle samples is on record: without the gap this would scale in.
        let (history, _) = seen(&[1.0, 1.0, 1.0, 1.0]);
        let signals = [(CPU.into(), Err(gap.clone()))].into();
        let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
        assert_eq!(decision.desired, 4, "{gap}");
        assert!(matches!(&decision.blocked_by, Some(Reason::Missing { .. })), "{gap}");
        let returns = Counterfactual::SignalReturns { signal: CPU.into() };
        assert_eq!(decision.counterfactuals, vec![returns], "{gap}");
    }
}

#[test]
fn a_cool_down_holds_its_direction_and_says_until_when() {
    let busy = [90.0, 90.0];
    let idle = [1.0, 1.0, 1.0];
    for (name, values, out_ago, in_ago, desired, until) in [
        ("a fresh scale-out holds the next", &busy[..], Some(179), None, 4, Some("12:00:01Z")),
        ("a cooled scale-out does not", &busy[..], Some(180), None, 6, None),
        ("a scale-in never holds a scale-out", &busy[..], None, Some(1), 6, None),
        ("a fresh scale-in holds the next", &idle[..], None, Some(299), 4, Some("12:00:01Z")),
        (
            "a fresh scale-out holds a scale-in",
            &idle[..],
            Some(1),
            Some(9_999),
            4,
            Some("12:04:59Z"),
        ),
        ("a cooled fleet scales in", &idle[..], Some(300), Some(300), 3, None),
    ] {
        let (mut history, signals) = seen(values);
        history.last_out = out_ago.map(ago);
        history.last_in = in_ago.or(Some(80_000)).map(ago);
        let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
        assert_eq!(decision.desired, desired, "{name}: {decision}");
        match until {
            None => assert_eq!(decision.blocked_by, None, "{name}"),
            Some(until) => {
                let blocked = decision.blocked_by.expect(name).to_string();
                assert!(
                    blocked.ends_with(&format!("cool-down until {until}")),
                    "{name}: {blocked}"
                );
                let else_ = decision.counterfactuals[0].to_string();
                assert!(else_.ends_with(&format!("after {until}")), "{name}: {else_}");
            }
        }
    }
}

#[test]
fn without_a_journal_the_newest_scale_timestamp_tag_keeps_the_cool_down() {
    let (mut history, signals) = seen(&[90.0, 90.0]);
    history.last_out = None;
    let mut inventory = running(4);
    inventory.members[2]
        .instance
        .tags
        .insert(tags::TIMESTAMP.into(), "2026-01-02T11:58:00Z".into());
    let decision = decided(&fleet(2, 10), &inventory, &signals, &history);
    let until = clock::after(now(), Duration::from_secs(60));
    assert_eq!(decision.blocked_by, Some(Reason::CoolingDown { direction: Direction::Out, until }));
    assert_eq!(decision.recommended, 6);
}

#[test]
fn without_a_record_of_the_last_scale_in_the_first_one_waits_a_cool_down() {
    let (mut history, signals) = seen(&[1.0, 1.0, 1.0]);
    history.last_in = None;
    history.began = Some(ago(100));
    let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
    assert_eq!(decision.desired, 4);
    assert!(matches!(decision.blocked_by, Some(Reason::NoRecordYet { .. })), "{decision}");
    history.began = Some(ago(300));
    assert_eq!(decided(&fleet(2, 10), &running(4), &signals, &history).desired, 3);
}

#[test]
fn booting_instances_count_as_capacity_and_answer_the_shortage_that_they_were_launched_for() {
    let (history, signals) = seen(&[90.0, 90.0]);
    let mut inventory = running(4);
    inventory.unlisted.push(Unlisted { id: "i-new".into(), phase: Phase::Requested });
    let decision = decided(&fleet(2, 6), &inventory, &signals, &history);
    // Two more than the four that carried the load, one of which is there already.
    assert_eq!((decision.current, decision.add), (5, 1));
    inventory.members[3].phase = Phase::Booting;
    let decision = decided(&fleet(2, 6), &inventory, &signals, &history);
    assert_eq!((decision.current, decision.add), (5, 0));
    let answered = Reason::Answered { signal: CPU.into(), measured_with: 3, capacity: 5 };
    assert_eq!(decision.reasons, [answered]);
}

#[test]
fn failed_instances_are_no_capacity_but_count_against_max() {
    let (history, signals) = seen(&[90.0, 90.0]);
    let mut inventory = running(4);
    inventory.members[0].phase = Phase::Failed;
    let decision = decided(&fleet(2, 4), &inventory, &signals, &history);
    assert_eq!((decision.current, decision.desired), (3, 3));
    assert!(decision.reasons.contains(&Reason::FailedCountAgainstMax { failed: 1, max: 4 }));
}

#[test]
fn a_doubtful_inventory_and_an_unknown_outcome_remove_nothing() {
    let (history, signals) = seen(&[1.0, 1.0, 1.0]);
    let mut doubtful = running(4);
    doubtful.doubts.push("3 of 4 instances are missing at once".into());
    let mut open = running(4);
    open.in_doubt = 2;
    for inventory in [doubtful, open] {
        let decision = decided(&fleet(2, 10), &inventory, &signals, &history);
        assert_eq!(decision.desired, decision.current, "{decision}");
        assert!(decision.blocked_by.is_some());
    }
}

#[test]
fn of_several_rules_the_largest_wish_wins_and_one_veto_keeps_the_fleet() {
    let queue: SignalName = "queue".into();
    let adds_only = |samples| {
        Rule::Threshold(Threshold {
            signal: queue.clone(),
            scale_out: Some(ScaleOut { above: 100.0, samples, by: Step::Percent(100.0) }),
            scale_in: None,
            cooldown: Cooldown { out: Span::secs(0), learned_out: false, in_: Span::secs(0) },
        })
    };
    for (name, cpu, queue_reading, desired) in [
        ("both want more: the larger wins", &[90.0, 90.0, 90.0], reading(500.0, 0), 8),
        ("one idle, one busy: more wins", &[1.0, 1.0, 1.0], reading(500.0, 0), 8),
        (
            "a rule that only adds does not veto below its bound",
            &[1.0, 1.0, 1.0],
            reading(5.0, 0),
            3,
        ),
        ("a missing signal vetoes", &[1.0, 1.0, 1.0], Err(Gap::Empty), 4),
        (
            "a missing signal does not keep another from adding",
            &[90.0, 90.0, 90.0],
            Err(Gap::Empty),
            6,
        ),
    ] {
        let mut fleet = fleet(2, 10);
        fleet.rules.push(adds_only(1));
        let (history, mut signals) = seen(cpu);
        signals.insert(queue.clone(), queue_reading);
        let decision = decided(&fleet, &running(4), &signals, &history);
        assert_eq!(decision.desired, desired, "{name}: {decision}");
    }
}

#[test]
fn the_counterfactual_names_what_is_missing() {
    let (history, signals) = seen(&[50.0, 10.0, 10.0]);
    let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
    let text: Vec<String> = decision.counterfactuals.iter().map(ToString::to_string).collect();
    assert_eq!(text, ["would scale in if cpu < 30 for 1 more sample"]);
}

prop_compose! {
    fn any_reading()(kind in 0..4, value in -1e9f64..1e9, age in 0u64..600) -> Reading {
        match kind {
            0 => Err(Gap::Empty),
            1 => Err(Gap::Stale { age: Span::secs(age), max_age: Span::secs(90) }),
            _ => reading(value, age),
        }
    }
}

proptest! {
    #[test]
    fn desired_never_leaves_the_bounds(
        min in 0u32..50, span in 0u32..50, current in 0u32..120, failed in 0u32..10,
        values in prop::collection::vec(0f64..100.0, 1..8), newest in any_reading(),
        doubt in any::<bool>(), in_doubt in 0u32..5, percent in 0.1f64..500.0,
    ) {
        let mut fleet = fleet(min, min + span);
        {
            let Rule::Threshold(rule) = &mut fleet.rules[0];
            rule.scale_out = Some(ScaleOut { above: 75.0, samples: 1, by: Step::Percent(percent) });
        }
        let (history, _) = seen(&values);
        let mut inventory = running(current + failed);
        for member in inventory.members.iter_mut().take(failed as usize) {
            member.phase = Phase::Failed;
        }
        inventory.in_doubt = in_doubt;
        if doubt { inventory.doubts.push("doubt".into()); }
        let signals = [(CPU.into(), newest)].into();
        let decision = decided(&fleet, &inventory, &signals, &history);
        prop_assert!((min..=min + span).contains(&decision.desired));
        prop_assert!((min..=min + span).contains(&decision.recommended));
    }

    #[test]
    fn without_a_usable_signal_nothing_within_the_bounds_is_removed(
        current in 0u32..50, values in prop::collection::vec(0f64..100.0, 1..8), stale in any::<bool>(),
    ) {
        let (history, _) = seen(&values);
        let gap = if stale {
            Gap::Stale { age: Span::secs(99), max_age: Span::secs(90) }
        } else {
            Gap::Empty
        };
        let decision =
            decided(&fleet(2, 60), &running(current), &[(CPU.into(), Err(gap))].into(), &history);
        prop_assert!(decision.desired >= current);
    }

    #[test]
    fn equal_inputs_give_equal_decisions(values in prop::collection::vec(0f64..100.0, 1..8)) {
        let (history, signals) = seen(&values);
        let once = decided(&fleet(2, 10), &running(4), &signals, &history);
        prop_assert_eq!(once, decided(&fleet(2, 10), &running(4), &signals, &history));
    }
}

/// Everything usual, with the fleet busy enough to want two more.
fn busy() -> Inputs {
    let (history, signals) = seen(&[90.0, 90.0]);
    inputs(&fleet(2, 10), &running(4), &signals, &history)
}

/// And idle enough to want one less.
fn idle() -> Inputs {
    let (history, signals) = seen(&[1.0, 1.0, 1.0]);
    inputs(&fleet(2, 10), &running(4), &signals, &history)
}

fn hold(direction: Option<Direction>, secs: u64) -> Hold {
    Hold {
        id: uuid::Uuid::nil(),
        fleet: None,
        direction,
        author: "ann".into(),
        reason: "the fair".into(),
        placed: ago(60),
        until: clock::after(now(), Duration::from_secs(secs)),
    }
}

#[test]
fn a_value_counts_for_the_instances_that_it_was_measured_on() {
    for (name, inputs, served, current, add, remove) in [
        ("two more than served then", busy(), 4, 4, 2, 0),
        ("the two are there already", busy(), 4, 6, 0, 0),
        ("more are missing than then", busy(), 6, 4, 4, 0),
        ("one less than there are", idle(), 4, 4, 0, 1),
        ("the one is gone already", idle(), 5, 4, 0, 0),
        ("low load on few is lower on more", idle(), 3, 5, 0, 1),
    ] {
        let mut inputs = inputs;
        inputs.inventory = running(current);
        inputs.history.in_service = [(ago(3_600), served)].into();
        let decision = decide(&inputs);
        assert_eq!((decision.add, decision.remove), (add, remove), "{name}: {decision}");
    }
}

#[test]
fn samples_that_were_measured_before_an_action_do_not_count_after_it() {
    let (mut history, _) = seen(&[90.0]);
    history.last_out = Some(ago(30));
    // It arrives now, and was true before the action: the metric lags.
    let late = [(CPU.into(), reading(90.0, 40))].into();
    let mut fleet = fleet(2, 10);
    let Rule::Threshold(rule) = &mut fleet.rules[0];
    rule.cooldown.out = Span::secs(0);
    rule.scale_out = Some(ScaleOut { above: 75.0, samples: 1, by: Step::Count(2) });
    let decision = decided(&fleet, &running(4), &late, &history);
    assert_eq!(decision.add, 0, "{decision}");
    let fresh = [(CPU.into(), reading(90.0, 20))].into();
    assert_eq!(decided(&fleet, &running(4), &fresh, &history).add, 2);
}

#[test]
fn few_that_report_may_raise_and_never_lower() {
    let report = |inputs: &mut Inputs, reporting: Option<u32>| {
        let reading = inputs.signals.get_mut(&SignalName::from(CPU)).expect("read");
        reading.as_mut().expect("a sample").reporting = reporting;
        let window = &mut inputs.history.signals.get_mut(&SignalName::from(CPU)).expect("known");
        window.full_at = Some(ago(600));
        let kept: Vec<Measured> = window.window.newest_first().copied().collect();
        window.window.clear();
        for sample in kept.into_iter().rev() {
            window.window.push(Measured { reporting, in_service: Some(4), ..sample }, None);
        }
    };
    for (name, coverage, reporting, remove) in [
        ("all report", Coverage::Auto(0.6), Some(4), 1),
        ("enough report", Coverage::Auto(0.6), Some(3), 1),
        ("half report", Coverage::Auto(0.6), Some(2), 0),
        ("nobody can say how many", Coverage::Auto(0.6), None, 0),
        ("asked for all", Coverage::AtLeast(1.0), Some(3), 0),
        ("not each instance's own", Coverage::AtLeast(0.0), Some(1), 1),
    ] {
        let mut inputs = idle();
        inputs.history.in_service = [(ago(3_600), 4)].into();
        let spec = inputs.fleet.signals.get_mut(&SignalName::from(CPU)).expect("known");
        spec.coverage = coverage;
        report(&mut inputs, reporting);
        let decision = decide(&inputs);
        assert_eq!(decision.remove, remove, "{name}: {decision}");
        let said = decision.reasons.iter().any(|r| matches!(r, Reason::Partial { .. }));
        assert_eq!(said, remove == 0, "{name}");
    }
    let mut inputs = busy();
    report(&mut inputs, Some(1));
    assert_eq!(decide(&inputs).add, 2, "one that is overloaded is reason enough");
    // A signal that never came from every instance is not judged by how many report it.
    let mut inputs = idle();
    report(&mut inputs, Some(1));
    inputs.history.signals.get_mut(&SignalName::from(CPU)).expect("known").full_at = None;
    assert_eq!(decide(&inputs).remove, 1);
}

#[test]
fn a_missing_signal_raises_to_its_fallback_after_a_while_and_never_lowers() {
    for (name, missing_secs, fallback, current, add) in [
        ("one lost answer is no reason to buy", 60, 6, 4, 0),
        ("missing for as long as data may be old", 90, 6, 4, 2),
        ("a lower fallback changes nothing", 90, 3, 4, 0),
        ("max holds", 90, 50, 4, 6),
    ] {
        let (mut history, _) = seen(&[50.0, 50.0]);
        let memory = history.signals.get_mut(&SignalName::from(CPU)).expect("known");
        memory.missing_since = Some(ago(missing_secs));
        let mut fleet = fleet(2, 10);
        let spec = fleet.signals.get_mut(&SignalName::from(CPU)).expect("known");
        spec.on_missing = OnMissing::Fallback(fallback);
        let gap = [(CPU.into(), Err(Gap::Empty))].into();
        let decision = decided(&fleet, &running(current), &gap, &history);
        assert_eq!((decision.add, decision.remove), (add, 0), "{name}: {decision}");
    }
}

#[test]
fn a_scale_in_takes_the_highest_recommendation_of_the_window() {
    for (name, recommended, remove) in [
        ("nothing higher within it", vec![(3_600, 5), (301, 3)], 1),
        ("a higher one that ended within it", vec![(3_600, 5), (299, 3)], 0),
        ("the last tick wanted more", vec![(3_600, 3), (15, 5)], 0),
        ("no records", vec![], 1),
    ] {
        let mut inputs = idle();
        inputs.fleet.stabilization = Span::secs(300);
        inputs.history.recommended = recommended.iter().map(|(at, n)| (ago(*at), *n)).collect();
        let decision = decide(&inputs);
        assert_eq!(decision.remove, remove, "{name}: {decision}");
        assert_eq!(decision.recommended, 3, "{name}");
    }
}

#[test]
fn a_hold_keeps_its_direction_until_it_ends_and_names_who_placed_it() {
    let (out, in_) = (Some(Direction::Out), Some(Direction::In));
    for (name, inputs, hold, changes) in [
        ("out holds out", busy(), hold(out, 60), false),
        ("in does not hold out", busy(), hold(in_, 60), true),
        ("both hold out", busy(), hold(None, 60), false),
        ("in holds in", idle(), hold(in_, 60), false),
        ("out does not hold in", idle(), hold(out, 60), true),
        ("one that has ended", idle(), hold(None, 0), true),
        ("another fleet's", busy(), Hold { fleet: Some("other".into()), ..hold(None, 60) }, true),
    ] {
        let decision = decide(&Inputs { holds: vec![hold], ..inputs });
        assert_eq!(decision.add + decision.remove > 0, changes, "{name}: {decision}");
        let text = decision.to_string();
        assert_eq!(text.contains("held by ann until"), !changes, "{name}: {text}");
    }
}

#[test]
fn a_brake_lets_through_what_is_left_of_the_hour_and_says_whose_it_is() {
    let brakes = |launches, removals, percent| Brakes {
        launches_per_hour: launches,
        removals_per_hour: removals,
        removal_percent: percent,
    };
    let used = |launches, removals| Amounts { launches, removals };
    for (name, inputs, fleet, account, spent, add, remove) in [
        ("no brake", busy(), brakes(None, None, None), brakes(None, None, None), 99, 2, 0),
        ("room", busy(), brakes(Some(5), None, None), brakes(None, None, None), 3, 2, 0),
        ("some room", busy(), brakes(Some(5), None, None), brakes(None, None, None), 4, 1, 0),
        ("none", busy(), brakes(Some(5), None, None), brakes(None, None, None), 5, 0, 0),
        ("the account's", busy(), brakes(None, None, None), brakes(Some(4), None, None), 4, 0, 0),
        ("removals", idle(), brakes(None, Some(3), None), brakes(None, None, None), 3, 0, 0),
        // 4 left of 5: 20 % is one, which is gone.
        ("percent", idle(), brakes(None, None, Some(20.0)), brakes(None, None, None), 1, 0, 0),
        ("at least one", idle(), brakes(None, None, Some(1.0)), brakes(None, None, None), 0, 0, 1),
    ] {
        let mut inputs = inputs;
        inputs.fleet.brakes = fleet;
        inputs.fleet.account_brakes = account;
        inputs.spent = Spent { fleet: used(spent, spent), account: used(spent, spent) };
        let decision = decide(&inputs);
        assert_eq!((decision.add, decision.remove), (add, remove), "{name}: {decision}");
        let braked = decision.reasons.iter().any(|r| matches!(r, Reason::Braked { .. }));
        assert_eq!(braked, add + remove < inputs_want(&decision), "{name}");
    }
}

fn inputs_want(decision: &Decision) -> u32 {
    decision.recommended.abs_diff(decision.current)
}

#[test]
fn launches_that_keep_failing_wait_then_stop_and_then_one_is_tried() {
    let failures = |times: u128, secs| {
        let spec = fingerprint(&fixtures::spec());
        (0..times).fold(None, |before, n| {
            let launch = IntentId(uuid::Uuid::from_u128(n));
            Some(Failures::count(before, &spec, launch, ago(secs), "never booted"))
        })
    };
    for (name, failed, add) in [
        ("one failure waits a minute", failures(1, 59), 0),
        ("and goes on", failures(1, 60), 2),
        ("five stop it", failures(5, 1_799), 0),
        ("after half an hour one is tried", failures(5, 1_800), 1),
    ] {
        let mut inputs = busy();
        inputs.history.failures = failed;
        assert_eq!(decide(&inputs).add, add, "{name}");
    }
    let mut inputs = busy();
    inputs.fleet.launch.spec.image_id = "m-repaired".into();
    inputs.history.failures = failures(9, 1);
    assert_eq!(decide(&inputs).add, 2, "another spec begins anew");
    let mut inputs = busy();
    inputs.history.failures = failures(5, 1_800);
    let probe = fixtures::tracked(Phase::Booting, ("c7", "vsw-h"));
    inputs.history.instances.insert(fixtures::id("i-probe"), probe);
    assert_eq!(decide(&inputs).add, 0, "one at a time");
}

#[test]
fn an_account_that_is_stopped_launches_nothing_and_then_tries_one() {
    let mut inputs = busy();
    Arc::make_mut(&mut inputs.account).apply(&AccountEvent::Stopped {
        at: ago(299),
        class: cloud::Class::Quota,
        message: "the quota is used up".into(),
    });
    let decision = decide(&inputs);
    assert_eq!(decision.add, 0);
    let blocked = decision.blocked_by.expect("a reason").to_string();
    assert!(blocked.contains("(quota): the quota is used up"), "{blocked}");
    inputs.now = clock::after(now(), Duration::from_secs(1));
    assert_eq!(decide(&inputs).add, 1);
}

#[test]
fn lost_instances_are_replaced_unless_the_fleet_is_idle() {
    let standing = Standing { target: 6, since: ago(15), why: Short::Lost };
    for (name, values, add, remove) in [
        ("in its band", vec![50.0, 50.0], 2, 0),
        ("busy", vec![90.0, 90.0], 2, 0),
        ("idle", vec![1.0, 1.0, 1.0], 0, 1),
    ] {
        let (mut history, signals) = seen(&values);
        history.standing = Some(standing);
        let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
        assert_eq!((decision.add, decision.remove), (add, remove), "{name}: {decision}");
    }
}

#[test]
fn a_lost_zone_is_no_capacity_and_nothing_is_removed_while_it_is_lost() {
    let mut inventory = running(4);
    inventory.members[0].instance.zone = "i".into();
    inventory.lost_zones.insert("i".into());
    let (history, signals) = seen(&[1.0, 1.0, 1.0]);
    let decision = decided(&fleet(2, 10), &inventory, &signals, &history);
    assert_eq!((decision.current, decision.remove), (3, 0), "{decision}");
    let lost = Reason::ZoneLost { zone: "i".into(), instances: 1 };
    assert!(decision.reasons.contains(&lost), "{decision}");
    // It still exists, so it counts against max.
    let decision = decided(&fleet(4, 4), &inventory, &signals, &history);
    assert_eq!((decision.current, decision.add), (3, 0), "{decision}");
}

#[test]
fn what_a_lost_zone_held_is_rebuilt_to_the_size_that_was_decided() {
    let mut inventory = running(4);
    inventory.members[0].instance.zone = "i".into();
    inventory.lost_zones.insert("i".into());
    let (mut history, signals) = seen(&[50.0, 50.0, 50.0]);
    history.last_desired = 4;
    let decision = decided(&fleet(2, 10), &inventory, &signals, &history);
    assert_eq!((decision.add, decision.desired), (1, 4), "{decision}");
    assert!(decision.reasons.contains(&Reason::Replacing { target: 4 }), "{decision}");
    // What was launched there a moment before the loss may still come up.
    inventory.members[0].phase = Phase::Warming;
    let decision = decided(&fleet(2, 10), &inventory, &signals, &history);
    assert_eq!((decision.current, decision.add), (4, 0), "{decision}");
}

#[test]
fn a_doubt_does_not_make_the_daemon_forget_what_was_decided() {
    let mut inventory = running(0);
    inventory.doubts.push("4 of 4 instances are missing at once".into());
    let (mut history, signals) = seen(&[50.0, 50.0, 50.0]);
    history.last_desired = 4;
    let decision = decided(&fleet(2, 10), &inventory, &signals, &history);
    assert_eq!((decision.add, decision.remove, decision.desired), (0, 0, 4), "{decision}");
}

#[test]
fn while_it_is_not_known_whether_an_end_happened_no_other_is_begun() {
    let mut inputs = idle();
    let intent = IntentId(uuid::Uuid::from_u128(1));
    let mutation =
        cloud::Mutation::Delete { ids: vec!["i-0000".into()], how: cloud::Terminate::Graceful };
    let action = Action { intent, mutation };
    let open = Open { intent: Intent { at: ago(9), action }, sent_at: ago(9), repeat: true };
    inputs.history.open.insert(intent, open);
    let decision = decide(&inputs);
    assert_eq!(decision.remove, 0, "{decision}");
    assert_eq!(decision.blocked_by, Some(Reason::EndOpen { instances: 1 }));
}

#[test]
fn what_was_learned_takes_the_place_of_what_was_left_out() {
    let mut account = Account::default();
    let mut history = History::default();
    let mut lag = Ring::default();
    for n in 0..20 {
        account.apply(&AccountEvent::Booted {
            at: now(),
            zone: "h".into(),
            instance_type: "c7".into(),
            secs: 50.0 + f64::from(n),
        });
        lag.push(20.0);
    }
    history.signals.insert(CPU.into(), SignalMemory { lag, ..SignalMemory::default() });
    let out = |fleet: &Fleet| {
        let Rule::Threshold(rule) = &fleet.rules[0];
        rule.cooldown.out
    };
    let given = fleet(2, 10);
    let tuned = given.tuned(&account, &history);
    assert_eq!((tuned.boot_timeout, out(&tuned)), (given.boot_timeout, out(&given)));
    let mut open = fleet(2, 10);
    open.boot_timeout.learned = true;
    let Rule::Threshold(rule) = &mut open.rules[0];
    rule.cooldown.learned_out = true;
    let tuned = open.tuned(&account, &history);
    assert_eq!(tuned.boot_timeout.span, Span::secs(204), "three times 68 s");
    assert_eq!(out(&tuned), Span::secs(148), "68 s of boot, 60 of warm-up, 20 of lag");
    let unknown = open.tuned(&Account::default(), &history);
    assert_eq!((unknown.boot_timeout.span, out(&unknown)), (open.boot_timeout.span, out(&open)));
}
