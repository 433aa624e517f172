//! Drains, their return, hooks, repairs and the order of victims; each plan is also put before the review.

use cloud::{Mutation, Status};

use super::{Objection, plan, review};
use crate::model::fixtures::{ago, fleet, inputs, inventory, member};
use crate::model::*;

pub(super) fn draining_fleet(min: u32, max: u32) -> Fleet {
    let drain = Some(Drain { wait: Span::secs(20), timeout: Span::secs(300) });
    let lifecycle = Lifecycle { drain, ..Lifecycle::default() };
    Fleet { lifecycle, ..fleet(min, max) }
}

fn decided(inputs: &Inputs, desired: u32) -> Decision {
    let current = inputs.inventory.capacity();
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

pub(super) fn planned(inputs: &Inputs, desired: u32) -> Plan {
    let plan = plan(inputs, &decided(inputs, desired));
    review(&plan, inputs).expect("the review has nothing against it");
    plan
}

/// A fleet in which `i-1` has been drained for `secs`, beside `i-2` and `i-3`.
pub(super) fn drained(fleet: Fleet, secs: u64) -> Inputs {
    let mut members = vec![member("i-1", 9), member("i-2", 8), member("i-3", 7)];
    members[0].phase = Phase::Draining;
    let mut inputs = inputs(fleet, inventory(members), History::default());
    let tracked = inputs.history.instances.get_mut(&"i-1".into()).expect("it is known");
    (tracked.since, tracked.served) = (ago(secs), true);
    inputs
}

pub(super) fn ends(plan: &Plan) -> Vec<&str> {
    let ends = plan.actions.iter().filter(|action| {
        matches!(action.mutation, Mutation::Delete { .. } | Mutation::Stop { .. })
    });
    ends.flat_map(|action| action.mutation.ids()).map(|id| id.0.as_str()).collect()
}

fn names(ids: &[cloud::InstanceId]) -> Vec<&str> {
    ids.iter().map(|id| id.0.as_str()).collect()
}

#[test]
fn a_scale_in_drains_first_and_ends_what_is_drained() {
    let members = vec![member("i-1", 9), member("i-2", 8), member("i-3", 7)];
    let first = inputs(draining_fleet(1, 9), inventory(members), History::default());
    let plan = planned(&first, 2);
    assert_eq!(
        (names(&plan.drains), ends(&plan)),
        (vec!["i-1"], vec![]),
        "the oldest, and only drained"
    );
    assert!(ends(&planned(&drained(draining_fleet(1, 9), 19), 2)).is_empty(), "`wait` is not over");
    assert_eq!(ends(&planned(&drained(draining_fleet(1, 9), 20), 2)), ["i-1"]);
}

#[test]
fn a_drain_waits_for_work_until_its_timeout() {
    let of = |busy: Option<f64>, secs: u64| {
        let mut fleet = draining_fleet(1, 9);
        (fleet.lifecycle.has_busy, fleet.lifecycle.idle_below) = (true, 1.0);
        let mut inputs = drained(fleet, secs);
        inputs.inventory.members[0].busy = busy;
        let plan = planned(&inputs, 2);
        (ends(&plan).len(), plan.shortfalls.len())
    };
    assert_eq!(of(Some(3.0), 299), (0, 0));
    assert_eq!(of(None, 299), (0, 0), "nobody knows: it may have work");
    assert_eq!(of(Some(0.0), 20), (1, 0));
    assert_eq!(of(Some(3.0), 300), (1, 1), "it is ended all the same, and that is told");
}

#[test]
fn what_is_drained_comes_back_before_anything_is_launched() {
    let plan = planned(&drained(draining_fleet(1, 9), 10), 5);
    assert_eq!(names(&plan.returns), ["i-1"]);
    let launched: u32 = plan
        .actions
        .iter()
        .map(|action| match &action.mutation {
            Mutation::Launch(launch) => launch.amount,
            _ => 0,
        })
        .sum();
    assert_eq!(launched, 2, "three are needed, and one comes back");
    let mut stopped = drained(draining_fleet(1, 9), 10);
    stopped.inventory.members[0].instance.status = Status::Stopped;
    assert!(planned(&stopped, 5).returns.is_empty(), "it does not run any more");
    let mut at_max = drained(draining_fleet(1, 3), 10);
    at_max.fleet.bounds.max = 3;
    let plan = planned(&at_max, 3);
    assert_eq!((names(&plan.returns), plan.actions.len()), (vec!["i-1"], 0));
}

#[test]
fn nothing_drained_is_ended_while_too_few_serve_whatever_keeps_others_from_coming() {
    let mut inputs = drained(draining_fleet(3, 9), 600);
    let decision = Decision { add: 0, ..decided(&inputs, 3) };
    let plan = plan(&inputs, &decision);
    assert_eq!((names(&plan.returns), ends(&plan)), (vec!["i-1"], vec![]), "no launch is needed");
    inputs.inventory.members[0].health = Some(false);
    let plan = super::plan(&inputs, &decision);
    assert_eq!((plan.returns.len(), ends(&plan).len()), (0, 0), "it is bad, and all there is");
    inputs.fleet.bounds.max = 3;
    let plan = super::plan(&inputs, &decision);
    assert_eq!(
        (plan.returns.len(), ends(&plan)),
        (0, vec!["i-1"]),
        "nothing can be launched beside it"
    );
}

fn said(what: Instructed) -> Instruction {
    Instruction {
        id: uuid::Uuid::nil(),
        fleet: None,
        what,
        author: "ann".into(),
        reason: "a look".into(),
        placed: ago(60),
        until: ago(0) + chrono::TimeDelta::hours(1),
    }
}

#[test]
fn where_there_is_no_room_one_is_replaced_at_a_time() {
    let of = |first: Option<Phase>| {
        let mut members: Vec<Member> =
            (1..=5).map(|n| Member { outgoing: n > 1, ..member(&format!("i-{n}"), 9) }).collect();
        if let Some(phase) = first {
            members[0].phase = phase;
        }
        let inputs = inputs(draining_fleet(1, 5), inventory(members), History::default());
        planned(&inputs, 5).drains.len()
    };
    assert_eq!(of(None), 1);
    assert_eq!(of(Some(Phase::Draining)), 0, "that one makes room");
    assert_eq!(of(Some(Phase::Stopping)), 0);
    assert_eq!(of(Some(Phase::Booting)), 0, "the replacement of the last one does not serve yet");
}

#[test]
fn what_a_person_puts_on_standby_is_not_ended_in_the_same_tick() {
    let standby = |inputs: &mut Inputs| {
        let instance: cloud::InstanceId = "i-1".into();
        inputs.instructions.push(said(Instructed::Standby { instance }));
        // As a survey finds it.
        inputs.inventory.members[0].kept =
            instruction::is_kept(&inputs.instructions, &"i-1".into());
    };
    let mut over = drained(draining_fleet(1, 9), 600);
    standby(&mut over);
    let plan = planned(&over, 2);
    assert_eq!((names(&plan.retained), ends(&plan).len()), (vec!["i-1"], 0), "its drain is over");
    let mut bad = drained(fleet(1, 9), 600);
    let first = &mut bad.inventory.members[0];
    (first.phase, first.health) = (Phase::Failed, Some(false));
    standby(&mut bad);
    let plan = planned(&bad, 2);
    assert_eq!((names(&plan.retained), ends(&plan).len()), (vec!["i-1"], 0), "it is unhealthy");
    let mut surplus = drained(draining_fleet(1, 9), 600);
    surplus.inventory.members[0].phase = Phase::InService;
    standby(&mut surplus);
    let plan = planned(&surplus, 2);
    let kept = (names(&plan.retained), plan.drains.len());
    assert_eq!(kept, (vec!["i-1"], 0), "it makes the fleet smaller itself");
}

#[test]
fn what_returns_from_standby_waits_for_holds_and_for_removals() {
    let of = |hold: Option<Direction>, desired: u32| {
        let mut inputs = drained(draining_fleet(1, 9), 600);
        inputs.inventory.members[0].phase = Phase::Standby;
        inputs.instructions.push(said(Instructed::Return { instance: "i-1".into() }));
        inputs.holds.extend(hold.map(|direction| Hold {
            id: uuid::Uuid::nil(),
            fleet: None,
            placed: ago(60),
            direction: Some(direction),
            until: ago(0) + chrono::TimeDelta::hours(1),
            author: "ann".into(),
            reason: "a look".into(),
        }));
        let plan = planned(&inputs, desired);
        (plan.returns.len(), plan.drains.len(), plan.shortfalls.join(""))
    };
    assert_eq!(of(None, 2), (1, 0, String::new()));
    assert_eq!(of(None, 1), (0, 1, String::new()), "one goes: the next tick brings it back");
    let why = "i-1 stays on standby: ann holds scale-out".to_owned();
    assert_eq!(of(Some(Direction::Out), 2), (0, 0, why));
}

#[test]
fn a_hold_and_a_protection_keep_what_is_drained() {
    let mut held = drained(draining_fleet(1, 9), 600);
    held.holds.push(Hold {
        id: uuid::Uuid::nil(),
        fleet: None,
        placed: ago(60),
        direction: Some(Direction::In),
        until: ago(0) + chrono::TimeDelta::hours(1),
        author: "ann".into(),
        reason: "a look".into(),
    });
    assert!(ends(&planned(&held, 2)).is_empty());
    let mut kept = drained(draining_fleet(1, 9), 600);
    kept.inventory.members[0].instance.tags.insert(tags::PROTECT.into(), "1".into());
    assert!(ends(&planned(&kept, 2)).is_empty());
}

fn hook(on: HookPoint) -> Hook {
    let deadline = Span::secs(60);
    Hook { name: HookName(on.to_string()), on, deadline, otherwise: HookOutcome::Continue }
}

#[test]
fn hooks_are_called_once_at_their_step_and_waited_for() {
    let mut fleet = draining_fleet(1, 9);
    fleet.lifecycle.hooks = [HookPoint::Drain, HookPoint::Terminate].map(hook).to_vec();
    let members = vec![member("i-1", 9), member("i-2", 8)];
    let first = planned(&inputs(fleet.clone(), inventory(members), History::default()), 1);
    let called = |plan: &Plan| plan.hooks.iter().map(|call| call.on).collect::<Vec<_>>();
    assert_eq!(called(&first), [HookPoint::Drain], "together with the drain");

    let after = |hooks: &[(HookPoint, Option<HookOutcome>)]| {
        let mut inputs = drained(fleet.clone(), 30);
        let tracked = inputs.history.instances.get_mut(&"i-1".into()).expect("it is known");
        for (on, outcome) in hooks {
            let id = IntentId(uuid::Uuid::from_u128(4));
            let state =
                HookState { id, on: *on, since: ago(5), outcome: *outcome, has_failed: false };
            tracked.hooks.insert(HookName(on.to_string()), state);
        }
        planned(&inputs, 2)
    };
    let done = Some(HookOutcome::Continue);
    let running = after(&[(HookPoint::Drain, None)]);
    assert!(called(&running).is_empty() && ends(&running).is_empty(), "it is waited for");
    let drained = after(&[(HookPoint::Drain, done)]);
    assert_eq!((called(&drained), ends(&drained).len()), (vec![HookPoint::Terminate], 0));
    assert_eq!(ends(&after(&[(HookPoint::Drain, done), (HookPoint::Terminate, done)])), ["i-1"]);
    let kept = after(&[(HookPoint::Drain, Some(HookOutcome::Retain))]);
    assert_eq!((names(&kept.retained), ends(&kept).len()), (vec!["i-1"], 0));
}

#[test]
fn the_unhealthy_go_once_others_serve_or_where_there_is_no_room() {
    let of = |healthy: usize, unhealthy: usize, desired: u32, max: u32| {
        let mut members: Vec<Member> =
            (0..healthy + unhealthy).map(|n| member(&format!("i-{n}"), 9)).collect();
        for member in &mut members[healthy..] {
            (member.phase, member.health) = (Phase::Failed, Some(false));
        }
        let mut inputs = inputs(fleet(1, max), inventory(members), History::default());
        inputs.history.instances.values_mut().for_each(|tracked| tracked.served = true);
        ends(&planned(&inputs, desired)).len()
    };
    assert_eq!(of(3, 1, 4, 9), 0, "its replacement does not serve yet");
    assert_eq!(of(4, 1, 4, 9), 1);
    assert_eq!(of(4, 2, 4, 9), 2);
    assert_eq!(of(3, 2, 5, 5), 1, "one makes room at a time");
}

#[test]
fn victims_go_in_the_configured_order() {
    let order = |victims: Victims, remove: u32| {
        let mut members: Vec<Member> = (1..=4).map(|n| member(&format!("i-{n}"), 10 - n)).collect();
        for (member, zone) in members.iter_mut().zip(["a", "b", "b", "b"]) {
            member.instance.zone = zone.into();
        }
        for (member, work) in members.iter_mut().zip([Some(5.0), Some(0.0), None, Some(2.0)]) {
            member.busy = work;
        }
        let mut fleet = fleet(0, 9);
        let lifecycle = &mut fleet.lifecycle;
        (lifecycle.victims, lifecycle.has_busy, lifecycle.idle_below) = (victims, true, 1.0);
        let today = fingerprint(&fleet.launch.spec);
        let mut inputs = inputs(fleet, inventory(members), History::default());
        let known = inputs.history.instances.get_mut(&"i-1".into()).expect("it is known");
        known.spec = Some(today);
        let plan = planned(&inputs, 4 - remove);
        ends(&plan).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(order(Victims::Oldest, 2), ["i-1", "i-2"]);
    assert_eq!(order(Victims::Newest, 2), ["i-4", "i-3"]);
    assert_eq!(order(Victims::ZoneBalanced, 3), ["i-2", "i-3", "i-1"]);
    assert_eq!(order(Victims::OldestTemplate, 2), ["i-2", "i-3"]);
    assert_eq!(order(Victims::LeastBusy, 3), ["i-2", "i-4", "i-1"]);
    assert_eq!(order(Victims::Idle, 3), ["i-2"], "those with work are waited for");
}

#[test]
fn the_review_judges_a_drain_as_an_end() {
    let members = vec![member("i-1", 9), member("i-2", 8)];
    let inputs = inputs(draining_fleet(2, 9), inventory(members), History::default());
    let drains = |ids: &[&str]| {
        let drains = ids.iter().map(|id| (*id).into()).collect();
        review(&Plan { drains, ..Plan::default() }, &inputs)
    };
    assert_eq!(drains(&["i-1"]), Err(Objection::BelowMin { left: 1, min: 2 }));
    assert!(matches!(drains(&["i-9"]), Err(Objection::NotListed { .. })));
    let returns = Plan { returns: vec!["i-1".into()], ..Plan::default() };
    assert!(matches!(review(&returns, &inputs), Err(Objection::NotDraining { .. })));
}

#[test]
fn what_the_provider_takes_back_is_drained_at_once_and_nothing_else_is() {
    let of = |drains: bool, min: u32| {
        let mut members: Vec<Member> =
            (1..=3).map(|n| Member { outgoing: n > 1, ..member(&format!("i-{n}"), 9) }).collect();
        members[1].instance.locks = vec!["Recycling".to_owned()];
        let fleet = if drains { draining_fleet(min, 9) } else { fleet(min, 9) };
        let plan = planned(&inputs(fleet, inventory(members), History::default()), 3);
        (names(&plan.drains).join(","), ends(&plan).len())
    };
    assert_eq!(of(true, 1), ("i-2".to_owned(), 0), "i-3 waits for its replacement");
    assert_eq!(of(true, 3), ("i-2".to_owned(), 0), "it goes whatever `min` says");
    assert_eq!(of(false, 1), (String::new(), 0), "it serves as long as it can");
}
