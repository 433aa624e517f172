//! The policy as tables of cases and as properties.

use std::time::Duration;

use cloud::{Instance, InstanceId, LaunchSpec, Status, Tags, Terminate, Timestamp, clock};
use proptest::prelude::*;

use super::decide;
use crate::model::*;

const CPU: &str = "cpu";

fn now() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a valid time")
}

fn ago(secs: u64) -> Timestamp {
    now() - chrono::TimeDelta::seconds(i64::try_from(secs).expect("small"))
}

fn fleet(min: u32, max: u32) -> Fleet {
    Fleet {
        id: "web".into(),
        bounds: Bounds { min, max },
        warmup: Span::secs(60),
        boot_timeout: Span::secs(600),
        terminate: Terminate::Graceful,
        base: None,
        launch: LaunchTemplate {
            spec: LaunchSpec {
                image_id: "m-1".into(),
                security_group_ids: vec!["sg-1".into()],
                instance_name: None,
                host_name: None,
                key_pair_name: None,
                ram_role_name: None,
                resource_group_id: None,
                user_data: None,
                system_disk: None,
                internet_max_bandwidth_out: None,
                spot: None,
                deletion_protection: false,
                tags: Tags::new(),
            },
            instance_types: vec!["ecs.c7.large".into()],
            vswitches: vec!["vsw-h".into()],
        },
        signals: [(CPU.into(), SignalSpec { max_age: Span::secs(90) })].into(),
        rules: vec![rule(2, 1)],
    }
}

fn rule(out_by: u32, in_by: u32) -> Rule {
    Rule::Threshold(Threshold {
        signal: CPU.into(),
        scale_out: Some(ScaleOut { above: 75.0, samples: 2, by: Step::Count(out_by) }),
        scale_in: Some(ScaleIn { below: 30.0, samples: 3, by: Step::Count(in_by) }),
        cooldown: Cooldown { out: Span::secs(180), in_: Span::secs(300) },
    })
}

fn running(n: u32) -> Inventory {
    let members = (0..n).map(|n| Member {
        instance: Instance {
            id: InstanceId(format!("i-{n:04}")),
            status: Status::Running,
            created_at: ago(86_400),
            zone: "h".into(),
            instance_type: "ecs.c7.large".into(),
            vswitch: None,
            private_ip: None,
            tags: [(tags::TIMESTAMP.to_owned(), "2026-01-01T12:00:00Z".to_owned())].into(),
            deletion_protection: false,
            locks: Vec::new(),
        },
        ownership: Ownership::Managed,
        phase: Phase::InService,
        missing_tags: Tags::new(),
    });
    Inventory {
        at: now(),
        members: members.collect(),
        unlisted: Vec::new(),
        in_doubt: 0,
        doubts: Vec::new(),
    }
}

/// A reading of `value` that is `age` seconds old, by a source whose clock is ours.
fn reading(value: f64, age: u64) -> Reading {
    Ok(Sample { value, measured_at: ago(age), age: Span::secs(age) })
}

/// A history in which the older of `values` (oldest first) were seen, 15 s apart, and this tick's
/// reading of the newest.
fn seen(values: &[f64]) -> (History, Signals) {
    let mut history = History { began: Some(ago(86_400)), ..History::default() };
    history.last_in = Some(ActionEnd { at: ago(80_000) });
    let (newest, older) = values.split_last().expect("at least one value");
    let window = history.samples.entry(CPU.into()).or_default();
    for (n, value) in older.iter().enumerate() {
        let age = 15 * (older.len() - n) as u64;
        window.push(reading(*value, age).expect("a sample"));
    }
    (history, [(CPU.into(), reading(*newest, 0))].into())
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
        let decision = decide(&fleet(2, 10), &running(current), &signals, &history, now());
        assert_eq!(decision.desired, desired, "{name}: {decision}");
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        assert!(reasons.iter().any(|r| r == reason), "{name}: {reasons:?}");
    }
}

#[test]
fn a_repeated_sample_does_not_count_twice() {
    let (mut history, _) = seen(&[50.0]);
    let same = reading(90.0, 10);
    history.samples.entry(CPU.into()).or_default().push(same.clone().expect("a sample"));
    let signals = [(CPU.into(), same)].into();
    let decision = decide(&fleet(2, 10), &running(4), &signals, &history, now());
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
        let decision = decide(&fleet(2, 10), &running(4), &signals, &history, now());
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
        history.last_out = out_ago.map(|secs| ActionEnd { at: ago(secs) });
        history.last_in = in_ago.or(Some(80_000)).map(|secs| ActionEnd { at: ago(secs) });
        let decision = decide(&fleet(2, 10), &running(4), &signals, &history, now());
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
    let decision = decide(&fleet(2, 10), &inventory, &signals, &history, now());
    let until = clock::after(now(), Duration::from_secs(60));
    assert_eq!(decision.blocked_by, Some(Reason::CoolingDown { direction: Direction::Out, until }));
    assert_eq!(decision.recommended, 6);
}

#[test]
fn without_a_record_of_the_last_scale_in_the_first_one_waits_a_cool_down() {
    let (mut history, signals) = seen(&[1.0, 1.0, 1.0]);
    history.last_in = None;
    history.began = Some(ago(100));
    let decision = decide(&fleet(2, 10), &running(4), &signals, &history, now());
    assert_eq!(decision.desired, 4);
    assert!(matches!(decision.blocked_by, Some(Reason::NoRecordYet { .. })), "{decision}");
    history.began = Some(ago(300));
    assert_eq!(decide(&fleet(2, 10), &running(4), &signals, &history, now()).desired, 3);
}

#[test]
fn booting_instances_count_as_capacity() {
    let (history, signals) = seen(&[90.0, 90.0]);
    let mut inventory = running(4);
    inventory.members[3].phase = Phase::Booting;
    inventory.unlisted.push(Unlisted { id: "i-new".into(), phase: Phase::Requested });
    let decision = decide(&fleet(2, 6), &inventory, &signals, &history, now());
    assert_eq!((decision.current, decision.desired), (5, 6));
}

#[test]
fn failed_instances_are_no_capacity_but_count_against_max() {
    let (history, signals) = seen(&[90.0, 90.0]);
    let mut inventory = running(4);
    inventory.members[0].phase = Phase::Failed;
    let decision = decide(&fleet(2, 4), &inventory, &signals, &history, now());
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
        let decision = decide(&fleet(2, 10), &inventory, &signals, &history, now());
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
            cooldown: Cooldown { out: Span::secs(0), in_: Span::secs(0) },
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
        let decision = decide(&fleet, &running(4), &signals, &history, now());
        assert_eq!(decision.desired, desired, "{name}: {decision}");
    }
}

#[test]
fn the_counterfactual_names_what_is_missing() {
    let (history, signals) = seen(&[50.0, 10.0, 10.0]);
    let decision = decide(&fleet(2, 10), &running(4), &signals, &history, now());
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
        let decision = decide(&fleet, &inventory, &signals, &history, now());
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
            decide(&fleet(2, 60), &running(current), &[(CPU.into(), Err(gap))].into(), &history, now());
        prop_assert!(decision.desired >= current);
    }

    #[test]
    fn equal_inputs_give_equal_decisions(values in prop::collection::vec(0f64..100.0, 1..8)) {
        let (history, signals) = seen(&values);
        let once = decide(&fleet(2, 10), &running(4), &signals, &history, now());
        prop_assert_eq!(once, decide(&fleet(2, 10), &running(4), &signals, &history, now()));
    }
}
