//! The stage: the user's fleet as it is configured, and a cloud of its own that has what the fleet names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aliyun::credentials::KeyPair;
use aliyun::{Ecs, Seams};
use cloud::dice::SeededDice;
use cloud::{Clock, Dice, ManualClock};
use ecs_emulator::{Emulator, VSwitch};
use uuid::Uuid;

use super::truth::{Meaning, Simulated, Truth};
use super::{InProcess, RehearseError, Terms};
use crate::config::{Config, FleetConfig, Provider, StateUrl};
use crate::control::{self, Care, Draw, LiveCloud, Mode, World};
use crate::journal::{Journal, Keep, LeaseTime};
use crate::model::{Fleet, Lifecycle, RuleKind, SignalName, Span, TargetOf};
use crate::signals::Source;

/// The key pair of the embedded cloud.
const KEY: (&str, &str) = ("testid", "testsecret");
/// Two rehearsals of the same thing are the same.
const SEED: u64 = 1;
/// More than any fleet may have.
const ADDRESSES: u32 = 20_000;
/// The load of an instance when neither a rule nor the command line says it: load is in percent of one.
const CAPACITY: f64 = 100.0;

/// A fleet on its stage.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) fleet: Fleet,
    pub(super) interval: Duration,
    pub(super) emulator: Arc<Emulator>,
    pub(super) clock: ManualClock,
    pub(super) truth: Arc<Truth>,
    pub(super) capacity: f64,
    /// Differences from the field.
    pub(super) remarks: Vec<String>,
}

#[derive(Debug)]
struct Seeded(SeededDice);

impl Draw for Seeded {
    fn draw(&self) -> Uuid {
        self.0.uuid()
    }
}

impl Stage {
    pub(super) async fn set(config: Config, terms: &Terms) -> Result<Stage, RehearseError> {
        let clock = ManualClock::at(terms.start);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let (mut config, mut remarks) = alone(config, &terms.fleet)?;
        let configured = &mut config.fleets[0];
        let interval = configured.interval.unwrap_or(config.daemon.interval).get();
        let mut cloud = ecs_emulator::World::default();
        let Provider::Aliyun(provider) =
            config.providers.values_mut().next().expect("the fleet's own");
        furnish(&mut cloud, &configured.fleet, &provider.region);
        cloud.set_boot(terms.boot.get());
        let emulator = Arc::new(Emulator::embedded(cloud, shared.clone()));
        bring_base(&emulator, &mut configured.fleet);
        provider.endpoint = Some(emulator.url());
        provider.sts_endpoint = None;
        provider.vpc_endpoint = false;
        let transport = Arc::new(InProcess { emulator: emulator.clone(), clock: clock.clone() });
        let seams = Seams { transport, dice: Arc::new(SeededDice::new(SEED)) };
        let keys = Arc::new(KeyPair::new(KEY.0, KEY.1));
        let ecs = Ecs::with_seams(control::settings(provider, keys), shared.clone(), seams)?;

        let truth = Arc::new(Truth::default());
        let capacity = terms.capacity.unwrap_or_else(|| capacity(&configured.fleet));
        let fleet = configured.fleet.clone();
        let mut sources: BTreeMap<SignalName, Arc<dyn Source>> = BTreeMap::new();
        for signal in fleet.signals.keys() {
            let (meaning, words) = meaning(&fleet, signal);
            remarks.push(format!("{signal} is taken for {words}"));
            let (truth, clock) = (truth.clone(), clock.clone());
            sources.insert(signal.clone(), Arc::new(Simulated { meaning, capacity, truth, clock }));
        }
        let lease = LeaseTime(config.daemon.lease.get());
        let keep = Keep::from(&config.daemon);
        let journal = Journal::open(&config.daemon.state, shared.clone(), lease, keep).await?;
        let clouds = [(configured.provider.clone(), LiveCloud::of(Arc::new(ecs)))].into();
        let sourced = vec![(sources, None, Care::default())];
        let journal = Arc::new(journal);
        let mut world = control::wire_over(config, Mode::Live, shared, journal, clouds, sourced);
        world.entropy = Arc::new(Seeded(SeededDice::new(SEED)));
        // This cloud is new, and so is its fleet.
        world.trust_first_looks();
        Ok(Stage { world, fleet, interval, emulator, clock, truth, capacity, remarks })
    }
}

