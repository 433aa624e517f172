//! The suite over SQLite, and what is SQLite's own: files, versions, several processes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloud::clock;
use sqlx::ConnectOptions;
use sqlx::Row;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;
use crate::journal::store::conformance::agreement::agrees_with_memory;
use crate::journal::store::conformance::{
    LONG, Rig, account, append, conforms, fleet, replica, start, texts,
};

/// The version that these tests read; as large as the records' versions in them.
const KNOWN_V: i64 = 1;

/// A directory for a file, and the store in it.
struct InFile {
    dir: tempfile::TempDir,
    store: Arc<Sqlite>,
    now: Timestamp,
}

impl InFile {
    fn path(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }
}

#[async_trait]
impl Rig for InFile {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Arc::new(Sqlite::open(&self.path(), KNOWN_V).await.expect("open again"));
    }

    async fn pass(&mut self, time: Duration) {
        self.now = clock::after(self.now, time);
    }
}

async fn rig() -> InFile {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Sqlite::open(&dir.path().join("state.db"), KNOWN_V).await.expect("open");
    InFile { dir, store: Arc::new(store), now: start() }
}

conforms!(rig());
agrees_with_memory!(rig(), 40);

/// Changes or makes a database behind the store's back.
async fn run(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.expect("a database");
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("the change");
    connection.close().await.expect("closed");
}

async fn refusal(path: &Path) -> String {
    Sqlite::open(path, KNOWN_V).await.expect_err("refused").to_string()
}

/// Says something to the connection itself.
async fn tell(store: &Sqlite, sql: &'static str) {
    let mut opened = store.turn().await.expect("open");
    let Link::Ready(connection) = &mut opened.connection else { panic!("it works") };
    sqlx::query(sql).execute(connection).await.expect("done");
}

async fn record(store: &Sqlite, write: Write) -> Result<Vec<Written>, JournalError> {
    store.commit(&replica("a"), &[write], Durability::Durable, start()).await
}

fn operators(body: &str) -> Write {
    append(&[(&Scope::Operator, body)])
}

#[tokio::test]
async fn a_file_of_the_first_version_is_carried_over_with_all_its_records() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    run(&path, include_str!("../../../../tests/journal/v1.sql")).await;
    let mut old = SqliteConnectOptions::new().filename(&path).connect().await.expect("a database");
    let before = sqlx::query("SELECT * FROM records ORDER BY seq").fetch_all(&mut old).await;
    let before = before.expect("records");
    old.close().await.expect("closed");

    let error = Sqlite::open_read_only(&path, KNOWN_V).await.expect_err("refused").to_string();
    assert!(error.contains("version 1") && error.contains("start the daemon"), "{error}");

    for opening in ["the first time", "again"] {
        let store = Sqlite::open(&path, KNOWN_V).await.expect("carried over");
        let records = store.find(&Query::default()).await.expect("read");
        assert_eq!(records.len(), before.len(), "{opening}");
        assert!(records.len() > 50, "the dump has {} records", records.len());
        for (record, row) in records.iter().zip(&before) {
            assert_eq!(record.seq, row.get::<i64, _>("seq"));
            assert_eq!(record.scope, fleet(row.get("fleet")));
            assert_eq!(record.at.timestamp_millis(), row.get::<i64, _>("at"));
            assert_eq!(record.v, row.get::<i64, _>("v"));
            assert_eq!(record.body, row.get::<String, _>("body"));
            let body: serde_json::Value = serde_json::from_str(&record.body).expect("JSON");
            let kind = match body["event"].as_str().expect("an event") {
                "ticked" => "tick",
                "intended" => "intent",
                "settled" => "settlement",
                other => panic!("{other}"),
            };
            assert_eq!(record.kind, kind);
        }
        assert!(!store.scopes().await.expect("read").is_empty());
        store.close().await;
    }
    let store = Sqlite::open(&path, KNOWN_V).await.expect("open");
    let last = before.last().expect("a record").get::<i64, _>("seq");
    let written = record(&store, operators("new")).await.expect("recorded");
    assert_eq!(written, [Written::Done(vec![last + 1])]);
}

