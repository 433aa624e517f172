//! Records past their retention.

use uuid::Uuid;

use super::*;
use crate::journal::store::{Query, Retention, Snapshot, Spend};

const ALL: Retention =
    Retention { ticks_from: Timestamp::MIN_UTC, all_from: Timestamp::MIN_UTC, bytes: u64::MAX };

/// Records `kind` at that second, with inputs of a decision of the number that is its body.
async fn note(rig: &dyn Rig, scope: &Scope, secs: u64, kind: &'static str, body: u32) -> Seq {
    let body = body.to_string();
    let decision = Uuid::from_u128(body.parse().expect("a number"));
    let record = NewRecord { at: secs_after_start(secs), kind, ..record(scope, &body) };
    let inputs = Some((decision, body.into_bytes()));
    committed(rig, Write { records: vec![record], inputs, ..Write::default() }).await[0]
}

async fn cover(rig: &dyn Rig, scope: &Scope, seq: Seq) {
    let snapshot = Snapshot { seq, v: 1, body: "fold".to_owned() };
    rig.store().save_snapshot(scope, &snapshot).await.expect("saved");
}

/// The bodies of the records, and of the inputs, that are left once `keep` was applied.
async fn left(rig: &dyn Rig, keep: Retention) -> (String, String) {
    let store = rig.store();
    store.prune(keep).await.expect("pruned");
    let records = texts(store.find(&Query::default()).await.expect("found")).concat();
    let mut inputs = String::new();
    for n in 0..10 {
        if let Some(body) = store.inputs(Uuid::from_u128(n)).await.expect("read") {
            inputs += std::str::from_utf8(&body).expect("a number");
        }
    }
    (records, inputs)
}

pub(crate) async fn what_is_too_old_goes_and_ticks_go_first(rig: &mut dyn Rig) {
    let web = fleet("web");
    note(rig, &web, 0, "tick", 1).await;
    note(rig, &web, 1, "intent", 2).await;
    note(rig, &web, 2, "tick", 3).await;
    note(rig, &web, 3, "tick", 4).await;
    let last = note(rig, &web, 4, "intent", 5).await;
    for (intent, secs) in [(1, 1), (2, 4)] {
        let spend = Spend {
            intent: Uuid::from_u128(intent),
            at: secs_after_start(secs),
            account: "acme".into(),
            fleet: "web".into(),
            launches: 1,
            removals: 0,
            limits: Vec::new(),
        };
        committed(rig, Write { spend: Some(spend), ..Write::default() }).await;
    }
    cover(rig, &web, last).await;
    let all = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(left(rig, ALL).await, all("12345"));
    let ticks = Retention { ticks_from: secs_after_start(3), ..ALL };
    assert_eq!(left(rig, ticks).await, ("245".to_owned(), "45".to_owned()));
    let everything = Retention { all_from: secs_after_start(4), ..ALL };
    assert_eq!(left(rig, everything).await, all("5"));
    let spent = rig.store().spent(&"acme".into(), start()).await.expect("read");
    assert_eq!(spent[0].launches, 1, "what was spent goes as records go");
    let (snapshot, _) = rig.store().load(&web).await.expect("loaded");
    assert!(snapshot.is_some(), "a snapshot stays");
    assert!(note(rig, &web, 5, "tick", 6).await > last, "places only grow");
}

pub(crate) async fn what_is_too_much_goes_the_oldest_first(rig: &mut dyn Rig) {
    let (web, acme) = (fleet("web"), account("acme"));
    note(rig, &web, 0, "intent", 1).await;
    note(rig, &acme, 0, "tick", 2).await;
    note(rig, &web, 0, "tick", 3).await;
    let last = note(rig, &acme, 0, "intent", 4).await;
    cover(rig, &web, last).await;
    cover(rig, &acme, last).await;
    // Each record has one byte, and its inputs another.
    let all = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(left(rig, Retention { bytes: 8, ..ALL }).await, all("1234"));
    assert_eq!(left(rig, Retention { bytes: 5, ..ALL }).await, all("34"));
    assert_eq!(left(rig, Retention { bytes: 0, ..ALL }).await, all(""));
}

pub(crate) async fn what_goes_for_its_age_makes_room(rig: &mut dyn Rig) {
    let web = fleet("web");
    note(rig, &web, 5, "intent", 1).await;
    // It was recorded later, by a host whose clock is behind.
    let last = note(rig, &web, 0, "intent", 2).await;
    cover(rig, &web, last).await;
    let keep =
        Retention { ticks_from: secs_after_start(1), all_from: secs_after_start(1), bytes: 2 };
    assert_eq!(left(rig, keep).await, ("1".to_owned(), "1".to_owned()));
}

pub(crate) async fn what_no_snapshot_covers_stays(rig: &mut dyn Rig) {
    let (web, api) = (fleet("web"), fleet("api"));
    let first = note(rig, &web, 0, "tick", 1).await;
    note(rig, &web, 0, "tick", 2).await;
    note(rig, &api, 0, "tick", 3).await;
    cover(rig, &web, first).await;
    let nothing =
        Retention { ticks_from: Timestamp::MAX_UTC, all_from: Timestamp::MAX_UTC, bytes: 0 };
    let (records, inputs) = left(rig, nothing).await;
    assert_eq!((records.as_str(), inputs.as_str()), ("23", ""));
    assert_eq!(bodies(rig, &web).await, ["2"]);
}

pub(crate) async fn what_goes_in_several_parts_goes_completely(rig: &mut dyn Rig) {
    let web = fleet("web");
    // More than any store removes at once; every third is no tick.
    let records = (0..12_000).map(|n| NewRecord {
        at: secs_after_start(n % 1_000),
        kind: if n % 3 == 0 { "intent" } else { "tick" },
        ..record(&web, "x")
    });
    let seqs = committed(rig, Write { records: records.collect(), ..Write::default() }).await;
    let last = *seqs.last().expect("records");
    cover(rig, &web, last).await;
    let count = async |keep: Retention| left(rig, keep).await.0.len();
    let ticks = Retention { ticks_from: secs_after_start(900), ..ALL };
    assert_eq!(count(ticks).await, 4_000 + 800);
    let old = Retention { all_from: secs_after_start(500), ..ALL };
    assert_eq!(count(old).await, 2_000 + 800);
    assert_eq!(count(Retention { bytes: 2_000, ..ALL }).await, 2_000);
    assert_eq!(count(Retention { bytes: 0, ..ALL }).await, 0);
}
