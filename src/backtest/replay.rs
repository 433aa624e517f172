//! A fleet's own policy over simulated instances: the situation of a tick, made of other numbers.

use chrono::TimeDelta;
use cloud::Timestamp;

use super::cluster::Cluster;
use crate::model::{
    Account, Census, Decision, Direction, Fleet, Gap, History, Memories, Past, Sample, SignalName,
    Signals, Situation, Span, Spent,
};
use crate::policy;

/// A change of size, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Note {
    /// Seconds from the beginning.
    pub secs: u64,
    pub from: u32,
    pub to: u32,
    pub why: String,
}

/// The meaning of a signal of the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    /// The load in total, in the trace's unit.
    Load,
    /// How much of the ready instances the load fills, in percent.
    Utilisation,
    /// The same in the signal's own unit, of which a full instance has so much.
    Busy { full: f64 },
}

/// A fleet with rules, and what it remembers.
#[derive(Debug, Clone)]
pub struct Policy {
    fleet: Fleet,
    start: Timestamp,
    interval_secs: u64,
    lag: Span,
    capacity: f64,
    meanings: Vec<(SignalName, Meaning)>,
    signals: Signals,
    census: Census,
    account: Account,
    history: History,
    memory: Memories,
    keeps_notes: bool,
}

/// The conditions that a policy is run with.
#[derive(Debug, Clone)]
pub struct Terms {
    pub start: Timestamp,
    pub interval: Span,
    pub lag: Span,
    /// The load that one instance carries.
    pub capacity: f64,
    /// Whether changes of size are noted with their reasons.
    pub keeps_notes: bool,
}

impl Policy {
    /// The policy of `fleet`, whose signals mean what `meaning` says.
    #[must_use]
    pub fn new(fleet: Fleet, terms: Terms, meaning: impl Fn(&SignalName) -> Meaning) -> Policy {
        let Terms { start, interval, lag, capacity, keeps_notes } = terms;
        let names = fleet.signals.keys();
        let meanings: Vec<_> = names.map(|name| (name.clone(), meaning(name))).collect();
        let unread = |name: &SignalName| (name.clone(), Err(Gap::Empty));
        let signals = fleet.signals.keys().map(unread).collect();
        // A fleet of long standing: no scale-in waits because one may have happened just before.
        let began = start - TimeDelta::days(1);
        let history = History { began: Some(began), last_in: Some(began), ..History::default() };
        Policy {
            fleet,
            start,
            interval_secs: interval.get().as_secs().max(1),
            lag,
            capacity,
            meanings,
            signals,
            census: Census::default(),
            account: Account::default(),
            history,
            memory: Memories::new(),
            keeps_notes,
        }
    }

    pub(super) fn interval_secs(&self) -> usize {
        usize::try_from(self.interval_secs).unwrap_or(usize::MAX)
    }

    /// One tick: sees, decides, acts, remembers.
    pub(super) fn tick(
        &mut self,
        now: u64,
        signal: f64,
        cluster: &mut Cluster,
        notes: &mut Vec<Note>,
    ) {
        let at = self.start + TimeDelta::seconds(i64::try_from(now).unwrap_or(i64::MAX));
        self.see(at, signal, cluster);
        let situation = Situation {
            now: at,
            fleet: &self.fleet,
            census: &self.census,
            signals: &self.signals,
            past: Past::of(&self.history),
            account: &self.account,
            holds: &[],
            instructions: &[],
            spent: Spent::default(),
        };
        let (decision, memory) = policy::decide(&situation, std::mem::take(&mut self.memory));
        self.memory = memory;
        self.remember(at, &decision);
        let Decision { current, add, remove, .. } = decision;
        if add == 0 && remove == 0 {
            return;
        }
        let size = current.saturating_add(add).saturating_sub(remove);
        if cluster.scale_to(size, now) {
            let direction = if size > current { Direction::Out } else { Direction::In };
            self.history.acted(direction, size.abs_diff(current), at);
            if self.keeps_notes {
                let why = decision.to_string();
                notes.push(Note { secs: now, from: current, to: size, why });
            }
        }
    }

    fn see(&mut self, at: Timestamp, signal: f64, cluster: &Cluster) {
        let (ready, size) = (cluster.ready(), cluster.size());
        self.census.capacity = size;
        self.census.live = size;
        self.census.in_service = ready;
        let filled = signal / (self.capacity * f64::from(ready.max(1)));
        for (reading, (_, meaning)) in self.signals.values_mut().zip(&self.meanings) {
            let (value, age) = match meaning {
                Meaning::Load => (signal, self.lag),
                // An earlier load, over the instances that are ready now: it speaks of those.
                Meaning::Utilisation => (100.0 * filled, Span::secs(0)),
                Meaning::Busy { full } => (full * filled, Span::secs(0)),
            };
            let measured_at = cloud::clock::before(at, age.get());
            *reading = Ok(Sample { value, measured_at, age, reporting: None });
        }
    }

    fn remember(&mut self, at: Timestamp, decision: &Decision) {
        let in_service = self.census.in_service;
        for (name, reading) in &self.signals {
            if let Ok(sample) = reading {
                self.history.read(name, sample, in_service, at);
            }
        }
        self.history.sized(
            at,
            in_service,
            decision.current,
            decision.recommended,
            decision.desired,
        );
    }
}
