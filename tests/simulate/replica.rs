//! One replica of the daemon: everything of it is real but the socket, the disk and the time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, Seams};
use cloud::dice::SeededDice;
use cloud::{Clock, Dice, ManualClock};
use ecs_emulator::Emulator;
use fleetscaler::config::{self, Config, Env, Provider};
use fleetscaler::control::{self, Draw, LiveCloud, Mode, Sourced, World};
use fleetscaler::journal::store::Memory;
use fleetscaler::journal::{Journal, Keep, LeaseTime};
use fleetscaler::signals::Source;
use uuid::Uuid;

use crate::check::{COOLDOWN_IN, COOLDOWN_OUT, Checks};
use crate::script::{KINDS, Shape, VSWITCHES};
use crate::steps::{Gates, SteppedCloud, SteppedStore, StoreTrouble};
use crate::truth::{self, Cpu, Truth};

/// What all replicas share.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) clock: ManualClock,
    pub(crate) gates: Arc<Gates>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) truth: Arc<Truth>,
    pub(crate) checks: Arc<Checks>,
}

#[derive(Debug)]
struct Seeded(SeededDice);

impl Draw for Seeded {
    fn draw(&self) -> Uuid {
        self.0.uuid()
    }
}

/// Starts a replica, the `life`th of its place.
pub(crate) fn start(
    outside: &Outside,
    config: &Config,
    place: usize,
    life: u64,
    seed: u64,
    trouble: &Arc<Mutex<StoreTrouble>>,
) -> World {
    let clock: Arc<dyn Clock> = Arc::new(outside.clock.clone());
    let store = SteppedStore {
        replica: place,
        gates: outside.gates.clone(),
        inner: outside.memory.beside(),
        clock: outside.clock.clone(),
        trouble: trouble.clone(),
        checks: outside.checks.clone(),
    };
    let me = format!("replica-{place}-{life}").as_str().into();
    let lease = LeaseTime(config.daemon.lease.get());
    let keep = Keep::from(&config.daemon);
    let journal = Journal::over(Arc::new(store), clock.clone(), me, lease, keep);
    let transport = SteppedCloud {
        replica: place,
        gates: outside.gates.clone(),
        emulator: outside.emulator.clone(),
        clock: outside.clock.clone(),
        checks: outside.checks.clone(),
    };
    let dice = |n: u64| SeededDice::new(seed ^ (life << 32) ^ ((place as u64) << 24) ^ (n << 16));
    let seams = Seams { transport: Arc::new(transport), dice: Arc::new(dice(1)) };
    let Provider::Aliyun(provider) = &config.providers["aliyun"];
    let keys = Arc::new(KeyPair::new("testid", "testsecret"));
    let settings = control::settings(provider, keys);
    let ecs = Ecs::with_seams(settings, clock.clone(), seams).expect("settings that work");
    let clouds: BTreeMap<String, LiveCloud> =
        [("aliyun".to_owned(), LiveCloud::of(Arc::new(ecs)))].into();
    let sourced: Vec<Sourced> = (0..config.fleets.len())
        .map(|fleet| {
            let cpu = Cpu { truth: outside.truth.clone(), fleet };
            let sources = [("cpu".into(), Arc::new(cpu) as Arc<dyn Source>)].into();
            (sources, None)
        })
        .collect();
    let mut world =
        control::wire_over(config.clone(), Mode::Live, clock, Arc::new(journal), clouds, sourced);
    world.entropy = Arc::new(Seeded(dice(2)));
    world
}

/// The configuration of a world of this shape.
pub(crate) fn config(shape: &Shape, cloud: &str) -> Config {
    let mut text = format!(
        "[daemon]\ninterval = \"15s\"\nlease = \"60s\"\nstate = \"memory:\"\n\
         [provider.aliyun]\nregion = \"cn-hangzhou\"\nendpoint = \"{cloud}\"\n\
         rate_limits = {{ RunInstances = 5, DescribeInstances = 20 }}\n"
    );
    for (n, fleet) in shape.fleets.iter().enumerate() {
        let name = truth::name(n);
        let spread = if fleet.balanced { "balanced" } else { "in-order" };
        let brakes = if fleet.brakes {
            "max_launches_per_hour = 30\nmax_removals_per_hour = 30\nmax_removal_percent = 80"
        } else {
            "max_removal_percent = 100"
        };
        let on_missing = if fleet.fallback { "{ fallback = 2 }" } else { "\"hold\"" };
        let base = if n == 0 && shape.base {
            "base = { tags = { pool = \"base\", team = \"ops\" } }"
        } else {
            ""
        };
        text.push_str(&format!(
            r#"
[fleet.{name}]
provider = "aliyun"
min = {min}
max = {max}
warmup = "20s"
boot_timeout = "3m"
stabilization = "45s"
terminate = "{terminate}"
{brakes}
{base}
[fleet.{name}.launch]
image_id = "m-bp1example"
instance_types = {kinds:?}
vswitches = {vswitches:?}
security_group_ids = ["sg-bp1example"]
spread = "{spread}"
[fleet.{name}.signal.cpu]
source = "prometheus"
url = "http://127.0.0.1:9"
query = "avg(cpu)"
max_age = "90s"
on_missing = {on_missing}
[[fleet.{name}.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 2, by = {out_by} }}
scale_in = {{ below = 30, samples = 3, by = {in_by} }}
cooldown = {{ out = "{COOLDOWN_OUT}s", in = "{COOLDOWN_IN}s" }}
"#,
            min = fleet.min,
            max = fleet.max,
            terminate = fleet.terminate,
            kinds = KINDS,
            vswitches = VSWITCHES,
            out_by = fleet.out_by,
            in_by = fleet.in_by,
        ));
    }
    config::parse(&text, Path::new("simulated.toml"), &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}"))
}
