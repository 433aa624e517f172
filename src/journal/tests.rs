//! The journal over its stores: folds that survive, leases that end, and files of the first version.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Class, ManualClock, Mutation, Timestamp};

use super::fold::SNAPSHOT_EVERY;
use super::store::{Durability, Memory, NewRecord, Scope, Sqlite, What, Whose, Write};
use super::*;
use crate::model::fixtures::{self, now};
use crate::model::{Action, Direction, Phase, Place, Ticked};

const TIME: LeaseTime = LeaseTime(Duration::from_secs(15));
const KEEP: Keep = Keep { age: Duration::from_secs(30 * 24 * 3600), bytes: u64::MAX };

fn web() -> FleetId {
    "web".into()
}

fn account() -> AccountId {
    "aliyun".into()
}

/// A journal over `store`, for the replica `me`, on a clock of its own.
fn journal(store: Arc<dyn Store>, me: &str) -> (Journal, ManualClock) {
    let clock = ManualClock::at(now());
    (Journal::over(store, Arc::new(clock.clone()), me.into(), TIME, KEEP), clock)
}

async fn lease(journal: &Journal, fleet: &FleetId) -> Lease {
    match journal.turn(fleet).await {
        Turn::Mine(lease) => lease,
        other => panic!("{fleet} is not ours: {other:?}"),
    }
}

async fn history(journal: &Journal) -> Arc<History> {
    let lease = lease(journal, &web()).await;
    journal.known(&lease, &account()).await.expect("known").history
}

fn ticked(at: Timestamp, phases: &[(&str, Phase)]) -> Event {
    Event::Ticked(Box::new(Ticked {
        at,
        samples: BTreeMap::new(),
        gaps: BTreeMap::new(),
        phases: phases.iter().map(|(id, phase)| ((*id).into(), *phase)).collect(),
        up: BTreeMap::new(),
        outgoing: [].into(),
        before_first_listing: false,
        current: 2,
        in_service: 2,
        recommended: 2,
        desired: 2,
        memory: [].into(),
        shadow: None,
    }))
}

fn intent(n: u128) -> Intent {
    let id = IntentId(uuid::Uuid::from_u128(n));
    let mutation = Mutation::Stop { ids: vec!["i-1".into()] };
    Intent { at: now(), action: Action { intent: id, mutation } }
}

fn spend(n: u128, limits: Vec<SpendLimit>) -> Spend {
    Spend {
        intent: uuid::Uuid::from_u128(n),
        at: now(),
        account: account(),
        fleet: web(),
        launches: 0,
        removals: 1,
        limits,
    }
}

async fn intend(journal: &Journal, n: u128) -> Result<Intended, JournalError> {
    let lease = lease(journal, &web()).await;
    journal.intend(&lease, intent(n), spend(n, Vec::new())).await
}

async fn settle(journal: &Journal, n: u128, settlement: Settlement) {
    let lease = lease(journal, &web()).await;
    let id = intent(n).action.intent;
    let settled = journal.settle(&lease, id, settlement, None, &[]).await;
    assert_eq!(settled.expect("settled"), Intended::Recorded);
}

fn nothing_done() -> Settlement {
    Settlement::Done { done: Vec::new(), failed: BTreeMap::new() }
}

async fn sqlite(dir: &tempfile::TempDir) -> Arc<dyn Store> {
    let store = Sqlite::open(&dir.path().join("state.db"), codec::VERSION).await;
    Arc::new(store.expect("it opens"))
}

