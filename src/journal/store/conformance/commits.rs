//! Records: order, all or nothing, durability.

use std::collections::BTreeMap;

use super::*;
use crate::journal::JournalError;
use crate::journal::store::{Query, Retention, Snapshot, Spend, SpendLimit, What, Whose};

pub(crate) async fn records_come_back_in_the_order_of_their_places(rig: &mut dyn Rig) {
    let (web, acme) = (fleet("web"), account("acme"));
    let first = committed(rig, append(&[(&web, "1"), (&acme, "2"), (&web, "3")])).await;
    let second = committed(rig, append(&[(&Scope::Operator, "4"), (&web, "5")])).await;
    let places: Vec<Seq> = first.iter().chain(&second).copied().collect();
    assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
    assert_eq!(bodies(rig, &web).await, ["1", "3", "5"]);
    assert_eq!(bodies(rig, &acme).await, ["2"]);
    assert_eq!(bodies(rig, &Scope::Operator).await, ["4"]);

    let records = rig.store().since(&web, first[0]).await.expect("read");
    let NewRecord { scope, at, kind, v, body } = record(&web, "3");
    let third = Record { seq: first[2], scope, at, kind: kind.to_owned(), v, body };
    assert_eq!(records[0], third);
    assert_eq!(texts(records), ["3", "5"]);
}

pub(crate) async fn a_refused_write_records_nothing_and_holds_up_no_other(rig: &mut dyn Rig) {
    let (web, api) = (fleet("web"), fleet("api"));
    lives(rig, "a", LONG).await;
    let held = claim(rig, "a", std::slice::from_ref(&web)).await.remove(0);
    let stale = Held { fence: held.fence + 1, ..held.clone() };
    let none = Held { scope: api.clone(), fence: 1 };
    let limit = SpendLimit { whose: Whose::Fleet, what: What::Launches, since: start(), most: 1 };
    let spend = Spend {
        intent: uuid::Uuid::from_u128(1),
        at: secs_after_start(1),
        account: "acme".into(),
        fleet: "web".into(),
        launches: 2,
        removals: 0,
        limits: vec![limit.clone()],
    };
    let decision = uuid::Uuid::from_u128(2);
    let written = commit(
        rig,
        "a",
        &[
            under(&held, "one"),
            Write {
                spend: Some(Spend { limits: Vec::new(), ..spend.clone() }),
                inputs: Some((decision, b"lost".to_vec())),
                ..under(&stale, "stale")
            },
            under(&none, "never held"),
            Write { spend: Some(spend.clone()), ..under(&held, "too many") },
            append(&[(&Scope::Operator, "two"), (&web, "three")]),
        ],
    )
    .await;
    assert_eq!(written[1], Written::LeaseLost);
    assert_eq!(written[2], Written::LeaseLost);
    assert_eq!(written[3], Written::Braked(limit));
    assert!(matches!(&written[0], Written::Done(places) if places.len() == 1), "{written:?}");
    assert!(matches!(&written[4], Written::Done(places) if places.len() == 2), "{written:?}");
    assert_eq!(bodies(rig, &web).await, ["one", "three"]);
    assert_eq!(bodies(rig, &api).await, [""; 0]);
    assert_eq!(bodies(rig, &Scope::Operator).await, ["two"]);
    assert_eq!(rig.store().inputs(decision).await.expect("read"), None);
    assert_eq!(rig.store().spent(&spend.account, start()).await.expect("read"), []);
}

pub(crate) async fn an_empty_write_is_done(rig: &mut dyn Rig) {
    assert_eq!(commit(rig, "a", &[]).await, []);
    assert_eq!(commit(rig, "a", &[Write::default()]).await, [Written::Done(Vec::new())]);
}

