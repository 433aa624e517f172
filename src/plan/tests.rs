//! Plans as tables and properties; each plan here is also put before the review.

use cloud::{InstanceId, Mutation, Status, Tags, Terminate, clock};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

use super::{Objection, plan, review};
use crate::model::fixtures::{self, fleet, inputs, inventory, member, now};
use crate::model::*;

fn wanting(inventory: &Inventory, desired: u32) -> Decision {
    let current = inventory.capacity();
    Decision {
        current,
        recommended: desired,
        desired,
        add: desired.saturating_sub(current),
        remove: current.saturating_sub(desired),
        reasons: Vec::new(),
        blocked_by: None,
        counterfactuals: Vec::new(),
    }
}

/// The plan, after the review has had nothing against it.
fn planned(fleet: &Fleet, inventory: &Inventory, history: &History, desired: u32) -> Plan {
    planned_with(inputs(fleet.clone(), inventory.clone(), history.clone()), desired)
}

fn planned_with(inputs: Inputs, desired: u32) -> Plan {
    let plan = plan(&inputs, &wanting(&inputs.inventory, desired));
    review(&plan, &inputs).expect("the review has nothing against it");
    plan
}

fn victims(plan: &Plan) -> Vec<&str> {
    let ids = plan.actions.iter().flat_map(|action| match &action.mutation {
        Mutation::Delete { ids, .. } | Mutation::Stop { ids } => ids.iter().collect(),
        _ => Vec::new(),
    });
    ids.map(|id: &InstanceId| id.0.as_str()).collect()
}

