//! The page in a real Chromium: every view, a hold, hundreds of fleets, a daemon that goes and comes back.
//!
//! `page/look.mjs` drives the browser and checks; it leaves screenshots in `target/page`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Once};
use std::time::Duration;

use cloud::{Clock, SystemClock};
use ecs_emulator::{Emulator, World as Cloud};
use fleetscaler::demo::prometheus::{self, Endpoint, Metrics};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{Process, fleetscaler, free_port, get, until};

/// A cloud, a metrics endpoint, and a daemon with a page.
struct World {
    dir: tempfile::TempDir,
    _emulator: Emulator,
    metrics: Arc<Metrics>,
    _endpoint: Endpoint,
    url: String,
    daemon: Option<Process>,
}

impl World {
    async fn new(fleets: impl Fn(&str) -> String) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut cloud = Cloud::default();
        cloud.set_boot(Duration::from_millis(300));
        let emulator = Emulator::on_loopback(cloud, clock.clone()).await.expect("an emulator");
        let metrics = Arc::new(Metrics::new(clock));
        let endpoint = prometheus::serve(metrics.clone()).await.expect("an endpoint");
        let port = free_port();
        let text = format!(
            "[daemon]\ninterval = \"1s\"\nstate = \"sqlite:{}/state.db\"\nlisten = \"127.0.0.1:{port}\"\n\
             # The token is: sesame\n\
             api_token_sha256 = [\"d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272\"]\n\
             [provider.aliyun]\nregion = \"cn-hangzhou\"\nendpoint = \"{}\"\n{}",
            dir.path().display(),
            emulator.url(),
            fleets(&endpoint.url()),
        );
        std::fs::write(dir.path().join("config.toml"), text).expect("written");
        let url = format!("http://127.0.0.1:{port}");
        let mut world =
            World { dir, _emulator: emulator, metrics, _endpoint: endpoint, url, daemon: None };
        world.begin().await;
        world
    }

    /// Starts the daemon, and waits until it answers.
    async fn begin(&mut self) {
        self.cpu(50.0);
        let mut command = fleetscaler();
        command.arg("run").arg("--config").arg(self.dir.path().join("config.toml")).envs([
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ]);
        let log = self.dir.path().join("daemon.log");
        self.daemon = Some(Process::start(command, &log, "cargo build"));
        let page = format!("{}/healthz", self.url);
        until("a daemon that answers", 60, async || get(&page).await).await;
    }

    fn cpu(&self, percent: f64) {
        self.metrics.scrape(vec![("all".to_owned(), percent)], SystemClock.now());
    }

    /// Runs one case of `look.mjs` to its end; `asked` is called with what it wants done.
    async fn look(&mut self, case: &str) {
        let mut child = browser(&self.url, case);
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut input = child.stdin.take().expect("its input");
        let mut said = String::new();
        let mut scrapes = tokio::time::interval(Duration::from_secs(1));
        loop {
            let line = tokio::select! {
                line = lines.next_line() => line.expect("lines"),
                _ = scrapes.tick() => { self.cpu(50.0); continue }
            };
            let Some(line) = line else { break };
            match line.as_str() {
                "away" => drop(self.daemon.take()),
                "back" => self.begin().await,
                _ => {}
            }
            if matches!(line.as_str(), "away" | "back") {
                input.write_all(b"done\n").await.expect("it listens");
            }
            said.push_str(&line);
            said.push('\n');
        }
        let status = child.wait().await.expect("a status");
        assert!(status.success(), "{case}:\n{said}");
    }
}

/// `look.mjs` with one case.
fn browser(url: &str, case: &str) -> tokio::process::Child {
    let mut command = tokio::process::Command::new("node");
    command.arg(node_modules().join("look.mjs")).arg(url).arg(pictures()).arg(case);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("node starts; install it: apt-get install -y nodejs")
}

/// Where the pictures go, for people to look at.
fn pictures() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/page");
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// The test's directory with its packages installed.
fn node_modules() -> PathBuf {
    static INSTALLED: Once = Once::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/page");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/page");
    INSTALLED.call_once(|| {
        std::fs::create_dir_all(&dir).expect("a directory");
        for file in ["package.json", "package-lock.json", "look.mjs"] {
            std::fs::copy(source.join(file), dir.join(file)).expect("copied");
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&dir);
        let status = npm.status().expect("npm starts; install it: apt-get install -y npm");
        assert!(status.success(), "npm ci");
    });
    dir
}

fn fleet(name: &str, metrics: &str, min: u32, max: u32) -> String {
    format!(
        r#"
[fleet.{name}]
provider = "aliyun"
min = {min}
max = {max}
warmup = "0s"
terminate = "force"
[fleet.{name}.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large", "ecs.g7.large"]
vswitches = ["vsw-zone-h", "vsw-zone-i"]
security_group_ids = ["sg-bp1example"]
[fleet.{name}.signal.cpu]
source = "prometheus"
url = "{metrics}"
query = "avg(service_cpu_percent)"
[[fleet.{name}.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 2, by = 1 }}
scale_in = {{ below = 30, samples = 3, by = 1 }}
cooldown = {{ out = "1m", in = "1m" }}
"#
    )
}

#[test]
fn the_page_is_what_its_sources_make() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/page");
    let output = Command::new(script).arg("--check").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_browser_shows_three_fleets_and_changes_a_hold() {
    let _processors = crate::support::processors_shared().await;
    let mut world = World::new(|metrics| {
        let fleets = [("web", 2, 9), ("api", 3, 3), ("batch", 0, 50)];
        fleets.map(|(name, min, max)| fleet(name, metrics, min, max)).concat()
    })
    .await;
    world.look("three").await;
    world.look("lost").await;
}

#[tokio::test]
async fn a_browser_shows_the_demo_live() {
    let _processors = crate::support::processors_shared().await;
    let mut command = tokio::process::Command::from(fleetscaler());
    command.args(["demo", "--plain", "--for", "2m"]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut demo = command.spawn().expect("the binary runs");
    let mut lines = BufReader::new(demo.stdout.take().expect("its output")).lines();
    let url = loop {
        let line = lines.next_line().await.expect("a line").expect("an address before the end");
        if let Some(rest) = line.strip_prefix("Its page: ") {
            break rest.split('/').take(3).collect::<Vec<_>>().join("/");
        }
    };
    // What it goes on to print is taken from it.
    let rest = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let output = browser(&url, "demo").wait_with_output().await.expect("it runs");
    rest.abort();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_browser_shows_five_hundred_fleets() {
    let _processors = crate::support::processors_shared().await;
    let mut world = World::new(|metrics| {
        let all = (0..500).map(|n| fleet(&format!("fleet-{n:03}"), metrics, 0, 5));
        // The interval of a fleet among hundreds.
        all.collect::<String>().replace("max = 5\n", "max = 5\ninterval = \"15s\"\n")
    })
    .await;
    world.look("many").await;
}
