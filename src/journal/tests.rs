//! The suite that every store passes, and what is SQLite's own.

use std::sync::Arc;
use std::time::Duration;

use cloud::{ManualClock, Mutation, Timestamp};

use super::*;
use crate::model::{Action, Entropy, Phase, Plan, Ticked};

fn now() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a valid time")
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(now()))
}

fn sqlite(dir: &tempfile::TempDir) -> StateUrl {
    StateUrl::Sqlite { path: dir.path().join("state.db") }
}

fn web() -> FleetId {
    "web".into()
}

fn ticked(phases: &[(&str, Phase)]) -> Event {
    let decision = crate::model::Decision {
        current: 2,
        recommended: 2,
        desired: 2,
        reasons: Vec::new(),
        blocked_by: None,
        counterfactuals: Vec::new(),
    };
    Event::Ticked(Box::new(Ticked {
        at: now(),
        entropy: Entropy(uuid::Uuid::nil()),
        signals: [].into(),
        phases: phases.iter().map(|(id, phase)| ((*id).into(), *phase)).collect(),
        decision,
        plan: Plan::default(),
    }))
}

fn intent(n: u128) -> Intent {
    let id = IntentId(uuid::Uuid::from_u128(n));
    let mutation = Mutation::Stop { ids: vec!["i-1".into()] };
    Intent { at: now(), action: Action { intent: id, mutation } }
}

/// What every store must do. `reopen` gives a journal over the same records.
async fn keeps_the_contract(journal: Journal) -> Journal {
    assert_eq!(journal.history(&web()).await.expect("empty"), History::default());
    journal.append(&web(), vec![ticked(&[("i-1", Phase::InService)])]).await.expect("appended");
    journal.intend(&web(), intent(1)).await.expect("recorded");
    journal.append(&"other".into(), vec![ticked(&[])]).await.expect("appended");
    let history = journal.history(&web()).await.expect("known");
    assert_eq!(history.open.len(), 1);
    assert_eq!(history.instances.len(), 1);
    for n in 2..=SNAPSHOT_EVERY as u128 * 2 {
        journal.intend(&web(), intent(n)).await.expect("recorded");
        let settlement = Settlement::Done { done: Vec::new(), failed: [].into() };
        journal.settle(&web(), now(), intent(n).action.intent, settlement).await.expect("settled");
    }
    let history = journal.history(&web()).await.expect("known");
    assert_eq!(history.open.len(), 1, "the first intent is still open");
    journal
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let journal = Journal::open(&StateUrl::Memory, clock()).await.expect("open");
    keeps_the_contract(journal).await;
}

#[tokio::test]
async fn sqlite_keeps_the_contract_and_a_restart_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::open(&sqlite(&dir), clock()).await.expect("open");
    let journal = keeps_the_contract(journal).await;
    let before = journal.history(&web()).await.expect("known");
    journal.close().await;
    drop(journal);
    let journal = Journal::open(&sqlite(&dir), clock()).await.expect("open again");
    assert_eq!(journal.history(&web()).await.expect("known"), before);
}

#[tokio::test]
async fn the_fold_of_all_records_is_the_snapshot_and_the_rest() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::open(&sqlite(&dir), clock()).await.expect("open");
    let journal = keeps_the_contract(journal).await;
    let with_snapshot = journal.history(&web()).await.expect("known");
    let store = journal.store.clone();
    let (snapshot, rest) = store.load(&web()).await.expect("loaded");
    assert!(snapshot.is_some() && (rest.len() as u64) < SNAPSHOT_EVERY);
    // A snapshot that cannot be read is no loss.
    let path = dir.path().join("state.db");
    journal.close().await;
    drop((journal, store));
    damage(&path, "UPDATE snapshots SET body = '{'").await;
    let journal = Journal::open(&sqlite(&dir), clock()).await.expect("open again");
    assert_eq!(journal.history(&web()).await.expect("known"), with_snapshot);
}

#[tokio::test]
async fn pruning_keeps_what_the_snapshot_does_not_cover() {
    let dir = tempfile::tempdir().expect("a directory");
    let manual = ManualClock::at(now());
    let journal = Journal::open(&sqlite(&dir), Arc::new(manual.clone())).await.expect("open");
    let journal = keeps_the_contract(journal).await;
    let before = journal.history(&web()).await.expect("known");
    manual.advance(KEPT + Duration::from_secs(60));
    journal.prune().await.expect("pruned");
    journal.close().await;
    drop(journal);
    let journal = Journal::open(&sqlite(&dir), clock()).await.expect("open again");
    assert_eq!(journal.history(&web()).await.expect("known"), before);
    assert!(count(&journal, "other").await > 0, "a fleet without a snapshot keeps its records");
}

async fn count(journal: &Journal, fleet: &str) -> usize {
    journal.store.load(&fleet.into()).await.expect("loaded").1.len()
}

/// Changes a closed database behind the journal's back.
async fn damage(path: &std::path::Path, sql: &'static str) {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.expect("a database");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("the change");
    sqlx::Connection::close(connection).await.expect("closed");
}

async fn refusal(url: &StateUrl) -> String {
    Journal::open(url, clock()).await.expect_err("refused").to_string()
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_who_holds_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let _first = Journal::open(&sqlite(&dir), clock()).await.expect("open");
    let error = refusal(&sqlite(&dir)).await;
    assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    assert!(error.contains("used by another fleetscaler"), "{error}");
}

#[tokio::test]
async fn what_is_not_a_journal_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("state.db"), "this is not a database, not at all, not a bit")
        .expect("written");
    assert!(refusal(&sqlite(&dir)).await.contains("damaged or not a journal"));

    let missing = StateUrl::Sqlite { path: dir.path().join("no/such/dir/state.db") };
    assert!(refusal(&missing).await.contains("cannot be used"));

    let directory = StateUrl::Sqlite { path: dir.path().to_owned() };
    assert!(refusal(&directory).await.contains("cannot be read or written"));

    let below_a_file = StateUrl::Sqlite { path: dir.path().join("state.db/x/state.db") };
    assert!(refusal(&below_a_file).await.contains("cannot be used"));
}

#[tokio::test]
async fn records_of_a_newer_version_are_refused_with_the_version_that_reads_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::open(&sqlite(&dir), clock()).await.expect("open");
    journal.append(&web(), vec![ticked(&[])]).await.expect("appended");
    journal.close().await;
    drop(journal);
    let path = dir.path().join("state.db");
    damage(&path, "UPDATE records SET v = 2; UPDATE meta SET value = '9.9.9' WHERE key = 'writer'")
        .await;
    let error = refusal(&sqlite(&dir)).await;
    assert!(error.contains("fleetscaler 9.9.9") && error.contains("version 2"), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_named_and_the_intent_does_not_count() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = sqlite::Sqlite::open(&dir.path().join("state.db")).await.expect("open");
    store.limit_pages(12).await;
    let journal = Journal::over(Arc::new(store), clock());
    let mut recorded = 0;
    let error = loop {
        match journal.intend(&web(), intent(recorded)).await {
            Ok(()) => recorded += 1,
            Err(error) => break error,
        }
        assert!(recorded < 10_000, "the limit has no effect");
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    let open = journal.history(&web()).await.expect("known").open.len();
    assert_eq!(open as u128, recorded);
}

#[tokio::test]
async fn a_closed_journal_takes_no_more_intents() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::open(&sqlite(&dir), clock()).await.expect("open");
    journal.close().await;
    assert!(matches!(journal.intend(&web(), intent(1)).await, Err(JournalError::Closed)));
}
