//! What one tick saw, decided and did: the one source of log lines, terminal output, metrics and
//! JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Class, Concerns, Mutation, Timestamp, clock};
use serde::Serialize;

use super::instances::{InstanceSeen, instances};
use crate::execute::{Outcome, Settled};
use crate::model::{
    Account, AccountId, Alert, AlertKey, Bounds, Decision, FleetId, History, Inputs, Inventory,
    Memories, Ownership, Phase, Plan, Reason, Ring, RuleName, Sample, Settlement, ShadowSum,
    SignalName, Signals,
};
use crate::policy::Shadow;

/// One tick over one fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TickReport {
    pub fleet: FleetId,
    pub at: Timestamp,
    pub bounds: Bounds,
    pub counts: Counts,
    /// The usable samples among `signals`.
    #[serde(skip)]
    pub samples: BTreeMap<SignalName, Sample>,
    pub signals: Signals,
    pub decision: Decision,
    pub plan: Plan,
    /// The outcomes of actions of earlier ticks.
    pub settled: Vec<Settled>,
    pub outcomes: Vec<Outcome>,
    /// What the shadow rules want beside it, if there are some. Nothing of it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowSeen>,
    /// Everything that a person should know just now.
    pub alerts: Vec<Alert>,
    /// Why this tick could only look, if so.
    pub only_looked: Option<String>,
    /// Whether it is a dry run: nothing of it is done.
    #[serde(skip)]
    pub is_dry: bool,
    /// How old the listing under it is.
    #[serde(skip)]
    pub listing_age: Duration,
    #[serde(skip)]
    pub account: AccountId,
    /// The facts that the account's fleets have found out.
    #[serde(skip)]
    pub shared: Arc<Account>,
    /// Learned: how old the samples of each signal are when they are first seen.
    #[serde(skip)]
    pub lags: BTreeMap<SignalName, Quantiles>,
    /// The size that each rule asks for, before any limit.
    #[serde(skip)]
    pub rules: Vec<RuleAsked>,
    /// The oldest first.
    #[serde(skip)]
    pub instances: Vec<InstanceSeen>,
    #[serde(skip)]
    pub recent: Recent,
}

/// The size that one rule asks for, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAsked {
    pub name: RuleName,
    /// `None` while it has no opinion.
    pub wants: Option<u32>,
    /// Since when it has asked for that.
    pub since: Timestamp,
}

impl RuleAsked {
    /// The sizes that the rules of a decision asked for, by what they remember of it.
    #[must_use]
    pub fn all(memory: &Memories) -> Vec<RuleAsked> {
        let asked = memory.iter().map(|(name, memory)| RuleAsked {
            name: name.clone(),
            wants: memory.wants,
            since: memory.since,
        });
        asked.collect()
    }
}

/// What the shadow rules of a fleet came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShadowSeen {
    /// The simulated size that they decided from.
    pub size: u32,
    pub desired: u32,
    pub reasons: Vec<Reason>,
    /// Since when they want another size than the live rules, if they do.
    pub differs_since: Option<Timestamp>,
    /// The last 24 hours.
    #[serde(skip)]
    pub sum: Option<ShadowSum>,
}

impl ShadowSeen {
    pub(super) fn of(shadow: Shadow) -> ShadowSeen {
        let Shadow { decision, tick, course, .. } = shadow;
        ShadowSeen {
            size: tick.size,
            desired: tick.desired,
            reasons: decision.reasons,
            differs_since: course.differs_since,
            sum: course.compared_at.and_then(|at| course.sum(at)),
        }
    }
}

/// The part of the past that a person wants to see beside the present.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recent {
    /// The end of the last action in each direction.
    pub last_out: Option<Timestamp>,
    pub last_in: Option<Timestamp>,
    /// Since when each alert has been on; new ones are not in it.
    pub alerts: BTreeMap<AlertKey, Timestamp>,
    /// The newest values of each signal, oldest first; `None` is a gap.
    pub values: BTreeMap<SignalName, Vec<Option<f64>>>,
}

/// Of each signal: a line of so many characters shows a course, and ten thousand fleets have room for it.
const VALUES: usize = 16;

impl Recent {
    fn of(inputs: &Inputs) -> Recent {
        let history = &inputs.history;
        let values = inputs.signals.iter().map(|(name, reading)| {
            let series = history.signals.get(name).map(|memory| &memory.series);
            let mut points = series.into_iter().flat_map(|series| series.points().rev()).peekable();
            let newest = points.peek().map(|point| point.measured_at);
            // The records end before this tick.
            let now = match reading {
                Ok(sample) => (newest != Some(sample.measured_at)).then_some(Some(sample.value)),
                Err(_) => Some(None),
            };
            let mut values: Vec<Option<f64>> =
                now.into_iter().chain(points.map(|point| point.value)).take(VALUES).collect();
            values.reverse();
            (name.clone(), values)
        });
        Recent {
            last_out: history.last_out,
            last_in: history.last_in,
            alerts: history.alerts.clone(),
            values: values.collect(),
        }
    }
}

/// The bounds that half and nearly all measurements stay under, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    pub p50: f64,
    pub p95: f64,
}

impl Quantiles {
    /// `None` while there are too few measurements.
    fn of(ring: &Ring) -> Option<Quantiles> {
        Some(Quantiles { p50: ring.quantile(0.5)?, p95: ring.quantile(0.95)? })
    }
}

