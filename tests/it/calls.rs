//! The cost of reading the cloud, and that every fleet is served: many fleets, many instances, the
//! default rate limits, an emulator in this process, and a clock that moves only while all wait.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, Seams};
use cloud::dice::SeededDice;
use cloud::{Clock, ManualClock, clock};
use ecs_emulator::{Emulator, World as Cloud};
use fleetscaler::config::{self, Env, Provider};
use fleetscaler::control::{
    self, Beat, LiveCloud, Mode, Sink, Sourced, TickError, TickReport, World,
};
use fleetscaler::journal::{Journal, JournalError, Keep, LeaseTime};
use fleetscaler::model::FleetId;
use fleetscaler::rehearse::InProcess;
use tokio::sync::watch;

/// So far the clock moves at a time: two or three calls, at the default limit.
const STEP: Duration = Duration::from_millis(500);

/// The reports that the sink was given.
#[derive(Default)]
struct Told {
    ticks: Mutex<BTreeMap<FleetId, usize>>,
    troubles: Mutex<Vec<String>>,
    oldest: Mutex<Duration>,
}

impl Sink for Told {
    fn tick(&self, report: &TickReport) {
        *self.ticks.lock().expect("no panic").entry(report.fleet.clone()).or_default() += 1;
        let mut oldest = self.oldest.lock().expect("no panic");
        *oldest = oldest.max(report.listing_age);
    }

    fn trouble(&self, fleet: &FleetId, error: &TickError) {
        self.troubles.lock().expect("no panic").push(format!("{fleet}: {error}"));
    }

    fn journal(&self, state: Result<(), &JournalError>) {
        state.expect("the journal can be used");
    }
}

/// A daemon with `fleets` fleets of `instances` instances each, at rest.
struct Many {
    clock: ManualClock,
    emulator: Arc<Emulator>,
    world: Arc<World>,
    told: Arc<Told>,
    seen: u64,
}

impl Many {
    async fn new(fleets: usize, instances: usize, provider: &str) -> Many {
        let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator = Arc::new(Emulator::embedded(Cloud::default(), shared.clone()));
        for fleet in 0..fleets {
            for _ in 0..instances {
                emulator.place(&[("scale-source", "auto"), ("scale-fleet", &format!("f{fleet}"))]);
            }
        }
        let mut text = format!(
            "[daemon]\nstate = \"memory:\"\nlease = \"5m\"\n[provider.aliyun]\nregion = \"cn-hangzhou\"\n\
             endpoint = \"{}\"\n{provider}\n",
            emulator.url()
        );
        for fleet in 0..fleets {
            text.push_str(&fleet_table(fleet, instances));
        }
        let config = config::parse(&text, Path::new("test.toml"), &Env::system())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let Provider::Aliyun(provider) = &config.providers["aliyun"];
        let settings = control::settings(provider, Arc::new(KeyPair::new("testid", "testsecret")));
        let transport = InProcess { emulator: emulator.clone(), clock: clock.clone() };
        let seams = Seams { transport: Arc::new(transport), dice: Arc::new(SeededDice::new(1)) };
        let ecs = Ecs::with_seams(settings, shared.clone(), seams).expect("settings that work");
        let lease = LeaseTime(config.daemon.lease.get());
        let keep = Keep::from(&config.daemon);
        let journal = Journal::open(&config.daemon.state, shared.clone(), lease, keep).await;
        let journal = Arc::new(journal.expect("in memory"));
        let clouds = [("aliyun".to_owned(), LiveCloud::of(Arc::new(ecs)))].into();
        let sourced: Vec<Sourced> = config.fleets.iter().map(|_| Sourced::default()).collect();
        let world = control::wire_over(config, Mode::Live, shared, journal, clouds, sourced);
        let world = Arc::new(world);
        Many { clock, emulator, world, told: Arc::default(), seen: 0 }
    }

