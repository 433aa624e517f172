//! The invariants, checked against the emulator's own account of what exists and what was done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::TimeDelta;
use cloud::{Clock, ManualClock, Mutation, Terminate, Timestamp, clock};
use ecs_emulator::Emulator;
use fleetscaler::control::TickReport;
use fleetscaler::model::{Direction, Reason};

use crate::script::Shape;
use crate::truth::{self, MAX_AGE};

/// How long a read of the signal may lie behind the moment that a tick calls now.
const TICK_TAKES: Duration = Duration::from_secs(120);

/// What has been seen so far, and what was wrong with it.
#[derive(Debug)]
pub(crate) struct Checks {
    emulator: Arc<Emulator>,
    clock: ManualClock,
    shape: Shape,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The last call that was looked at.
    seq: u64,
    /// Instances that launches created, with their fleet.
    ours: BTreeMap<String, usize>,
    /// Client tokens that created something.
    tokens: BTreeSet<String>,
    /// Instances that somebody protected, since when.
    protected: BTreeMap<String, Timestamp>,
    /// When each fleet's newest instance was created.
    launched: BTreeMap<usize, Timestamp>,
    wrong: Vec<String>,
    launches: usize,
    deletions: usize,
}

impl Checks {
    pub(crate) fn new(shape: &Shape, emulator: Arc<Emulator>, clock: ManualClock) -> Checks {
        Checks { emulator, clock, shape: shape.clone(), seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder of this lock can panic")
    }

    /// What went wrong, if anything did.
    pub(crate) fn wrong(&self) -> Option<String> {
        let seen = self.seen();
        (!seen.wrong.is_empty()).then(|| seen.wrong.join("\n  "))
    }

    pub(crate) fn fail(&self, what: String) {
        self.seen().wrong.push(what);
    }

    /// Calls that created, and calls that ended instances.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let seen = self.seen();
        (seen.launches, seen.deletions)
    }

    pub(crate) fn protect(&self, id: &str, protected: bool) {
        let now = self.clock.now();
        let mut seen = self.seen();
        if protected {
            seen.protected.insert(id.to_owned(), now);
        } else {
            seen.protected.remove(id);
        }
    }

    /// A call has had its effect (or time has passed, and a delayed one has).
    pub(crate) fn called(&self) {
        let mut seen = self.seen();
        let views = self.emulator.instances();
        for entry in self.emulator.transcript_after(seen.seq) {
            seen.seq = entry.seq;
            let token = entry.parameters.get("ClientToken").cloned().unwrap_or_default();
            if entry.action == "RunInstances" && !entry.created.is_empty() && !entry.repeated {
                seen.launches += 1;
                if !seen.tokens.insert(token.clone()) {
                    seen.wrong.push(format!("token {token} launched twice"));
                }
            }
            if !entry.deleted.is_empty() {
                seen.deletions += 1;
            }
            for id in &entry.deleted {
                let Some(view) = views.iter().find(|view| view.id == *id) else { continue };
                if !seen.ours.contains_key(id) && !view.tags.contains_key("scale-intent") {
                    seen.wrong.push(format!("{id} was deleted, which is not ours: {view:?}"));
                }
                let protected = seen.protected.get(id).copied();
                if protected.is_some_and(|at| clock::age(entry.at, at) > TICK_TAKES) {
                    seen.wrong.push(format!("{id} was deleted, which is protected"));
                }
            }
        }
        self.count(&mut seen);
    }

    /// Never more than max exist, and no intent has more instances than it asked for.
    fn count(&self, seen: &mut Seen) {
        let mut by_intent: BTreeMap<String, usize> = BTreeMap::new();
        let views = self.emulator.instances();
        for view in &views {
            if let Some(intent) = view.tags.get("scale-intent") {
                *by_intent.entry(intent.clone()).or_default() += 1;
            }
        }
        for (n, fleet) in self.shape.fleets.iter().enumerate() {
            let of = |view: &&ecs_emulator::InstanceView| {
                view.status != "Gone"
                    && (seen.ours.get(&view.id) == Some(&n) || truth::is_of(view, n))
            };
            let exist = views.iter().filter(of).count();
            if exist > fleet.max as usize {
                let now = self.clock.now();
                seen.wrong.push(format!("fleet-{n} has {exist} > max = {} at {now}", fleet.max));
            }
        }
        for view in &views {
            if !seen.ours.contains_key(&view.id) && view.tags.contains_key("scale-intent") {
                let fleet = (0..self.shape.fleets.len()).find(|n| truth::is_of(view, *n));
                if let Some(fleet) = fleet {
                    seen.ours.insert(view.id.clone(), fleet);
                    seen.launched.insert(fleet, view.created_at);
                }
            }
        }
    }

