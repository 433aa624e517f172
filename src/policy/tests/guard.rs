//! Bounds, doubts and losses: whatever signals and rules say.

use super::*;

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
fn lost_instances_are_replaced_unless_the_fleet_is_idle() {
    let standing = StandingTarget { target: 6, since: ago(15), why: Short::Lost };
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
    // An instance that was launched there a moment before the loss may still come up.
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
    let open = OpenIntent { intent: Intent { at: ago(9), action }, sent_at: ago(9), repeat: true };
    inputs.history.open.insert(intent, open);
    let decision = decide(&inputs);
    assert_eq!(decision.remove, 0, "{decision}");
    assert_eq!(decision.blocked_by, Some(Reason::EndOpen { instances: 1 }));
}