    /// The daemon runs for so long.
    async fn run(&mut self, secs: u64) {
        let (stop, stopped) = watch::channel(false);
        let beat = control::beat(self.world.clone(), Beat::Forever, self.told.clone(), stopped);
        let daemon = tokio::spawn(beat);
        for _ in 0..secs * 2 {
            self.pass(STEP).await;
        }
        stop.send_replace(true);
        while !daemon.is_finished() {
            self.pass(STEP).await;
        }
    }

    /// Time passes when everybody has done what there is to do now.
    async fn pass(&self, step: Duration) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        self.clock.advance(step);
    }

    /// Calls of DescribeInstances since the last time.
    fn reads(&mut self) -> usize {
        let entries = self.emulator.transcript_after(self.seen);
        self.seen = entries.last().map_or(self.seen, |entry| entry.seq);
        entries.iter().filter(|entry| entry.action == "DescribeInstances").count()
    }

    fn fleets_that_ticked(&self) -> usize {
        self.told.ticks.lock().expect("no panic").len()
    }

    fn troubles(&self) -> Vec<String> {
        self.told.troubles.lock().expect("no panic").clone()
    }
}

fn fleet_table(fleet: usize, instances: usize) -> String {
    format!(
        r#"
[fleet.f{fleet}]
provider = "aliyun"
min = {instances}
max = {max}
[fleet.f{fleet}.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.f{fleet}.signal.cpu]
source = "prometheus"
url = "http://127.0.0.1:9"
query = "avg(cpu)"
[[fleet.f{fleet}.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75 }}
"#,
        max = instances + 1,
    )
}

#[tokio::test]
async fn fifty_idle_fleets_of_forty_cost_three_listings_a_minute() {
    let mut many = Many::new(50, 40, "").await;
    many.run(60).await;
    many.reads();
    many.run(120).await;
    let a_minute = many.reads() / 2;
    assert!(a_minute <= 3 * 20, "{a_minute}");
    assert_eq!((many.fleets_that_ticked(), many.troubles()), (50, vec![]));
}

#[tokio::test]
async fn a_hundred_fleets_of_a_hundred_are_all_served_at_default_limits() {
    let mut many = Many::new(100, 100, "").await;
    many.run(60).await;
    assert_eq!((many.fleets_that_ticked(), many.troubles()), (100, vec![]));
    many.reads();
    many.run(180).await;
    let a_minute = many.reads() / 3;
    let oldest = *many.told.oldest.lock().expect("no panic");
    assert!(a_minute <= 5 * 60 / 3, "a third of the budget: {a_minute}");
    assert!(oldest <= Duration::from_secs(80 + 20 + 15), "{oldest:?}");
    assert_eq!(many.troubles(), Vec::<String>::new());
}

#[tokio::test]
async fn a_thousand_fleets_of_ten_cost_two_or_three_listings_in_forty_seconds() {
    let limits = "rate_limits = { DescribeInstances = 1000, account = 1000 }";
    let mut many = Many::new(1_000, 10, limits).await;
    many.run(40).await;
    let reads = many.reads();
    assert!((200..=310).contains(&reads), "{reads}");
    assert_eq!((many.fleets_that_ticked(), many.troubles()), (1_000, vec![]));
}

#[tokio::test]
async fn a_stop_during_a_listing_of_many_pages_does_not_wait_for_it() {
    let many = Many::new(10, 1_000, "rate_limits = { DescribeInstances = 0.5 }").await;
    let (stop, stopped) = watch::channel(false);
    let beat = control::beat(many.world.clone(), Beat::Forever, many.told.clone(), stopped);
    let daemon = tokio::spawn(beat);
    for _ in 0..40 {
        many.pass(STEP).await;
    }
    let before = many.clock.now();
    stop.send_replace(true);
    while !daemon.is_finished() {
        many.pass(STEP).await;
    }
    let took = clock::age(many.clock.now(), before);
    assert!(took <= Duration::from_secs(1), "{took:?}");
    assert_eq!(many.troubles(), Vec::<String>::new());
    assert_eq!(many.fleets_that_ticked(), 0);
}
