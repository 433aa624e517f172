//! What is really going on: the load on each fleet, and what a monitoring system would say of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use cloud::{Clock, ManualClock, Timestamp, clock};
use ecs_emulator::{Emulator, InstanceView};
use fleetscaler::model::{Gap, Reading, Sample, Span};
use fleetscaler::signals::Source;

use crate::script::Shape;

/// Data older than this is no reason for anything, in these simulations.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(90);
/// The rhythm of the simulated monitoring system.
const SCRAPE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Truth {
    emulator: Arc<Emulator>,
    clock: ManualClock,
    fleets: Mutex<Vec<FleetTruth>>,
}

#[derive(Debug, Default)]
pub(crate) struct FleetTruth {
    /// In instances: 1.0 keeps one of them fully busy.
    pub(crate) load: f64,
    pub(crate) gap_until: Option<Timestamp>,
    pub(crate) frozen_until: Option<Timestamp>,
    pub(crate) partial_until: Option<Timestamp>,
    pub(crate) lag: Duration,
    scrapes: VecDeque<Scrape>,
}

#[derive(Debug, Clone, Copy)]
struct Scrape {
    at: Timestamp,
    cpu: f64,
    reporting: u32,
}

/// The name of the nth fleet.
pub(crate) fn name(fleet: usize) -> String {
    format!("fleet-{fleet}")
}

/// Whether it is an instance of the fleet by its tags.
pub(crate) fn is_of(view: &InstanceView, fleet: usize) -> bool {
    view.tags.get("scale-fleet") == Some(&name(fleet))
}

impl Truth {
    pub(crate) fn new(shape: &Shape, emulator: Arc<Emulator>, clock: ManualClock) -> Truth {
        let fleet = |fleet: &crate::script::FleetShape| FleetTruth {
            load: fleet.load,
            ..FleetTruth::default()
        };
        let fleets = shape.fleets.iter().map(fleet).collect();
        Truth { emulator, clock, fleets: Mutex::new(fleets) }
    }

    pub(crate) fn fleets(&self) -> MutexGuard<'_, Vec<FleetTruth>> {
        self.fleets.lock().expect("no holder of this lock can panic")
    }

    /// Scrapes every fleet whose time has come.
    pub(crate) fn scrape(&self) {
        let now = self.clock.now();
        let views = self.emulator.instances();
        for (n, fleet) in self.fleets().iter_mut().enumerate() {
            let due = fleet.scrapes.back().is_none_or(|last| clock::age(now, last.at) >= SCRAPE);
            if !due || fleet.frozen_until.is_some_and(|until| now < until) {
                continue;
            }
            let serves = |view: &&InstanceView| {
                view.status == "Running" && (is_of(view, n) || is_base(view, n))
            };
            let running = u32::try_from(views.iter().filter(serves).count()).expect("few");
            if running == 0 {
                continue;
            }
            let cpu = (100.0 * fleet.load / f64::from(running)).min(100.0);
            let partial = fleet.partial_until.is_some_and(|until| now < until);
            // The few that are left to report are the idle ones.
            let (cpu, reporting) = if partial { (cpu / 4.0, running / 3) } else { (cpu, running) };
            fleet.scrapes.push_back(Scrape { at: now, cpu, reporting });
            if fleet.scrapes.len() > 60 {
                fleet.scrapes.pop_front();
            }
        }
    }

    /// The newest data that is to be had of a fleet at `now`.
    fn newest(&self, fleet: usize, now: Timestamp) -> Option<Scrape> {
        let fleets = self.fleets();
        let seen_until = now - clock::delta(fleets[fleet].lag);
        fleets[fleet].scrapes.iter().rev().find(|scrape| scrape.at <= seen_until).copied()
    }
}

/// The operator's own instances belong to the first fleet.
pub(crate) fn is_base(view: &InstanceView, fleet: usize) -> bool {
    fleet == 0 && view.tags.get("pool").is_some_and(|pool| pool == "base")
}

/// A fleet's only signal, as the daemon reads it.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(crate) truth: Arc<Truth>,
    pub(crate) fleet: usize,
}

#[async_trait]
impl Source for Cpu {
    async fn read(&self) -> Reading {
        let now = self.truth.clock.now();
        if self.truth.fleets()[self.fleet].gap_until.is_some_and(|until| now < until) {
            return Err(Gap::Unreachable { why: "connection refused".into() });
        }
        let scrape = self.truth.newest(self.fleet, now).ok_or(Gap::Empty)?;
        let age = Span(clock::age(now, scrape.at));
        let reporting = Some(scrape.reporting);
        let sample = Sample { value: scrape.cpu, measured_at: scrape.at, age, reporting };
        sample.not_older_than(Span(MAX_AGE))
    }
}
