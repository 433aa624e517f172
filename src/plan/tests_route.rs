//! Traffic: who is attached, loses traffic and is detached; each plan is also put before the review.

use cloud::{
    Backend, BackendChange, BackendGroup, BackendHealth, BalancerKind, InstanceId, Mutation,
};

use super::tests_lifecycle::{drained, draining_fleet, ends, planned};
use super::{Objection, plan, review};
use crate::model::fixtures::{ago, inputs, inventory, member, now};
use crate::model::*;

fn group() -> BackendGroup {
    BackendGroup {
        kind: BalancerKind::Alb,
        balancer: None,
        group: Some("sgp-1".to_owned()),
        listener: None,
        port: Some(80),
    }
}

fn balanced(mut inputs: Inputs, backends: &[(&str, u32)]) -> Inputs {
    inputs.fleet.lifecycle.balancers = vec![Balancer { group: group(), weight: 100 }];
    let backend = |(id, weight): &(&str, u32)| {
        let health = BackendHealth::Healthy;
        (InstanceId::from(*id), Backend { weight: *weight, is_changing: false, health })
    };
    inputs.inventory.groups = vec![Some(GroupSeen {
        at: now(),
        backends: backends.iter().map(backend).collect(),
        is_settling: false,
        not_given: [].into(),
        not_taken: [].into(),
    })];
    for member in &mut inputs.inventory.members {
        let weight = backends.iter().find(|(id, _)| *id == member.instance.id.0);
        member.traffic = Some(weight.is_some_and(|(_, weight)| *weight > 0));
    }
    inputs
}

fn three() -> Inputs {
    let members = vec![member("i-1", 9), member("i-2", 8), member("i-3", 7)];
    inputs(draining_fleet(1, 9), inventory(members), History::default())
}

/// The changes of traffic, as `+`, `0`, `=` (its weight again) and `-` before each id.
fn routes(plan: &Plan) -> Vec<String> {
    let of = plan.actions.iter().filter_map(|action| match &action.mutation {
        Mutation::Route { ids, change, .. } => Some((ids, change)),
        _ => None,
    });
    let sign = |change: &BackendChange| match change {
        BackendChange::Attach { .. } => "+",
        BackendChange::Weigh { weight: 0 } => "0",
        BackendChange::Weigh { .. } => "=",
        BackendChange::Detach => "-",
    };
    of.flat_map(|(ids, change)| ids.iter().map(move |id| format!("{}{id}", sign(change)))).collect()
}

#[test]
fn what_serves_is_attached_and_nobody_elses_backend_is_touched() {
    let inputs = balanced(three(), &[("i-1", 100), ("i-2", 7), ("i-other", 0)]);
    let plan = planned(&inputs, 3);
    assert_eq!(routes(&plan), ["+i-3"], "a person's weight stays");
    let mut unknown = balanced(three(), &[]);
    unknown.inventory.members[0].ownership = Ownership::Base;
    unknown.history.instances.remove(&"i-2".into());
    assert_eq!(routes(&planned(&unknown, 3)), ["+i-3"], "neither base nor unknown ones");
}

#[test]
fn what_warms_up_is_attached_once_it_is_fit() {
    let mut inputs = balanced(three(), &[("i-1", 100), ("i-2", 100)]);
    inputs.inventory.members[2].phase = Phase::Warming;
    assert!(routes(&planned(&inputs, 3)).is_empty());
    inputs.inventory.members[2].is_fit = true;
    assert_eq!(routes(&planned(&inputs, 3)), ["+i-3"]);
}

#[test]
fn a_drain_begins_with_the_traffic_and_waits_from_when_that_is_gone() {
    let all = [("i-1", 100), ("i-2", 100), ("i-3", 100)];
    assert_eq!(routes(&planned(&balanced(three(), &all), 2)), ["0i-1"], "the oldest goes");
    // It was to be drained a minute ago, and the group was busy until now.
    let going = balanced(drained(draining_fleet(1, 9), 60), &all);
    let plan = planned(&going, 2);
    assert_eq!((routes(&plan), ends(&plan).len()), (vec!["0i-1".to_owned()], 0));
    let quiet = |secs| {
        let rest = [("i-1", 0), ("i-2", 100), ("i-3", 100)];
        let mut inputs = balanced(drained(draining_fleet(1, 9), 60), &rest);
        let tracked = inputs.history.instances.get_mut(&"i-1".into()).expect("known");
        tracked.quiet_since = Some(ago(secs));
        planned(&inputs, 2)
    };
    assert!(ends(&quiet(19)).is_empty());
    let over = quiet(20);
    assert_eq!((routes(&over), ends(&over)), (vec!["-i-1".to_owned()], vec!["i-1"]));
    let first = &over.actions[0].mutation;
    assert!(matches!(first, Mutation::Route { .. }), "detached before it is ended: {first:?}");
    let unknown = balanced(drained(draining_fleet(1, 9), 60), &all);
    let mut unread = unknown;
    unread.inventory.groups = vec![None];
    unread.inventory.members[0].traffic = None;
    let plan = planned(&unread, 2);
    assert!(routes(&plan).is_empty() && ends(&plan).is_empty(), "it may still get traffic");
}