    /// What one tick said and did.
    pub(crate) fn ticked(&self, fleet: usize, report: &TickReport, launched: Option<Timestamp>) {
        let shape = &self.shape.fleets[fleet];
        let decision = &report.decision;
        let mut wrong = Vec::new();
        if !(shape.min..=shape.max).contains(&decision.desired) {
            wrong.push(format!("desired {} leaves the bounds", decision.desired));
        }
        let crossed = |direction| {
            decision
                .reasons
                .iter()
                .any(|r| matches!(r, Reason::Crossed { direction: d, .. } if *d == direction))
        };
        let lowered = decision.reasons.iter().any(|r| matches!(r, Reason::LoweredToMax { .. }));
        if decision.remove > 0 && !lowered {
            let sample = report.samples.values().next();
            let limit = report.at - clock::delta(MAX_AGE + TICK_TAKES);
            if sample.is_none_or(|sample| sample.measured_at < limit) {
                wrong.push(format!("capacity was removed without a usable signal: {decision}"));
            }
            let too_old = sample.is_some_and(|sample| sample.age.get() > MAX_AGE);
            if too_old {
                wrong.push(format!("capacity was removed on a stale signal: {decision}"));
            }
        }
        if report.only_looked.is_some() && report.outcomes.iter().any(is_sent) {
            wrong.push("a tick that may only look has sent something".to_owned());
        }
        let only_rules = !decision.reasons.iter().any(|reason| {
            matches!(
                reason,
                Reason::Unfinished { .. }
                    | Reason::Replacing { .. }
                    | Reason::RaisedToMin { .. }
                    | Reason::FellBack { .. }
                    // A part of the same scale-out, another part of which is not known yet.
                    | Reason::OutcomeOpen { .. }
            )
        });
        // Times of creation are the emulator's; the cool-down runs from when we knew of it.
        let cooled = |last: Option<Timestamp>, secs: i64| {
            // One that may only look knows only what was.
            report.only_looked.is_some()
                || last.is_none_or(|at| report.at - at >= TimeDelta::seconds(secs))
        };
        if decision.add > 0
            && crossed(Direction::Out)
            && only_rules
            && !cooled(launched, COOLDOWN_OUT)
        {
            wrong.push(format!("a scale-out within the cool-down of the last: {decision}"));
        }
        if decision.remove > 0 && !lowered && !cooled(launched, COOLDOWN_IN) {
            wrong.push(format!("a scale-in within the cool-down of a scale-out: {decision}"));
        }
        let Planned { adds, ends } = planned(report);
        if adds > decision.add {
            wrong.push(format!("{adds} planned where {} were decided", decision.add));
        }
        // What never came into service is cleared away whatever was decided.
        let most = decision.remove + report.counts.failed;
        if ends > most as usize {
            wrong.push(format!("{ends} end where {most} may: {decision}"));
        }
        for what in wrong {
            self.fail(format!("{} at {}: {what}", report.fleet, report.at));
        }
    }

    /// When the fleet's newest instance was created.
    pub(crate) fn last_launch(&self, fleet: usize) -> Option<Timestamp> {
        self.seen().launched.get(&fleet).copied()
    }
}

/// The cool-downs of all fleets here, in seconds.
pub(crate) const COOLDOWN_OUT: i64 = 60;
pub(crate) const COOLDOWN_IN: i64 = 90;

fn is_sent(outcome: &fleetscaler::execute::Outcome) -> bool {
    matches!(outcome, fleetscaler::execute::Outcome::Sent { .. })
}

/// What a plan comes to.
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
            Mutation::Tag { .. } | Mutation::Start { .. } => {}
        }
    }
    planned
}
