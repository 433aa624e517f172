//! The driver: lets time pass, lets steps go on in an order of its own, crashes replicas.

mod calm;
mod happen;
mod work;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::{Clock, Timestamp, clock};
use ecs_emulator::{Emulator, World as Cloud};
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::AbortHandle;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::check::Checks;
use crate::gates::Gates;
use crate::host::{HostClock, TrueClock};
use crate::kept::Kept;
use crate::replica::{self, Outside, Replica, Setup};
use crate::script::{Script, Shape, What};
use crate::store::StoreTrouble;
use crate::truth::Truth;

/// A tick that waits for the clock longer than this hangs.
const STUCK: Duration = Duration::from_secs(1_200);
/// Steps within one second of the clock: more is a loop.
const STEPS_MOST: u32 = 40_000;
/// What exists is looked at so often, in seconds, beside after every call that changes something.
const LOOK_EVERY: u32 = 5;

/// The result of a simulation.
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

/// One place for a replica: a host.
struct Place {
    installation: usize,
    host: HostClock,
    replica: Option<Arc<Replica>>,
    life: u64,
    began: Timestamp,
    trouble: Arc<Mutex<StoreTrouble>>,
    /// The process is gone when so many steps were made.
    crash_after: Option<(u32, u32)>,
    back_at: Option<Timestamp>,
    /// It is restarted then, for another configuration.
    restart_at: Option<Timestamp>,
    paused_until: Option<Timestamp>,
    tasks: Vec<AbortHandle>,
    busy: Rc<RefCell<Vec<Job>>>,
}

/// Work that is under way, and since when.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Job {
    kind: JobKind,
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum JobKind {
    Renewal,
    Audit,
    /// Of the nth fleet of the replica's configuration.
    Tick(usize),
}

pub(crate) struct Driver {
    script: Script,
    pub(crate) setups: Vec<Setup>,
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

/// The world before the daemon starts.
fn populate(shape: &Shape, emulators: &[Arc<Emulator>]) {
    for (n, fleet) in shape.fleets.iter().enumerate() {
        for _ in 0..fleet.base {
            emulators[fleet.account].place(&[("pool", &replica::pool(n)), ("team", "ops")]);
        }
    }
    for emulator in emulators {
        emulator.place(&[("owner", "somebody")]);
    }
    for _ in 0..shape.others {
        emulators[0].place(&[("scale-source", "auto"), ("scale-fleet", "of-another-host")]);
    }
}

fn outside(shape: &Arc<Shape>, began: Timestamp) -> Outside {
    let clock = TrueClock::at(began);
    let cloud = Cloud {
        boot: Duration::from_secs(shape.boot_secs).into(),
        stop: Duration::from_secs(shape.stop_secs).into(),
        listing_lag: Duration::from_secs(shape.listing_lag_secs).into(),
        tag_lag: Duration::from_secs(shape.tag_lag_secs).into(),
        deletion_lag: Duration::from_secs(shape.deletion_lag_secs).into(),
        ..Cloud::default()
    };
    let emulator = |_| Arc::new(Emulator::embedded(cloud.clone(), Arc::new(clock.clone())));
    let emulators: Vec<Arc<Emulator>> = (0..shape.accounts).map(emulator).collect();
    populate(shape, &emulators);
    let checks = Arc::new(Checks::new(shape.clone(), emulators.clone(), clock.clone()));
    Outside {
        shape: shape.clone(),
        journals: shape.installations.iter().map(|i| Arc::new(Kept::new(i.sqlite))).collect(),
        truth: Arc::new(Truth::new(shape, checks.clone(), clock.clone())),
        checks,
        gates: Arc::new(Gates::default()),
        emulators,
        clock,
    }
}

impl Driver {
    fn new(script: Script, verbose: bool) -> Driver {
        let began: Timestamp = "2026-01-02T12:00:07Z".parse().expect("a valid time");
        let shape = Arc::new(script.shape.clone());
        let outside = outside(&shape, began);
        let pool = LocalPool::new();
        let replicas = shape.installations.iter().enumerate();
        let places = replicas
            .flat_map(|(n, installation)| std::iter::repeat_n(n, installation.replicas))
            .map(|installation| Place {
                installation,
                host: HostClock::new(outside.clock.clone()),
                replica: None,
                life: 0,
                began,
                trouble: Arc::default(),
                crash_after: None,
                back_at: Some(began),
                restart_at: None,
                paused_until: None,
                tasks: Vec::new(),
                busy: Rc::default(),
            })
            .collect();
        let setup = |fleet: &crate::script::FleetShape| Setup {
            present: fleet.present,
            min: fleet.min,
            max: fleet.max,
            revision: 0,
        };
        Driver {
            spawner: pool.spawner(),
            pool,
            rng: StdRng::seed_from_u64(script.seed ^ 0x5EED),
            places,
            began,
            setups: shape.fleets.iter().map(setup).collect(),
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
            let (over, rest): (Vec<_>, Vec<_>) = until.into_iter().partition(|(at, _)| *at <= now);
            until = rest;
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

    /// Lets `step` seconds pass.
    fn second(&mut self, step: u32) -> Result<(), String> {
        if step > 1 || self.elapsed().is_multiple_of(LOOK_EVERY) {
            self.outside.checks.look();
        }
        self.outside.truth.scrape();
        self.start_and_spawn();
        self.steps()?;
        self.outside.clock.advance(Duration::from_secs(u64::from(step)));
        match self.outside.checks.wrong() {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    /// Lets every step go on that can, in an order that the seed decides.
    fn steps(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MOST {
            self.pool.run_until_stalled();
            let now = self.now();
            let waiting = self.outside.gates.places();
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
        place.replica = None;
        place.crash_after = None;
        place.paused_until = None;
        place.back_at = Some(back_at);
        self.outside.journals[place.installation].abandoned();
    }

    pub(crate) fn say(&self, what: String) {
        if self.verbose {
            println!("{:>6} s  == {what}", self.elapsed());
        }
    }
}
