//! One replica of the daemon: everything of it is real but the socket, the disk and the time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, Seams};
use cloud::dice::SeededDice;
use cloud::{Clock, Dice};
use ecs_emulator::Emulator;
use fleetscaler::config::{self, Config, Env, Provider};
use fleetscaler::control::{self, Care, Draw, LiveCloud, Mode, Sourced, World};
use fleetscaler::journal::{Journal, Keep, LeaseTime};
use fleetscaler::model::ReplicaId;
use fleetscaler::signals::{Source, UpSource};
use uuid::Uuid;

use crate::check::{COOLDOWN_IN, COOLDOWN_OUT, Checks};
use crate::door::SteppedCloud;
use crate::gates::Gates;
use crate::host::{HostClock, TrueClock};
use crate::kept::Kept;
use crate::script::{FleetShape, KINDS, Shape, VSWITCHES};
use crate::store::{SteppedStore, StoreTrouble};
use crate::truth::{Answering, Cpu, Truth};
use crate::who::Ticking;

/// The parts that all replicas share.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) shape: Arc<Shape>,
    /// By account.
    pub(crate) emulators: Vec<Arc<Emulator>>,
    /// By installation.
    pub(crate) journals: Vec<Arc<Kept>>,
    /// The true time.
    pub(crate) clock: TrueClock,
    pub(crate) gates: Arc<Gates>,
    pub(crate) truth: Arc<Truth>,
    pub(crate) checks: Arc<Checks>,
}

/// The present configuration, by fleet.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) present: bool,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Changes with what is launched.
    pub(crate) revision: u32,
}

/// A process to be started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) place: usize,
    pub(crate) installation: usize,
    /// Counts the processes of its place.
    pub(crate) life: u64,
    pub(crate) seed: u64,
    pub(crate) host: &'a HostClock,
    pub(crate) trouble: &'a Arc<Mutex<StoreTrouble>>,
    pub(crate) setups: &'a [Setup],
}

/// A process that runs, with the fleets of its configuration.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) world: World,
    /// In the order of the world's fleets.
    pub(crate) fleets: Vec<Ticking>,
}

#[derive(Debug)]
struct Seeded(SeededDice);

impl Draw for Seeded {
    fn draw(&self) -> Uuid {
        self.0.uuid()
    }
}

pub(crate) fn start(outside: &Outside, start: &Start<'_>) -> Replica {
    let Start { place, installation, life, seed, .. } = *start;
    let config = config(outside, installation, start.setups);
    let host: Arc<dyn Clock> = Arc::new(start.host.clone());
    let kept = outside.journals[installation].clone();
    let store = SteppedStore {
        place,
        gates: outside.gates.clone(),
        inner: kept.open(),
        kept: kept.clone(),
        clock: outside.clock.clone(),
        trouble: start.trouble.clone(),
        checks: outside.checks.clone(),
    };
    let me: ReplicaId = format!("replica-{place}-{life}").as_str().into();
    let lease = LeaseTime(config.daemon.lease.get());
    let keep = Keep::from(&config.daemon);
    let journal = Journal::over(Arc::new(store), host.clone(), me.clone(), lease, keep)
        .owned_by(Some(format!("installation-{installation}")));
    let dice = |n: u64| SeededDice::new(seed ^ (life << 32) ^ ((place as u64) << 24) ^ (n << 16));
    let mut clouds = BTreeMap::new();
    for (name, provider) in &config.providers {
        let account: usize = name.trim_start_matches('a').parse().expect("a0, a1");
        let transport = SteppedCloud {
            place,
            account,
            me: me.clone(),
            gates: outside.gates.clone(),
            emulator: outside.emulators[account].clone(),
            clock: outside.clock.clone(),
            kept: kept.clone(),
            checks: outside.checks.clone(),
            shape: outside.shape.clone(),
        };
        let account = account as u64;
        let seams =
            Seams { transport: Arc::new(transport), dice: Arc::new(dice(1 + (account << 8))) };
        let Provider::Aliyun(provider) = provider;
        let keys = Arc::new(KeyPair::new("testid", "testsecret"));
        let settings = control::settings(provider, keys);
        let ecs = Ecs::with_seams(settings, host.clone(), seams).expect("settings that work");
        clouds.insert(name.clone(), LiveCloud::of(Arc::new(ecs)));
    }
    let by_name = |name: &str| {
        let fleets = outside.shape.fleets.iter();
        let is = |fleet: &FleetShape| fleet.installation == installation && fleet.name == name;
        fleets.clone().position(is).expect("it was configured from its shape")
    };
    let fleets: Vec<Ticking> = config
        .fleets
        .iter()
        .map(|configured| {
            let fleet = by_name(&configured.fleet.id.0);
            let Setup { min, max, .. } = start.setups[fleet];
            Ticking { fleet, min, max }
        })
        .collect();
    let sourced: Vec<Sourced> = fleets
        .iter()
        .map(|Ticking { fleet, .. }| {
            let (truth, fleet) = (outside.truth.clone(), *fleet);
            let cpu = Cpu { truth: truth.clone(), place, fleet };
            let up_source = outside.shape.fleets[fleet].up_source;
            let up_source =
                up_source.then(|| Arc::new(Answering { truth, fleet }) as Arc<dyn UpSource>);
            let sources = [("cpu".into(), Arc::new(cpu) as Arc<dyn Source>)].into();
            (sources, up_source, Care::default())
        })
        .collect();
    let mut world =
        control::wire_over(config, Mode::Live, host, Arc::new(journal), clouds, sourced);
    world.entropy = Arc::new(Seeded(dice(2)));
    Replica { world, fleets }
}

