//! A scale-in that is taken back.

use super::*;
use crate::model::{Regret, RuleName};
use crate::policy::regret::NAME;

/// A fleet of three that had five until `shrunk` seconds ago, with latency as it is now.
fn after_a_scale_in(shrunk: u64, latency: Result<f64, Gap>) -> Inputs {
    let mut inputs = idle();
    inputs.inventory = running(3);
    inputs.fleet.regret = Some(Regret {
        signal: "p99".into(),
        above: 0.5,
        within: Span::secs(600),
        floor_for: Span::secs(3_600),
    });
    let sample = |value| Sample { value, measured_at: now(), age: Span::secs(5), reporting: None };
    inputs.signals.insert("p99".into(), latency.map(sample));
    inputs.history.last_in = Some(ago(shrunk));
    inputs.history.in_service = [(ago(7_000), 5), (ago(shrunk - 1), 3)].into();
    inputs
}

#[test]
fn a_scale_in_after_which_users_wait_is_taken_back_once_and_remembered() {
    let inputs = after_a_scale_in(120, Ok(0.9));
    let (first, memory) =
        crate::policy::decide(&inputs.situation(&inputs.census()), Memories::new());
    assert_eq!((first.desired, first.add), (5, 2), "{first}");
    assert!(first.to_string().contains("back to 5"), "{first}");
    let floor = memory.get(&RuleName::from(NAME)).expect("remembered");
    assert_eq!((floor.wants, floor.since), (Some(5), now()));
    // The next tick: the floor holds, and the same scale-in is not regretted twice.
    let (again, memory) = crate::policy::decide(&inputs.situation(&inputs.census()), memory);
    assert_eq!(again.desired, 5, "{again}");
    assert!(!again.to_string().contains("back to 5"), "{again}");
    // An hour later it is forgotten.
    let mut later = after_a_scale_in(120, Ok(0.1));
    later.now = now() + chrono::TimeDelta::hours(1);
    let (last, memory) = crate::policy::decide(&later.situation(&later.census()), memory);
    assert!(last.desired <= 3 && !memory.contains_key(&RuleName::from(NAME)), "{last}");
}

#[test]
fn good_service_old_scale_ins_and_missing_signals_are_not_regretted() {
    for (name, shrunk, latency) in [
        ("well served", 120, Ok(0.4)),
        ("long ago", 601, Ok(0.9)),
        ("measured before it", 3, Ok(0.9)),
        ("nobody knows", 120, Err(Gap::Empty)),
    ] {
        let inputs = after_a_scale_in(shrunk, latency);
        let (decision, memory) =
            crate::policy::decide(&inputs.situation(&inputs.census()), Memories::new());
        assert!(decision.desired <= 3, "{name}: {decision}");
        assert!(!memory.contains_key(&RuleName::from(NAME)), "{name}");
    }
}

#[test]
fn shadow_rules_and_a_rule_of_that_name_leave_the_floor_alone() {
    let mut inputs = after_a_scale_in(120, Ok(0.9));
    inputs.fleet.rules[0].name = "regret".into();
    let rule = Rule {
        name: RuleName::from("mine").in_shadow(),
        kind: RuleKind::Fixed(crate::model::Fixed { size: 1 }),
    };
    let stabilization = Span::secs(0);
    inputs.fleet.shadow = Some(crate::model::ShadowRules { rules: vec![rule], stabilization });
    let (live, memory) =
        crate::policy::decide(&inputs.situation(&inputs.census()), Memories::new());
    assert_eq!(live.desired, 5, "{live}");
    let shadow = crate::policy::shadow(&inputs, &live).expect("shadow rules");
    assert!(!shadow.memory.contains_key(&RuleName::from(NAME)), "the floor is the live rules'");
    let floor = memory.get(&RuleName::from(NAME)).expect("remembered");
    assert_eq!(floor.wants, Some(5));
    assert!(memory.contains_key(&RuleName::from("regret")), "a rule may have that name");
}
