//! The rules that aim at a size: `target` and `fixed`.

use super::*;

fn aims(of: TargetOf, target: f64) -> Fleet {
    let kind = RuleKind::Target(Target {
        signal: CPU.into(),
        target,
        of,
        tolerance: Tolerance { out: 0.1, in_: 0.1 },
    });
    let rule = Rule { name: kind.default_name(), kind };
    Fleet { rules: vec![rule], ..fixtures::fleet(1, 100) }
}

#[test]
fn an_average_moves_the_fleet_to_the_size_at_which_it_is_the_target() {
    for (name, value, served, current, size) in [
        ("on target", 70.0, 10, 10, 10),
        ("within the tolerance above", 76.0, 10, 10, 10),
        ("within the tolerance below", 64.0, 10, 10, 10),
        ("above it", 84.0, 10, 10, 12),
        ("far above", 210.0, 10, 10, 30),
        ("below it", 35.0, 10, 10, 5),
        ("a part of an instance is a whole one", 36.0, 10, 10, 6),
        ("what boots is coming", 84.0, 10, 12, 12),
        ("and more is asked for if that is too few", 140.0, 10, 12, 20),
        ("what was on target with more stays", 70.0, 12, 10, 10),
        ("nothing is used: one is left", 0.0, 10, 10, 1),
    ] {
        let (mut history, signals) = seen(&[value]);
        history.in_service = [(ago(3_600), served)].into();
        let decision =
            decided(&aims(TargetOf::Average, 70.0), &running(current), &signals, &history);
        assert_eq!(decision.desired, size, "{name}: {decision}");
    }
}

#[test]
fn a_total_is_divided_by_what_one_instance_should_carry() {
    for (name, value, current, size) in [
        ("on target", 1_000.0, 10, 10),
        ("within the tolerance", 1_050.0, 10, 10),
        ("above", 1_210.0, 10, 13),
        ("below", 450.0, 10, 5),
    ] {
        let (mut history, signals) = seen(&[value]);
        history.in_service = [(ago(3_600), current)].into();
        let decision =
            decided(&aims(TargetOf::Total, 100.0), &running(current), &signals, &history);
        assert_eq!(decision.desired, size, "{name}: {decision}");
    }
}

#[test]
fn a_missing_signal_holds_and_the_window_delays_a_scale_in() {
    let (history, _) = seen(&[10.0]);
    let gap = [(CPU.into(), Err(Gap::Empty))].into();
    let fleet = aims(TargetOf::Average, 70.0);
    let decision = decided(&fleet, &running(10), &gap, &history);
    assert_eq!((decision.desired, decision.remove), (10, 0), "{decision}");
    let (mut history, signals) = seen(&[10.0]);
    history.recommended = [(ago(600), 8)].into();
    let fleet = Fleet { stabilization: Span::secs(300), ..fleet };
    let decision = decided(&fleet, &running(10), &signals, &history);
    assert_eq!(decision.desired, 8, "{decision}");
}

#[test]
fn its_reason_tells_the_arithmetic_and_what_would_change_it() {
    let (mut history, signals) = seen(&[84.0]);
    history.in_service = [(ago(3_600), 10)].into();
    let decision = decided(&aims(TargetOf::Average, 70.0), &running(10), &signals, &history);
    assert_eq!(decision.reasons[0].to_string(), "cpu = 84 with 10 in service, target 70: 12");
    let (mut history, signals) = seen(&[70.0]);
    history.in_service = [(ago(3_600), 10)].into();
    let decision = decided(&aims(TargetOf::Average, 70.0), &running(10), &signals, &history);
    let text: Vec<String> = decision.counterfactuals.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "would scale out if cpu > 77 for 1 more sample",
            "would scale in if cpu < 63 for 1 more sample"
        ]
    );
}

#[test]
fn a_fixed_size_needs_no_signal() {
    let kind = RuleKind::Fixed(Fixed { size: 6 });
    let rule = Rule { name: kind.default_name(), kind };
    let mut fleet = Fleet { rules: vec![rule], ..fixtures::fleet(1, 10) };
    for (current, size) in [(4, 6), (6, 6), (9, 6)] {
        let inputs = inputs(&fleet, &running(current), &[].into(), &seen(&[1.0]).0);
        let decision = decide(&inputs);
        assert_eq!(decision.desired, size, "{decision}");
        assert_eq!(decision.reasons[0].to_string(), "the size is fixed at 6");
    }
    fleet.bounds = Bounds { min: 1, max: 5 };
    let inputs = inputs(&fleet, &running(4), &[].into(), &seen(&[1.0]).0);
    assert_eq!(decide(&inputs).desired, 5);
}

proptest! {
    #[test]
    fn more_load_never_asks_for_fewer(
        value in 0f64..500.0, more in 0f64..500.0, current in 1u32..60, total in any::<bool>(),
    ) {
        let of = if total { TargetOf::Total } else { TargetOf::Average };
        let size = |value| {
            let (mut history, signals) = seen(&[value]);
            history.in_service = [(ago(3_600), current)].into();
            decided(&aims(of, 70.0), &running(current), &signals, &history).desired
        };
        prop_assert!(size(value + more) >= size(value));
    }
}

#[test]
fn any_load_wakes_a_fleet_at_0_by_a_total_and_none_does_by_an_average() {
    let at_0 = |of, value: f64, min| {
        let (mut history, signals) = seen(&[value]);
        history.in_service = [(ago(3_600), 0)].into();
        let fleet = Fleet { bounds: Bounds { min, max: 20 }, ..aims(of, 100.0) };
        decided(&fleet, &running(0), &signals, &history)
    };
    for (name, value, size) in [
        ("no load", 0.0, 0),
        ("a little", 3.0, 1),
        ("what one carries", 100.0, 1),
        ("a bit more, for which one would be within the tolerance", 105.0, 2),
        ("much", 730.0, 8),
        ("a load below 0 is none", -5.0, 0),
    ] {
        let decision = at_0(TargetOf::Total, value, 0);
        assert_eq!(decision.desired, size, "{name}: {decision}");
    }
    let decision = at_0(TargetOf::Total, 0.0, 0);
    let text: Vec<String> = decision.counterfactuals.iter().map(ToString::to_string).collect();
    assert_eq!(text[0], "would scale out if cpu > 0 for 1 more sample");
    assert_eq!(at_0(TargetOf::Average, 90.0, 0).desired, 0, "an average of nobody says nothing");
}
