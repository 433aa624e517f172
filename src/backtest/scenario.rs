//! A scenario played: the policy of a tick in simulated time, and what it decided beside what was
//! expected.
//!
//! Signals show what the scenario says and do not answer to the fleet's size: who writes a scenario
//! asks what the rules do *if* the signal goes so. Instances boot for a fixed time and end at once.

#[cfg(test)]
mod tests;
mod verdict;
mod world;

use cloud::{Timestamp, clock};
use uuid::Uuid;

pub use self::verdict::{Difference, Miss, check};
use self::world::World;
use crate::model::{
    Coverage, Decision, Direction, Gap, GivenSeries, History, Hold, Memories, Past, Reading,
    Sample, Scenario, ScenarioFaultKind, SignalName, Signals, Situation, Span,
};
use crate::policy;

/// One tick: what was seen, and what was decided on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Since the start.
    pub after: Span,
    pub now: Timestamp,
    /// Before anything was done.
    pub in_service: u32,
    pub decision: Decision,
}

/// Plays `scenario` until its last expectation, and shows every tick.
pub fn play(scenario: &Scenario, mut see: impl FnMut(&Moment)) {
    let last = scenario.expectations.iter().map(|expected| expected.at).max().unwrap_or_default();
    let mut play = Play::new(scenario);
    let mut after = Span::default();
    for n in 0.. {
        see(&play.tick(n, after));
        after = Span(after.get().saturating_add(scenario.interval.get()));
        if after > last {
            return;
        }
    }
}

/// A scenario under way.
struct Play<'a> {
    scenario: &'a Scenario,
    world: World,
    history: History,
    memory: Memories,
}

impl Play<'_> {
    fn new(scenario: &Scenario) -> Play<'_> {
        // A fleet of long standing: no scale-in waits because one may have happened just before.
        let began = scenario.start - chrono::TimeDelta::days(1);
        Play {
            scenario,
            world: World::new(scenario.instances, scenario.boot),
            history: History { began: Some(began), last_in: Some(began), ..History::default() },
            memory: Memories::new(),
        }
    }

    /// Tick `n`: sees, decides, remembers, acts.
    fn tick(&mut self, n: usize, after: Span) -> Moment {
        let Scenario { fleet, series, start, .. } = self.scenario;
        let now = clock::after(*start, after.get());
        self.world.advance(now);
        let mut census = self.world.census();
        if self.is_on(ScenarioFaultKind::Doubt, after) {
            census.doubt = Some("the scenario says that the listing is in doubt".to_owned());
        }
        let in_service = census.in_service;
        let read = |(name, given): (&SignalName, &GivenSeries)| {
            (name.clone(), self.reading(name, given, n, now, in_service))
        };
        let signals: Signals = series.iter().map(read).collect();
        let holds = self.holds(after);
        let situation = Situation {
            now,
            fleet,
            census: &census,
            signals: &signals,
            past: Past::of(&self.history),
            account: self.world.account(),
            holds: &holds,
            instructions: &[],
            spent: self.world.spent(now),
        };
        let (decision, memory) = policy::decide(&situation, std::mem::take(&mut self.memory));
        self.memory = memory;
        self.remember(&signals, in_service, &decision, now);
        self.act(&decision, after, now);
        Moment { after, now, in_service, decision }
    }

    fn reading(
        &self,
        name: &SignalName,
        given: &GivenSeries,
        n: usize,
        now: Timestamp,
        in_service: u32,
    ) -> Reading {
        let value = given.course.at(n).ok_or(Gap::Empty)?;
        // A share that was asked for is there: a scenario is not about silent exporters.
        let coverage = self.scenario.fleet.signals.get(name).map(|spec| spec.coverage);
        let asked = matches!(coverage, Some(Coverage::AtLeast(share)) if share > 0.0);
        let reporting = (given.per_instance || asked).then_some(in_service);
        Ok(Sample { value, measured_at: now, age: Span::secs(0), reporting })
    }

    fn is_on(&self, kind: ScenarioFaultKind, after: Span) -> bool {
        self.scenario.faults.iter().any(|fault| fault.kind == kind && fault.is_on(after))
    }

    /// Those that a person has placed by now.
    fn holds(&self, after: Span) -> Vec<Hold> {
        let faults = self.scenario.faults.iter().filter(|fault| fault.is_on(after));
        let hold = |direction, from: Span, lasts: Span| {
            let placed = clock::after(self.scenario.start, from.get());
            Hold {
                id: Uuid::nil(),
                fleet: None,
                direction: Some(direction),
                author: "scenario".to_owned(),
                reason: "the scenario says so".to_owned(),
                placed,
                until: clock::after(placed, lasts.get()),
            }
        };
        let held = faults.filter_map(|fault| match fault.kind {
            ScenarioFaultKind::HoldIn => Some(hold(Direction::In, fault.from, fault.lasts)),
            ScenarioFaultKind::HoldOut => Some(hold(Direction::Out, fault.from, fault.lasts)),
            ScenarioFaultKind::NoStock | ScenarioFaultKind::Doubt => None,
        });
        held.collect()
    }

    fn remember(
        &mut self,
        signals: &Signals,
        in_service: u32,
        decision: &Decision,
        now: Timestamp,
    ) {
        for (name, reading) in signals {
            match reading {
                Ok(sample) => self.history.read(name, sample, in_service, now),
                Err(_) => self.history.signals.entry(name.clone()).or_default().missed(now),
            }
        }
        let Decision { current, recommended, desired, .. } = *decision;
        self.history.sized(now, in_service, current, recommended, desired);
    }

    fn act(&mut self, decision: &Decision, after: Span, now: Timestamp) {
        if decision.add > 0 {
            let is_sold_out = self.is_on(ScenarioFaultKind::NoStock, after);
            self.world.launch(decision.add, is_sold_out, &mut self.history, now);
        }
        if decision.remove > 0 {
            let min = self.scenario.fleet.bounds.min;
            self.world.retire(decision, min, &mut self.history, now);
        }
    }
}
