//! The rules that turn a value straight into a size, and schedules.

use super::*;

fn of(kinds: Vec<RuleKind>) -> Fleet {
    let rules = kinds.into_iter().map(|kind| Rule { name: kind.default_name(), kind }).collect();
    Fleet { rules, ..fixtures::fleet(1, 100) }
}

fn steps() -> RuleKind {
    let bands = [(100.0, 5), (500.0, 12)].map(|(from, size)| Band { from, size });
    RuleKind::Step(Bands { signal: CPU.into(), lowest: 2, bands: bands.into() })
}

fn queue(running: Option<&str>, slots: Option<u32>) -> RuleKind {
    RuleKind::Queue(Queue {
        signal: CPU.into(),
        running: running.map(Into::into),
        per_minute: 2.0,
        within: Span::secs(600),
        slots,
    })
}

fn size_for(fleet: &Fleet, current: u32, signals: &Signals) -> (u32, Decision) {
    let (mut history, _) = seen(&[1.0]);
    history.in_service = [(ago(3_600), current)].into();
    let decision = decided(fleet, &running(current), signals, &history);
    (decision.desired, decision)
}

#[test]
fn each_band_has_its_size() {
    let fleet = of(vec![steps()]);
    for (value, current, size, why) in [
        (20.0, 4, 2, "cpu = 20, below every step: 2"),
        (99.9, 2, 2, "cpu = 99.9, below every step: 2"),
        (100.0, 2, 5, "cpu = 100, from 100 on: 5"),
        (499.0, 9, 5, "cpu = 499, from 100 on: 5"),
        (9_999.0, 5, 12, "cpu = 9999, from 500 on: 12"),
    ] {
        let (desired, decision) =
            size_for(&fleet, current, &[(CPU.into(), reading(value, 0))].into());
        assert_eq!(desired, size, "{value}: {decision}");
        assert_eq!(decision.reasons[0].to_string(), why);
    }
    let (_, decision) = size_for(&fleet, 5, &[(CPU.into(), reading(200.0, 0))].into());
    let text: Vec<String> = decision.counterfactuals.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "would scale out if cpu > 500 for 1 more sample",
            "would scale in if cpu < 100 for 1 more sample"
        ]
    );
    let (desired, decision) = size_for(&fleet, 7, &[(CPU.into(), Err(Gap::Empty))].into());
    assert_eq!((desired, decision.remove), (7, 0), "no data removes nothing: {decision}");
}

#[test]
fn a_backlog_is_worked_off_in_time_and_what_runs_keeps_its_instances() {
    for (name, waiting, running, slots, current, size) in [
        ("nothing to do: down to min", Some(0.0), Some(0.0), None, 5, 1),
        ("one job needs one", Some(1.0), Some(0.0), None, 0, 1),
        ("twenty jobs an instance in ten minutes", Some(100.0), Some(0.0), None, 1, 5),
        ("those that run count, too", Some(100.0), Some(1.0), None, 1, 6),
        ("an instance that works is kept", Some(0.0), Some(8.0), Some(2), 6, 4),
        ("nobody knows what runs: none goes", Some(0.0), None, None, 5, 5),
        ("and what waits is a reason for more", Some(200.0), None, None, 5, 10),
        ("what waits is not known", None, Some(3.0), None, 5, 5),
    ] {
        let fleet = of(vec![queue(Some("running"), slots)]);
        let known = |value: Option<f64>| value.map_or(Err(Gap::Empty), |value| reading(value, 0));
        let signals = [(CPU.into(), known(waiting)), ("running".into(), known(running))].into();
        let (desired, decision) = size_for(&fleet, current, &signals);
        assert_eq!(desired, size, "{name}: {decision}");
    }
    let fleet = of(vec![queue(None, None)]);
    let (_, decision) = size_for(&fleet, 1, &[(CPU.into(), reading(41.0, 0))].into());
    assert_eq!(decision.reasons[0].to_string(), "cpu: 41 waiting, to be done in 10m: 3");
}

#[test]
fn a_recommended_size_is_taken_as_it_is_and_nonsense_is_none() {
    let fleet = of(vec![RuleKind::External(External { signal: CPU.into() })]);
    for (value, size) in [(6.0, 6), (6.2, 7), (0.0, 1), (250.0, 100), (-3.0, 4), (1e300, 4)] {
        let (desired, decision) = size_for(&fleet, 4, &[(CPU.into(), reading(value, 0))].into());
        assert_eq!(desired, size, "{value}: {decision}");
    }
    let (_, decision) = size_for(&fleet, 4, &[(CPU.into(), reading(-3.0, 0))].into());
    assert_eq!(decision.reasons[0].to_string(), "cpu = -3 is no size");
}

