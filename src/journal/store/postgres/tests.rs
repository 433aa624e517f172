//! The suite over a real PostgreSQL, and what is a server's own: it goes away and comes back.

#[path = "../../../../tests/peers/postgres.rs"]
mod server;

use std::sync::Arc;

use cloud::{Clock, Secret, SystemClock};
use server::Server;

use super::*;
use crate::journal::store::conformance::agreement::agrees_with_memory;
use crate::journal::store::conformance::{
    LONG, Rig, account, append, claim, conforms, fleet, lives, replica, texts, under,
};

const KNOWN_V: i64 = 1;

/// A database of its own on the shared server.
struct InDatabase {
    url: String,
    store: Arc<Postgres>,
    _server: Arc<Server>,
}

#[async_trait]
impl Rig for InDatabase {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        // The store has its own; a wrong one here must not matter.
        "2001-01-01T00:00:00Z".parse().expect("a valid time")
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Arc::new(open(&self.url).await.expect("open again"));
    }

    async fn pass(&mut self, time: Duration) {
        SystemClock.sleep(time).await;
    }
}

fn options(url: &str) -> PostgresOptions {
    PostgresOptions { url: url.to_owned(), password: None }
}

async fn open(url: &str) -> Result<Postgres, JournalError> {
    Postgres::connect(&options(url), KNOWN_V).await
}

async fn rig() -> InDatabase {
    let server = Server::shared();
    let url = server.url();
    let store = open(&url).await.expect("open");
    InDatabase { url, store: Arc::new(store), _server: server }
}

conforms!(rig());
agrees_with_memory!(rig(), 8);

/// Changes the database behind the store's back.
async fn run(store: &Postgres, sql: &'static str) {
    let mut connection = store.pool.acquire().await.expect("a connection");
    sqlx::raw_sql(sql).execute(&mut *connection).await.expect("the change");
}

async fn record(store: &Postgres, body: &str) -> Result<Vec<Written>, JournalError> {
    let write = append(&[(&fleet("web"), body)]);
    let now = SystemClock.now();
    store.commit(&replica("a"), &[write], Durability::Durable, now).await
}