#[tokio::test]
async fn a_restart_changes_nothing_with_and_without_a_snapshot() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, intents) in [("few records", 3), ("enough for a snapshot", 250)] {
        let (first, _) = journal(sqlite(&dir).await, "first");
        first.tend(&[web()]).await.expect("tended");
        let held = lease(&first, &web()).await;
        let phases = [("i-1", Phase::InService)];
        first.append(&held, vec![ticked(now(), &phases)], None).await.expect("taken");
        drop(held);
        for n in 0..intents {
            intend(&first, n).await.expect("recorded");
            if n > 0 {
                settle(&first, n, nothing_done()).await;
            }
        }
        let before = history(&first).await;
        assert_eq!(before.open.len(), 1, "{name}: the first intent is still open");
        first.close().await;
        drop(first);
        let (second, _) = journal(sqlite(&dir).await, "second");
        second.tend(&[web()]).await.expect("tended");
        assert_eq!(history(&second).await, before, "{name}");
        second.close().await;
    }
}

#[tokio::test]
async fn a_crash_loses_ticks_that_were_not_written_and_no_intent() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, _) = journal(sqlite(&dir).await, "first");
    first.tend(&[web()]).await.expect("tended");
    let held = lease(&first, &web()).await;
    first.append(&held, vec![ticked(now(), &[("i-1", Phase::Booting)])], None).await.expect("ok");
    drop(held);
    intend(&first, 1).await.expect("recorded");
    let held = lease(&first, &web()).await;
    first.append(&held, vec![ticked(now(), &[("i-2", Phase::Booting)])], None).await.expect("ok");
    drop(held);
    // No close: the process is gone.
    drop(first);
    let (second, _) = journal(sqlite(&dir).await, "second");
    second.tend(&[web()]).await.expect("tended");
    let history = history(&second).await;
    assert_eq!(history.open.len(), 1);
    let known: Vec<&str> = history.instances.keys().map(|id| id.0.as_str()).collect();
    assert_eq!(known, ["i-1"], "what came before the intent was written with it");
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_and_its_deadline_with_it() {
    let store = Arc::new(Memory::default());
    let (first, clock) = journal(store, "first");
    assert!(matches!(first.turn(&web()).await, Turn::Elsewhere), "nothing was asked yet");
    first.tend(&[web()]).await.expect("tended");
    let held = lease(&first, &web()).await;
    let deadline = held.deadline.clone();
    drop(held);
    assert!(deadline.get() < clock::after(now(), Duration::from_secs(12)));
    clock.advance(Duration::from_secs(11));
    assert!(matches!(first.turn(&web()).await, Turn::Unknown(JournalError::Expired)));
    first.tend(&[web()]).await.expect("tended");
    let held = lease(&first, &web()).await;
    assert_eq!(held.deadline.get(), deadline.get(), "a permit that was given out lives on");
}

#[tokio::test]
async fn what_a_replica_lost_it_neither_writes_nor_believes() {
    let store = Arc::new(Memory::default());
    let (first, first_clock) = journal(store.clone(), "first");
    let (second, second_clock) = journal(store, "second");
    first.tend(&[web()]).await.expect("tended");
    intend(&first, 1).await.expect("recorded");
    let held = lease(&first, &web()).await;
    let deadline = held.deadline.clone();
    // The first one is paused; its lease runs out, and the second one takes it.
    second_clock.advance(Duration::from_secs(20));
    second.tend(&[web()]).await.expect("tended");
    let settlement = Settlement::failed(Class::Transient, "no");
    settle(&second, 1, settlement).await;
    intend(&second, 2).await.expect("recorded");
    first_clock.set(cloud::Clock::now(&second_clock));
    // It wakes up and writes before it knows.
    let refused = first.intend(&held, intent(3), spend(3, Vec::new())).await.expect("an answer");
    assert_eq!(refused, Intended::LeaseLost);
    let refused = first
        .settle(&held, intent(1).action.intent, nothing_done(), None, &[])
        .await
        .expect("an answer");
    assert_eq!(refused, Intended::LeaseLost);
    drop(held);
    first.tend(&[web()]).await.expect("tended");
    assert!(matches!(first.turn(&web()).await, Turn::Elsewhere));
    assert!(deadline.get() < now(), "nothing is sent under the old lease any more");
    let open: Vec<IntentId> = history(&second).await.open.keys().copied().collect();
    assert_eq!(open, [intent(2).action.intent]);
}

