//! The driver: lets time pass, lets steps go on in an order of its own, makes things happen.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::{Clock, ManualClock, Timestamp, clock};
use ecs_emulator::{Emulator, World as Cloud};
use fleetscaler::config::Config;
use fleetscaler::control::{self, TickError, TickReport, World};
use fleetscaler::journal::codec;
use fleetscaler::journal::store::{Durability, Memory, NewRecord, Scope, Store, Write};
use fleetscaler::model::{Direction, Hold, OperatorEvent};
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::{AbortHandle, abortable};
use futures::task::LocalSpawnExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::check::Checks;
use crate::end;
use crate::replica::{self, Outside};
use crate::script::{KINDS, Script, What, ZONES};
use crate::steps::{Gates, StoreTrouble};
use crate::truth::{self, Truth};

/// A tick of each fleet so often, in seconds; a renewal of the leases so often.
const INTERVAL: u32 = 15;
const RENEWAL: u32 = 6;
/// A tick that waits for the clock longer than this hangs.
const STUCK: Duration = Duration::from_secs(1_200);
/// Steps within one second of the clock: more is a loop.
const STEPS_MOST: u32 = 20_000;
/// Extra ticks in a row, as in the daemon's own loop.
const EXTRA_TICKS: u32 = 8;
/// How long a fleet may take to come to rest once nothing goes wrong any more: longer than a stop
/// of an account or a pause after failed launches, which are probed in between.
const REST_SECS: u32 = 9 * 3_600;

/// What a simulation came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    pub(crate) ticks: u64,
    pub(crate) steps: u64,
    pub(crate) launches: usize,
    pub(crate) deletions: usize,
    pub(crate) crashes: u32,
    /// From the end of trouble until every fleet was at rest.
    pub(crate) rest_secs: u32,
}

/// One place for a replica.
struct Place {
    world: Option<Arc<World>>,
    life: u64,
    trouble: Arc<Mutex<StoreTrouble>>,
    /// The process is gone when so many steps were made.
    crash_after: Option<(u32, u32)>,
    back_at: Option<Timestamp>,
    paused_until: Option<Timestamp>,
    tasks: Vec<AbortHandle>,
    /// Ticks and renewals under way.
    busy: Rc<RefCell<Vec<Job>>>,
}

/// Work that is under way: of which fleet (`None`: the renewal), since when.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Job {
    fleet: Option<usize>,
    since: Timestamp,
}

pub(crate) struct Driver {
    script: Script,
    config: Config,
    pub(crate) outside: Outside,
    pool: LocalPool,
    spawner: LocalSpawner,
    rng: StdRng,
    places: Vec<Place>,
    began: Timestamp,
    pub(crate) run: Rc<RefCell<Run>>,
    pub(crate) verbose: bool,
}

/// Runs a script to its end. `Err` says what was wrong.
pub(crate) fn run(script: &Script, verbose: bool) -> Result<Run, String> {
    let mut driver = Driver::new(script.clone(), verbose);
    driver.rough()?;
    driver.calm()?;
    let run = *driver.run.borrow();
    let (launches, deletions) = driver.outside.checks.counts();
    Ok(Run { launches, deletions, ..run })
}

impl Driver {
    fn new(script: Script, verbose: bool) -> Driver {
        let began: Timestamp = "2026-01-02T12:00:07Z".parse().expect("a valid time");
        let clock = ManualClock::at(began);
        let shape = &script.shape;
        let cloud = Cloud {
            boot: Duration::from_secs(shape.boot_secs).into(),
            stop: Duration::from_secs(shape.stop_secs).into(),
            listing_lag: Duration::from_secs(shape.listing_lag_secs).into(),
            tag_lag: Duration::from_secs(shape.tag_lag_secs).into(),
            deletion_lag: Duration::from_secs(shape.deletion_lag_secs).into(),
            ..Cloud::default()
        };
        let emulator = Arc::new(Emulator::embedded(cloud, Arc::new(clock.clone())));
        if shape.base {
            emulator.place(&[("pool", "base"), ("team", "ops")]);
        }
        emulator.place(&[("owner", "somebody")]);
        let outside = Outside {
            truth: Arc::new(Truth::new(shape, emulator.clone(), clock.clone())),
            checks: Arc::new(Checks::new(shape, emulator.clone(), clock.clone())),
            gates: Arc::new(Gates::default()),
            memory: Arc::new(Memory::default()),
            emulator,
            clock,
        };
        let config = replica::config(shape, &outside.emulator.url());
        let pool = LocalPool::new();
        let places = (0..shape.replicas)
            .map(|_| Place {
                world: None,
                life: 0,
                trouble: Arc::default(),
                crash_after: None,
                back_at: Some(began),
                paused_until: None,
                tasks: Vec::new(),
                busy: Rc::default(),
            })
            .collect();
        Driver {
            spawner: pool.spawner(),
            pool,
            rng: StdRng::seed_from_u64(script.seed ^ 0x5EED),
            places,
            began,
            config,
            outside,
            script,
            run: Rc::default(),
            verbose,
        }
    }

