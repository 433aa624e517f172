//! Several fleets in one daemon.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliyun::credentials::KeyPair;
use cloud::{Clock, ManualClock, SystemClock};
use ecs_emulator::{Emulator, Fault, FaultKind, World};
use fleetscaler::config::{self, Env};
use fleetscaler::control::{self, Beat, FleetInWorld, Mode, Sink, TickError, TickReport};
use fleetscaler::journal::JournalError;
use fleetscaler::model::{AlertCode, FleetId, Gap, Reading};
use fleetscaler::observe::Instruments;
use fleetscaler::signals::Source;
use tokio::sync::watch;

#[derive(Default)]
struct Ticked(Mutex<Vec<FleetId>>);

impl Sink for Ticked {
    fn tick(&self, report: &TickReport) {
        self.0.lock().expect("no panic").push(report.fleet.clone());
    }

    fn journal(&self, state: Result<(), &JournalError>) {
        state.expect("the journal can be used");
    }

    fn trouble(&self, fleet: &FleetId, error: &TickError) {
        panic!("{fleet}: {error}");
    }
}

fn config(cloud: &str) -> String {
    let fleet = |name: &str| {
        format!(
            r#"
[fleet.{name}]
provider = "aliyun"
min = 1
max = 4
[fleet.{name}.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.{name}.signal.cpu]
source = "prometheus"
url = "http://127.0.0.1:9"
query = "avg(cpu)"
[[fleet.{name}.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75 }}
"#
        )
    };
    format!(
        "[daemon]\nstate = \"memory:\"\nlease = \"5m\"\n[provider.aliyun]\nregion = \"cn-hangzhou\"\nendpoint = \
         \"{cloud}\"\nread_timeout = \"5m\"\n{}{}",
        fleet("one"),
        fleet("two"),
    )
}

#[tokio::test]
async fn a_listing_that_hangs_is_replaced_by_a_fleet_that_waits_for_it() {
    let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let emulator = Emulator::on_loopback(World::default(), shared.clone()).await.expect("up");
    // The first listing of whichever fleet asks first takes an hour of the clock, which stands
    // still for it.
    let hour = Duration::from_secs(3_600).into();
    let slow = Fault { delay: hour, ..Fault::on("DescribeInstances", FaultKind::Slow) };
    emulator.inject(slow.times(1));
    let text = config(&emulator.url());
    let config = config::parse(&text, Path::new("test.toml"), &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}"));
    let keys = Arc::new(KeyPair::new("testid", "testsecret"));
    let world = control::wire(config, Mode::Live, shared, Some(keys)).await.expect("wired");
    let ticked = Arc::new(Ticked::default());
    let (stop, stopped) = watch::channel(false);
    let daemon =
        tokio::spawn(control::beat(Arc::new(world), Beat::Forever, ticked.clone(), stopped));

    let names = || ticked.0.lock().expect("no panic").clone();
    while names().len() < 3 {
        SystemClock.sleep(Duration::from_millis(2)).await;
        // The free fleet shares the listing of the other one until no page has come for long, then
        // reads by itself; an hour is far away.
        clock.advance(Duration::from_secs(1));
    }
    let seen = names();
    assert!(seen.iter().all(|name| *name == seen[0]), "the other one still waits: {seen:?}");
    stop.send_replace(true);
    daemon.abort();
}

#[tokio::test]
async fn fleets_of_one_account_keep_to_their_own_instances() {
    let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let emulator = Emulator::on_loopback(World::default(), shared.clone()).await.expect("up");
    let config = config::parse(&config(&emulator.url()), Path::new("test.toml"), &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}"));
    let keys = Arc::new(KeyPair::new("testid", "testsecret"));
    let world = control::wire(config, Mode::Live, shared, Some(keys)).await.expect("wired");
    control::tend(&world).await.expect("the journal can be used");
    for fleet in world.fleets.all().iter() {
        let tick = control::tick(&world, fleet);
        tokio::pin!(tick);
        let report = loop {
            tokio::select! {
                biased;
                report = &mut tick => break report.expect("a tick"),
                // A new fleet is looked at several times, apart.
                () = SystemClock.sleep(Duration::from_millis(2)) => {
                    clock.advance(Duration::from_secs(1));
                }
            }
        };
        assert_eq!(report.decision.current, 0, "the other fleet's instances are not counted");
        clock.advance(Duration::from_secs(30));
    }
    let fleets: Vec<String> =
        emulator.instances().iter().map(|view| view.tags["scale-fleet"].clone()).collect();
    assert_eq!(fleets, ["one", "two"]);
}

