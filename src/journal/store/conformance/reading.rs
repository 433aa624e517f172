//! Snapshots, and finding records.

use uuid::Uuid;

use super::*;
use crate::journal::store::{Query, Snapshot};

fn snapshot(seq: Seq, body: &str) -> Snapshot {
    Snapshot { seq, v: 2, body: body.to_owned() }
}

async fn save(rig: &dyn Rig, scope: &Scope, snapshot: &Snapshot) {
    rig.store().save_snapshot(scope, snapshot).await.expect("saved");
}

async fn load(rig: &dyn Rig, scope: &Scope) -> (Option<Snapshot>, Vec<String>) {
    let (snapshot, records) = rig.store().load(scope).await.expect("loaded");
    (snapshot, texts(records))
}

pub(crate) async fn a_snapshot_stands_for_the_records_that_it_covers(rig: &mut dyn Rig) {
    let (web, api) = (fleet("web"), fleet("api"));
    assert_eq!(load(rig, &web).await, (None, Vec::new()));
    let places =
        committed(rig, append(&[(&web, "1"), (&api, "x"), (&web, "2"), (&web, "3")])).await;
    assert_eq!(load(rig, &web).await, (None, vec!["1".into(), "2".into(), "3".into()]));
    let covers_two = snapshot(places[2], "1 and 2");
    save(rig, &web, &covers_two).await;
    assert_eq!(load(rig, &web).await, (Some(covers_two), vec!["3".into()]));
    assert_eq!(load(rig, &api).await, (None, vec!["x".into()]));
    assert_eq!(bodies(rig, &web).await, ["1", "2", "3"], "the records are still there");
}

pub(crate) async fn an_older_snapshot_does_not_replace_a_newer_one(rig: &mut dyn Rig) {
    let web = fleet("web");
    let places = committed(rig, append(&[(&web, "1"), (&web, "2")])).await;
    save(rig, &web, &snapshot(places[1], "newer")).await;
    save(rig, &web, &snapshot(places[0], "older")).await;
    assert_eq!(load(rig, &web).await, (Some(snapshot(places[1], "newer")), Vec::new()));
    save(rig, &web, &snapshot(places[1], "as new")).await;
    assert_eq!(load(rig, &web).await, (Some(snapshot(places[1], "as new")), Vec::new()));
}

pub(crate) async fn records_are_found_by_scope_time_and_kind(rig: &mut dyn Rig) {
    let (web, acme) = (fleet("web"), account("acme"));
    let records = [
        (&web, 0, "tick", "1"),
        (&acme, 1, "cooled", "2"),
        (&web, 2, "intent", "3"),
        (&Scope::Operator, 2, "hold", "4"),
        (&web, 3, "tick", "5"),
        // Times of different scopes come in any order.
        (&acme, 0, "tick", "6"),
    ];
    let mut places = Vec::new();
    for (scope, secs, kind, body) in records {
        let record = NewRecord { at: secs_after_start(secs), kind, ..record(scope, body) };
        let write = Write { records: vec![record], ..Write::default() };
        places.extend(committed(rig, write).await);
    }
    let all = Query::default;
    let everything = all();
    let of = |scope: &Scope| Query { scope: Some(scope.clone()), ..Query::default() };
    let since = |secs| Query { since: Some(secs_after_start(secs)), ..Query::default() };
    let kinds = |kinds: &[&str]| Query {
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        ..Query::default()
    };
    let newest = |newest| Query { newest: Some(newest), ..Query::default() };
    for (name, query, found) in [
        ("everything", everything, "123456"),
        ("a fleet", of(&web), "135"),
        ("an account", of(&acme), "26"),
        ("the operators", of(&Scope::Operator), "4"),
        ("nobody", of(&fleet("nobody")), ""),
        ("since, that moment included", since(2), "345"),
        ("one kind", kinds(&["tick"]), "156"),
        ("two kinds", kinds(&["hold", "intent"]), "34"),
        ("an unknown kind", kinds(&["no"]), ""),
        ("the newest two", newest(2), "56"),
        ("a text", Query { containing: Some("3".to_owned()), ..Query::default() }, "3"),
        ("no newest", newest(0), ""),
        ("more than there are", newest(99), "123456"),
        ("until, that moment included", Query { until: Some(secs_after_start(1)), ..all() }, "126"),
        ("after a place", Query { after: Some(places[3]), ..all() }, "56"),
        ("the oldest two", Query { oldest: Some(2), ..all() }, "12"),
        (
            "the oldest after a place",
            Query { after: Some(places[1]), oldest: Some(1), ..all() },
            "3",
        ),
        (
            "all at once",
            Query {
                newest: Some(1),
                since: Some(start()),
                ..Query { scope: Some(web), ..kinds(&["tick"]) }
            },
            "5",
        ),
    ] {
        let records = rig.store().find(&query).await.expect("found");
        assert_eq!(texts(records).concat(), found, "{name}");
    }
}

pub(crate) async fn scopes_are_those_with_a_record_or_a_snapshot(rig: &mut dyn Rig) {
    assert_eq!(rig.store().scopes().await.expect("read"), []);
    lives(rig, "a", LONG).await;
    claim(rig, "a", &[fleet("leased-only")]).await;
    for (scope, body) in
        [(account("acme"), "1"), (fleet("web"), "2"), (Scope::Operator, "3"), (fleet("Api"), "4")]
    {
        committed(rig, append(&[(&scope, body), (&scope, body)])).await;
    }
    save(rig, &fleet("folded"), &snapshot(1, "fold")).await;
    assert_eq!(
        rig.store().scopes().await.expect("read"),
        [fleet("Api"), fleet("folded"), fleet("web"), account("acme"), Scope::Operator]
    );
}

pub(crate) async fn inputs_are_kept_by_decision(rig: &mut dyn Rig) {
    let decision = Uuid::from_u128(5);
    let inputs = |body: &[u8]| Some((decision, body.to_vec()));
    assert_eq!(rig.store().inputs(decision).await.expect("read"), None);
    let write = Write { inputs: inputs(b"\x00one"), ..append(&[(&fleet("web"), "1")]) };
    assert_eq!(committed(rig, write).await.len(), 1);
    assert_eq!(rig.store().inputs(decision).await.expect("read"), Some(b"\x00one".to_vec()));
    committed(rig, Write { inputs: inputs(b"again"), ..Write::default() }).await;
    assert_eq!(rig.store().inputs(decision).await.expect("read"), Some(b"again".to_vec()));
    assert_eq!(rig.store().inputs(Uuid::nil()).await.expect("read"), None);
}