#[tokio::test]
async fn fleets_spread_evenly_over_replicas_and_move_when_one_comes_or_goes() {
    let store = Arc::new(Memory::default());
    let fleets: Vec<FleetId> = (0..10).map(|n| FleetId(format!("f{n}"))).collect();
    let (one, clock_one) = journal(Arc::new(store.beside()), "one");
    let (two, clock_two) = journal(Arc::new(store.beside()), "two");
    let (three, clock_three) = journal(Arc::new(store.beside()), "three");
    let held = |journals: &[&Journal]| -> Vec<usize> {
        journals.iter().map(|journal| journal.counts().0).collect()
    };
    one.tend(&fleets).await.expect("tended");
    assert_eq!(held(&[&one]), [10]);
    for _ in 0..2 {
        for journal in [&one, &two, &three] {
            journal.tend(&fleets).await.expect("tended");
        }
    }
    one.tend(&fleets).await.expect("tended");
    let mut counts = held(&[&one, &two, &three]);
    counts.sort_unstable();
    assert_eq!(counts, [3, 3, 4]);
    // A busy fleet is not taken away in the middle of its tick.
    let busy = lease(&one, &one_of(&one, &fleets).await).await;
    three.close().await;
    for _ in 0..2 {
        one.tend(&fleets).await.expect("tended");
        two.tend(&fleets).await.expect("tended");
    }
    let mut counts = held(&[&one, &two]);
    counts.sort_unstable();
    assert_eq!(counts, [5, 5], "one that leaves gives its fleets up at once");
    drop(busy);
    // One that dies is missed when its life has run out.
    for clock in [&clock_one, &clock_two, &clock_three] {
        clock.advance(Duration::from_secs(13));
    }
    two.tend(&fleets).await.expect("tended");
    two.tend(&fleets).await.expect("tended");
    assert_eq!(held(&[&two]), [10]);
}

#[tokio::test]
async fn a_fleet_that_is_configured_no_more_is_given_up_for_a_replica_that_has_it_still() {
    let store = Arc::new(Memory::default());
    let api = FleetId("api".to_owned());
    let (one, _) = journal(Arc::new(store.beside()), "one");
    let (two, _) = journal(Arc::new(store.beside()), "two");
    one.tend(&[web(), api.clone()]).await.expect("tended");
    assert_eq!(one.counts().0, 2);
    // `shop` is added in the same moment: there are as many as before.
    let shop = FleetId("shop".to_owned());
    one.tend(&[web(), shop.clone()]).await.expect("tended");
    assert!(matches!(one.turn(&api).await, Turn::Elsewhere));
    assert!(matches!(one.turn(&shop).await, Turn::Mine(_)));
    two.tend(&[web(), api.clone()]).await.expect("tended");
    assert!(matches!(two.turn(&api).await, Turn::Mine(_)), "it need not wait for a lease's time");
}

#[tokio::test]
async fn histories_of_fleets_that_another_replica_has_are_given_back() {
    let store = Arc::new(Memory::default());
    let fleets: Vec<FleetId> = (0..10).map(|n| FleetId(format!("f{n}"))).collect();
    let (one, _) = journal(Arc::new(store.beside()), "one");
    let (two, _) = journal(Arc::new(store.beside()), "two");
    one.tend(&fleets).await.expect("tended");
    for fleet in &fleets {
        let held = lease(&one, fleet).await;
        one.append(&held, vec![ticked(now(), &[("i-1", Phase::InService)])], None)
            .await
            .expect("ok");
    }
    one.flush().await.expect("written");
    assert_eq!(one.fleets.in_memory(), 10);
    two.tend(&fleets).await.expect("tended");
    for _ in 0..2 {
        one.tend(&fleets).await.expect("tended");
    }
    assert_eq!((one.counts().0, one.fleets.in_memory()), (5, 5));
}