/// From the accepted launch to Running, by zone and type. Every ring of the account is sorted for
/// it: not for each tick.
#[must_use]
pub fn boots(account: &Account) -> BTreeMap<(String, String), Quantiles> {
    let boots = account.boots.iter().filter_map(|(key, ring)| {
        let (zone, instance_type) = key.split_once('/')?;
        Some(((zone.to_owned(), instance_type.to_owned()), Quantiles::of(ring)?))
    });
    boots.collect()
}

fn lags(history: &History) -> BTreeMap<SignalName, Quantiles> {
    let signals = history.signals.iter();
    signals.filter_map(|(name, of)| Some((name.clone(), Quantiles::of(&of.lag)?))).collect()
}

/// Instances by what they are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub requested: u32,
    pub booting: u32,
    pub warming: u32,
    pub in_service: u32,
    /// Out of service and not ended yet.
    pub draining: u32,
    pub leaving: u32,
    /// Kept out of service for a person.
    pub standby: u32,
    pub failed: u32,
    /// Serving by their phase, but in a zone that is lost.
    pub unreachable: u32,
    /// Of those that serve or soon will: to be replaced.
    #[serde(skip_serializing_if = "is_zero")]
    pub outgoing: u32,
    /// How many of all of them are base instances.
    pub base: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Counts {
    #[must_use]
    pub(crate) fn of(inventory: &Inventory) -> Counts {
        let base = inventory.members.iter().filter(|m| m.ownership == Ownership::Base).count();
        Counts {
            requested: inventory.count(|p| p == Phase::Requested) + inventory.in_doubt,
            booting: inventory.count(|p| p == Phase::Booting),
            warming: inventory.count(|p| p == Phase::Warming),
            in_service: inventory.in_service(),
            draining: inventory.count(|p| p == Phase::Draining),
            leaving: inventory.count(|p| matches!(p, Phase::Stopping | Phase::Terminating)),
            standby: inventory.count(|p| p == Phase::Standby),
            failed: inventory.count(|p| p == Phase::Failed),
            unreachable: inventory.unreachable(),
            outgoing: inventory.outgoing(),
            base: u32::try_from(base).unwrap_or(u32::MAX),
        }
    }

    /// Each with its name, in the order of an instance's life.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u32); 9] {
        [
            ("in service", self.in_service),
            ("warming up", self.warming),
            ("booting", self.booting),
            ("requested", self.requested),
            ("draining", self.draining),
            ("leaving", self.leaving),
            ("standby", self.standby),
            ("failed", self.failed),
            ("unreachable", self.unreachable),
        ]
    }

    /// `3 in service, 2 booting`: what there is, without the zeros.
    #[must_use]
    pub fn line(&self) -> String {
        let parts: Vec<String> = self
            .named()
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        if parts.is_empty() { "no instances".to_owned() } else { parts.join(", ") }
    }
}

impl TickReport {
    /// The part of the plan that is done by the word of the journal, and the hooks that are called: one line
    /// each, for people.
    #[must_use]
    pub fn moved(&self) -> Vec<String> {
        let would = if self.is_dry { "would " } else { "" };
        let moves = self.plan.moves().into_iter();
        let calls = self.plan.hooks.iter().map(|call| {
            format!("call the hook `{}` on {} of {}", call.hook, call.on, call.instance)
        });
        moves.chain(calls).map(|line| format!("{would}{line}")).collect()
    }

    /// The report of what was decided; nothing done yet.
    #[must_use]
    pub(crate) fn new(
        inputs: Inputs,
        decision: Decision,
        memory: &Memories,
        plan: Plan,
        alerts: Vec<Alert>,
    ) -> TickReport {
        let usable = |(name, reading): (&SignalName, &crate::model::Reading)| {
            reading.as_ref().ok().map(|sample| (name.clone(), *sample))
        };
        TickReport {
            fleet: inputs.fleet.id.clone(),
            at: inputs.now,
            bounds: inputs.fleet.bounds,
            counts: Counts::of(&inputs.inventory),
            samples: inputs.signals.iter().filter_map(usable).collect(),
            listing_age: clock::age(inputs.now, inputs.inventory.listed_at),
            lags: lags(&inputs.history),
            rules: RuleAsked::all(memory),
            instances: instances(&inputs),
            recent: Recent::of(&inputs),
            shared: inputs.account,
            account: inputs.fleet.account,
            signals: inputs.signals,
            decision,
            plan,
            settled: Vec::new(),
            outcomes: Vec::new(),
            shadow: None,
            is_dry: false,
            alerts,
            only_looked: None,
        }
    }

    /// Whether the next place should be tried at once instead of an interval later: a launch was
    /// refused for what another place may accept, got too little, or a probe found stock again.
    #[must_use]
    pub fn wants_another_tick(&self) -> bool {
        // Outcomes stand in the order of their actions.
        self.plan.actions.iter().zip(&self.outcomes).any(|(action, outcome)| {
            let Outcome::Sent { settlement, .. } = outcome else { return false };
            match (settlement, &action.mutation) {
                (Settlement::Failed { .. }, Mutation::Launch(_)) => {
                    settlement.concerns().is_some_and(Concerns::is_local)
                }
                (Settlement::Launched { .. }, Mutation::Launch(launch)) => {
                    self.plan.more_at_once || settlement.launched() < launch.amount
                }
                _ => false,
            }
        })
    }

    /// When a throttled action may be tried again, if that is sooner than the next tick.
    #[must_use]
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let after = self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Sent {
                settlement: Settlement::Failed { class: Class::Throttled { retry_after }, .. },
                ..
            } => *retry_after,
            Outcome::NotSent { again_at: Some(at), .. } => Some(clock::age(*at, self.at)),
            _ => None,
        });
        after.min()
    }
}
