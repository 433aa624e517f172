//! The daemons, their cloud, their database, and what befalls them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use cloud::{Clock, SystemClock, Timestamp};
use ecs_emulator::{Emulator, World};
use fleetscaler::config::StateUrl;
use fleetscaler::demo::prometheus::{self, Endpoint, Metrics};
use fleetscaler::journal::{Entry, Look, Reader, Said};
use fleetscaler::model::{Event, FleetId, ReplicaId};

use super::proof::{Evidence, Outage};
use crate::postgres::Server;
use crate::support::{Process, fleetscaler, signal, until};

pub(crate) const FLEETS: usize = 60;
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// Fleets with a load in common.
const GROUPS: usize = 10;
/// A group's load changes this often: at any time one group grows and one shrinks.
const STEP: Duration = Duration::from_secs(2);
/// For how long anything is waited for: many times what it takes on an idle machine.
const PATIENCE_SECS: u32 = 60;

pub(crate) struct Stage {
    dir: tempfile::TempDir,
    database: Server,
    url: String,
    emulator: Arc<Emulator>,
    metrics: Vec<Endpoint>,
    calm: Arc<AtomicBool>,
    /// The longest time for which this whole machine stood still, in milliseconds.
    stall: Arc<AtomicI64>,
    background: Vec<tokio::task::JoinHandle<()>>,
    daemons: BTreeMap<usize, Process>,
    /// Which daemon a process was, by its id.
    pids: BTreeMap<u32, usize>,
    outages: Vec<Outage>,
}

