//! The truth: the load on each fleet, and what a monitoring system would say of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use cloud::{Clock, Timestamp, clock};
use fleetscaler::model::{Gap, Reading, Sample, Span};
use fleetscaler::signals::{Source, UpSource};

use crate::check::Checks;
use crate::host::TrueClock;
use crate::script::Shape;

/// Data older than this is no reason for anything, in these simulations.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(90);
/// The text of a simulated panic.
pub(crate) const PANIC: &str = "a simulated panic";
/// The rhythm of the simulated monitoring system.
const SCRAPE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Truth {
    clock: TrueClock,
    checks: Arc<Checks>,
    fleets: Mutex<Vec<FleetTruth>>,
    /// The value that each replica was told of each fleet, the last time that it asked.
    told: Mutex<BTreeMap<(usize, usize), Told>>,
}

#[derive(Debug, Default)]
pub(crate) struct FleetTruth {
    /// In instances: 1.0 keeps one of them fully busy.
    pub(crate) load: f64,
    pub(crate) gap_until: Option<Timestamp>,
    pub(crate) frozen_until: Option<Timestamp>,
    pub(crate) partial_until: Option<Timestamp>,
    pub(crate) lag: Duration,
    /// How far the clock of the monitoring system was set back.
    pub(crate) back: Duration,
    /// The next question ends in a panic.
    pub(crate) panics: bool,
    scrapes: VecDeque<Scrape>,
}

#[derive(Debug, Clone, Copy)]
struct Scrape {
    at: Timestamp,
    /// The same by the clock of the monitoring system.
    stamp: Timestamp,
    cpu: f64,
    reporting: u32,
}

/// An answer: when it was given, and when what it says was so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) at: Timestamp,
    /// `None`: nothing could be said.
    pub(crate) true_at: Option<Timestamp>,
}

impl Truth {
    pub(crate) fn new(shape: &Shape, checks: Arc<Checks>, clock: TrueClock) -> Truth {
        let fleet = |fleet: &crate::script::FleetShape| FleetTruth {
            load: fleet.load,
            ..FleetTruth::default()
        };
        let fleets = shape.fleets.iter().map(fleet).collect();
        Truth { clock, checks, fleets: Mutex::new(fleets), told: Mutex::default() }
    }

    pub(crate) fn fleets(&self) -> MutexGuard<'_, Vec<FleetTruth>> {
        self.fleets.lock().expect("no holder of this lock can panic")
    }

    /// Scrapes every fleet whose time has come.
    pub(crate) fn scrape(&self) {
        let now = self.clock.now();
        for (n, fleet) in self.fleets().iter_mut().enumerate() {
            let due = fleet.scrapes.back().is_none_or(|last| clock::age(now, last.at) >= SCRAPE);
            if !due || fleet.frozen_until.is_some_and(|until| now < until) {
                continue;
            }
            let running = self.checks.serving(n);
            if running == 0 {
                continue;
            }
            let cpu = (100.0 * fleet.load / f64::from(running)).min(100.0);
            let partial = fleet.partial_until.is_some_and(|until| now < until);
            // The few that are left to report are the idle ones.
            let (cpu, reporting) = if partial { (cpu / 4.0, running / 3) } else { (cpu, running) };
            let stamp = clock::before(now, fleet.back);
            fleet.scrapes.push_back(Scrape { at: now, stamp, cpu, reporting });
            if fleet.scrapes.len() > 60 {
                fleet.scrapes.pop_front();
            }
        }
    }

    /// The value that `place` was told of `fleet` the last time.
    pub(crate) fn told(&self, place: usize, fleet: usize) -> Option<Told> {
        self.told.lock().expect("no panic").get(&(place, fleet)).copied()
    }

    /// The newest data that is to be had of a fleet at `now`.
    fn newest(&self, fleet: usize, now: Timestamp) -> Result<Scrape, Gap> {
        let fleets = self.fleets();
        if fleets[fleet].gap_until.is_some_and(|until| now < until) {
            return Err(Gap::Unreachable { why: "connection refused".into() });
        }
        let seen_until = now - clock::delta(fleets[fleet].lag);
        let mut scrapes = fleets[fleet].scrapes.iter().rev();
        scrapes.find(|scrape| scrape.at <= seen_until).copied().ok_or(Gap::Empty)
    }
}

/// A fleet's only signal, as one replica reads it.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(crate) truth: Arc<Truth>,
    pub(crate) place: usize,
    pub(crate) fleet: usize,
}

#[async_trait]
impl Source for Cpu {
    async fn read(&self) -> Reading {
        let now = self.truth.clock.now();
        let panics = std::mem::take(&mut self.truth.fleets()[self.fleet].panics);
        if panics {
            std::panic::panic_any(PANIC);
        }
        let scrape = self.truth.newest(self.fleet, now);
        let true_at = scrape.as_ref().ok().map(|scrape| scrape.at);
        let told = Told { at: now, true_at };
        self.truth.told.lock().expect("no panic").insert((self.place, self.fleet), told);
        let scrape = scrape?;
        let age = Span(clock::age(now, scrape.at));
        let reporting = Some(scrape.reporting);
        let sample = Sample { value: scrape.cpu, measured_at: scrape.stamp, age, reporting };
        sample.not_older_than(Span(MAX_AGE))
    }
}

/// The hosts that answer their scrapes.
#[derive(Debug)]
pub(crate) struct Answering {
    pub(crate) truth: Arc<Truth>,
    pub(crate) fleet: usize,
}

#[async_trait]
impl UpSource for Answering {
    async fn names_up(&self) -> Result<Vec<String>, Gap> {
        let now = self.truth.clock.now();
        self.truth.newest(self.fleet, now)?;
        Ok(self.truth.checks.serving_ids(self.fleet))
    }
}