#[tokio::test]
async fn a_snapshot_of_the_first_version_is_that_of_its_fleet_and_damage_is_told_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    run(&path, include_str!("../migrations/sqlite/0001_first_version.sql")).await;
    run(
        &path,
        "INSERT INTO snapshots VALUES ('web', 1, 1, '{}');
         INSERT INTO records (fleet, at, v, body) VALUES ('web', 0, 1, '{\"event\":\"ticked\"}');
         INSERT INTO records (fleet, at, v, body) VALUES ('web', 0, 1, '{\"event\":');
         INSERT INTO records (fleet, at, v, body) VALUES ('web', 0, 1, '[]')",
    )
    .await;
    let store = Sqlite::open(&path, KNOWN_V).await.expect("carried over");
    let (snapshot, rest) = store.load(&fleet("web")).await.expect("loaded");
    assert_eq!(snapshot, Some(Snapshot { seq: 1, v: 1, body: "{}".to_owned() }));
    let kinds: Vec<&str> = rest.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["unknown", "unknown"]);
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_who_holds_it() {
    let rig = rig().await;
    let error = refusal(&rig.path()).await;
    assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    assert!(error.contains("used by another fleetscaler"), "{error}");
    assert!(error.contains("stop the other one (only for other fleets"), "{error}");
    rig.store.close().await;
    Sqlite::open(&rig.path(), KNOWN_V).await.expect("the first has left");
}

#[tokio::test]
async fn only_its_owner_reads_the_file() {
    let rig = rig().await;
    record(&rig.store, operators("hold")).await.expect("recorded");
    for name in ["state.db", "state.db-wal"] {
        let mode = std::fs::metadata(rig.dir.path().join(name)).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_directory_and_a_lock_that_the_daemon_makes_are_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("made/state.db");
    std::fs::create_dir(dir.path().join("old")).expect("made");
    let old = dir.path().join("old/state.db.lock");
    std::fs::write(&old, "").expect("written");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o666)).expect("a mode");
    let mode =
        |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let store = Sqlite::open(&path, 1).await.expect("opened");
    assert_eq!(mode(&dir.path().join("made")), 0o700);
    assert_eq!(mode(&dir.path().join("made/state.db.lock")), 0o600);
    store.close().await;
    let store = Sqlite::open(&dir.path().join("old/state.db"), 1).await.expect("opened");
    assert_eq!(mode(&old), 0o600, "nobody else can lock it any more");
    store.close().await;
}

#[tokio::test]
async fn no_link_is_followed_and_nothing_is_written_through_one() {
    for name in ["state.db", "state.db.lock", "state.db-wal", "state.db-shm"] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state.db");
        let target = dir.path().join("precious");
        std::fs::write(&target, "precious").expect("written");
        std::os::unix::fs::symlink(&target, dir.path().join(name)).expect("linked");
        let wanted = format!("{name} is not safe to use: it is a symbolic link");
        for refused in [
            Sqlite::open(&path, 1).await.map(drop),
            Sqlite::open_for_operator(&path, 1).await.map(drop),
            Sqlite::open_read_only(&path, 1).await.map(drop),
        ] {
            let error = refused.expect_err(name).to_string();
            assert!(error.contains(&wanted), "{name}: {error}");
        }
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "precious", "{name}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let other = dir.path().join("other");
    std::fs::write(&other, "other").expect("written");
    std::fs::hard_link(&other, dir.path().join("state.db.lock")).expect("linked");
    assert!(refusal(&path).await.contains("second name"));
    assert_eq!(std::fs::read_to_string(&other).expect("read"), "other");
}

#[tokio::test]
async fn a_directory_in_which_everybody_writes_is_refused_unless_it_is_sticky() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.db");
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(dir.path(), mode(0o777)).expect("a mode");
    assert!(refusal(&path).await.contains("chmod o-w"));
    assert!(!path.exists());
    std::fs::set_permissions(dir.path(), mode(0o1777)).expect("a mode");
    Sqlite::open(&path, 1).await.expect("opened").close().await;
}

#[tokio::test]
async fn what_is_not_a_journal_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("state.db");
    let text = "this is not a database, not at all, not a bit";
    std::fs::write(&file, text).expect("written");
    assert!(refusal(&file).await.contains("damaged or not a journal"));
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), text, "it is left as it was");

    let other = dir.path().join("other.db");
    let options = SqliteConnectOptions::new().filename(&other).create_if_missing(true);
    let mut shell = options.connect().await.expect("a shell");
    sqlx::query("CREATE TABLE accounts (a)").execute(&mut shell).await.expect("made");
    shell.close().await.expect("closed");
    assert!(refusal(&other).await.contains("`accounts` in it"));

    let missing = dir.path().join("no/such/dir/state.db");
    assert!(refusal(&missing).await.contains("cannot be used"));
    assert!(refusal(dir.path()).await.contains("it is a directory"));
    let below_a_file = dir.path().join("state.db/x/state.db");
    assert!(refusal(&below_a_file).await.contains("cannot be used"));

    for opened in [
        Sqlite::open_read_only(&dir.path().join("missing.db"), KNOWN_V).await,
        Sqlite::open_for_operator(&dir.path().join("missing.db"), KNOWN_V).await,
    ] {
        let error = opened.expect_err("refused").to_string();
        assert!(error.contains("the daemon has not run yet with this state"), "{error}");
    }
}

