//! One story: a cloud, a load, and a daemon that dies on the way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, SystemClock};
use ecs_emulator::{Emulator, Fault, FaultKind, World};
use fleetscaler::demo::prometheus::{self, Endpoint, Metrics};
use fleetscaler::journal::{Look, Reader};
use fleetscaler::model::{FleetId, Phase};

use crate::cases::{Case, Kill, Script};
use crate::daemon::{Daemon, Points};
use crate::proof;

/// Far longer than anything here takes on a machine that is busy with all other stories.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
/// A fleet that has been right for so many ticks stays so: whatever was left half done is done by
/// then.
const TICKS_AT_REST: usize = 3;

pub(crate) struct Story {
    dir: tempfile::TempDir,
    pub(crate) emulator: Arc<Emulator>,
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    load: tokio::task::JoinHandle<()>,
    daemon: Option<Daemon>,
}

/// The service's load, in percent of its CPU.
#[derive(Debug, Clone, Copy)]
enum Load {
    Calm,
    High,
    /// Until an instance is told to end. One step is the script; the next would be right, too, once
    /// its cool-down is over, but would make it longer.
    LowForOneStep,
}

impl Story {
    /// Plays `case` to its end and checks it. Returns the points that the last process passed.
    pub(crate) async fn tell(case: &Case) -> Result<Vec<String>, String> {
        let mut story = Story::begin(case.script).await;
        let kill = |n: usize| match case.kills.get(n) {
            Some(Kill::At(point)) => Some(point.as_str()),
            _ => None,
        };
        story.start(kill(0));
        let mut result = story.up_to_the_brink(case.script).await;
        if result.is_ok() {
            result = story.over_it(case, kill).await;
        }
        let stopped = story.daemon.as_mut().map(Daemon::stop);
        if result.is_ok() && !stopped.is_some_and(|status| status.success()) {
            result = Err(format!("it ended with {stopped:?}"));
        }
        let journal = story.reader().await.ok_or("the journal cannot be read")?;
        if result.is_ok() {
            result = proof::check(&story.emulator, &journal, case.script).await;
        }
        if let Err(why) = result {
            let words = story.daemon.as_ref().map(Daemon::last_words).unwrap_or_default();
            return Err(format!("{why}\n{words}\n"));
        }
        let points = std::fs::read_to_string(story.path("points")).unwrap_or_default();
        Ok(points.lines().map(str::to_owned).collect())
    }

    async fn begin(script: Script) -> Story {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut world = World::default();
        world.set_boot(Duration::from_secs(1));
        world.stop = Duration::from_secs(1).into();
        // A look right after a crash does not see yet what was done just before it.
        world.listing_lag = Duration::from_secs(2).into();
        world.deletion_lag = Duration::from_secs(2).into();
        let emulator = Emulator::on_loopback(world, clock.clone()).await.expect("an emulator");
        let metrics = Arc::new(Metrics::new(clock));
        let endpoint = prometheus::serve(metrics.clone()).await.expect("an endpoint");
        let dir = tempfile::tempdir().expect("a directory");
        let mut story = Story {
            dir,
            emulator: Arc::new(emulator),
            metrics,
            endpoint,
            load: tokio::spawn(async {}),
            daemon: None,
        };
        std::fs::write(story.path("config.toml"), story.config(script)).expect("written");
        story.set(Load::Calm);
        story
    }

    /// Until the moment at which the load changes.
    async fn up_to_the_brink(&mut self, script: Script) -> Result<(), String> {
        self.rest(1, 1).await?;
        if script != Script::Out {
            self.set(Load::High);
            self.rest(3, 1).await?;
            self.set(Load::Calm);
        }
        Ok(())
    }

    /// The load changes, and processes die until the fleet has its size.
    async fn over_it<'a>(
        &mut self,
        case: &Case,
        kill: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<(), String> {
        if case.lost > 0 {
            let cut = Fault::on(case.script.action(), FaultKind::CutAfter);
            self.emulator.inject(cut.times(case.lost));
        }
        std::fs::write(self.path("armed"), "").expect("written");
        self.set(if case.script == Script::Out { Load::High } else { Load::LowForOneStep });
        for (n, how) in case.kills.iter().enumerate() {
            self.death(how).await?;
            self.emulator.clear_faults();
            drop(std::fs::remove_file(self.path("points")));
            self.start(kill(n + 1));
        }
        self.rest(if case.script == Script::Out { 3 } else { 2 }, TICKS_AT_REST).await
    }

