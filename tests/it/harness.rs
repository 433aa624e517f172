//! A world to test in: emulator, metrics endpoint and daemon on one manual clock.
//!
//! HTTP takes real time, everything else takes the clock's: where the code under test sleeps, the
//! clock is moved forward for it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aliyun::credentials::KeyPair;
use cloud::{Clock, ManualClock, SystemClock};
use ecs_emulator::{Emulator, InstanceView, World as Cloud};
use fleetscaler::config::{self, Env};
use fleetscaler::control::{self, Mode, TickError, TickReport, World};
use fleetscaler::demo::prometheus::{self, Endpoint, Metrics};

pub(crate) struct Setup {
    pub(crate) clock: ManualClock,
    pub(crate) emulator: Emulator,
    pub(crate) metrics: Arc<Metrics>,
    endpoint: Endpoint,
    /// `None` while the daemon is down.
    world: Option<World>,
    dir: tempfile::TempDir,
    wish: Wish,
}

/// What a test may want otherwise.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) cloud: Cloud,
    /// Lines for `[fleet.web]`.
    pub(crate) fleet: &'static str,
    /// Lines for `[provider.aliyun]`.
    pub(crate) provider: &'static str,
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
        let dir = tempfile::tempdir().expect("a directory");
        let mut setup = Setup { clock, emulator, metrics, endpoint, world: None, dir, wish };
        setup.cpu(50.0);
        setup.start().await;
        setup
    }

    async fn start(&mut self) {
        let text = self.config();
        let config = config::parse(&text, Path::new("test.toml"), &Env::system())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let mode = if self.wish.dry_run { Mode::DryRun } else { Mode::Live };
        let keys = Arc::new(KeyPair::new("testid", "testsecret"));
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let world = control::wire(config, mode, clock, Some(keys)).await.expect("it can be wired");
        self.world = Some(world);
    }

    /// The process is gone from one moment to the next and another one starts on the same state.
    pub(crate) async fn crash(&mut self) {
        self.world = None;
        self.start().await;
    }

    /// The state is lost and another process starts.
    pub(crate) async fn lose_state(&mut self) {
        self.world = None;
        for file in std::fs::read_dir(self.dir.path()).expect("a directory") {
            std::fs::remove_file(file.expect("an entry").path()).expect("removed");
        }
        self.start().await;
    }

    fn config(&self) -> String {
        format!(
            r#"
[daemon]
interval = "15s"
lease = "5m"
state = "sqlite:{state}"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
{provider}
[fleet.web]
provider = "aliyun"
min = 2
max = 8
warmup = "30s"
stabilization = "0s"
{fleet}
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large", "ecs.g7.large"]
vswitches = ["vsw-zone-h", "vsw-zone-i"]
security_group_ids = ["sg-bp1example"]
user_data = "export TOKEN=hush"
[fleet.web.signal.cpu]
source = "prometheus"
url = "{metrics}"
query = "avg(service_cpu_percent)"
max_age = "90s"
[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 2, by = 2 }}
scale_in = {{ below = 30, samples = 3, by = 1 }}
cooldown = {{ out = "1m", in = "1m" }}
"#,
            state = self.dir.path().join("state.db").display(),
            cloud = self.emulator.url(),
            metrics = self.endpoint.url(),
            provider = self.wish.provider,
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
        let world = self.world.as_ref().expect("the daemon is up");
        control::tend(world).await.expect("the journal can be used");
        let result = self.patiently(control::tick(world, &world.fleets[0])).await;
        // As the daemon does every second or two.
        control::tend(world).await.expect("the journal can be used");
        result
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
                    if self.clock.sleepers() > 0 {
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

/// Whether the daemon launched it; foreign instances carry no such tag.
trait Ours {
    fn image_is_ours(&self) -> bool;
}

impl Ours for InstanceView {
    fn image_is_ours(&self) -> bool {
        self.tags.contains_key("scale-intent")
    }
}