    fn now(&self) -> Timestamp {
        self.outside.clock.now()
    }

    fn elapsed(&self) -> u32 {
        u32::try_from(clock::age(self.now(), self.began).as_secs()).expect("less than a century")
    }

    fn in_secs(&self, secs: u32) -> Timestamp {
        clock::after(self.now(), Duration::from_secs(u64::from(secs)))
    }

    /// The time in which things go wrong.
    fn rough(&mut self) -> Result<(), String> {
        let mut next = 0;
        let mut until: Vec<(Timestamp, What)> = Vec::new();
        while self.elapsed() < self.script.rough_secs {
            while let Some(happening) = self.script.happenings.get(next)
                && happening.at <= self.elapsed()
            {
                let what = happening.what.clone();
                next += 1;
                self.say(format!("{what:?}"));
                self.happen(&what, &mut until);
            }
            let now = self.now();
            let (over, rest) = until.into_iter().partition(|(at, _)| *at <= now);
            until = rest;
            let over: Vec<(Timestamp, What)> = over;
            for (_, what) in over {
                self.undo(&what);
            }
            self.second(1)?;
        }
        for (_, what) in until {
            self.undo(&what);
        }
        Ok(())
    }

    /// Nothing goes wrong any more: every fleet must come to rest.
    fn calm(&mut self) -> Result<(), String> {
        self.say("calm".to_owned());
        let now = self.now();
        self.outside.emulator.clear_faults();
        self.outside.emulator.change(|world| {
            world.stock.clear();
            world.instance_quota = 10_000;
            world.lists_nothing = false;
        });
        for zone in ZONES {
            self.outside.emulator.restore_zone(zone);
        }
        for view in self.outside.emulator.instances() {
            self.outside.emulator.protect(&view.id, false);
            self.outside.checks.protect(&view.id, false);
        }
        for fleet in self.outside.truth.fleets().iter_mut() {
            fleet.gap_until = None;
            fleet.frozen_until = None;
            fleet.partial_until = None;
            fleet.lag = Duration::ZERO;
            fleet.load = fleet.load.clamp(0.5, 20.0);
        }
        for place in &mut self.places {
            place.crash_after = None;
            place.paused_until = None;
            place.back_at = place.back_at.map(|at| at.min(now));
            *place.trouble.lock().expect("no panic") = StoreTrouble::default();
        }
        for n in 0..self.fleet_count() {
            self.lift(n);
        }
        let calm_at = self.elapsed();
        let mut at_rest_for = 0;
        loop {
            let step = if self.elapsed() - calm_at < 1_800 { 5 } else { 15 };
            self.second(step)?;
            let restless = end::restless(self);
            at_rest_for = if restless.is_none() { at_rest_for + step } else { 0 };
            // At rest for longer than any cool-down or window.
            if at_rest_for >= 300 {
                break;
            }
            if self.elapsed() - calm_at > REST_SECS {
                let what = restless.unwrap_or_default();
                return Err(format!("not at rest {REST_SECS} s after the last trouble: {what}"));
            }
        }
        self.run.borrow_mut().rest_secs = self.elapsed() - calm_at - 300;
        end::check(self)
    }