#[tokio::test]
async fn a_file_with_a_broken_page_is_refused() {
    let rig = rig().await;
    for n in 0..200 {
        record(&rig.store, operators(&format!("{n} {}", "x".repeat(500)))).await.expect("recorded");
    }
    rig.store.close().await;
    let mut bytes = std::fs::read(rig.path()).expect("a file");
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 4096].fill(0xaa);
    std::fs::write(rig.path(), bytes).expect("written");
    let error = refusal(&rig.path()).await;
    assert!(error.contains("damaged or not a journal"), "{error}");
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused_with_the_version_that_reads_it() {
    for (sql, what) in [
        ("UPDATE records SET v = 2", "records have version 2"),
        (
            "INSERT INTO _sqlx_migrations SELECT 99, description, installed_on, success, checksum,
             execution_time FROM _sqlx_migrations WHERE version = 3",
            "tables have version 99",
        ),
    ] {
        let rig = rig().await;
        record(&rig.store, operators("hold")).await.expect("recorded");
        rig.store.close().await;
        let sql = format!("{sql}; UPDATE meta SET value = '9.9.9' WHERE key = 'writer'");
        run(&rig.path(), &sql).await;
        for error in [
            Sqlite::open(&rig.path(), KNOWN_V).await,
            Sqlite::open_read_only(&rig.path(), KNOWN_V).await,
            Sqlite::open_for_operator(&rig.path(), KNOWN_V).await,
        ] {
            let error = error.expect_err("refused").to_string();
            assert!(error.contains("fleetscaler 9.9.9") && error.contains(what), "{error}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_what_did_not_fit_is_not_there() {
    let rig = rig().await;
    // The file may grow to this only, as on a full disk.
    tell(&rig.store, "PRAGMA max_page_count = 30").await;
    let body = "x".repeat(1000);
    let mut recorded = 0;
    let error = loop {
        let two = append(&[(&Scope::Operator, body.as_str()), (&fleet("web"), body.as_str())]);
        match record(&rig.store, two).await {
            Ok(_) => recorded += 1,
            Err(error) => break error,
        }
        assert!(recorded < 1_000, "the limit has no effect");
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    let found = rig.store.find(&Query::default()).await.expect("still readable");
    assert_eq!(found.len(), recorded * 2);
    // A connection opened anew has no limit, as a disk on which somebody made room.
    record(&rig.store, operators("hold")).await.expect("there is room again");
}

#[tokio::test]
async fn a_failed_transaction_does_not_stay_in_the_way_of_the_next_one() {
    let rig = rig().await;
    // What a full disk does in the middle of a transaction.
    tell(&rig.store, "CREATE TEMP TRIGGER full BEFORE INSERT ON main.records BEGIN SELECT RAISE(ROLLBACK, 'full'); END").await;
    let error = record(&rig.store, operators("hold")).await.expect_err("rolled back");
    assert!(error.to_string().contains("full"), "{error}");
    record(&rig.store, operators("hold")).await.expect("it begins anew");
    assert_eq!(rig.store.find(&Query::default()).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_file_that_was_moved_away_or_replaced_is_noticed_and_may_come_back() {
    let rig = rig().await;
    record(&rig.store, operators("one")).await.expect("recorded");
    let aside = rig.path().with_extension("aside");
    std::fs::rename(rig.path(), &aside).expect("moved");
    for put_there in [None, Some("something else")] {
        if let Some(text) = put_there {
            std::fs::write(rig.path(), text).expect("written");
        }
        let error = record(&rig.store, operators("lost")).await.expect_err("moved").to_string();
        assert!(error.contains("is not the file that this daemon opened"), "{error}");
    }
    std::fs::rename(&aside, rig.path()).expect("moved back");
    record(&rig.store, operators("two")).await.expect("it is back");
    assert_eq!(texts(rig.store.find(&Query::default()).await.expect("read")), ["one", "two"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_or_is_locked_is_named() {
    let rig = rig().await;
    let path = rig.path();
    // Waiting as long as in earnest would only take time.
    tell(&rig.store, "PRAGMA busy_timeout = 50").await;
    let mut shell = SqliteConnectOptions::new().filename(&path).connect().await.expect("a shell");
    let open = shell.begin_with("BEGIN IMMEDIATE").await.expect("a transaction");
    let error = record(&rig.store, operators("hold")).await.expect_err("locked");
    assert!(error.to_string().contains("locked by another program"), "{error}");
    open.rollback().await.expect("ended");
    record(&rig.store, operators("hold")).await.expect("free again");

    tell(&rig.store, "PRAGMA query_only = ON").await;
    let error = record(&rig.store, operators("hold")).await.expect_err("read only");
    assert!(error.to_string().contains("can be read only"), "{error}");
}

#[tokio::test]
async fn a_command_looks_while_the_daemon_works_and_changes_nothing() {
    let rig = rig().await;
    record(&rig.store, append(&[(&fleet("web"), "one")])).await.expect("recorded");
    let look = Sqlite::open_read_only(&rig.path(), KNOWN_V).await.expect("open");
    assert_eq!(texts(look.since(&fleet("web"), 0).await.expect("read")), ["one"]);
    record(&rig.store, append(&[(&fleet("web"), "two")])).await.expect("recorded");
    assert_eq!(texts(look.load(&fleet("web")).await.expect("read").1), ["one", "two"]);
    assert_eq!(look.held(&replica("a"), start()).await.expect("read"), []);

    let (me, now, wanted) = (replica("a"), start(), [fleet("web")]);
    let snapshot = Snapshot { seq: 1, v: 1, body: String::new() };
    let keep = Retention { ticks_from: now, all_from: now, bytes: 0 };
    for answer in [
        look.heartbeat(&me, LONG, now).await.map(drop),
        look.claim(&me, &wanted, 1, LONG, now).await.map(drop),
        look.release(&me, &wanted, now).await,
        look.depart(&me, now).await,
        record(&look, operators("hold")).await.map(drop),
        look.save_snapshot(&wanted[0], &snapshot).await,
        look.prune(keep).await,
    ] {
        let error = answer.expect_err("refused").to_string();
        assert!(error.contains("was opened to look at it"), "{error}");
    }

    // The daemon has gone, and nobody else has the file.
    rig.store.close().await;
    look.close().await;
    let look = Sqlite::open_read_only(&rig.path(), KNOWN_V).await.expect("open");
    assert_eq!(texts(look.since(&fleet("web"), 0).await.expect("read")), ["one", "two"]);
}

#[tokio::test]
async fn an_operators_word_is_added_beside_the_daemon_and_nothing_else() {
    let rig = rig().await;
    let operator = Sqlite::open_for_operator(&rig.path(), KNOWN_V).await.expect("open");
    let scope = Scope::Operator;
    let held = Some(Held { scope: scope.clone(), fence: 1 });
    let inputs = Some((Uuid::nil(), Vec::new()));
    for write in [
        append(&[(&fleet("web"), "no")]),
        append(&[(&scope, "no"), (&account("acme"), "no")]),
        Write { lease: held, ..operators("no") },
        Write { inputs, ..operators("no") },
    ] {
        let error = record(&operator, write).await.expect_err("refused").to_string();
        assert!(error.contains("only what an operator says"), "{error}");
    }
    let prune = Retention { ticks_from: start(), all_from: start(), bytes: 0 };
    assert!(matches!(operator.prune(prune).await, Err(JournalError::OperatorOnly { .. })));

    // Both write as fast as they can; neither loses anything.
    let daemon = async {
        for n in 0..50 {
            record(&rig.store, append(&[(&fleet("web"), &n.to_string())])).await.expect("recorded");
        }
    };
    let command = async {
        for n in 0..50 {
            record(&operator, operators(&n.to_string())).await.expect("recorded");
        }
    };
    tokio::join!(daemon, command);
    operator.close().await;
    let in_order: Vec<String> = (0..50).map(|n: u32| n.to_string()).collect();
    for scope in [fleet("web"), Scope::Operator] {
        assert_eq!(texts(rig.store.since(&scope, 0).await.expect("read")), in_order);
    }
}