#[tokio::test]
async fn once_told_to_stop_the_daemon_finishes_the_action_under_way_and_begins_no_other() {
    let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let emulator = Emulator::on_loopback(World::default(), shared.clone()).await.expect("up");
    let minute = Duration::from_secs(60).into();
    let slow = Fault { delay: minute, ..Fault::on("RunInstances", FaultKind::Slow) };
    emulator.inject(slow.times(1));
    // Each fleet's first plan has two launches, one per zone.
    let text = config(&emulator.url())
        .replace("min = 1", "min = 2")
        .replace("[\"vsw-zone-h\"]", "[\"vsw-zone-h\", \"vsw-zone-i\"]\nspread = \"balanced\"");
    let (one, _) = text.split_once("[fleet.two]").expect("two fleets");
    let config = config::parse(one, Path::new("test.toml"), &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}"));
    let keys = Arc::new(KeyPair::new("testid", "testsecret"));
    let world = control::wire(config, Mode::Live, shared, Some(keys)).await.expect("wired");
    let world = Arc::new(world);
    let (stop, stopped) = watch::channel(false);
    let beat = control::beat(world.clone(), Beat::Forever, Arc::<Ticked>::default(), stopped);
    let daemon = tokio::spawn(beat);

    let launches =
        || emulator.transcript().iter().filter(|entry| entry.action == "RunInstances").count();
    while launches() == 0 {
        SystemClock.sleep(Duration::from_millis(2)).await;
        // A new fleet is looked at several times, apart.
        clock.advance(Duration::from_secs(1));
    }
    stop.send_replace(true);
    while !daemon.is_finished() {
        SystemClock.sleep(Duration::from_millis(2)).await;
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(launches(), 1, "the second launch is left to the next process");
    let reader = world.journal.reader();
    let history = reader.history(&"one".into()).await.expect("it can be read");
    assert_eq!(history.open.len(), 0, "the first one was awaited and recorded");
    assert!(control::hourly(&world).await.is_empty(), "no audit begins either");
}

/// Panics the first time that it is read.
#[derive(Debug, Default)]
struct Buggy(std::sync::atomic::AtomicBool);

#[async_trait::async_trait]
impl Source for Buggy {
    async fn read(&self) -> Reading {
        assert!(self.0.swap(true, Ordering::Relaxed), "a bug in the source");
        Err(Gap::Empty)
    }
}

#[tokio::test]
async fn a_bug_ends_one_tick_of_one_fleet_and_no_more() {
    let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let emulator = Emulator::on_loopback(World::default(), shared.clone()).await.expect("up");
    let config = config::parse(&config(&emulator.url()), Path::new("test.toml"), &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}"));
    let keys = Arc::new(KeyPair::new("testid", "testsecret"));
    let mut world = control::wire(config, Mode::Live, shared, Some(keys)).await.expect("wired");
    let mut members: Vec<FleetInWorld> =
        world.fleets.all().iter().map(|member| FleetInWorld::clone(member)).collect();
    members[0].sources = [("cpu".into(), Arc::<Buggy>::default() as Arc<dyn Source>)].into();
    world.fleets.replace(members);
    // The clock stands still: nobody would end the wait between two looks.
    world.trust_first_looks();
    control::tend(&world).await.expect("the journal can be used");
    let world = Arc::new(world);
    let instruments = Instruments::new(world.clone());

    let all = world.fleets.all();
    let (buggy, other) = (&all[0], &all[1]);
    let error = control::guarded_tick(&world, buggy).await.expect_err("a bug");
    assert!(
        matches!(&error, TickError::Panicked(what) if what == "a bug in the source"),
        "{error}"
    );
    let changes = instruments.failed(&buggy.fleet.id, &error);
    assert_eq!(changes.raised[0].key.code, AlertCode::TickPanicked);
    let report = control::guarded_tick(&world, other).await.expect("a tick");
    assert!(instruments.ticked(&report).is_empty());

    clock.advance(Duration::from_secs(15));
    let report = control::guarded_tick(&world, buggy).await.expect("it is tried again");
    let changes = instruments.ticked(&report);
    assert_eq!(changes.cleared[0].code, AlertCode::TickPanicked);

    // Its fleet is removed while a tick is under way: nothing is told of it any more.
    let name = buggy.fleet.id.to_string();
    assert!(instruments.metrics().contains(&format!("fleet=\"{name}\"")));
    world.fleets.replace(vec![FleetInWorld::clone(other)]);
    instruments.reloaded();
    assert!(instruments.ticked(&report).is_empty());
    assert!(instruments.failed(&buggy.fleet.id, &error).is_empty());
    instruments.took(&buggy.fleet.id, Duration::from_secs(20));
    assert!(!instruments.metrics().contains(&format!("fleet=\"{name}\"")), "it is gone");
}