    /// Lets `step` seconds pass.
    fn second(&mut self, step: u32) -> Result<(), String> {
        self.outside.truth.scrape();
        self.start_and_spawn();
        self.steps()?;
        self.outside.clock.advance(Duration::from_secs(u64::from(step)));
        // Delayed effects may have happened.
        self.outside.checks.called();
        match self.outside.checks.wrong() {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    fn start_and_spawn(&mut self) {
        let (now, elapsed) = (self.now(), self.elapsed());
        for place in 0..self.places.len() {
            if self.places[place].back_at.is_some_and(|at| at <= now) {
                self.places[place].back_at = None;
                self.places[place].life += 1;
                let (life, seed) = (self.places[place].life, self.script.seed);
                let trouble = self.places[place].trouble.clone();
                let world =
                    replica::start(&self.outside, &self.config, place, life, seed, &trouble);
                self.places[place].world = Some(Arc::new(world));
            }
            let Some(world) = self.places[place].world.clone() else { continue };
            // Everything at moments of its own, as with real replicas.
            let granularity = self.granularity();
            let phase = |n: usize, of: u32| {
                (elapsed + 5 * u32::try_from(place + n).expect("few")) % of < granularity
            };
            if phase(0, RENEWAL) {
                self.spawn_renewal(place, world.clone());
            }
            for fleet in 0..self.config.fleets.len() {
                if phase(3 * fleet + 1, INTERVAL) {
                    self.spawn_tick(place, fleet, world.clone());
                }
            }
        }
    }

    /// In the calm the clock moves by more than a second at a time.
    fn granularity(&self) -> u32 {
        match self.elapsed().checked_sub(self.script.rough_secs) {
            None => 1,
            Some(0..1_800) => 5,
            Some(_) => INTERVAL,
        }
    }

    fn begin(&self, place: usize, fleet: Option<usize>) -> bool {
        let mut busy = self.places[place].busy.borrow_mut();
        if busy.iter().any(|job| job.fleet == fleet) {
            return false;
        }
        busy.push(Job { fleet, since: self.now() });
        true
    }

    fn spawn(
        &mut self,
        place: usize,
        fleet: Option<usize>,
        work: impl Future<Output = ()> + 'static,
    ) {
        let busy = self.places[place].busy.clone();
        let (work, handle) = abortable(async move {
            work.await;
            busy.borrow_mut().retain(|job| job.fleet != fleet);
        });
        self.places[place].tasks.retain(|task| !task.is_aborted());
        self.places[place].tasks.push(handle);
        self.spawner
            .spawn_local(async move {
                // An error says that the replica is gone.
                work.await.unwrap_or_default();
            })
            .expect("the pool lives");
    }

    fn spawn_renewal(&mut self, place: usize, world: Arc<World>) {
        if self.begin(place, None) {
            // A store that is away is met again at the next renewal.
            self.spawn(place, None, async move { drop(control::tend(&world).await) });
        }
    }

    fn spawn_tick(&mut self, place: usize, fleet: usize, world: Arc<World>) {
        if !self.begin(place, Some(fleet)) {
            return;
        }
        let checks = self.outside.checks.clone();
        let (run, verbose) = (self.run.clone(), self.verbose);
        self.spawn(place, Some(fleet), async move {
            for _ in 0..=EXTRA_TICKS {
                let launched = checks.last_launch(fleet);
                let result = control::tick(&world, &world.fleets[fleet]).await;
                if verbose {
                    tell(place, fleet, &result);
                }
                match result {
                    Ok(report) => {
                        run.borrow_mut().ticks += 1;
                        checks.ticked(fleet, &report, launched);
                        if !report.wants_another_tick() {
                            break;
                        }
                    }
                    Err(TickError::Review(objection)) => {
                        checks.fail(format!("fleet-{fleet}: a plan was refused: {objection}"));
                        break;
                    }
                    Err(_) => break,
                }
            }
        });
    }

    /// Lets every step go on that can, in an order that the seed decides.
    fn steps(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MOST {
            self.pool.run_until_stalled();
            let now = self.now();
            let waiting = self.outside.gates.replicas();
            let free: Vec<usize> = (0..waiting.len())
                .filter(|n| {
                    let place = &self.places[waiting[*n]];
                    place.paused_until.is_none_or(|until| until <= now)
                })
                .collect();
            if free.is_empty() {
                return self.no_one_is_stuck();
            }
            let nth = free[self.rng.random_range(0..free.len())];
            self.run.borrow_mut().steps += 1;
            let place = waiting[nth];
            match self.places[place].crash_after {
                Some((0, down_secs)) => self.crash(place, down_secs),
                Some((left, down_secs)) => {
                    self.places[place].crash_after = Some((left - 1, down_secs));
                    self.outside.gates.release(nth);
                }
                None => self.outside.gates.release(nth),
            }
        }
        Err("the daemon never comes to an end".to_owned())
    }

    fn no_one_is_stuck(&self) -> Result<(), String> {
        for (n, place) in self.places.iter().enumerate() {
            // One that was paused goes on where it stood.
            if place.paused_until.is_some() {
                continue;
            }
            for job in place.busy.borrow().iter() {
                if clock::age(self.now(), job.since) > STUCK {
                    return Err(format!("replica {n}: {job:?} hangs"));
                }
            }
        }
        Ok(())
    }

    /// The process is gone from one step to the next.
    fn crash(&mut self, place: usize, down_secs: u32) {
        self.say(format!("replica {place} is gone for {down_secs} s"));
        self.run.borrow_mut().crashes += 1;
        for task in std::mem::take(&mut self.places[place].tasks) {
            task.abort();
        }
        self.outside.gates.forget(place);
        self.pool.run_until_stalled();
        let back_at = self.in_secs(down_secs);
        let place = &mut self.places[place];
        place.busy.borrow_mut().clear();
        place.busy = Rc::default();
        place.world = None;
        place.crash_after = None;
        place.paused_until = None;
        place.back_at = Some(back_at);
    }

    fn happen(&mut self, what: &What, until: &mut Vec<(Timestamp, What)>) {
        let emulator = self.outside.emulator.clone();
        let later = |secs: &u32| self.in_secs(*secs);
        match what {
            What::Load { fleet, load } => self.outside.truth.fleets()[*fleet].load = *load,
            What::Fault(fault) => emulator.inject(fault.clone()),
            What::ClearFaults => emulator.clear_faults(),
            What::Stock { zone, kind, left } => {
                let place = format!("{}/{}", ZONES[*zone], KINDS[*kind]);
                emulator.change(|world| match left {
                    Some(left) => drop(world.stock.insert(place, *left)),
                    None => drop(world.stock.remove(&place)),
                });
            }
            What::Quota { left, secs } => {
                let exist = emulator.instances().iter().filter(|v| v.status != "Gone").count();
                let quota = u32::try_from(exist).expect("few") + left;
                emulator.change(|world| world.instance_quota = quota);
                until.push((later(secs), what.clone()));
            }
            What::ListsNothing { secs } => {
                emulator.change(|world| world.lists_nothing = true);
                until.push((later(secs), what.clone()));
            }
            What::Crash { replica, steps, down_secs } => {
                if self.places[*replica].world.is_some() {
                    self.places[*replica].crash_after = Some((*steps, *down_secs));
                }
            }
            What::Pause { replica, secs } => {
                let until = later(secs);
                self.places[*replica].paused_until = Some(until);
            }
            What::StoreDown { replica, secs } => {
                let down_until = Some(later(secs));
                for (n, place) in self.places.iter().enumerate() {
                    if replica.is_none_or(|replica| replica == n) {
                        place.trouble.lock().expect("no panic").down_until = down_until;
                    }
                }
            }
            What::StoreLies { replica } => {
                self.places[*replica].trouble.lock().expect("no panic").lies = true;
            }
            What::SignalGap { fleet, secs } => {
                let until = Some(later(secs));
                self.outside.truth.fleets()[*fleet].gap_until = until;
            }
            What::SignalFreeze { fleet, secs } => {
                let until = Some(later(secs));
                self.outside.truth.fleets()[*fleet].frozen_until = until;
            }
            What::SignalPartial { fleet, secs } => {
                let until = Some(later(secs));
                self.outside.truth.fleets()[*fleet].partial_until = until;
            }
            What::SignalLag { fleet, lag_secs } => {
                let lag = Duration::from_secs(u64::from(*lag_secs));
                self.outside.truth.fleets()[*fleet].lag = lag;
            }
            What::Vanish { nth } => self.on_nth(*nth, |id| emulator.vanish(id)),
            What::Stop { nth } => self.on_nth(*nth, |id| emulator.stop(id)),
            What::Untag { nth } => {
                self.on_nth(*nth, |id| emulator.untag(id, &["scale-timestamp", "scale-source"]));
            }
            What::Protect { nth, secs } => {
                if let Some(id) = self.nth(*nth) {
                    emulator.protect(&id, true);
                    self.outside.checks.protect(&id, true);
                    until.push((later(secs), what.clone()));
                }
            }
            What::LoseZone { zone, secs } => {
                emulator.lose_zone(ZONES[*zone]);
                until.push((later(secs), what.clone()));
            }
            What::Foreign => drop(emulator.place(&[("scale-source", "auto"), ("owner", "x")])),
            What::Hold { fleet, out, in_, secs } => self.hold(*fleet, *out, *in_, *secs),
            What::Resume { fleet } => self.lift(*fleet),
        }
    }

    fn undo(&mut self, what: &What) {
        let emulator = &self.outside.emulator;
        match what {
            What::Quota { .. } => emulator.change(|world| world.instance_quota = 10_000),
            What::ListsNothing { .. } => emulator.change(|world| world.lists_nothing = false),
            What::LoseZone { zone, .. } => emulator.restore_zone(ZONES[*zone]),
            What::Protect { .. } => {
                for view in emulator.instances() {
                    emulator.protect(&view.id, false);
                    self.outside.checks.protect(&view.id, false);
                }
            }
            _ => {}
        }
    }

    /// The nth of the instances that exist and are ours.
    fn nth(&self, nth: usize) -> Option<String> {
        let views = self.outside.emulator.instances().into_iter();
        let ours: Vec<String> = views
            .filter(|view| view.status != "Gone" && view.tags.contains_key("scale-intent"))
            .map(|view| view.id)
            .collect();
        (!ours.is_empty()).then(|| ours[nth % ours.len()].clone())
    }

    fn on_nth(&self, nth: usize, then: impl FnOnce(&str)) {
        if let Some(id) = self.nth(nth) {
            then(&id);
        }
    }

    fn hold(&mut self, fleet: usize, out: bool, in_: bool, secs: u32) {
        let direction = match (out, in_) {
            (true, false) => Some(Direction::Out),
            (false, true) => Some(Direction::In),
            _ => None,
        };
        let now = self.now();
        let hold = Hold {
            id: Uuid::from_u128(fleet as u128 + 1),
            fleet: Some(truth::name(fleet).as_str().into()),
            direction,
            author: "ann".into(),
            reason: "simulated".into(),
            placed: now,
            until: self.in_secs(secs),
        };
        self.operator(&OperatorEvent::Held { at: now, hold });
    }

    fn lift(&mut self, fleet: usize) {
        let (at, id) = (self.now(), Uuid::from_u128(fleet as u128 + 1));
        self.operator(&OperatorEvent::Lifted { at, id, author: "ann".into(), hold: None });
    }

    /// What an operator's command records, beside the replicas.
    fn operator(&mut self, event: &OperatorEvent) {
        let record = NewRecord {
            scope: Scope::Operator,
            at: event.at(),
            kind: event.kind(),
            v: codec::VERSION,
            body: serde_json::to_string(event).expect("it has text keys"),
        };
        let write = Write { records: vec![record], ..Write::default() };
        let memory = self.outside.memory.clone();
        let now = self.now();
        let committed = futures::executor::block_on(memory.commit(
            &"operator".into(),
            &[write],
            Durability::Durable,
            now,
        ));
        committed.expect("memory takes it");
    }

    pub(crate) fn say(&self, what: String) {
        if self.verbose {
            println!("{:>6} s  == {what}", self.elapsed());
        }
    }

    pub(crate) fn fleet_count(&self) -> usize {
        self.config.fleets.len()
    }

    pub(crate) fn shape(&self) -> &crate::script::Shape {
        &self.script.shape
    }
}

fn tell(place: usize, fleet: usize, result: &Result<TickReport, TickError>) {
    match result {
        Ok(report) => {
            println!(
                "          r{place} fleet-{fleet} {}: {}",
                report.counts.line(),
                report.decision
            );
            for outcome in &report.outcomes {
                println!("              {}", outcome.line());
            }
            for shortfall in &report.plan.shortfalls {
                println!("              short: {shortfall}");
            }
        }
        Err(TickError::Elsewhere) => {}
        Err(error) => println!("          r{place} fleet-{fleet}: {error}"),
    }
}
