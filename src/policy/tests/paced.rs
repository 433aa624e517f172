//! Limits on how fast a fleet grows and shrinks.

use super::*;

fn limits(texts: &[&str]) -> Vec<RateLimit> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

fn fixed(size: u32, out: &[&str], in_: &[&str]) -> Fleet {
    let kind = RuleKind::Fixed(Fixed { size });
    Fleet {
        rules: vec![Rule { name: kind.default_name(), kind }],
        scale_out_limits: limits(out),
        scale_in_limits: limits(in_),
        ..fixtures::fleet(0, 1_000)
    }
}

fn step(fleet: &Fleet, current: u32, moves: Moves) -> Decision {
    let history = History { moves, ..seen(&[1.0]).0 };
    decided(fleet, &running(current), &[].into(), &history)
}

#[test]
fn the_narrowest_limit_bounds_the_step_and_not_the_goal() {
    let launched = |secs, launches| (ago(secs), Amounts { launches, removals: 0 });
    let removed = |secs, removals| (ago(secs), Amounts { launches: 0, removals });
    for (name, fleet, current, moves, add, remove) in [
        ("none", fixed(20, &[], &[]), 4, vec![], 16, 0),
        ("the larger of both", fixed(20, &["100% or 3 per 15s"], &[]), 4, vec![], 4, 0),
        ("the other one", fixed(20, &["100% or 6 per 15s"], &[]), 4, vec![], 6, 0),
        ("all of them", fixed(20, &["9 per 15s", "2 per 1m"], &[]), 4, vec![], 2, 0),
        ("what was used", fixed(20, &["4 per 1m"], &[]), 7, vec![launched(30, 3)], 1, 0),
        ("what is past", fixed(20, &["4 per 1m"], &[]), 7, vec![launched(60, 3)], 4, 0),
        ("of the size then", fixed(20, &["100% per 1m"], &[]), 8, vec![launched(30, 4)], 0, 0),
        ("from nothing", fixed(20, &["50% per 1m"], &[]), 0, vec![], 1, 0),
        ("in", fixed(0, &["1 per 1h"], &["10% per 20m"]), 20, vec![], 0, 2),
        ("in, used", fixed(0, &[], &["3 per 20m"]), 20, vec![removed(60, 2)], 0, 1),
        ("the other direction", fixed(0, &["1 per 1h"], &[]), 5, vec![launched(9, 1)], 0, 5),
    ] {
        let goal = if remove > 0 { 0 } else { 20 };
        let decision = step(&fleet, current, moves.into());
        assert_eq!((decision.add, decision.remove), (add, remove), "{name}: {decision}");
        assert_eq!(decision.desired, goal, "{name}");
        let paced = decision.reasons.iter().any(|r| matches!(r, Reason::Paced { .. }));
        assert_eq!(paced, decision.add + decision.remove < goal.abs_diff(current), "{name}");
    }
}

#[test]
fn its_reason_says_what_was_used_and_when_there_is_room() {
    let moves = [(ago(10), Amounts { launches: 4, removals: 0 })].into();
    let decision = step(&fixed(20, &["4 per 15s"], &[]), 8, moves);
    let blocked = decision.blocked_by.as_ref().expect("it is held back").to_string();
    assert!(blocked.starts_with("scale_out_limits = 4 per 15s: 4 were launched within that, more"));
    let until = clock::after(now(), Duration::from_secs(5));
    let after = Counterfactual::After { direction: Direction::Out, until };
    assert!(decision.counterfactuals.contains(&after), "{decision}");
}

proptest! {
    #[test]
    fn no_window_ever_has_more_than_its_limit(
        goals in prop::collection::vec(0u32..60, 1..60), count in 1u32..8, per in 10u64..200,
    ) {
        let text = format!("{count} per {per}s");
        let mut moves = Moves::new();
        let mut size = 10;
        let mut at = ago(3_600);
        for goal in goals {
            at = clock::after(at, Duration::from_secs(15));
            let fleet = fixed(goal, &[&text], &[&text]);
            let history = History { moves: moves.clone(), ..seen(&[1.0]).0 };
            let mut inputs = inputs(&fleet, &running(size), &[].into(), &history);
            inputs.now = at;
            let decision = decide(&inputs);
            size = size + decision.add - decision.remove;
            let moved = Amounts { launches: decision.add, removals: decision.remove };
            moves.push_back((at, moved));
            for direction in [Direction::Out, Direction::In] {
                let within = moves.iter().filter(|(then, _)| {
                    clock::age(at, *then) < Duration::from_secs(per)
                });
                let sum: u32 = within.map(|(_, moved)| moved.of(direction)).sum();
                prop_assert!(sum <= count, "{sum} of {count} within {per} s");
            }
        }
    }
}
