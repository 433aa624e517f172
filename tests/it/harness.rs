//! A world to test in: emulator, metrics endpoint and daemon on one manual clock.
//!
//! HTTP takes real time, everything else takes the clock's: where the code under test sleeps, the
//! clock is moved forward for it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aliyun::credentials::KeyPair;
use cloud::{Clock, ManualClock, SystemClock};
use ecs_emulator::{Emulator, InstanceView, World as Cloud};
use fleetscaler::config::{self, Env, StateUrl};
use fleetscaler::control::{self, Finding, Mode, TickError, TickReport, World};
use fleetscaler::demo::prometheus::{self, Endpoint, Metrics};
use fleetscaler::journal::{Look, Said};
use fleetscaler::model::Event;

pub(crate) struct Setup {
    pub(crate) clock: ManualClock,
    pub(crate) emulator: Emulator,
    pub(crate) metrics: Arc<Metrics>,
    endpoint: Endpoint,
    /// Another cloud and other metrics, for tables that name them.
    pub(crate) other: Other,
    /// `None` while the daemon is down.
    world: Option<World>,
    dir: tempfile::TempDir,
    /// The name of the journal's file.
    journal: &'static str,
    wish: Wish,
    /// The access key, id and secret.
    key: (&'static str, &'static str),
    /// Tasks that sleep on the clock beside the ticks.
    pub(crate) beside: AtomicUsize,
}

/// A second world, on the same clock.
pub(crate) struct Other {
    pub(crate) emulator: Emulator,
    pub(crate) metrics: Arc<Metrics>,
    endpoint: Endpoint,
}

/// What a test may want otherwise. In its lines, `METRICS` is the address of the metrics, and
/// `OTHER_CLOUD` and `OTHER_METRICS` are those of the second world.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) cloud: Cloud,
    /// Lines for `[daemon]`.
    pub(crate) daemon: &'static str,
    /// `min` and `max` of the fleet, if not 2 and 8.
    pub(crate) bounds: Option<(u32, u32)>,
    /// Lines for `[fleet.web]`.
    pub(crate) fleet: &'static str,
    /// Lines for `[fleet.web.launch]`.
    pub(crate) launch: &'static str,
    /// Lines for `[provider.aliyun]`.
    pub(crate) provider: &'static str,
    /// Tables after all others.
    pub(crate) more: &'static str,
    /// How many instances a scale-in removes, if not 1.
    pub(crate) fewer_by: Option<u32>,
    pub(crate) dry_run: bool,
}

/// The daemon's interval in these tests.
pub(crate) const INTERVAL: Duration = Duration::from_secs(15);

impl Setup {
    pub(crate) async fn new(wish: Wish) -> Setup {
        let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator =
            Emulator::on_loopback(wish.cloud.clone(), shared).await.expect("an emulator");
        let metrics = Arc::new(Metrics::new(Arc::new(clock.clone())));
        let endpoint = prometheus::serve(metrics.clone()).await.expect("an endpoint");
        let other = Other::new(&clock).await;
        let dir = tempfile::tempdir().expect("a directory");
        let mut setup = Setup {
            clock,
            emulator,
            metrics,
            endpoint,
            other,
            world: None,
            dir,
            journal: "state.db",
            wish,
            key: ("testid", "testsecret"),
            beside: AtomicUsize::new(0),
        };
        setup.cpu(50.0);
        setup.start().await;
        setup
    }

    async fn start(&mut self) {
        let text = self.config();
        let config = config::parse(&text, Path::new("test.toml"), &Env::system())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let mode = if self.wish.dry_run { Mode::DryRun } else { Mode::Live };
        let keys = Arc::new(KeyPair::new(self.key.0, self.key.1));
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let world = control::wire(config, mode, clock, Some(keys)).await.expect("it can be wired");
        self.world = Some(world);
    }

    /// The process is gone from one moment to the next and another one starts on the same state.
    pub(crate) async fn crash(&mut self) {
        self.world = None;
        self.start().await;
    }

    /// Another process starts on the same state, with another key.
    pub(crate) async fn key(&mut self, id: &'static str, secret: &'static str) {
        self.key = (id, secret);
        self.crash().await;
    }