pub(crate) async fn what_was_recorded_is_there_after_a_restart(rig: &mut dyn Rig) {
    let (web, decision) = (fleet("web"), uuid::Uuid::from_u128(7));
    lives(rig, "a", LONG).await;
    let held = claim(rig, "a", std::slice::from_ref(&web)).await;
    let inputs = Some((decision, vec![0, 1, 2, 255]));
    let places = committed(rig, Write { inputs, ..under(&held[0], "one") }).await;
    committed(rig, under(&held[0], "two")).await;
    let snapshot = Snapshot { seq: places[0], v: 3, body: "fold".to_owned() };
    rig.store().save_snapshot(&web, &snapshot).await.expect("saved");

    rig.reopen().await;
    let (loaded, rest) = rig.store().load(&web).await.expect("loaded");
    assert_eq!(loaded, Some(snapshot));
    assert_eq!(texts(rest), ["two"]);
    assert_eq!(bodies(rig, &web).await, ["one", "two"]);
    assert_eq!(rig.store().inputs(decision).await.expect("read"), Some(vec![0, 1, 2, 255]));
    // A store that only one process can have may forget who lived.
    lives(rig, "a", LONG).await;
    assert_eq!(self::held(rig, "a").await, held, "who lives still holds");
    let later = committed(rig, under(&held[0], "three")).await;
    assert!(later[0] > places[0]);
}

/// A reader of a scope misses nothing, however many write to it at once.
pub(crate) async fn places_become_visible_in_their_order(rig: &mut dyn Rig) {
    const WRITERS: usize = 4;
    const EACH: usize = 15;
    let (acme, store, now) = (account("acme"), rig.store(), rig.now());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, acme) = (store.clone(), acme.clone());
            tokio::spawn(async move {
                let me = replica(&writer.to_string());
                let elsewhere = fleet(&me.0);
                for _ in 0..EACH {
                    let write = append(&[(&elsewhere, "own"), (&acme, "shared"), (&acme, "too")]);
                    let written = store.commit(&me, &[write], Durability::Lazy, now).await;
                    written.expect("committed");
                }
            })
        })
        .collect();
    let mut seen: Vec<Seq> = Vec::new();
    while seen.len() < WRITERS * EACH * 2 {
        let last = seen.last().copied().unwrap_or(0);
        // Asked first: what is recorded between the two is still to come.
        let over = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let more = store.since(&acme, last).await.expect("read");
        assert!(!over || !more.is_empty() || seen.len() == WRITERS * EACH * 2, "some were missed");
        seen.extend(more.iter().map(|record| record.seq));
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    let all = store.since(&acme, 0).await.expect("read");
    assert_eq!(all.iter().map(|record| record.seq).collect::<Vec<_>>(), seen);
}

pub(crate) async fn a_store_that_is_closed_refuses_everything(rig: &mut dyn Rig) {
    let (store, me, web, now) = (rig.store(), replica("a"), fleet("web"), rig.now());
    committed(rig, append(&[(&web, "one")])).await;
    store.close().await;
    store.close().await;
    let snapshot = Snapshot { seq: 1, v: 1, body: String::new() };
    let keep = Retention { ticks_from: start(), all_from: start(), bytes: u64::MAX };
    let nothing = uuid::Uuid::nil();
    let wanted = std::slice::from_ref(&web);
    let answers: BTreeMap<&str, Result<(), JournalError>> = [
        ("heartbeat", store.heartbeat(&me, LONG, now).await.map(drop)),
        ("held", store.held(&me, now).await.map(drop)),
        ("claim", store.claim(&me, wanted, 1, LONG, now).await.map(drop)),
        ("release", store.release(&me, wanted, now).await),
        ("depart", store.depart(&me, now).await),
        ("commit", store.commit(&me, &[], Durability::Durable, now).await.map(drop)),
        ("spent", store.spent(&"acme".into(), now).await.map(drop)),
        ("load", store.load(&web).await.map(drop)),
        ("since", store.since(&web, 0).await.map(drop)),
        ("save_snapshot", store.save_snapshot(&web, &snapshot).await),
        ("find", store.find(&Query::default()).await.map(drop)),
        ("scopes", store.scopes().await.map(drop)),
        ("inputs", store.inputs(nothing).await.map(drop)),
        ("prune", store.prune(keep).await),
    ]
    .into();
    for (method, answer) in answers {
        assert!(matches!(answer, Err(JournalError::Closed)), "{method}: {answer:?}");
    }
    rig.reopen().await;
    assert_eq!(bodies(rig, &web).await, ["one"]);
}
