//! Breaches, one fleet after another, and how long each takes until its launch arrives at the cloud; and
//! the calls that arrive meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Timestamp, clock};
use ecs_emulator::Emulator;

use crate::arguments::{Arguments, Rates};
use crate::prometheus::Prometheus;

/// At most so many: a 99th percentile of 200 is not one value alone.
const MOST: usize = 200;

/// What was measured by breaches.
#[derive(Debug)]
pub(crate) struct Probes {
    /// Fleets that are still to be breached, in an order that is spread over all.
    next: Vec<usize>,
    /// From one breach to the next.
    every: Duration,
    /// The next one; none after the last interval, so that all can be answered.
    due: Timestamp,
    last: Timestamp,
    /// Since when a fleet has been breached, and waits for its launch.
    waiting: BTreeMap<String, Timestamp>,
    pub(crate) took: Vec<Duration>,
    /// Calls by action, refused ones included.
    pub(crate) calls: BTreeMap<String, u64>,
    seen: u64,
}

impl Probes {
    pub(crate) fn new(arguments: &Arguments, cloud: &Emulator) -> Probes {
        let now = clock_now();
        let room = arguments.window.saturating_sub(arguments.interval * 2);
        // By default one launch a second may be sent: they must not wait for each other.
        let least = match arguments.rates {
            Rates::Default => Duration::from_secs(2),
            Rates::Raised => Duration::from_millis(100),
        };
        let count = arguments.fleets.min(MOST);
        let every = (room / u32::try_from(count).unwrap_or(u32::MAX)).max(least);
        // A step that is prime to the number of fleets visits each once.
        let step = (arguments.fleets * 5 / 8..).find(|step| gcd(*step, arguments.fleets) == 1);
        let step = step.unwrap_or(1).max(1);
        let next = (0..count).map(|n| n * step % arguments.fleets).collect();
        let entries = cloud.transcript();
        Probes {
            next,
            every,
            due: now,
            last: clock::after(now, room),
            waiting: BTreeMap::new(),
            took: Vec::new(),
            calls: BTreeMap::new(),
            seen: entries.last().map_or(0, |entry| entry.seq),
        }
    }

    /// Breaches the next fleet when it is its turn, and sees what has arrived.
    pub(crate) fn go_on(&mut self, cloud: &Emulator, prometheus: &Prometheus, now: Timestamp) {
        if now >= self.due
            && now < self.last
            && let Some(fleet) = self.next.pop()
        {
            let name = Arguments::name(fleet);
            prometheus.breach(&name);
            self.waiting.insert(name, clock_now());
            self.due = clock::after(self.due, self.every);
        }
        self.look(cloud, prometheus);
    }

    /// Sees which calls have arrived.
    pub(crate) fn look(&mut self, cloud: &Emulator, prometheus: &Prometheus) {
        for entry in cloud.transcript_after(self.seen) {
            self.seen = entry.seq;
            *self.calls.entry(entry.action.clone()).or_default() += 1;
            if entry.action != "RunInstances" {
                continue;
            }
            let fleet = (1..=20).find_map(|n| {
                let key = entry.parameters.get(&format!("Tag.{n}.Key"))?;
                let value = entry.parameters.get(&format!("Tag.{n}.Value"))?;
                (key == "scale-fleet").then_some(value)
            });
            if let Some(name) = fleet
                && let Some(since) = self.waiting.remove(name)
            {
                prometheus.calm(name);
                self.took.push(clock::age(entry.at, since));
            }
        }
    }

    /// Breaches that have led to nothing.
    pub(crate) fn unanswered(&self) -> usize {
        self.waiting.len()
    }

    /// The value below which `part` (0 to 1) of the measurements lie.
    pub(crate) fn quantile(&self, part: f64) -> Option<Duration> {
        let mut sorted = self.took.clone();
        sorted.sort();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of measurements"
        )]
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn clock_now() -> Timestamp {
    cloud::Clock::now(&cloud::SystemClock)
}