/// Runs `work`, which must end within the bound and a little.
async fn within_bound<T>(work: impl Future<Output = T>) -> T {
    let began = SystemClock.now();
    let result = work.await;
    let took = cloud::clock::age(SystemClock.now(), began);
    assert!(took < BOUND + Duration::from_secs(1), "it took {took:?}");
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_fails_every_method_in_time_and_is_used_again_when_it_is_back() {
    let server = Server::start();
    let store = open(&server.url()).await.expect("open");
    record(&store, "before").await.expect("recorded");
    // Connections that are idle now are dead later.
    let (one, other) = tokio::join!(record(&store, "at once"), record(&store, "at once"));
    one.and(other).expect("recorded");
    server.stop();
    let (me, now, wanted) = (replica("a"), SystemClock.now(), [fleet("web")]);
    let answers = within_bound(async {
        tokio::join!(
            store.heartbeat(&me, LONG, now),
            store.held(&me, now),
            store.claim(&me, &wanted, 1, LONG, now),
            record(&store, "lost"),
            store.load(&wanted[0]),
        )
    })
    .await;
    for error in [
        answers.0.expect_err("away"),
        answers.1.expect_err("away"),
        answers.2.expect_err("away"),
        answers.3.expect_err("away"),
        answers.4.expect_err("away"),
    ] {
        assert!(matches!(error, JournalError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("nothing is changed in the cloud"), "{error}");
    }
    server.resume();
    record(&store, "after").await.expect("it is back");
    let records = texts(store.since(&wanted[0], 0).await.expect("read"));
    assert_eq!(records, ["before", "at once", "at once", "after"]);

    server.restart();
    record(&store, "restarted").await.expect("dead connections are no obstacle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_over_a_server_that_is_down_is_usable_once_it_is_up() {
    let server = Server::start();
    let url = server.url();
    server.stop();
    let store = Postgres::new(&options(&url), StoreAccess::Everything, KNOWN_V)
        .expect("nothing is asked yet");
    let error = within_bound(record(&store, "lost")).await.expect_err("down");
    assert!(matches!(error, JournalError::Unreachable { .. }), "{error}");
    server.resume();
    record(&store, "one").await.expect("up");
    assert_eq!(texts(store.find(&Query::default()).await.expect("read")), ["one"]);
}

/// Passes bytes between the store and the server until it is told to swallow them.
struct Wire {
    url: String,
    cut: tokio::sync::watch::Sender<u32>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Wire {
    async fn to(url: &str) -> Wire {
        let (place, database) = url.rsplit_once('/').expect("an address");
        let target = place.rsplit_once('@').expect("a user").1.to_owned();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (cut, cuts) = tokio::sync::watch::channel(0);
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut cuts) = (target.clone(), cuts.clone());
                tokio::spawn(async move {
                    let Ok(mut far) = tokio::net::TcpStream::connect(&target).await else { return };
                    cuts.borrow_and_update();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        // Both ends stay open, and nothing comes through any more.
                        _ = cuts.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Wire { url: format!("postgres://postgres@{address}/{database}"), cut, accepting }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_a_cut_network_swallows_are_given_up_and_new_ones_are_made() {
    let server = Server::shared();
    let url = server.url();
    let wire = Wire::to(&url).await;
    let store = open(&wire.url).await.expect("open");
    record(&store, "before").await.expect("recorded");
    // Every connection of the pool is in the middle of something when the network goes.
    let aside = Aside::at(&url).await;
    let holding = aside.holding("fleet/web").await;
    let cut = async {
        aside.until_so_many_wait(CONNECTIONS).await;
        wire.cut.send_modify(|cuts| *cuts += 1);
    };
    let swallowed = || record(&store, "swallowed");
    let (one, two, three, four, ()) = within_bound(async {
        tokio::join!(swallowed(), swallowed(), swallowed(), swallowed(), cut)
    })
    .await;
    for answer in [one, two, three, four] {
        let error = answer.expect_err("swallowed");
        assert!(matches!(error, JournalError::Unreachable { .. }), "{error}");
    }
    drop(holding);
    within_bound(record(&store, "after")).await.expect("new connections");
    let records = texts(store.find(&Query::default()).await.expect("read"));
    assert_eq!(
        (records[0].as_str(), records.last().map(String::as_str)),
        ("before", Some("after"))
    );
}

/// Somebody else in the same database.
struct Aside(PgPool);

impl Aside {
    async fn at(url: &str) -> Aside {
        Aside(
            PgPool::connect(&format!("{url}?options[search_path]=fleetscaler")).await.expect("in"),
        )
    }

    /// Holds the lock of that name for as long as what it returns lives.
    async fn holding(&self, name: &str) -> sqlx::Transaction<'static, Driver> {
        let mut transaction = self.0.begin().await.expect("a transaction");
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('fleetscaler ' || $1, 0))")
            .bind(name)
            .execute(&mut *transaction)
            .await
            .expect("a lock");
        transaction
    }

    /// Returns once so many wait for such locks in this database.
    async fn until_so_many_wait(&self, so_many: u32) {
        let waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database
                       WHERE datname = current_database() AND locktype = 'advisory'
                       AND NOT granted";
        loop {
            let waiting = sqlx::query_scalar(waiting).fetch_one(&self.0).await;
            let waiting: i64 = waiting.expect("a count");
            if waiting >= i64::from(so_many) {
                return;
            }
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_over_while_the_dead_holders_commit_is_under_way() {
    let rig = rig().await;
    lives(&rig, "a", LONG).await;
    lives(&rig, "b", LONG).await;
    let web = [fleet("web")];
    let held = claim(&rig, "a", &web).await.remove(0);
    let aside = Aside::at(&rig.url).await;
    let holding = aside.holding("account/acme").await;
    let mut write = under(&held, "the last word");
    write.records.extend(append(&[(&account("acme"), "too")]).records);
    let commit = tokio::spawn({
        let store = rig.store();
        let now = rig.now();
        async move { store.commit(&replica("a"), &[write], Durability::Durable, now).await }
    });
    aside.until_so_many_wait(1).await;
    lives(&rig, "a", Duration::ZERO).await;
    assert_eq!(claim(&rig, "b", &web).await, [], "a's commit is under way");
    holding.rollback().await.expect("ended");
    let written = commit.await.expect("no panic").expect("committed");
    assert!(matches!(written[..], [Written::Done(_)]), "{written:?}");
    assert_eq!(claim(&rig, "b", &web).await.len(), 1, "after it");
    assert_eq!(texts(rig.store().since(&web[0], 0).await.expect("read")), ["the last word"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stalls_in_a_commit_holds_up_the_others_for_a_while_only() {
    let server = Server::shared();
    let url = server.url();
    let (stalled, store) = (open(&url).await.expect("open"), open(&url).await.expect("open"));
    // Its own connection, so that the server's patience with it is what is tested.
    let mut connection = stalled.borrow().await.expect("a connection");
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('fleetscaler fleet/web', 0))";
    sqlx::raw_sql(lock).execute(&mut *connection).await.expect("a lock");
    let error = within_bound(record(&store, "waits")).await.expect_err("locked");
    assert!(error.to_string().contains("lock timeout"), "{error}");
    within_bound(record(&store, "then passes")).await.expect("the server ended the other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_wrote_is_refused_with_the_version_that_reads_it() {
    let server = Server::shared();
    for (sql, what) in [
        (
            "UPDATE records SET v = 2; UPDATE meta SET value = '9.9.9' WHERE key = 'writer'",
            "records have version 2",
        ),
        (
            "INSERT INTO _sqlx_migrations SELECT 99, description, installed_on, success, checksum,
             execution_time FROM _sqlx_migrations WHERE version = 1;
             UPDATE meta SET value = '9.9.9' WHERE key = 'writer'",
            "tables have version 99",
        ),
    ] {
        let url = server.url();
        let store = open(&url).await.expect("open");
        record(&store, "one").await.expect("recorded");
        run(&store, sql).await;
        let error = open(&url).await.expect_err("refused").to_string();
        assert!(error.contains("fleetscaler 9.9.9") && error.contains(what), "{error}");
        assert!(error.starts_with("the database test_"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_makes_no_tables_and_records_only_what_an_operator_says() {
    let server = Server::shared();
    let url = server.url();
    let as_command = |access| Postgres::new(&options(&url), access, KNOWN_V).expect("a handle");
    let (look, operator) = (as_command(StoreAccess::Look), as_command(StoreAccess::OperatorsWord));
    for command in [&look, &operator] {
        let error = command.find(&Query::default()).await.expect_err("nothing is there yet");
        assert!(error.to_string().contains("start the daemon once"), "{error}");
    }
    let daemon = open(&url).await.expect("open: neither of the two made a schema");
    record(&daemon, "one").await.expect("recorded");
    for command in [&look, &operator] {
        assert_eq!(texts(command.find(&Query::default()).await.expect("read")), ["one"]);
        let error = record(command, "two").await.expect_err("not for commands").to_string();
        assert!(error.starts_with("the database test_"), "{error}");
        let snapshot = Snapshot { seq: 1, v: 1, body: String::new() };
        command.save_snapshot(&fleet("web"), &snapshot).await.expect_err("not for commands");
    }
    let hold = [append(&[(&Scope::Operator, "hold")])];
    let at = SystemClock.now();
    look.commit(&replica("a"), &hold, Durability::Durable, at).await.expect_err("looks only");
    operator.commit(&replica("a"), &hold, Durability::Durable, at).await.expect("recorded");
    assert_eq!(texts(daemon.find(&Query::default()).await.expect("read")), ["one", "hold"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_make_the_tables_once() {
    let server = Server::shared();
    let url = server.url();
    let handles = [(); 3].map(|()| {
        Postgres::new(&options(&url), StoreAccess::Everything, KNOWN_V).expect("a handle")
    });
    let [a, b, c] = &handles;
    let (one, two, three) = tokio::join!(record(a, "1"), record(b, "2"), record(c, "3"));
    one.and(two).and(three).expect("recorded");
    assert_eq!(a.find(&Query::default()).await.expect("read").len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_with_handles_of_their_own_share_out_scopes_and_do_not_deadlock() {
    const ROUNDS: u64 = 12;
    let rig = rig().await;
    let wanted: Vec<Scope> = (0..30).map(|n| fleet(&format!("fleet-{n}"))).collect();
    let replicas: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|name| {
            let (url, wanted) = (rig.url.clone(), wanted.clone());
            tokio::spawn(async move {
                let (store, me, now) = (open(&url).await.expect("open"), replica(name), rig_now());
                let mut recorded = 0;
                for round in 0..ROUNDS {
                    store.heartbeat(&me, LONG, now).await.expect("a heartbeat");
                    let held = store.claim(&me, &wanted, 7, Duration::ZERO, now).await;
                    let held = held.expect("a claim");
                    let writes: Vec<Write> = held.iter().map(|held| under(held, name)).collect();
                    let commit = store.commit(&me, &writes, Durability::Lazy, now).await;
                    let written = commit.expect("committed");
                    assert!(written.iter().all(|written| matches!(written, Written::Done(_))));
                    recorded += written.len();
                    let scopes: Vec<Scope> = held.into_iter().map(|held| held.scope).collect();
                    match round % 3 {
                        0 => store.depart(&me, now).await.expect("departed"),
                        _ => store.release(&me, &scopes, now).await.expect("released"),
                    }
                }
                recorded
            })
        })
        .collect();
    let mut recorded = 0;
    for replica in replicas {
        recorded += replica.await.expect("no panic");
    }
    assert!(recorded > 0);
    assert_eq!(rig.store.find(&Query::default()).await.expect("read").len(), recorded);
    lives(&rig, "d", LONG).await;
    let all = claim(&rig, "d", &wanted).await;
    let fences: i64 = all.iter().map(|held| held.fence - 1).sum();
    assert_eq!(usize::try_from(fences).expect("a count"), recorded, "one record a holding");
}

fn rig_now() -> Timestamp {
    SystemClock.now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_password_nor_address_is_shown_when_the_database_refuses() {
    let server = Server::shared();
    let url = server.url();
    let without = url.replace("/test_", "/no_such_");
    let options = |url: &str| PostgresOptions {
        url: url.to_owned(),
        password: Some(Secret::new("hidden-word".to_owned())),
    };
    let error = Postgres::connect(&options(&without), KNOWN_V).await.expect_err("refused");
    assert!(matches!(error, JournalError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("does not exist"), "{error}");
    let store = Postgres::connect(&options(&url), KNOWN_V).await.expect("open");
    for shown in [format!("{error:?} {error}"), format!("{store:?} {store:#?}")] {
        assert!(!shown.contains("hidden") && !shown.contains("postgres://"), "{shown}");
    }
}