/// The configuration of one fleet and its provider, without what looks after instances from outside.
fn alone(
    mut config: Config,
    wanted: &Option<String>,
) -> Result<(Config, Vec<String>), RehearseError> {
    let names: Vec<String> = config.fleets.iter().map(|f| f.fleet.id.0.clone()).collect();
    config.fleets.retain(|fleet| wanted.as_ref().is_none_or(|name| *name == fleet.fleet.id.0));
    if config.fleets.len() != 1 {
        return Err(RehearseError::WhichFleet { names: names.join(", ") });
    }
    let FleetConfig { fleet, provider, up, checks, .. } = &mut config.fleets[0];
    config.providers.retain(|name, _| name == provider);
    let mut remarks = Vec::new();
    let life = &fleet.lifecycle;
    let tells = up.is_some() || !checks.is_empty() || life.has_checks;
    if tells || !life.hooks.is_empty() || !life.balancers.is_empty() || life.has_busy {
        remarks.push(
            "health checks, hooks, load balancers and queries for who is up or has work are left \
             out: instances that run are well"
                .to_owned(),
        );
    }
    fleet.lifecycle = Lifecycle { drain: life.drain, ..Lifecycle::default() };
    fleet.ready_timeout = None;
    fleet.shadow = None;
    *up = None;
    config.daemon.state = StateUrl::Memory;
    Ok((config, remarks))
}

/// The cloud has what the fleet launches: each vSwitch is a zone of its own.
fn furnish(cloud: &mut ecs_emulator::World, fleet: &Fleet, region: &str) {
    let launch = &fleet.launch;
    region.clone_into(&mut cloud.region);
    cloud.zones = launch.vswitches.clone();
    cloud.instance_types = launch.instance_types.clone();
    cloud.images = vec![launch.spec.image_id.clone()];
    cloud.security_groups = launch.spec.security_group_ids.clone();
    let vswitch = |id: &String| (id.clone(), VSwitch { zone: id.clone(), ips: ADDRESSES });
    cloud.vswitches = launch.vswitches.iter().map(vswitch).collect();
}

/// Base instances stand there from the beginning.
fn bring_base(emulator: &Emulator, fleet: &mut Fleet) {
    let Some(base) = &mut fleet.base else { return };
    base.ids = base.ids.iter().map(|_| cloud::InstanceId(emulator.place(&[]))).collect();
    if !base.tags.is_empty() {
        let tags: Vec<_> = base.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        emulator.place(&tags);
    }
}

/// The load that one instance carries, as the rules say.
fn capacity(fleet: &Fleet) -> f64 {
    let of_rule = fleet.rules.iter().find_map(|rule| match &rule.kind {
        RuleKind::Adaptive(rule) => Some(rule.capacity),
        RuleKind::Target(rule) if rule.of == TargetOf::Total || rule.target > CAPACITY => {
            Some(rule.target)
        }
        RuleKind::Queue(rule) => Some(rule.per_instance()),
        RuleKind::External(_) => Some(1.0),
        _ => None,
    });
    of_rule.unwrap_or(CAPACITY)
}

/// The meaning of a signal by the first rule that reads it, also in words.
fn meaning(fleet: &Fleet, signal: &SignalName) -> (Meaning, &'static str) {
    let rule = fleet.rules.iter().find(|rule| rule.signals().contains(&signal));
    let bound = match rule.map(|rule| &rule.kind) {
        Some(RuleKind::Threshold(rule)) => {
            let out = rule.scale_out.as_ref().map(|out| out.above);
            out.or(rule.scale_in.as_ref().map(|in_| in_.below))
        }
        Some(RuleKind::Target(rule)) if rule.of == TargetOf::Average => Some(rule.target),
        Some(_) => return (Meaning::Load, "the load in total"),
        None => return (Meaning::Idle, "a signal that is always 0: no rule reads it"),
    };
    match bound.unwrap_or(CAPACITY) {
        bound if bound <= 1.0 => (Meaning::Used { full: 1.0 }, "the share of an instance in use"),
        bound if bound <= 100.0 => {
            (Meaning::Used { full: 100.0 }, "how much of an instance is in use, in percent")
        }
        _ => (Meaning::Each, "the load of an instance on average"),
    }
}

/// The load where there is no trace: from a half of what `min` carries to most of what `max` does.
pub(super) fn surge(fleet: &Fleet, capacity: f64, lasts: Span) -> super::Course {
    let size = |count: u32| f64::from(count) * capacity;
    super::Course::Surge {
        least: size(fleet.bounds.min) * 0.5,
        most: size(fleet.bounds.max.min(fleet.bounds.min.max(1).saturating_mul(6))) * 0.6,
        lasts: lasts.get(),
    }
}
