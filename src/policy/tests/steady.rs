//! The fallback for a missing signal, and the window of recommendations.

use super::*;

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
