//! A cloud, a metrics endpoint, a configuration, and the binary.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, SystemClock};
use ecs_emulator::{Emulator, World as Cloud};
use fleetscaler::demo::prometheus::{self, Endpoint, Metrics};
use serde_json::Value;

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    dir: tempfile::TempDir,
}

/// The output of one command.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// One fleet `web` of 1 to 3, on the real clock, in which boots take no time to speak of.
    pub(crate) async fn new() -> World {
        let mut cloud =
            Cloud { prices: [("ecs.c7.large".to_owned(), 0.5)].into(), ..Cloud::default() };
        cloud.set_boot(Duration::from_millis(50));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let emulator = Emulator::on_loopback(cloud, clock.clone()).await.expect("an emulator");
        let metrics = Arc::new(Metrics::new(clock));
        let endpoint = prometheus::serve(metrics.clone()).await.expect("an endpoint");
        let dir = tempfile::tempdir().expect("a directory");
        let world = World { emulator, metrics, endpoint, dir };
        world.configure("", "web");
        world.cpu(50.0);
        world
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    /// Where a daemon serves its API.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    /// Writes the configuration with `daemon` in its `[daemon]`, for one fleet called `fleet`.
    pub(crate) fn configure(&self, daemon: &str, fleet: &str) {
        let state = match daemon.contains("state") {
            true => String::new(),
            false => format!("state = \"sqlite:{}\"", self.state().display()),
        };
        let text = format!(
            r#"
[daemon]
interval = "1s"
{state}
api_socket = "{socket}"
{daemon}
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
[fleet.{fleet}]
provider = "aliyun"
min = 1
max = 3
max_removal_percent = 100
warmup = "0s"
stabilization = "0s"
terminate = "force"
[fleet.{fleet}.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.{fleet}.signal.cpu]
source = "prometheus"
url = "{metrics}"
query = "avg(service_cpu_percent)"
[[fleet.{fleet}.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 1, by = 1 }}
scale_in = {{ below = 30, samples = 1, by = 1 }}
cooldown = {{ out = "1s", in = "1s" }}
"#,
            socket = self.socket().display(),
            cloud = self.emulator.url(),
            metrics = self.endpoint.url(),
        );
        std::fs::write(self.config(), text).expect("written");
    }

    /// Changes the text of the configuration.
    pub(crate) fn edit(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.config()).expect("it is there");
        std::fs::write(self.config(), change(text)).expect("written");
    }

    /// From now on each scrape says this.
    pub(crate) fn cpu(&self, percent: f64) {
        self.metrics.scrape(vec![("all".to_owned(), percent)], SystemClock.now());
    }

    /// The binary with `arguments`, `--config` filled in.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetscaler"));
        command.arg(arguments[0]).arg("--config").arg(self.config()).args(&arguments[1..]);
        command.stdin(Stdio::null()).env_clear().env("USER", "ann").envs([
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ]);
        command
    }

    /// Runs it to its end, while the emulator goes on answering.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        let Output { status, stdout, stderr } =
            output.await.expect("no panic").expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// One tick with a new sample of `percent`; returns its report.
    pub(crate) async fn tick(&self, percent: f64) -> Value {
        self.cpu(percent);
        let said = self.run(&["run", "--once", "--format", "json", "--log", "error"]).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// Ticks with `percent` until `size` instances serve.
    pub(crate) async fn grow_to(&self, size: u64, percent: f64) {
        for _ in 0..40 {
            let report = self.tick(percent).await;
            let counts = &report["counts"];
            if counts["in_service"] == size && counts["leaving"] == 0 {
                return;
            }
            SystemClock.sleep(Duration::from_millis(200)).await;
        }
        panic!("the fleet does not reach {size}");
    }
}