#[test]
fn a_launch_is_complete_tags_token_place_and_amount() {
    let fleet = fleet(1, 10);
    let inventory = inventory(vec![member("i-1", 9)]);
    let plan = planned(&fleet, &inventory, &History::default(), 4);
    let [Action { intent, mutation: Mutation::Launch(launch) }] = plan.actions.as_slice() else {
        panic!("one launch: {plan:?}");
    };
    assert_eq!((launch.amount, launch.min_amount), (3, 1));
    assert_eq!((launch.instance_type.as_str(), launch.vswitch.as_str()), ("c7", "vsw-h"));
    let wanted: Tags = [
        ("scale-fleet", "web".to_owned()),
        ("scale-intent", intent.to_string()),
        ("scale-source", "auto".to_owned()),
        ("scale-timestamp", "2026-01-02T12:00:00Z".to_owned()),
        ("team", "shop".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    assert_eq!(launch.tags, wanted);
    let token: uuid::Uuid = launch.token.as_str().parse().expect("a UUID");
    assert_eq!(token.get_version_num(), 4);
}

#[test]
fn more_than_one_call_takes_is_split_with_a_token_each() {
    let fleet = fleet(0, 1_000);
    let plan = planned(&fleet, &inventory(Vec::new()), &History::default(), 250);
    let amounts: Vec<u32> = plan
        .actions
        .iter()
        .filter_map(|action| match &action.mutation {
            Mutation::Launch(launch) => Some(launch.amount),
            _ => None,
        })
        .collect();
    assert_eq!(amounts, [100, 100, 50]);
}

#[test]
fn a_sold_out_place_is_passed_over_until_it_may_be_tried_again() {
    let place = |t: &str, v: &str| Place { instance_type: t.into(), vswitch: v.into() };
    let cold = |secs| Cold {
        until: clock::after(now(), Duration::from_secs(secs)),
        strikes: 1,
        last: now(),
        why: "NoStock".into(),
        code: String::new(),
    };
    for (name, cold_places, chosen) in [
        ("first choice", vec![], Some(("c7", "vsw-h"))),
        ("another zone of the same type", vec![("c7", "vsw-h", 60)], Some(("c7", "vsw-i"))),
        (
            "then another type",
            vec![("c7", "vsw-h", 60), ("c7", "vsw-i", 60)],
            Some(("g7", "vsw-h")),
        ),
        ("a place whose time has come", vec![("c7", "vsw-h", 0)], Some(("c7", "vsw-h"))),
        (
            "nowhere",
            vec![("c7", "vsw-h", 9), ("c7", "vsw-i", 9), ("g7", "vsw-h", 9), ("g7", "vsw-i", 9)],
            None,
        ),
    ] {
        let mut inputs = inputs(fleet(0, 9), inventory(Vec::new()), History::default());
        Arc::make_mut(&mut inputs.account).cold =
            cold_places.iter().map(|(t, v, s)| (place(t, v), cold(*s))).collect();
        let plan = planned_with(inputs, 1);
        let got = plan.actions.first().map(|action| match &action.mutation {
            Mutation::Launch(launch) => (launch.instance_type.as_str(), launch.vswitch.as_str()),
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(got, chosen, "{name}");
        assert_eq!(plan.shortfalls.is_empty(), chosen.is_some(), "{name}");
    }
}

#[test]
fn the_oldest_eligible_go_first_by_creation_time_and_then_id() {
    let mut protected = member("i-0-protected", 99);
    protected.instance.tags.insert(tags::PROTECT.into(), "yes".into());
    let mut unprotected = member("i-1-unprotected", 50);
    unprotected.instance.tags.insert(tags::PROTECT.into(), "false".into());
    let mut locked = member("i-2-deletion-protection", 98);
    locked.instance.deletion_protection = true;
    let mut base = member("i-3-base", 97);
    base.ownership = Ownership::Base;
    let mut stopped = member("i-4-stopped", 96);
    stopped.instance.status = Status::Stopped;
    stopped.phase = Phase::Failed;
    let mut booting = member("i-5-booting", 95);
    booting.instance.status = Status::Starting;
    booting.phase = Phase::Booting;
    let mut untagged = member("i-6-tags-lost", 94);
    untagged.missing_tags.insert(tags::FLEET.into(), "web".into());
    let mut leaving = member("i-7-leaving", 93);
    leaving.phase = Phase::Terminating;
    let inventory = inventory(vec![
        protected,
        locked,
        base,
        stopped,
        booting,
        untagged,
        leaving,
        member("i-b", 40),
        member("i-a", 40),
        member("i-c", 41),
        unprotected,
        member("i-d", 1),
    ]);
    let capacity = inventory.capacity();
    let plan = planned(&fleet(1, 20), &inventory, &History::default(), capacity - 4);
    assert_eq!(victims(&plan), ["i-1-unprotected", "i-c", "i-a"]);
    let waits = "4 to remove, 1 of them only once others serve";
    assert!(plan.shortfalls[0].starts_with(waits), "one boots: {:?}", plan.shortfalls);
    let plan = planned(&fleet(1, 20), &inventory, &History::default(), 1);
    assert_eq!(victims(&plan).len(), 5);
    assert!(plan.shortfalls[0].contains("only 5 eligible"), "{:?}", plan.shortfalls);
}

#[test]
fn an_instance_of_an_open_deletion_is_no_victim_again() {
    let mut history = History::default();
    let intent = IntentId(uuid::Uuid::from_u128(1));
    let mutation = Mutation::Delete { ids: vec!["i-1".into()], how: Terminate::Graceful };
    let action = Action { intent, mutation };
    let open = OpenIntent { intent: Intent { at: now(), action }, sent_at: now(), repeat: true };
    history.open.insert(intent, open);
    let inventory = inventory(vec![member("i-1", 9), member("i-2", 8), member("i-3", 7)]);
    assert_eq!(victims(&planned(&fleet(1, 9), &inventory, &history, 2)), ["i-2"]);
}

#[test]
fn stop_then_delete_takes_two_ticks() {
    let fleet = Fleet { terminate: Terminate::StopThenDelete, ..fleet(1, 9) };
    let mut inventory = inventory(vec![member("i-1", 9), member("i-2", 8)]);
    let first = planned(&fleet, &inventory, &History::default(), 1);
    assert!(matches!(&first.actions[0].mutation, Mutation::Stop { ids } if ids[0].0 == "i-1"));
    inventory.members[0].phase = Phase::Stopping;
    inventory.members[0].instance.status = Status::Stopping;
    assert!(planned(&fleet, &inventory, &History::default(), 1).actions.is_empty());
    inventory.members[0].instance.status = Status::Stopped;
    let third = planned(&fleet, &inventory, &History::default(), 1);
    let how = Terminate::StopThenDelete;
    assert!(matches!(&third.actions[0].mutation, Mutation::Delete { how: h, .. } if *h == how));
}

#[test]
fn lost_tags_are_repaired_and_nothing_else_is_tagged() {
    let mut lost = member("i-1", 9);
    lost.missing_tags.insert(tags::FLEET.into(), "web".into());
    let plan =
        planned(&fleet(1, 9), &inventory(vec![lost, member("i-2", 8)]), &History::default(), 2);
    let [Action { mutation: Mutation::Tag { ids, tags }, .. }] = plan.actions.as_slice() else {
        panic!("one repair: {plan:?}");
    };
    assert_eq!(ids, &["i-1".into()]);
    assert_eq!(tags.get(tags::FLEET).map(String::as_str), Some("web"));
}

#[test]
fn nothing_is_planned_on_a_doubtful_inventory() {
    let mut inventory = inventory(vec![member("i-1", 9)]);
    inventory.doubts.push("most of the fleet is missing".into());
    assert!(planned(&fleet(2, 9), &inventory, &History::default(), 5).actions.is_empty());
}

#[test]
fn the_review_refuses_what_must_never_happen() {
    let delete = |id: &str| Action {
        intent: IntentId(uuid::Uuid::nil()),
        mutation: Mutation::Delete { ids: vec![id.into()], how: Terminate::Graceful },
    };
    let mut foreign = member("i-foreign", 5);
    foreign.instance.tags.insert(tags::FLEET.into(), "other".into());
    let mut bare = member("i-bare", 5);
    bare.instance.tags.clear();
    let mut kept = member("i-kept", 5);
    kept.instance.tags.insert(tags::PROTECT.into(), "1".into());
    let mut theirs = member("i-theirs", 5);
    theirs.instance.tags.insert(tags::OWNER.into(), "test".into());
    // Beside the fleet: what none of the five is.
    let more = [theirs, member("i-stranger", 5)]
        .map(|member| Member { phase: Phase::Terminating, ..member });
    let members = vec![member("i-1", 9), member("i-2", 8), foreign, bare, kept];
    let inventory = inventory(members.into_iter().chain(more).collect());
    let fleet = fleet(4, 5);
    let decision = wanting(&inventory, 5);
    let launch = {
        let mut small = inventory.clone();
        small.members.truncate(4);
        let decision = wanting(&small, 5);
        plan(&inputs(fleet.clone(), small, History::default()), &decision).actions
    };
    assert_eq!(decision.current, 5);
    for (name, actions, objection) in [
        ("another fleet's", vec![delete("i-foreign")], "does not carry scale-fleet"),
        ("an untagged one", vec![delete("i-bare")], "does not carry scale-source"),
        ("a protected one", vec![delete("i-kept")], "which is protected"),
        ("an unknown one", vec![delete("i-9")], "not in the listing"),
        ("one twice", vec![delete("i-1"), delete("i-1")], "twice"),
        ("below min", vec![delete("i-1"), delete("i-2")], "below min = 4"),
        ("another installation's", vec![delete("i-theirs")], "does not carry scale-owner"),
        ("a stranger's", vec![delete("i-stranger")], "neither launched nor took over"),
        ("above max", launch, "above max = 5"),
    ] {
        let plan = Plan { actions, ..Plan::default() };
        let mut inputs = inputs(fleet.clone(), inventory.clone(), History::default());
        inputs.history.instances.remove(&"i-stranger".into());
        let error: Objection = review(&plan, &inputs).expect_err(name);
        assert!(error.to_string().contains(objection), "{name}: {error}");
    }
}

/// `serving` in service, `booting` that boot and `warming` that run, created later.
fn mixed(serving: i64, booting: i64, warming: i64) -> Inventory {
    let of = |kind: &str, n: i64, age: i64, phase, status| {
        let mut member = member(&format!("i-{kind}-{n}"), age);
        member.phase = phase;
        member.instance.status = status;
        member
    };
    let serving = (0..serving).map(|n| of("a", n, 100 - n, Phase::InService, Status::Running));
    let booting = (0..booting).map(|n| of("b", n, 1, Phase::Booting, Status::Starting));
    let warming = (0..warming).map(|n| of("c", n, 2, Phase::Warming, Status::Running));
    inventory(serving.chain(booting).chain(warming).collect())
}

#[test]
fn nothing_that_serves_is_given_up_for_something_that_does_not() {
    for (name, inventory, in_doubt, (min, max), desired, gone) in [
        ("6 serve and 20 boot", mixed(6, 20, 0), 0, (2, 6), 6, vec![]),
        ("those that run go first", mixed(2, 0, 3), 0, (2, 6), 3, vec!["i-c-0", "i-c-1"]),
        ("3 in doubt, lowered to 5", mixed(7, 0, 0), 3, (5, 5), 5, vec!["i-a-0", "i-a-1"]),
        ("3 in doubt, lowered to 7", mixed(7, 0, 0), 3, (5, 7), 7, vec![]),
        ("one boots", mixed(6, 1, 0), 0, (2, 9), 5, vec!["i-a-0"]),
        ("all serve", mixed(6, 0, 0), 0, (2, 9), 5, vec!["i-a-0"]),
    ] {
        let inventory = Inventory { in_doubt, ..inventory };
        let plan = planned(&fleet(min, max), &inventory, &History::default(), desired);
        assert_eq!(victims(&plan), gone, "{name}");
        let waits = gone.len() < (inventory.capacity() - desired) as usize;
        assert_eq!(!plan.shortfalls.is_empty(), waits, "{name}: {:?}", plan.shortfalls);
    }
}

#[test]
fn the_review_counts_only_what_certainly_serves() {
    let ends = |inventory: Inventory, id: &str| {
        let mutation = Mutation::Delete { ids: vec![id.into()], how: Terminate::Graceful };
        let action = Action { intent: IntentId(uuid::Uuid::nil()), mutation };
        let plan = Plan { actions: vec![action], ..Plan::default() };
        review(&plan, &inputs(fleet(5, 20), inventory, History::default()))
    };
    assert_eq!(ends(mixed(6, 0, 0), "i-a-0"), Ok(()));
    let too_few = Err(Objection::TooFewServe { left: 4, min: 5 });
    assert_eq!(ends(mixed(5, 9, 9), "i-a-0"), too_few, "what boots does not count");
    assert_eq!(ends(Inventory { in_doubt: 9, ..mixed(6, 0, 0) }, "i-a-0"), Ok(()));
    let doubtful = Inventory { in_doubt: 9, ..mixed(4, 0, 1) };
    let below = Err(Objection::BelowMin { left: 4, min: 5 });
    assert_eq!(ends(doubtful, "i-c-0"), below, "what is in doubt does not count");
}

proptest! {
    #[test]
    fn every_plan_passes_the_review_and_only_ends_our_own(
        ages in prop::collection::vec((0i64..500, 0u8..7), 0..40),
        min in 0u32..10, span in 0u32..40, desired in 0u32..60,
    ) {
        let members = ages.iter().enumerate().map(|(n, (age, kind))| {
            let mut member = member(&format!("i-{n:03}"), *age);
            match kind {
                0 => member.ownership = Ownership::Base,
                1 => member.instance.deletion_protection = true,
                2 => { member.phase = Phase::Failed; member.instance.status = Status::Stopped; }
                3 => { member.missing_tags.insert(tags::FLEET.into(), "web".into()); }
                // Nobody remembers its launch, so nobody knows which tags it should have.
                4 => member.instance.tags.clear(),
                _ => {}
            }
            member
        });
        let inventory = inventory(members.collect());
        let fleet = fleet(min, min + span);
        let desired = desired.clamp(min, min + span);
        let plan = planned(&fleet, &inventory, &History::default(), desired);
        for id in victims(&plan) {
            let member = inventory.members.iter().find(|m| m.instance.id.0 == id).expect("listed");
            prop_assert_eq!(member.ownership, Ownership::Managed);
            prop_assert!(!member.instance.deletion_protection && member.missing_tags.is_empty());
            prop_assert!(member.instance.tags.contains_key(tags::SOURCE));
        }
    }

    #[test]
    fn what_is_written_and_read_again_and_listed_in_another_order_gives_the_same_plan(
        ages in prop::collection::vec(0i64..500, 0..40), desired in 0u32..60,
    ) {
        let members = ages.iter().enumerate().map(|(n, age)| member(&format!("i-{n:03}"), *age));
        let once = inputs(fleet(0, 60), inventory(members.collect()), History::default());
        let text = serde_json::to_string(&once).expect("text keys and finite numbers");
        let mut again: Inputs = serde_json::from_str(&text).expect("what was just written");
        again.inventory.members.reverse();
        prop_assert_eq!(planned_with(once, desired), planned_with(again, desired));
    }

    #[test]
    fn no_intent_and_no_token_comes_twice(add in 0u32..500) {
        let plan = planned(&fleet(0, 1_000), &inventory(Vec::new()), &History::default(), add);
        let intents: std::collections::BTreeSet<_> =
            plan.actions.iter().map(|action| action.intent.to_string()).collect();
        let tokens: std::collections::BTreeSet<_> = plan
            .actions
            .iter()
            .filter_map(|action| match &action.mutation {
                Mutation::Launch(launch) => Some(launch.token.as_str().to_owned()),
                _ => None,
            })
            .collect();
        prop_assert_eq!(intents.len(), plan.actions.len());
        prop_assert_eq!(tokens.len(), plan.actions.len());
        prop_assert!(intents.is_disjoint(&tokens));
    }
}

/// `c7 vsw-h 1` for each launch.
fn launches(plan: &Plan) -> Vec<String> {
    let launch = |action: &Action| match &action.mutation {
        Mutation::Launch(launch) => {
            Some(format!("{} {} {}", launch.instance_type, launch.vswitch, launch.amount))
        }
        _ => None,
    };
    plan.actions.iter().filter_map(launch).collect()
}

/// A place that was sold out, to be tried again after `secs` from now (already, if negative).
fn sold_out(inputs: &mut Inputs, kind: &str, vswitch: &str, secs: i64) {
    let until = now() + chrono::TimeDelta::seconds(secs);
    let (why, code) = ("NoStock".into(), String::new());
    let cold = Cold { until, strikes: 1, last: now(), why, code };
    let place = Place { instance_type: kind.into(), vswitch: vswitch.into() };
    Arc::make_mut(&mut inputs.account).cold.insert(place, cold);
}

#[test]
fn after_its_pause_a_place_gets_one_and_the_rest_goes_to_the_next() {
    let mut inputs = inputs(fleet(0, 20), inventory(Vec::new()), History::default());
    sold_out(&mut inputs, "c7", "vsw-h", -1);
    sold_out(&mut inputs, "c7", "vsw-i", 60);
    let plan = planned_with(inputs.clone(), 5);
    assert_eq!(launches(&plan), ["c7 vsw-h 1", "g7 vsw-h 4"]);
    assert_eq!(plan.skipped.len(), 1);
    assert!(plan.more_at_once);
    // Nothing but places to be tried: one each, and the rest waits for what they show.
    for (kind, vswitch) in [("g7", "vsw-h"), ("g7", "vsw-i")] {
        sold_out(&mut inputs, kind, vswitch, -1);
    }
    let plan = planned_with(inputs, 5);
    let one_each = ["c7 vsw-h 1", "g7 vsw-h 1", "g7 vsw-i 1"];
    assert_eq!(launches(&plan), one_each);
    assert!(plan.shortfalls[0].starts_with("2 of 5 wait"), "{:?}", plan.shortfalls);
}

#[test]
fn balanced_launches_go_to_the_emptiest_zone_that_has_stock() {
    let mut balanced = fleet(0, 20);
    balanced.launch.spread = Spread::Balanced;
    // Two in vsw-h, one of vsw-i requested and not listed yet.
    let mut history = History::default();
    history.instances.insert("i-9".into(), fixtures::tracked(Phase::Requested, ("c7", "vsw-i")));
    let mut there = inventory(vec![member("i-1", 9), member("i-2", 8)]);
    there.unlisted.push(Unlisted { id: "i-9".into(), phase: Phase::Requested });
    let inputs = inputs(balanced, there, history);
    let plan = planned_with(inputs.clone(), 6);
    assert_eq!(launches(&plan), ["c7 vsw-h 1", "c7 vsw-i 2"]);
    let mut without = inputs;
    sold_out(&mut without, "c7", "vsw-i", 60);
    let plan = planned_with(without.clone(), 6);
    assert_eq!(launches(&plan), ["c7 vsw-h 1", "g7 vsw-i 2"]);
    sold_out(&mut without, "g7", "vsw-i", 60);
    let plan = planned_with(without, 6);
    assert_eq!(launches(&plan), ["c7 vsw-h 3"], "better unbalanced than too few");
}

#[test]
fn balanced_launches_do_not_go_to_a_lost_zone_because_nothing_serves_there() {
    let mut balanced = fleet(0, 20);
    balanced.launch.spread = Spread::Balanced;
    let mut lost = member("i-1", 9);
    lost.instance.zone = "lost".into();
    let mut there = inventory(vec![lost]);
    there.lost_zones.insert("lost".into());
    let plan = planned_with(inputs(balanced, there, History::default()), 2);
    assert_eq!(launches(&plan), ["c7 vsw-i 2"]);
}

#[test]
fn what_never_served_is_cleared_away_and_what_did_is_left_when_somebody_stopped_it() {
    let mut never = member("i-never", 20);
    never.phase = Phase::Failed;
    never.instance.status = Status::Starting;
    let mut stopped = member("i-stopped", 90);
    stopped.phase = Phase::Failed;
    stopped.instance.status = Status::Stopped;
    let mut adopted = member("i-adopted", 91);
    adopted.phase = Phase::Failed;
    adopted.instance.status = Status::Starting;
    let mut history = History::default();
    history.instances.insert("i-never".into(), fixtures::tracked(Phase::Failed, ("c7", "vsw-h")));
    let served = Tracked { served: true, ..fixtures::tracked(Phase::Failed, ("c7", "vsw-h")) };
    history.instances.insert("i-stopped".into(), served);
    // Of these two there are no records: one never came up, the other may have served.
    let mut found = member("i-found", 92);
    found.phase = Phase::Failed;
    found.instance.status = Status::Stopped;
    let inventory = inventory(vec![never, stopped, adopted, found, member("i-1", 9)]);
    let mut inputs = inputs(fleet(1, 9), inventory, history);
    let plan = planned_with(inputs.clone(), 1);
    assert_eq!(victims(&plan), ["i-never", "i-adopted"]);
    let Mutation::Delete { how, .. } = &plan.actions[0].mutation else { panic!("a deletion") };
    assert_eq!(*how, Terminate::Force);
    let mut unknown = inputs.clone();
    for member in &mut unknown.inventory.members {
        member.instance.status = Status::Unknown;
    }
    assert_eq!(victims(&planned_with(unknown, 1)), [""; 0], "nobody knows what it does");
    // Not under a hold, and not right after it refused.
    let refused = RefusedEnd {
        until: clock::after(now(), Duration::from_secs(60)),
        strikes: 1,
        why: "initializing".into(),
    };
    inputs.history.refused.insert("i-never".into(), refused);
    assert_eq!(victims(&planned_with(inputs, 1)), ["i-adopted"]);
}

#[test]
fn one_that_refused_to_end_is_passed_over_for_a_while() {
    let inventory = inventory(vec![member("i-1", 9), member("i-2", 8), member("i-3", 7)]);
    let mut history = History::default();
    let until = clock::after(now(), Duration::from_secs(60));
    let refused = RefusedEnd { until, strikes: 1, why: "protected".into() };
    history.refused.insert("i-1".into(), refused);
    assert_eq!(victims(&planned(&fleet(1, 9), &inventory, &history, 2)), ["i-2"]);
}

#[test]
fn the_review_refuses_to_change_what_is_held() {
    let there = inventory(vec![member("i-1", 9), member("i-2", 8)]);
    let mut inputs = inputs(fleet(1, 9), there.clone(), History::default());
    inputs.holds.push(Hold {
        id: uuid::Uuid::nil(),
        fleet: None,
        direction: Some(Direction::In),
        author: "ann".into(),
        reason: "the fair".into(),
        placed: now(),
        until: clock::after(now(), Duration::from_secs(60)),
    });
    let plan = plan(&inputs, &wanting(&there, 1));
    let error = review(&plan, &inputs).expect_err("held").to_string();
    assert!(error.contains("`ann` holds it"), "{error}");
}
