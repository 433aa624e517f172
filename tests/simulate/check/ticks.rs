//! Checks on the reports of ticks, held against the truth.

use std::time::Duration;

use chrono::TimeDelta;
use cloud::{Clock, InstanceId, Mutation, Terminate, Timestamp, clock};
use fleetscaler::control::TickReport;
use fleetscaler::execute::Outcome;
use fleetscaler::model::{Direction, Phase, Reason};

use super::ledger::KNOWN_AFTER;
use super::{COOLDOWN_IN, COOLDOWN_OUT, Checks};
use crate::truth::{MAX_AGE, Told};
use crate::who::{Ticking, Who};

/// For so long after its host's clock was set, a replica counts its pauses by another time.
const SETTLED: Duration = Duration::from_secs(15 * 60);

/// The truth just before a tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    at: Timestamp,
    /// The same by the clock of the replica's host.
    host_at: Timestamp,
    /// When the fleet's newest instance was created.
    launched: Option<Timestamp>,
    /// Those that serve, and those of whose loss the daemon may not know.
    serving: usize,
    /// Those that have served for long.
    surely: usize,
    /// Calls so far that change something.
    changes: u64,
}

impl Checks {
    pub(crate) fn before(&self, who: Who, tick: Ticking, host_at: Timestamp) -> Before {
        let now = self.clock.now();
        let seen = self.seen();
        Before {
            at: now,
            host_at,
            launched: seen.launched.get(&tick.fleet).copied(),
            serving: seen.ledger.serving_for_all_it_knows(tick.fleet, now),
            surely: seen.ledger.have_served(tick.fleet, KNOWN_AFTER, now),
            changes: seen.changes.get(&(who.place, tick.fleet)).copied().unwrap_or_default(),
        }
    }

    /// One tick's report. `told`: the value that its source gave the last time.
    pub(crate) fn ticked(
        &self,
        who: Who,
        tick: Ticking,
        before: Before,
        report: &TickReport,
        told: Option<Told>,
    ) {
        self.saw_in_service(tick, before, report);
        let mut wrong = Vec::new();
        wrong.extend(on_old_signals(report, before, told));
        wrong.extend(not_as_decided(report));
        wrong.extend(too_few_are_left(report, tick, before));
        {
            let seen = self.seen();
            let made = seen.changes.get(&(who.place, tick.fleet)).copied().unwrap_or_default();
            if report.only_looked.is_some() && made > before.changes {
                wrong.push("a tick that may only look has sent something".to_owned());
            }
            let set = seen.steps.get(&who.place);
            if set.is_none_or(|at| clock::age(before.at, *at) >= SETTLED) {
                wrong.extend(too_early(report, before));
            }
            let stopped = |reason: &Reason| matches!(reason, Reason::AccountStopped { .. });
            if !seen.account_trouble && report.decision.reasons.iter().any(stopped) {
                let why = &report.decision;
                wrong.push(format!("the account is stopped, which had no trouble: {why}"));
            }
        }
        for what in wrong {
            self.fail(format!("{} at {}: {what}", self.name(tick.fleet), before.at));
        }
    }
}

impl Checks {
    /// Remembers when each instance was in service the last time: a drain cannot have begun before.
    fn saw_in_service(&self, tick: Ticking, before: Before, report: &TickReport) {
        let mut seen = self.seen();
        for instance in report.instances.iter().filter(|i| i.phase == Phase::InService) {
            seen.in_service.insert((tick.fleet, instance.id.0.clone()), before.at);
        }
    }
}

fn crossed(report: &TickReport, direction: Direction) -> bool {
    let reasons = report.decision.reasons.iter();
    let mut crossed =
        reasons.filter(|r| matches!(r, Reason::Crossed { direction: d, .. } if *d == direction));
    crossed.next().is_some()
}

fn lowered(report: &TickReport) -> bool {
    report.decision.reasons.iter().any(|r| matches!(r, Reason::LoweredToMax { .. }))
}

/// Capacity goes only on what was true a short while ago, by the monitoring system's own times.
fn on_old_signals(report: &TickReport, before: Before, told: Option<Told>) -> Option<String> {
    let decision = &report.decision;
    if decision.remove == 0 || lowered(report) {
        return None;
    }
    let this_tick = told.filter(|told| told.at >= before.at);
    match this_tick.and_then(|told| Some((told.at, told.true_at?))) {
        None => Some(format!("capacity was removed without a signal: {decision}")),
        Some((at, true_at)) if clock::age(at, true_at) > MAX_AGE => {
            let age = clock::age(at, true_at).as_secs();
            Some(format!("capacity was removed on a stale signal, of {age} s ago: {decision}"))
        }
        Some(_) => None,
    }
}