    /// Somebody writes records into the journal, each with its scope, kind and body; then the daemon
    /// starts anew.
    pub(crate) async fn forge(&mut self, records: &[(&str, &str, &str)]) {
        use sqlx::{ConnectOptions, Connection};
        self.world = None;
        let file = self.dir.path().join(self.journal);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut connection = options.connect().await.expect("the file");
        for (scope, kind, body) in records {
            let insert = "INSERT INTO records (scope, at, kind, v, body) VALUES (?, ?, ?, 2, ?)";
            sqlx::query(insert)
                .bind(scope)
                .bind(self.clock.now().timestamp_millis())
                .bind(kind)
                .bind(body)
                .execute(&mut connection)
                .await
                .expect("written");
        }
        connection.close().await.expect("closed");
        self.start().await;
    }

    /// The daemon with the journal of that name runs from now on, the other one stands still.
    pub(crate) async fn turn_to(&mut self, journal: &'static str) {
        self.world = None;
        self.journal = journal;
        self.start().await;
    }

    /// The state is lost and another process starts.
    pub(crate) async fn lose_state(&mut self) {
        // A store that is only dropped closes its files later, on a thread of its own, and would write into
        // those of the next one.
        if let Some(world) = self.world.take() {
            world.journal.close().await;
        }
        for file in std::fs::read_dir(self.dir.path()).expect("a directory") {
            // The store that was given up may be removing its own.
            match std::fs::remove_file(file.expect("an entry").path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
        self.start().await;
    }

    fn config(&self) -> String {
        let text = self.text();
        let text = text.replace("OTHER_CLOUD", &self.other.emulator.url());
        let text = text.replace("OTHER_METRICS", &self.other.endpoint.url());
        text.replace("METRICS", &self.endpoint.url())
    }

    fn text(&self) -> String {
        let (min, max) = self.wish.bounds.unwrap_or((2, 8));
        format!(
            r#"
[daemon]
interval = "15s"
lease = "5m"
state = "sqlite:{state}"
{daemon}
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
{provider}
[fleet.web]
provider = "aliyun"
min = {min}
max = {max}
warmup = "30s"
stabilization = "0s"
{fleet}
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large", "ecs.g7.large"]
vswitches = ["vsw-zone-h", "vsw-zone-i"]
security_group_ids = ["sg-bp1example"]
user_data = "export TOKEN=hush"
{launch}
[fleet.web.signal.cpu]
source = "prometheus"
url = "METRICS"
query = "avg(service_cpu_percent)"
max_age = "90s"
[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 2, by = 2 }}
scale_in = {{ below = 30, samples = 3, by = {fewer_by} }}
cooldown = {{ out = "1m", in = "1m" }}
{more}
"#,
            state = self.dir.path().join(self.journal).display(),
            cloud = self.emulator.url(),
            daemon = self.wish.daemon,
            provider = self.wish.provider,
            launch = self.wish.launch,
            more = self.wish.more,
            fewer_by = self.wish.fewer_by.unwrap_or(1),
            fleet = self.wish.fleet,
        )
    }

    /// The bytes of the journal, all files of it.
    pub(crate) fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for file in std::fs::read_dir(self.dir.path()).expect("a directory") {
            bytes.extend(std::fs::read(file.expect("an entry").path()).expect("read"));
        }
        bytes
    }

    /// From now on each scrape says this.
    pub(crate) fn cpu(&self, percent: f64) {
        self.metrics.scrape(vec![("all".to_owned(), percent)], self.clock.now());
    }

    /// One tick, with the clock moved forward wherever the daemon waits.
    pub(crate) async fn try_tick(&self) -> Result<TickReport, TickError> {
        self.try_tick_of("web").await
    }

    /// One tick of a fleet.
    pub(crate) async fn try_tick_of(&self, fleet: &str) -> Result<TickReport, TickError> {
        let world = self.world.as_ref().expect("the daemon is up");
        control::tend(world).await.expect("the journal can be used");
        let member = world.member(&fleet.into()).expect("the fleet is configured");
        let result = self.patiently(control::tick(world, &member)).await;
        // As the daemon does every second or two.
        control::tend(world).await.expect("the journal can be used");
        result
    }

    /// A tick during which, when it waits for the first time, something happens.
    pub(crate) async fn tick_with(&self, happening: impl AsyncFnOnce(&Setup)) -> TickReport {
        let world = self.world.as_ref().expect("the daemon is up");
        self.tend().await;
        let member = world.fleets.all()[0].clone();
        let tick = control::tick(world, &member);
        tokio::pin!(tick);
        loop {
            tokio::select! {
                biased;
                done = &mut tick => panic!("it did not wait: {done:?}"),
                () = SystemClock.sleep(Duration::from_millis(1)) => {}
            }
            if self.clock.sleepers() > 0 {
                break;
            }
        }
        happening(self).await;
        self.patiently(tick).await.expect("the tick succeeds")
    }