    fn start(&mut self, kill: Option<&str>) {
        let (arm, log) = (self.path("armed"), self.path("points"));
        let points = Points { arm: &arm, log: &log, kill };
        let config = self.path("config.toml");
        self.daemon = Some(Daemon::start(&config, &self.path("daemon.log"), &points));
    }

    /// Waits until the process has died in this way.
    async fn death(&mut self, how: &Kill) -> Result<(), String> {
        let daemon = self.daemon.as_mut().expect("it was started");
        let mut left = PATIENCE;
        loop {
            if *how == Kill::AnswerLost && proof::was_cut(&self.emulator) {
                daemon.kill();
                return Ok(());
            }
            if let Some(status) = daemon.ended() {
                let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
                return if killed { Ok(()) } else { Err(format!("it ended with {status}")) };
            }
            left = left.checked_sub(POLL).ok_or("it never came to the point")?;
            SystemClock.sleep(POLL).await;
        }
    }

    /// Waits until the fleet has `size` instances, all serving, nothing open, and has kept them for
    /// `ticks` ticks.
    async fn rest(&mut self, size: usize, ticks: usize) -> Result<(), String> {
        let mut since = None;
        let mut left = PATIENCE;
        loop {
            let seen = self.ticks_at(size).await;
            since = seen.and_then(|seen| since.or(Some(seen)));
            if let (Some(seen), Some(since)) = (seen, since)
                && seen >= since + ticks
            {
                return Ok(());
            }
            if let Some(status) = self.daemon.as_mut().and_then(Daemon::ended) {
                return Err(format!("it ended with {status}"));
            }
            let views = || proof::existing(&self.emulator);
            left = left
                .checked_sub(POLL)
                .ok_or_else(|| format!("it never had {size} instances at rest: {:?}", views()))?;
            SystemClock.sleep(POLL).await;
        }
    }

    /// How many ticks are recorded, if all is well with `size` instances.
    async fn ticks_at(&self, size: usize) -> Option<usize> {
        let views = proof::existing(&self.emulator);
        if views.len() != size || views.iter().any(|view| view.status != "Running") {
            return None;
        }
        let reader = self.reader().await?;
        let history = reader.history(&FleetId::from("web")).await.ok()?;
        let ticks = reader.entries(&Look { kinds: vec!["tick".into()], ..Look::default() }).await;
        reader.close().await;
        let serving = history.instances.values().filter(|t| t.phase == Phase::InService).count();
        let settled = history.open.is_empty() && history.instances.len() == size;
        (settled && serving == size).then_some(ticks.ok()?.len())
    }

    /// The journal, beside the daemon; `None` while there is none.
    async fn reader(&self) -> Option<Reader> {
        let url = fleetscaler::config::StateUrl::Sqlite { path: self.path("state.db") };
        Reader::open(&url).await.ok()
    }

    /// From now on the service is under this load, scraped all the time.
    fn set(&mut self, load: Load) {
        self.load.abort();
        let (metrics, emulator) = (self.metrics.clone(), self.emulator.clone());
        self.load = tokio::spawn(async move {
            loop {
                let percent = match load {
                    Load::High => 90.0,
                    Load::LowForOneStep if !proof::is_one_ending(&emulator) => 10.0,
                    Load::LowForOneStep | Load::Calm => 50.0,
                };
                metrics.scrape(vec![("all".to_owned(), percent)], SystemClock.now());
                SystemClock.sleep(POLL).await;
            }
        });
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Whatever the daemon waits for is as short as it may be. High load stays high: only what it
    /// knows of its own launches keeps it from buying again, and again.
    fn config(&self, script: Script) -> String {
        format!(
            r#"
[daemon]
interval = "1s"
lease = "2s"
state = "sqlite:{state}"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
[fleet.web]
provider = "aliyun"
min = 1
max = 3
max_removal_percent = 100
warmup = "0s"
stabilization = "0s"
terminate = "{terminate}"
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large", "ecs.g7.large"]
vswitches = ["vsw-zone-h", "vsw-zone-i"]
security_group_ids = ["sg-bp1example"]
[fleet.web.signal.cpu]
source = "prometheus"
url = "{metrics}"
query = "avg(service_cpu_percent)"
max_age = "20s"
[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 2, by = 2 }}
scale_in = {{ below = 30, samples = 2, by = 1 }}
cooldown = {{ out = "2s", in = "{pause}" }}
{drain}
"#,
            pause = script.pause(),
            drain = script.drain(),
            state = self.path("state.db").display(),
            cloud = self.emulator.url(),
            metrics = self.endpoint.url(),
            terminate = script.terminate(),
        )
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.load.abort();
    }
}