/// Cool-downs, by the true time of what they begin with.
fn too_early(report: &TickReport, before: Before) -> Vec<String> {
    let decision = &report.decision;
    let mut wrong = Vec::new();
    let only_rules = !decision.reasons.iter().any(|reason| {
        matches!(
            reason,
            Reason::Unfinished { .. }
                | Reason::Replacing { .. }
                | Reason::NeverBooted { .. }
                | Reason::RaisedToMin { .. }
                | Reason::FellBack { .. }
                // A part of the same scale-out, another part of which is not known yet.
                | Reason::OutcomeOpen { .. }
        )
    });
    // A tick that may only look knows only what was.
    let knows = report.only_looked.is_none();
    let decided_at = before.at + (report.at - before.host_at);
    let within = |secs: i64| {
        before.launched.is_some_and(|at| decided_at - at < TimeDelta::seconds(secs)) && knows
    };
    let out = decision.add > 0 && crossed(report, Direction::Out) && only_rules;
    if out && within(COOLDOWN_OUT) {
        wrong.push(format!("a scale-out within the cool-down of the last: {decision}"));
    }
    if decision.remove > 0 && !lowered(report) && within(COOLDOWN_IN) {
        wrong.push(format!("a scale-in within the cool-down of a scale-out: {decision}"));
    }
    wrong
}

/// A plan does what was decided and no more.
fn not_as_decided(report: &TickReport) -> Vec<String> {
    let decision = &report.decision;
    let mut wrong = Vec::new();
    let Planned { adds, ends } = planned(report);
    if adds > decision.add {
        wrong.push(format!("{adds} planned where {} were decided", decision.add));
    }
    // An instance that never came into service is cleared away whatever was decided, what was drained
    // was decided before, and what is replaced is no part of the decision.
    let most =
        decision.remove + report.counts.failed + report.counts.draining + report.counts.outgoing;
    if ends > most as usize {
        wrong.push(format!("{ends} end where {most} may: {decision}"));
    }
    wrong
}

/// Nothing that serves is given up for something that does not, and nothing is bought for something
/// that is only not seen.
fn too_few_are_left(report: &TickReport, tick: Ticking, before: Before) -> Vec<String> {
    let decision = &report.decision;
    let mut wrong = Vec::new();
    // What only warms up may have begun to run within this tick: it counts with neither.
    let serves = |id: &InstanceId| {
        report.instances.iter().any(|one| one.id == *id && one.phase == Phase::InService)
    };
    // What was not sent went nowhere: another replica may have done it meanwhile.
    let sent = report.plan.actions.iter().zip(&report.outcomes);
    let sent = sent.filter(|(_, outcome)| matches!(outcome, Outcome::Sent { .. }));
    let ended = sent.map(|(action, _)| action).filter(|action| {
        matches!(action.mutation, Mutation::Stop { .. } | Mutation::Delete { .. })
    });
    let ended = ended.flat_map(|action| action.mutation.ids()).chain(&report.plan.drains);
    let ends = ended.filter(|id| serves(id)).count();
    let ends = ends.min(decision.remove as usize);
    let left = before.serving.saturating_sub(ends);
    if ends > 0 && left < decision.desired as usize {
        let what = format!("{ends} that serve are to go, and {left} are left that do");
        wrong.push(format!("{what}: {decision}"));
    }
    let raised = decision.reasons.iter().any(|r| matches!(r, Reason::RaisedToMin { .. }));
    if raised && decision.add > 0 && before.surely >= tick.min as usize {
        let what = format!("{} are bought for min, and {}", decision.add, before.surely);
        wrong.push(format!("{what} have served for long: {decision}"));
    }
    wrong
}

/// The sizes that a plan comes to.
#[derive(Default)]
struct Planned {
    /// Instances that it launches.
    adds: u32,
    /// Instances that it stops, or deletes without having stopped them before.
    ends: usize,
}

fn planned(report: &TickReport) -> Planned {
    let mut planned = Planned::default();
    for action in &report.plan.actions {
        match &action.mutation {
            Mutation::Launch(launch) => planned.adds += launch.amount,
            Mutation::Delete { how: Terminate::StopThenDelete, .. } => {}
            Mutation::Stop { ids } | Mutation::Delete { ids, .. } => {
                planned.ends += ids.len();
            }
            Mutation::Tag { .. } | Mutation::Start { .. } | Mutation::Route { .. } => {}
        }
    }
    planned
}