#[tokio::test]
async fn nobody_says_that_a_fleet_is_elsewhere_while_the_store_is_away() {
    let store = Arc::new(Memory::default());
    let (first, _) = journal(Arc::new(store.beside()), "first");
    assert!(!first.tended(), "nobody knows yet which fleets are its own");
    first.tend(&[web()]).await.expect("tended");
    assert!(first.tended());
    let api = FleetId("api".to_owned());
    assert!(matches!(first.turn(&api).await, Turn::Elsewhere));
    first.store.close().await;
    first.tend(&[web()]).await.expect_err("it is away");
    assert!(matches!(first.turn(&api).await, Turn::Unknown(JournalError::Closed)));
    assert!(matches!(first.turn(&web()).await, Turn::Mine(_)), "renewed a moment ago");
}

#[tokio::test]
async fn snapshots_of_many_fleets_are_written_together_and_not_all_at_one_time() {
    let store = Arc::new(Memory::forgetful());
    let fleets: Vec<FleetId> = (0..50).map(|n| FleetId(format!("f{n}"))).collect();
    let (one, _) = journal(Arc::new(store.beside()), "one");
    one.tend(&fleets).await.expect("tended");
    let mut covered = Vec::new();
    for _ in 0..8 {
        for fleet in &fleets {
            let held = lease(&one, fleet).await;
            let ticks = (0..SNAPSHOT_EVERY / 4).map(|_| ticked(now(), &[])).collect();
            one.append(&held, ticks, None).await.expect("taken");
        }
        one.tend(&fleets).await.expect("tended");
        let mut count = 0;
        for fleet in &fleets {
            let (snapshot, _) = store.load(&Scope::Fleet(fleet.clone())).await.expect("read");
            count += usize::from(snapshot.is_some());
        }
        covered.push(count);
    }
    assert_eq!(covered[..3], [0, 0, 0], "none before its time: {covered:?}");
    assert_eq!(covered[7], 50, "all after twice that: {covered:?}");
    assert!(covered[4] > 0 && covered[4] < 50, "and not together: {covered:?}");
}

async fn one_of(journal: &Journal, fleets: &[FleetId]) -> FleetId {
    for fleet in fleets {
        if let Turn::Mine(_) = journal.turn(fleet).await {
            return fleet.clone();
        }
    }
    panic!("it holds nothing");
}

#[tokio::test]
async fn a_brake_of_the_store_refuses_the_intent_and_nothing_of_it_is_recorded() {
    let (journal, _) = journal(Arc::new(Memory::default()), "one");
    journal.tend(&[web()]).await.expect("tended");
    let limit = SpendLimit {
        whose: Whose::Fleet,
        what: What::Removals,
        since: now() - clock::delta(BRAKE_WINDOW),
        most: 2,
    };
    for n in 1..=2 {
        let held = lease(&journal, &web()).await;
        let intended = journal.intend(&held, intent(n), spend(n, vec![limit.clone()])).await;
        assert_eq!(intended.expect("an answer"), Intended::Recorded);
    }
    let held = lease(&journal, &web()).await;
    let refused = journal.intend(&held, intent(3), spend(3, vec![limit.clone()])).await;
    assert_eq!(refused.expect("an answer"), Intended::Braked(limit));
    let known = journal.known(&held, &account()).await.expect("known");
    assert_eq!(known.history.open.len(), 2);
    assert_eq!((known.spent.fleet.removals, known.spent.account.removals), (2, 2));
}