/// The configuration of an installation as it is by now.
fn config(outside: &Outside, installation: usize, setups: &[Setup]) -> Config {
    let shape = &outside.shape;
    let of = &shape.installations[installation];
    let mut text = format!(
        "[daemon]\ninterval = \"{}s\"\nlease = \"60s\"\nstate = \"memory:\"\n",
        shape.interval_secs
    );
    let configured: Vec<usize> = (0..shape.fleets.len())
        .filter(|n| shape.fleets[*n].installation == installation && setups[*n].present)
        .collect();
    let strays = if of.deletes_strays { "delete" } else { "report" };
    let percent = of.removal_percent.map(|p| format!("max_removal_percent = {p}\n"));
    let rates = "rate_limits = { RunInstances = 5, DescribeInstances = 20 }\n";
    for account in 0..shape.accounts {
        if configured.iter().all(|n| shape.fleets[*n].account != account) {
            continue;
        }
        write!(
            text,
            "[provider.a{account}]\nkind = \"aliyun\"\nregion = \"cn-hangzhou\"\n\
             endpoint = \"{}\"\nstrays = \"{strays}\"\n{}{}",
            outside.emulators[account].url(),
            percent.as_deref().unwrap_or_default(),
            if shape.default_rates { "" } else { rates },
        )
        .expect("a text takes everything");
    }
    for n in configured {
        text.push_str(&fleet(n, &shape.fleets[n], &setups[n]));
    }
    config::parse(&text, Path::new("simulated.toml"), &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn fleet(n: usize, shape: &FleetShape, setup: &Setup) -> String {
    let FleetShape { name, account, terminate, out_by, in_by, .. } = shape;
    let Setup { min, max, revision, .. } = setup;
    let spread = if shape.balanced { "balanced" } else { "in-order" };
    let brakes = match shape.brakes {
        Some(brakes) => format!(
            "max_launches_per_hour = {}\nmax_removals_per_hour = {}\nmax_removal_percent = {}",
            brakes.launches, brakes.removals, brakes.percent
        ),
        None => "max_removal_percent = 100".to_owned(),
    };
    let on_missing = if shape.fallback { "{ fallback = 2 }" } else { "\"hold\"" };
    let base = match shape.base {
        0 => String::new(),
        _ => format!("base = {{ tags = {{ pool = \"{}\", team = \"ops\" }} }}", pool(n)),
    };
    let boot_timeout = if shape.learns_boots { "" } else { "boot_timeout = \"3m\"" };
    let up_source = if shape.up_source {
        format!("[fleet.{name}.up]\nurl = \"http://127.0.0.1:9\"\nquery = \"up\"")
    } else {
        String::new()
    };
    let drain = shape
        .drain_secs
        .map_or_else(String::new, |secs| format!("[fleet.{name}.drain]\nwait = \"{secs}s\""));
    format!(
        r#"
[fleet.{name}]
provider = "a{account}"
min = {min}
max = {max}
warmup = "20s"
{boot_timeout}
stabilization = "45s"
terminate = "{terminate}"
{brakes}
{base}
[fleet.{name}.launch]
image_id = "m-bp1example"
instance_types = {KINDS:?}
vswitches = {VSWITCHES:?}
security_group_ids = ["sg-bp1example"]
instance_name = "revision-{revision}"
spread = "{spread}"
{up_source}
{drain}
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
"#
    )
}

/// The tags of the base instances of the nth fleet.
pub(crate) fn pool(fleet: usize) -> String {
    format!("base-{fleet}")
}
