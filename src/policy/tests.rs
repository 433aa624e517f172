//! The policy as tables of cases, by stage, and as properties.

mod brake;
mod guard;
mod paced;
mod regret;
mod size;
mod steady;
mod target;
mod threshold;

use std::sync::Arc;
use std::time::Duration;

use cloud::clock;
use proptest::prelude::*;

use crate::model::fixtures::{self, CPU, ago, now, running};
use crate::model::*;

fn fleet(min: u32, max: u32) -> Fleet {
    Fleet { rules: vec![rule(2, 1)], ..fixtures::fleet(min, max) }
}

fn rule(out_by: u32, in_by: u32) -> Rule {
    named(Threshold {
        signal: CPU.into(),
        scale_out: Some(ScaleOut { above: 75.0, samples: 2, by: Step::Count(out_by) }),
        scale_in: Some(ScaleIn { below: 30.0, samples: 3, by: Step::Count(in_by) }),
        cooldown: Cooldown { out: Span::secs(180), learned_out: false, in_: Span::secs(300) },
    })
}

fn named(rule: Threshold) -> Rule {
    let kind = RuleKind::Threshold(rule);
    Rule { name: kind.default_name(), kind }
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

/// The decision on `inputs`, without the memory of the rules.
fn decide(inputs: &Inputs) -> Decision {
    super::decide(&inputs.situation(&inputs.census()), inputs.history.memory.clone()).0
}

fn inputs(fleet: &Fleet, inventory: &Inventory, signals: &Signals, history: &History) -> Inputs {
    let inputs = fixtures::inputs(fleet.clone(), inventory.clone(), history.clone());
    Inputs { signals: signals.clone(), ..inputs }
}

fn decided(fleet: &Fleet, inventory: &Inventory, signals: &Signals, history: &History) -> Decision {
    decide(&inputs(fleet, inventory, signals, history))
}

#[test]
fn of_several_rules_the_largest_wish_wins_and_one_veto_keeps_the_fleet() {
    let queue: SignalName = "queue".into();
    let adds_only = |samples| {
        named(Threshold {
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
    fn a_step_never_leaves_the_bounds(
        min in 0u32..50, span in 0u32..50, current in 0u32..120, failed in 0u32..10,
        values in prop::collection::vec(0f64..100.0, 1..8), newest in any_reading(),
        doubt in any::<bool>(), in_doubt in 0u32..5, percent in 0.1f64..500.0,
    ) {
        let max = min + span;
        let mut fleet = fleet(min, max);
        {
            let rule = fleet.rules[0].threshold();
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
        let Decision { add, remove, .. } = decided(&fleet, &inventory, &signals, &history);
        prop_assert!(add == 0 || current + failed + in_doubt + add <= max, "adds {add}");
        prop_assert!(remove == 0 || current >= min + remove, "removes {remove}");
        prop_assert!(add == 0 || remove == 0);
        prop_assert!(!doubt || add + remove == 0);
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
    fn what_is_written_and_read_again_and_listed_in_another_order_decides_the_same(
        values in prop::collection::vec(0f64..100.0, 1..8), current in 0u32..12,
    ) {
        let (history, signals) = seen(&values);
        let once = inputs(&fleet(2, 10), &running(current), &signals, &history);
        let text = serde_json::to_string(&once).expect("text keys and finite numbers");
        let mut again: Inputs = serde_json::from_str(&text).expect("what was just written");
        again.inventory.members.reverse();
        prop_assert_eq!(decide(&once), decide(&again));
    }
}

#[test]
fn inputs_that_were_recorded_before_rules_had_names_lead_to_the_same_decision() {
    for inputs in [busy(), idle()] {
        let mut record = serde_json::to_value(&inputs).expect("a record");
        let rule = record["fleet"]["rules"][0].as_object_mut().expect("a rule");
        assert!(rule.remove("name").is_some());
        let history = record["history"].as_object_mut().expect("a history");
        assert!(history.remove("memory").is_some());
        let signal = history["signals"][CPU].as_object_mut().expect("a signal");
        assert!(signal.remove("series").is_some());
        let early: Inputs = serde_json::from_value(record).expect("readable");
        assert_eq!(decide(&early), decide(&inputs));
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