#[test]
fn what_comes_back_gets_its_weight_again() {
    let inputs =
        balanced(drained(draining_fleet(1, 9), 10), &[("i-1", 0), ("i-2", 100), ("i-3", 100)]);
    assert_eq!(routes(&planned(&inputs, 3)), ["=i-1"]);
}

#[test]
fn what_returns_from_standby_gets_its_weight_again() {
    let mut inputs = balanced(three(), &[("i-1", 0), ("i-2", 100), ("i-3", 100)]);
    inputs.inventory.members[0].phase = Phase::Standby;
    inputs.instructions.push(Instruction {
        id: uuid::Uuid::nil(),
        fleet: None,
        what: Instructed::Return { instance: "i-1".into() },
        author: "ann".into(),
        reason: "the look is over".into(),
        placed: ago(60),
        until: now() + chrono::TimeDelta::hours(1),
    });
    assert_eq!(routes(&planned(&inputs, 2)), ["=i-1"]);
}

#[test]
fn what_one_instance_is_refused_keeps_no_other_from_its_drain() {
    let mut inputs = balanced(three(), &[("i-1", 100), ("i-2", 100)]);
    let seen = inputs.inventory.groups[0].as_mut().expect("seen");
    seen.not_given.insert("i-3".into());
    assert_eq!(routes(&planned(&inputs, 2)), ["0i-1"], "i-3 is refused for now");
    let seen = inputs.inventory.groups[0].as_mut().expect("seen");
    seen.not_taken.insert("i-1".into());
    assert!(routes(&planned(&inputs, 2)).is_empty());
}

#[test]
fn a_group_that_settles_or_is_in_doubt_is_left_alone_and_so_is_what_is_contested() {
    let mut inputs = balanced(three(), &[]);
    let seen = |inputs: &mut Inputs| inputs.inventory.groups[0].take().expect("seen");
    let before = seen(&mut inputs);
    inputs.inventory.groups = vec![Some(GroupSeen { is_settling: true, ..before.clone() })];
    assert!(routes(&planned(&inputs, 3)).is_empty());
    let not_given = [InstanceId::from("i-2")].into();
    inputs.inventory.groups = vec![Some(GroupSeen { not_given, ..before.clone() })];
    assert_eq!(routes(&planned(&inputs, 3)), ["+i-1", "+i-3"]);
    inputs.inventory.groups = vec![Some(before)];
    let change = BackendChange::Attach { weight: 100 };
    let mutation = Mutation::Route { group: group(), ids: vec!["i-1".into()], change };
    let intent = IntentId(uuid::Uuid::from_u128(9));
    let intent = Intent { at: ago(5), action: Action { intent, mutation } };
    let open = OpenIntent { intent: intent.clone(), sent_at: ago(5), repeat: true };
    inputs.history.open.insert(intent.action.intent, open);
    assert!(routes(&planned(&inputs, 3)).is_empty(), "what became of the last change is not known");
    assert!(!inputs.history.is_in_flight(&"i-1".into()), "it may be ended all the same");
}

#[test]
fn the_review_refuses_traffic_for_others_and_before_its_time() {
    let mut inputs = balanced(three(), &[]);
    let good = plan(&inputs, &Decision { ..decision(3) });
    assert_eq!(review(&good, &inputs), Ok(()));
    inputs.inventory.members[0].phase = Phase::Booting;
    let early = Objection::TrafficTooEarly { id: "i-1".into(), phase: Phase::Booting };
    assert_eq!(review(&good, &inputs), Err(early));
    inputs.inventory.members[0].ownership = Ownership::Base;
    assert_eq!(review(&good, &inputs), Err(Objection::TrafficOfOthers { id: "i-1".into() }));
}

fn decision(size: u32) -> Decision {
    Decision {
        current: size,
        recommended: size,
        desired: size,
        add: 0,
        remove: 0,
        reasons: Vec::new(),
        blocked_by: None,
        counterfactuals: Vec::new(),
    }
}