    /// Another process starts on the same state, with another configuration.
    pub(crate) async fn reconfigure(&mut self, change: impl FnOnce(&mut Wish)) {
        self.world = None;
        change(&mut self.wish);
        self.start().await;
    }

    /// An audit of each account whose hour has come.
    pub(crate) async fn audit(&self) -> Vec<Finding> {
        self.tend().await;
        let world = self.world.as_ref().expect("the daemon is up");
        let audited = self.patiently(control::hourly(world)).await;
        // The borrowed parts are given up.
        self.tend().await;
        audited.into_values().flat_map(|findings| findings.findings).collect()
    }

    /// One tick of every fleet.
    pub(crate) async fn tick_all(&self) {
        self.tend().await;
        let world = self.world.as_ref().expect("the daemon is up");
        for member in world.fleets.all().iter() {
            self.patiently(control::tick(world, member)).await.expect("the tick succeeds");
        }
        self.tend().await;
    }

    /// The daemon's work of every second or two, beside its ticks.
    pub(crate) async fn tend(&self) {
        let world = self.world.as_ref().expect("the daemon is up");
        control::tend(world).await.expect("the journal can be used");
    }

    /// Everything that is recorded of the fleet.
    pub(crate) async fn events(&self) -> Vec<Event> {
        self.tend().await;
        let world = self.world.as_ref().expect("the daemon is up");
        let look = Look { fleet: Some("web".into()), ..Look::default() };
        let entries = world.journal.reader().entries(&look).await.expect("it can be read");
        let events = entries.into_iter().filter_map(|entry| match entry.said {
            Ok(Said::Fleet(event)) => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// The records of the journal that could not be read and were left out.
    pub(crate) fn left_out(&self) -> Option<String> {
        self.world.as_ref().expect("the daemon is up").journal.left_out()
    }

    /// Where the journal is.
    pub(crate) fn state(&self) -> StateUrl {
        StateUrl::Sqlite { path: self.dir.path().join(self.journal) }
    }

    pub(crate) async fn tick(&self) -> TickReport {
        self.try_tick().await.expect("the tick succeeds")
    }

    /// Waits for `work`; whenever somebody sleeps on the clock meanwhile, a second passes.
    pub(crate) async fn patiently<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = SystemClock.sleep(Duration::from_millis(1)) => {
                    if self.clock.sleepers() > self.beside.load(Ordering::Relaxed) {
                        self.clock.advance(Duration::from_secs(1));
                    }
                }
            }
        }
    }

    /// `ticks` ticks, an interval apart, with a new sample of `percent` before each.
    pub(crate) async fn ticks(&self, ticks: usize, percent: f64) -> Vec<TickReport> {
        let mut reports = Vec::new();
        for _ in 0..ticks {
            self.clock.advance(INTERVAL);
            self.cpu(percent);
            reports.push(self.tick().await);
        }
        reports
    }

    /// Ticks that may fail, with faults in force.
    pub(crate) async fn rough_ticks(&self, ticks: usize, percent: f64) {
        for _ in 0..ticks {
            self.clock.advance(INTERVAL);
            self.cpu(percent);
            drop(self.try_tick().await);
        }
    }

    /// Instances of the fleet that exist, by the cloud's own account.
    pub(crate) fn fleet(&self) -> Vec<InstanceView> {
        let views = self.emulator.instances().into_iter();
        views.filter(|view| view.status != "Gone" && view.image_is_ours()).collect()
    }

    /// The fleet at its minimum, in service.
    pub(crate) async fn settled(wish: Wish) -> Setup {
        let setup = Setup::new(wish).await;
        // Long enough for boot, warm-up and every cool-down.
        setup.ticks(12, 50.0).await;
        assert_eq!(setup.fleet().len(), 2);
        setup
    }
}

impl Other {
    async fn new(clock: &ManualClock) -> Other {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator = Emulator::on_loopback(Cloud::default(), clock.clone()).await;
        let metrics = Arc::new(Metrics::new(clock));
        let endpoint = prometheus::serve(metrics.clone()).await.expect("an endpoint");
        Other { emulator: emulator.expect("an emulator"), metrics, endpoint }
    }
}

/// Whether the daemon launched it; foreign instances carry no such tag.
trait Ours {
    fn image_is_ours(&self) -> bool;
}

impl Ours for InstanceView {
    fn image_is_ours(&self) -> bool {
        self.tags.contains_key("scale-intent")
    }
}