#[tokio::test]
async fn facts_and_what_people_say_reach_every_replica() {
    let store = Arc::new(Memory::default());
    let (one, _) = journal(store.clone(), "one");
    let (two, clock_two) = journal(store.clone(), "two");
    let other: FleetId = "other".into();
    let fleets = [web(), other];
    for _ in 0..2 {
        one.tend(&fleets).await.expect("tended");
        two.tend(&fleets).await.expect("tended");
    }
    one.tend(&fleets).await.expect("tended");
    let place = Place { instance_type: "c7".into(), vswitch: "vsw-h".into() };
    let fact = AccountEvent::SoldOut { at: now(), place: place.clone(), why: "none".into() };
    one.note(&account(), &[fact]).await.expect("noted");
    let hold = Hold {
        id: uuid::Uuid::from_u128(1),
        fleet: None,
        direction: Some(Direction::In),
        author: "ann".into(),
        reason: "the fair".into(),
        placed: now(),
        until: clock::after(now(), Duration::from_secs(3_600)),
    };
    let said = OperatorEvent::Held { at: now(), hold: hold.clone() };
    shared::say(&*store, &said).await.expect("said");
    for journal in [&one, &two] {
        journal.tend(&fleets).await.expect("tended");
        let fleet = one_of(journal, &fleets).await;
        let held = lease(journal, &fleet).await;
        let known = journal.known(&held, &account()).await.expect("known");
        assert!(known.account.cold.contains_key(&place));
        assert_eq!(known.holds, std::slice::from_ref(&hold));
    }
    clock_two.advance(Duration::from_secs(3_600));
    assert_eq!(two.holds(&web()).expect("read"), [], "it ends");
}

#[tokio::test]
async fn one_word_that_cannot_be_read_is_left_out_and_told() {
    let store = Arc::new(Memory::default());
    let (journal, _) = journal(store.clone(), "one");
    journal.holds(&web()).expect_err("nothing was read yet");
    journal.tend(&[web()]).await.expect("tended");
    let held = lease(&journal, &web()).await;
    journal.known(&held, &account()).await.expect("known");
    let record = NewRecord {
        scope: Scope::Operator,
        at: now(),
        kind: "hold",
        v: codec::VERSION,
        body: "{\"said\":\"something new\"}".to_owned(),
    };
    let write = Write { records: vec![record], ..Write::default() };
    store.commit(&"ann".into(), &[write], Durability::Durable, now()).await.expect("recorded");
    journal.append(&held, vec![ticked(now(), &[])], None).await.expect("it is written later");
    journal.tend(&[web()]).await.expect("the other records are read");
    journal.known(&held, &account()).await.expect("every fleet goes on");
    assert!(journal.holds(&web()).expect("read").is_empty());
    let told = journal.left_out().expect("it is told");
    assert!(told.contains("of operator cannot be read"), "{told}");
    let recorded = journal.reader().entries(&Look::default()).await.expect("read");
    assert!(recorded.iter().any(|entry| entry.kind == "tick"), "what was decided is written");
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let dump = include_str!("../../tests/journal/v1.sql");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("a file");
    sqlx::raw_sql(dump).execute(&mut connection).await.expect("the dump is loaded");
    sqlx::Connection::close(connection).await.expect("closed");

    let (journal, clock) = journal(sqlite(&dir).await, "one");
    // After everything that it tells of.
    clock.advance(Duration::from_secs(3_600));
    journal.tend(&[web()]).await.expect("tended");
    let history = history(&journal).await;
    let at = |text: &str| Some(text.parse::<Timestamp>().expect("a valid time"));
    assert_eq!(history.began, at("2026-01-02T12:00:15Z"));
    assert_eq!(
        (history.last_out, history.last_in),
        (at("2026-01-02T12:14:25Z"), at("2026-01-02T12:09:15Z"))
    );
    assert_eq!(history.instances.len(), 8);
    assert!(history.instances.values().filter(|tracked| tracked.served).count() >= 6);
    assert!(history.instances.values().all(|tracked| tracked.launched_by.is_some()));
    assert_eq!(history.signals[&"cpu".into()].window.newest_first().count(), 1);
    assert_eq!(history.last_desired, 8);
}

