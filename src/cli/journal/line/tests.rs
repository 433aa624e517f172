//! Entries as sentences.

use cloud::{Class, Terminate, Timestamp};

use super::*;
use crate::journal::codec::Unreadable;
use crate::model::{
    AlertCode, AlertKey, Decision, DecisionId, Direction, Intent, Place, Plan, Reason, Refusal,
    Skipped,
};

fn at() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a valid time")
}

fn entry(scope: Scope, said: Result<Said, Unreadable>) -> Entry {
    let kind = "kind".to_owned();
    Entry { seq: 7, at: at(), scope, kind, v: 2, body: String::new(), said }
}

fn web(event: Event) -> Entry {
    entry(Scope::Fleet("web".into()), Ok(Said::Fleet(event)))
}

fn intent(n: u128) -> IntentId {
    IntentId(Uuid::from_u128(n << 96))
}

fn delete(n: u128, ids: &[&str]) -> Event {
    let ids = ids.iter().map(|id| (*id).into()).collect();
    let mutation = Mutation::Delete { ids, how: Terminate::Graceful };
    Event::Intended(Box::new(Intent { at: at(), action: Action { intent: intent(n), mutation } }))
}

fn ticked(phases: &[(&str, Phase)]) -> Event {
    Event::Ticked(Box::new(Ticked {
        at: at(),
        samples: BTreeMap::new(),
        gaps: [("cpu".into(), "stale".to_owned())].into(),
        phases: phases.iter().map(|(id, phase)| ((*id).into(), *phase)).collect(),
        up: BTreeMap::new(),
        outgoing: [].into(),
        before_first_listing: false,
        current: 4,
        in_service: 3,
        recommended: 4,
        desired: 4,
        memory: [].into(),
        shadow: None,
    }))
}

fn settled(n: u128, settlement: Settlement) -> Event {
    Event::Settled { at: at(), intent: intent(n), settlement }
}

/// The line for each of `entries`, after all before it.
fn told(entries: Vec<Entry>) -> Vec<String> {
    let mut teller = EntryLines::default();
    let lines = entries.iter().map(|entry| teller.tell(entry));
    lines.map(|line| format!("{}: {}", line.whose, line.text)).collect()
}

#[test]
fn phases_say_what_they_were_before_as_far_as_it_was_told() {
    use Phase::{Booting, Gone, InService, Warming};
    let launched = Settlement::Launched { ids: vec!["i-1".into(), "i-2".into()] };
    let done = Settlement::Done { done: vec!["i-1".into()], failed: BTreeMap::new() };
    assert_eq!(
        told(vec![
            web(settled(9, launched)),
            web(ticked(&[("i-1", Booting), ("i-2", Booting), ("i-9", InService)])),
            web(ticked(&[("i-1", Warming)])),
            web(delete(1, &["i-1"])),
            web(settled(1, done)),
            web(ticked(&[("i-1", Gone)])),
            web(ticked(&[])),
        ]),
        [
            "web: settled 00000009: an earlier intent: accepted as i-1, i-2",
            "web: i-9: in service; i-1, i-2: requested → booting",
            "web: i-1: booting → warming",
            "web: intent 00000001: delete i-1",
            "web: settled 00000001: delete i-1: done",
            "web: i-1: terminating → gone",
            "web: tick: 4 there, 3 in service, recommended 4, desired 4; cpu is missing (stale)",
        ]
    );
    let many: Vec<String> = (0..30).map(|n| format!("i-{n:02}")).collect();
    let many: Vec<(&str, Phase)> = many.iter().map(|id| (id.as_str(), Booting)).collect();
    assert_eq!(
        told(vec![web(ticked(&many))]),
        ["web: 30 instances (i-00, i-01, i-02, i-03, …): booting"]
    );
}

#[test]
fn refusals_doubts_and_repetitions_say_of_what() {
    let refusal = Refusal { class: Class::Conflict, message: "it is protected".to_owned() };
    let partly = Settlement::Done { done: Vec::new(), failed: [("i-1".into(), refusal)].into() };
    let open = Settlement::Open { message: "timed out".to_owned(), repeat: true };
    assert_eq!(
        told(vec![
            web(delete(1, &["i-1"])),
            web(settled(1, open)),
            web(Event::Resent { at: at(), intent: intent(1) }),
            web(settled(1, partly)),
        ])[1..],
        [
            "web: settled 00000001: delete i-1: outcome unknown, the next tick looks: timed out",
            "web: resent 00000001: delete i-1 (same token)",
            "web: settled 00000001: delete i-1: i-1: it is protected",
        ]
    );
}