#[test]
fn fewer_that_would_bring_the_others_back_are_not_removed() {
    // 10 serve at 40 %: 8 would carry 50 %, 5 would carry 80 %.
    let kind = |percent| {
        RuleKind::Threshold(Threshold {
            signal: CPU.into(),
            scale_out: Some(ScaleOut { above: 75.0, samples: 1, by: Step::Count(1) }),
            scale_in: Some(ScaleIn { below: 45.0, samples: 1, by: Step::Percent(percent) }),
            cooldown: Cooldown { out: Span::secs(0), learned_out: false, in_: Span::secs(0) },
        })
    };
    for (name, percent, per_instance, size) in [
        ("as far as it goes", 20.0, true, 8),
        ("no farther than the scale-out bound allows", 50.0, true, 6),
        ("a total is no reason", 50.0, false, 5),
    ] {
        let fleet = of(vec![kind(percent)]);
        let (mut history, _) = seen(&[40.0]);
        history.in_service = [(ago(3_600), 10)].into();
        let sample =
            Sample { reporting: per_instance.then_some(10), ..reading(40.0, 0).expect("a sample") };
        if per_instance {
            let memory = history.signals.entry(CPU.into()).or_default();
            memory.read(Measured::of(&sample, ago(15), Some(10)), None, ago(15));
        }
        let decision = decided(&fleet, &running(10), &[(CPU.into(), Ok(sample))].into(), &history);
        assert_eq!(decision.desired, size, "{name}: {decision}");
    }
}

fn schedule(entries: Vec<ScheduleEntry>, otherwise: Option<u32>) -> RuleKind {
    RuleKind::Schedule(Schedule { timezone: chrono_tz::UTC, entries, otherwise })
}

/// In force from an hour ago to an hour from now, or over.
fn entry(is_in_force: bool, sets: ScheduledLimits) -> ScheduleEntry {
    let hour = Duration::from_secs(3_600);
    let until = if is_in_force { clock::after(now(), hour) } else { ago(60) };
    ScheduleEntry { when: ScheduledTime::Between { from: ago(3_600), until }, sets }
}

#[test]
fn a_schedule_bounds_what_the_rules_want_within_the_fleets_own_bounds() {
    let sets = |min, max| ScheduledLimits { min, max, forbids: None };
    for (name, entries, otherwise, wanted, current, size) in [
        ("raised", vec![entry(true, sets(Some(6), None))], None, 2.0, 2, 6),
        ("kept", vec![entry(true, sets(Some(6), None))], None, 2.0, 8, 6),
        ("lowered", vec![entry(true, sets(None, Some(4)))], None, 9.0, 9, 4),
        ("not above the fleet's max", vec![entry(true, sets(Some(500), None))], None, 2.0, 2, 100),
        ("not below the fleet's min", vec![entry(true, sets(None, Some(0)))], None, 2.0, 2, 1),
        ("over", vec![entry(false, sets(Some(6), None))], None, 2.0, 2, 2),
        ("at other times", vec![entry(false, sets(Some(6), None))], Some(3), 9.0, 9, 3),
        ("not while one is in force", vec![entry(true, sets(Some(6), None))], Some(3), 9.0, 9, 9),
        (
            "of several the highest min",
            vec![entry(true, sets(Some(6), None)), entry(true, sets(Some(8), Some(9)))],
            None,
            2.0,
            2,
            8,
        ),
        (
            "a contradiction is answered by capacity",
            vec![entry(true, sets(Some(6), None)), entry(true, sets(None, Some(4)))],
            None,
            2.0,
            2,
            6,
        ),
    ] {
        let external = RuleKind::External(External { signal: CPU.into() });
        let fleet = of(vec![external, schedule(entries, otherwise)]);
        let (desired, decision) =
            size_for(&fleet, current, &[(CPU.into(), reading(wanted, 0))].into());
        assert_eq!(desired, size, "{name}: {decision}");
    }
}

#[test]
fn a_forbidden_direction_waits_and_what_is_lost_is_replaced_all_the_same() {
    let forbids =
        |direction| ScheduledLimits { forbids: Some(direction), ..ScheduledLimits::default() };
    for (name, direction, wanted, current, last_desired, size) in [
        ("no scale-in", Direction::In, 2.0, 6, 6, 6),
        ("a scale-out is free", Direction::In, 9.0, 6, 6, 9),
        ("no scale-out", Direction::Out, 9.0, 6, 6, 6),
        ("a scale-in is free", Direction::Out, 2.0, 6, 6, 2),
        ("two were lost", Direction::Out, 9.0, 4, 6, 6),
    ] {
        let external = RuleKind::External(External { signal: CPU.into() });
        let fleet = of(vec![external, schedule(vec![entry(true, forbids(direction))], None)]);
        let (mut history, _) = seen(&[1.0]);
        history.last_desired = last_desired;
        let signals = [(CPU.into(), reading(wanted, 0))].into();
        let decision = decided(&fleet, &running(current), &signals, &history);
        assert_eq!(decision.desired, size, "{name}: {decision}");
        if size == current && desired_differs(wanted, current) {
            let why = decision.blocked_by.expect("it is said").to_string();
            assert!(why.starts_with("schedule forbids a scale-"), "{why}");
        }
    }
}

fn desired_differs(wanted: f64, current: u32) -> bool {
    (wanted - f64::from(current)).abs() > 0.5
}

proptest! {
    #[test]
    fn a_higher_value_never_asks_for_fewer(
        value in 0f64..2_000.0, more in 0f64..2_000.0, current in 0u32..60, kind in 0usize..3,
    ) {
        let kinds = [steps(), queue(None, None), RuleKind::External(External { signal: CPU.into() })];
        let fleet = of(vec![kinds[kind].clone()]);
        let size = |value| size_for(&fleet, current, &[(CPU.into(), reading(value, 0))].into()).0;
        prop_assert!(size(value + more) >= size(value));
    }
}