#[test]
fn a_snapshot_of_the_first_version_is_read() {
    let body = r#"{"began":"2026-01-02T12:00:00Z",
        "samples":{"cpu":[{"value":90.0,"measured_at":"2026-01-02T12:00:00Z","age":"3s"}]},
        "last_out":{"at":"2026-01-02T12:00:01Z"},"last_in":null,
        "instances":{"i-1":{"phase":"in_service","since":"2026-01-02T12:00:00Z","launched_by":null}},
        "open":{"00000000-0000-0000-0000-000000000001":{"at":"2026-01-02T12:00:02Z","action":{
            "intent":"00000000-0000-0000-0000-000000000001",
            "mutation":{"kind":"stop","ids":["i-1"]}}}},
        "cold":[],"last_desired":4,"unfinished":{"target":5,"since":"2026-01-02T12:00:00Z"}}"#;
    let history = codec::history(1, body).expect("read");
    assert_eq!(history.last_desired, 4);
    assert_eq!(history.standing.map(|standing| standing.target), Some(5));
    assert!(history.instances[&fixtures::id("i-1")].served);
    let open = history.open.values().next().expect("one");
    assert!(open.repeat && open.sent_at == open.intent.at);
    assert_eq!(history.signals[&"cpu".into()].window.newest_first().count(), 1);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_named_and_nothing_is_decided_without_it() {
    let store = Arc::new(Memory::default());
    let record = store::NewRecord {
        scope: store::Scope::Fleet(web()),
        at: now(),
        kind: "tick",
        v: codec::VERSION,
        body: "{\"event\":\"unheard of\"}".to_owned(),
    };
    let write = store::Write { records: vec![record], ..store::Write::default() };
    let me: ReplicaId = "somebody".into();
    store.commit(&me, &[write], store::Durability::Durable, now()).await.expect("written");
    let (journal, _) = journal(store, "one");
    journal.tend(&[web()]).await.expect("tended");
    let held = lease(&journal, &web()).await;
    let error = journal.known(&held, &account()).await.expect_err("it is not readable");
    assert!(error.to_string().contains("record 1 of fleet/web cannot be read"), "{error}");
}

#[tokio::test]
async fn a_decision_is_read_back_with_its_inputs_by_the_beginning_of_its_id() {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let (journal, _) = journal(store, "one");
    journal.tend(&[web()]).await.expect("tended");
    let inputs = fixtures::inputs(fixtures::fleet(1, 9), fixtures::running(3), History::default());
    let (decision, _) = crate::policy::decide(&inputs.situation(&inputs.census()), [].into());
    let plan = crate::plan::plan(&inputs, &decision);
    let id = DecisionId(inputs.entropy.uuid(0));
    let decided = crate::model::Decided { id, at: now(), decision, plan };
    let held = lease(&journal, &web()).await;
    let event = Event::Decided(Box::new(decided.clone()));
    journal.append(&held, vec![event], Some((id, &inputs))).await.expect("taken");
    journal.flush().await.expect("written");
    let reader = journal.reader();
    let recorded = reader.decision(&id.to_string()[..8]).await.expect("read").expect("found");
    assert_eq!(recorded.decided, decided);
    assert_eq!(recorded.inputs, Some(inputs));
    assert!(reader.decision("ffffffff").await.expect("read").is_none());

    // Another one that begins alike.
    let like = id.0.as_u128() ^ 1;
    let other = crate::model::Decided { id: DecisionId(uuid::Uuid::from_u128(like)), ..decided };
    let event = Event::Decided(Box::new(other));
    journal.append(&held, vec![event], None).await.expect("taken");
    journal.flush().await.expect("written");
    let error = reader.decision(&id.to_string()[..8]).await.expect_err("which one?").to_string();
    assert!(
        error.starts_with("2 decisions begin with") && error.contains(&id.to_string()),
        "{error}"
    );
    assert!(reader.decision(&id.to_string()).await.expect("read").is_some());
}