impl Stage {
    pub(crate) async fn set() -> Stage {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut world = World { instance_quota: 100_000, ..World::default() };
        world.set_boot(Duration::from_millis(500));
        world.stop = Duration::from_millis(500).into();
        for network in world.vswitches.values_mut() {
            network.ips = 100_000;
        }
        let emulator = Emulator::on_loopback(world, clock.clone()).await.expect("an emulator");
        let calm = Arc::new(AtomicBool::new(false));
        let stall = Arc::new(AtomicI64::new(0));
        let mut metrics = Vec::new();
        let mut background = vec![tokio::spawn(feel(stall.clone()))];
        for group in 0..GROUPS {
            let of_group = Arc::new(Metrics::new(clock.clone()));
            metrics.push(prometheus::serve(of_group.clone()).await.expect("an endpoint"));
            background.push(tokio::spawn(load(group, of_group, calm.clone())));
        }
        let database = Server::start();
        Stage {
            dir: tempfile::tempdir().expect("a directory"),
            url: database.url(),
            database,
            emulator: Arc::new(emulator),
            metrics,
            calm,
            stall,
            background,
            daemons: BTreeMap::new(),
            pids: BTreeMap::new(),
            outages: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, n: usize) {
        let config = self.path(&format!("config{n}.toml"));
        std::fs::write(&config, self.config(n)).expect("written");
        let mut command = fleetscaler();
        command.arg("run").arg("--config").arg(&config);
        command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid");
        command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret");
        let log = self.path(&format!("daemon{n}.{}.log", self.pids.len()));
        let daemon = Process::start(command, &log, "cargo build");
        self.pids.insert(daemon.id(), n);
        self.daemons.insert(n, daemon);
    }

    pub(crate) fn kill(&mut self, n: usize) {
        // As `kill -9`.
        drop(self.daemons.remove(&n));
    }

    pub(crate) fn pause(&self, n: usize) {
        signal("STOP", self.daemons[&n].id());
    }

    pub(crate) fn resume(&self, n: usize) {
        signal("CONT", self.daemons[&n].id());
    }

    pub(crate) fn restart_database(&mut self) {
        let from = SystemClock.now();
        self.database.restart();
        self.outages.push(Outage { from, until: SystemClock.now() });
    }

    pub(crate) fn stop_database(&mut self) {
        let from = SystemClock.now();
        self.database.stop();
        // Until it is back.
        self.outages.push(Outage { from, until: Timestamp::MAX_UTC });
    }

    pub(crate) fn resume_database(&mut self) {
        self.database.resume();
        let outage = self.outages.last_mut().expect("it was stopped");
        outage.until = SystemClock.now();
    }

    pub(crate) async fn rest(&self, time: Duration) {
        SystemClock.sleep(time).await;
    }

    /// Waits until exactly these daemons hold the fleets, evenly.
    pub(crate) async fn until_shared_by(&self, daemons: &[usize], what: &str) {
        let fair = FLEETS / daemons.len();
        self.wait(what, async || {
            let mut held: BTreeMap<usize, usize> = BTreeMap::new();
            for (_, holder) in self.holders().await? {
                *held.entry(self.who(&holder)).or_default() += 1;
            }
            let even = held.values().all(|count| count.abs_diff(fair) <= 1);
            let all: usize = held.values().sum();
            let are_they = held.keys().copied().eq(daemons.iter().copied());
            (are_they && even && all == FLEETS).then_some(())
        })
        .await;
    }

    /// The replica that took each fleet last.
    async fn holders(&self) -> Option<BTreeMap<FleetId, ReplicaId>> {
        let mut holders = BTreeMap::new();
        for entry in self.entries(&["lease"]).await? {
            if let (fleetscaler::journal::store::Scope::Fleet(fleet), Ok(Said::Fleet(said))) =
                (entry.scope, entry.said)
                && let Event::Leased { replica, .. } = said
            {
                holders.insert(fleet, replica);
            }
        }
        Some(holders)
    }

    /// Which daemon a replica is: its name holds its process id.
    fn who(&self, replica: &ReplicaId) -> usize {
        who(&self.pids, replica)
    }

    pub(crate) async fn until_launches(&self, count: usize, what: &str) {
        self.wait(what, async || (self.launches() >= count).then_some(())).await;
    }

    /// Waits until each fleet has recorded a tick from now on.
    pub(crate) async fn until_all_ticked(&self, what: &str) {
        let since = SystemClock.now();
        self.wait(what, async || {
            let kinds = vec!["tick".to_owned()];
            let look = Look { since: Some(since), kinds, ..Look::default() };
            let entries = self.read(&look).await?;
            let fleets: std::collections::BTreeSet<_> =
                entries.into_iter().map(|entry| entry.scope).collect();
            (fleets.len() == FLEETS).then_some(())
        })
        .await;
    }

    /// Waits until nothing is open and nothing changes any more.
    pub(crate) async fn until_settled(&self) {
        self.wait("everything is settled", async || {
            let quiet = |view: &ecs_emulator::InstanceView| {
                matches!(view.status.as_str(), "Running" | "Gone")
            };
            if !self.emulator.instances().iter().all(quiet) {
                return None;
            }
            let reader = self.reader().await?;
            for n in 0..FLEETS {
                let history = reader.history(&fleet_id(n)).await.ok()?;
                if !history.open.is_empty() {
                    return None;
                }
            }
            reader.close().await;
            Some(())
        })
        .await;
    }

    #[expect(clippy::print_stdout, reason = "the figures are for people, too")]
    async fn wait(&self, what: &str, mut ready: impl AsyncFnMut() -> Option<()>) {
        let began = SystemClock.now();
        until(what, PATIENCE_SECS, async || ready().await).await;
        let millis = (SystemClock.now() - began).num_milliseconds();
        println!("{millis:>6} ms: {what}");
    }

    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn launches(&self) -> usize {
        self.emulator.instances().len()
    }

    pub(crate) fn writes(&self) -> usize {
        self.calls(|action| !action.starts_with("Describe"))
    }

    pub(crate) fn reads(&self) -> usize {
        self.calls(|action| action.starts_with("Describe"))
    }

    fn calls(&self, which: impl Fn(&str) -> bool) -> usize {
        self.emulator.transcript().iter().filter(|entry| which(&entry.action)).count()
    }

    /// How many daemons run, none of them other than those that were started.
    pub(crate) fn all_still_run(&mut self) -> usize {
        self.daemons.values_mut().filter_map(|daemon| daemon.is_running().then_some(())).count()
    }

    /// Stops the daemons and collects what cloud and journal know.
    pub(crate) async fn end(mut self) -> Evidence {
        for daemon in self.daemons.values_mut() {
            assert_eq!(daemon.terminate(), Some(0), "a clean stop");
        }
        self.background.drain(..).for_each(|task| task.abort());
        Evidence {
            entries: self.entries(&[]).await.expect("the journal can be read"),
            instances: self.emulator.instances(),
            transcript: self.emulator.transcript(),
            violations: self.emulator.violations(),
            pids: self.pids.clone(),
            outages: self.outages.clone(),
            stall: Duration::from_millis(
                u64::try_from(self.stall.load(Ordering::Relaxed)).unwrap_or(0),
            ),
        }
    }

    async fn entries(&self, kinds: &[&str]) -> Option<Vec<Entry>> {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        self.read(&Look { kinds, ..Look::default() }).await
    }

    async fn read(&self, look: &Look) -> Option<Vec<Entry>> {
        let reader = self.reader().await?;
        let entries = reader.entries(look).await.ok();
        reader.close().await;
        entries
    }

    async fn reader(&self) -> Option<Reader> {
        let url = StateUrl::Postgres { url: self.url.clone(), password: None };
        Reader::open(&url).await.ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration of a daemon: the same for all but for the tag of what it launches.
    fn config(&self, n: usize) -> String {
        let daemon = format!(
            r#"
[daemon]
interval = "1s"
lease = "{lease}s"
state = "{state}"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
rate_limits = {{ RunInstances = 100, DescribeInstances = 100, DeleteInstances = 100 }}
"#,
            lease = LEASE.as_secs(),
            state = self.url,
            cloud = self.emulator.url(),
        );
        let fleet = |fleet: usize| {
            let id = fleet_id(fleet);
            format!(
                r#"
[fleet.{id}]
provider = "aliyun"
min = 1
max = 4
warmup = "0s"
stabilization = "0s"
[fleet.{id}.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
tags = {{ launched-by = "{n}" }}
[fleet.{id}.signal.cpu]
source = "prometheus"
url = "{metrics}"
query = "avg(service_cpu_percent)"
max_age = "20s"
[[fleet.{id}.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 1, by = 1 }}
scale_in = {{ below = 30, samples = 1, by = 1 }}
cooldown = {{ out = "1s", in = "1s" }}
"#,
                metrics = self.metrics[fleet % GROUPS].url(),
            )
        };
        std::iter::once(daemon).chain((0..FLEETS).map(fleet)).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.background.drain(..).for_each(|task| task.abort());
    }
}

fn fleet_id(n: usize) -> FleetId {
    FleetId(format!("fleet-{n:02}"))
}

/// Which daemon a replica is: its name holds its process id.
pub(super) fn who(pids: &BTreeMap<u32, usize>, replica: &ReplicaId) -> usize {
    let pid = replica.0.rsplit('-').nth(1).and_then(|pid| pid.parse().ok());
    let who = pid.and_then(|pid: u32| pids.get(&pid).copied());
    who.unwrap_or_else(|| panic!("{replica:?} is none of ours"))
}

/// The load of a group: high for a step, some time later low for a step, between them neither.
async fn load(group: usize, metrics: Arc<Metrics>, calm: Arc<AtomicBool>) {
    let began = SystemClock.now();
    loop {
        let millis = (SystemClock.now() - began).num_milliseconds();
        let steps =
            usize::try_from(millis).unwrap_or(0) / usize::try_from(STEP.as_millis()).unwrap_or(1);
        let percent = match (steps + group) % GROUPS {
            _ if calm.load(Ordering::Relaxed) => 50.0,
            0 => 90.0,
            n if n == GROUPS / 2 => 10.0,
            _ => 50.0,
        };
        metrics.scrape(vec![("all".to_owned(), percent)], SystemClock.now());
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
}

/// Feels how long a sleep of a tenth of a second takes at the most.
async fn feel(stall: Arc<AtomicI64>) {
    const NAP: Duration = Duration::from_millis(100);
    loop {
        let before = SystemClock.now();
        SystemClock.sleep(NAP).await;
        let late = (SystemClock.now() - before).num_milliseconds() - 100;
        stall.fetch_max(late, Ordering::Relaxed);
    }
}