#[test]
fn a_decision_tells_its_reasons_and_what_its_plan_left_out() {
    let decided = Decided {
        id: DecisionId(Uuid::from_u128(0x1a2b_3c4d << 96)),
        at: at(),
        decision: Decision {
            current: 4,
            recommended: 4,
            desired: 4,
            add: 0,
            remove: 0,
            reasons: vec![Reason::CappedAtMax { max: 4 }],
            blocked_by: None,
            counterfactuals: Vec::new(),
        },
        plan: Plan {
            skipped: vec![Skipped {
                place: Place { instance_type: "ecs.c7.large".into(), vswitch: "vsw-h".into() },
                until: at(),
                why: "OperationDenied.NoStock".to_owned(),
            }],
            shortfalls: vec!["nowhere to go".to_owned()],
            ..Plan::default()
        },
    };
    assert_eq!(
        told(vec![web(Event::Decided(Box::new(decided)))]),
        ["web: decision 1a2b3c4d: stays at 4: max = 4 is reached; ecs.c7.large in vsw-h skipped \
          until 12:00:00Z; nowhere to go"]
    );
}

#[test]
fn alerts_leases_and_facts_of_the_account_are_told() {
    let key = AlertKey { code: AlertCode::ZoneLost, about: "h".to_owned() };
    let alert = Alert { key: key.clone(), message: "2 instances of h are silent".to_owned() };
    let place = Place { instance_type: "ecs.c7.large".into(), vswitch: "vsw-h".into() };
    let aliyun = |event| entry(Scope::Account("aliyun".into()), Ok(Said::Account(event)));
    let message = "no money".to_owned();
    assert_eq!(
        told(vec![
            web(Event::Leased { at: at(), replica: "host-1-0a1b".into(), fence: 3 }),
            web(Event::Alerted { at: at(), alert }),
            web(Event::Cleared { at: at(), key }),
            aliyun(AccountEvent::SoldOut { at: at(), place, why: "NoStock".to_owned() }),
            aliyun(AccountEvent::Stopped {
                at: at(),
                class: Class::Quota,
                message,
                code: String::new(),
            }),
            aliyun(AccountEvent::Audited { at: at(), findings: 2 }),
        ]),
        [
            "web: lease: replica host-1 acts from here on (fence 3)",
            "web: ALERT zone_lost: 2 instances of h are silent",
            "web: alert over: zone_lost h",
            "(aliyun): sold out: ecs.c7.large in vsw-h: NoStock",
            "(aliyun): STOP of all launches (quota): no money",
            "(aliyun): audit: 2 findings, `fleetscaler audit` lists them",
        ]
    );
}

#[test]
fn a_lifted_hold_says_which_one_it_was() {
    let id = Uuid::from_u128(0xabcd_ef01 << 96);
    let hold = Hold {
        id,
        fleet: Some("web".into()),
        direction: Some(Direction::In),
        author: "ann".to_owned(),
        reason: "migration".to_owned(),
        placed: at(),
        until: at() + chrono::TimeDelta::hours(2),
    };
    let said = |event| entry(Scope::Operator, Ok(Said::Operator(event)));
    let lifted =
        || said(OperatorEvent::Lifted { at: at(), id, author: "bob".to_owned(), hold: None });
    let held = "scale-in held by ann until 2026-01-02 14:00:00Z: migration";
    let whole = said(OperatorEvent::Lifted {
        at: at(),
        id,
        author: "bob".to_owned(),
        hold: Some(hold.clone()),
    });
    assert_eq!(
        told(vec![whole]),
        [format!("web: hold abcdef01 lifted by bob: {held}")],
        "the hold lies before what was read"
    );
    assert_eq!(
        told(vec![said(OperatorEvent::Held { at: at(), hold }), lifted()]),
        [
            format!("web: hold abcdef01: {held}"),
            format!("web: hold abcdef01 lifted by bob: {held}"),
        ]
    );
    assert_eq!(told(vec![lifted()]), ["operator: hold abcdef01 lifted by bob"]);
}

#[test]
fn what_cannot_be_read_is_shown_as_such() {
    let newer = entry(Scope::Fleet("web".into()), Err(Unreadable::Newer { found: 9 }));
    let [line] = &told(vec![newer])[..] else { panic!("one line") };
    assert!(line.starts_with("web: record 7 (kind) cannot be read: it is of version 9"), "{line}");
}
