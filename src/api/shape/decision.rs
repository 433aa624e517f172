//! A decision with its whole explanation: what was seen, which rule wanted what, what blocked it, what
//! was done, what would have changed it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cloud::{InstanceId, Timestamp, clock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{BoundsView, HoldView, ReasonView, SignalView, SizesView, at};
use crate::control::{Counts, RuleAsked};
use crate::execute::Outcome;
use crate::model::{
    Action, Brakes, Decided, Event, Inputs, IntentId, Phase, Settlement, SignalName, Spent,
};
use crate::policy;

/// Decisions of one fleet, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionsView {
    pub decisions: Vec<DecisionView>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    /// `fleetscaler replay --decision` takes it.
    pub id: Uuid,
    pub fleet: String,
    pub decided_at: DateTime<Utc>,
    /// In one line.
    pub summary: String,
    pub current_instances: u32,
    pub recommended_instances: u32,
    pub desired_instances: u32,
    pub launched_instances: u32,
    pub removed_instances: u32,
    /// `null`, as `limits`: what it was made from is past its retention of two days.
    pub saw: Option<SawView>,
    pub signals: Vec<SignalView>,
    pub rules: Vec<RuleView>,
    pub limits: Option<LimitsView>,
    pub reasons: Vec<ReasonView>,
    pub blocked_by: Option<ReasonView>,
    /// Why less was done than decided.
    pub shortfalls: Vec<String>,
    /// In their order.
    pub actions: Vec<ActionTaken>,
    /// What changed by the word of the journal alone, such as "drain i-1".
    #[serde(default)]
    pub moves: Vec<String>,
    /// The values that would have led to an action.
    pub would_change: Vec<ReasonView>,
}

/// The world as the decision saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SawView {
    pub instances: SizesView,
    /// How old the listing was.
    pub listing_age_secs: u64,
    /// Why the listing was not believed, if so.
    pub doubts: Vec<String>,
}

/// The size that one rule asked for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    pub rule: String,
    /// `null`: it had no opinion.
    pub asks_instances: Option<u32>,
    /// The reasons that speak of its signals.
    pub because: Vec<ReasonView>,
}

/// The limits that applied to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LimitsView {
    pub bounds: BoundsView,
    pub fleet: BrakeView,
    pub account: BrakeView,
    pub holds: Vec<HoldView>,
}

/// Hourly limits, and what was used of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BrakeView {
    pub launches_last_hour: u32,
    pub launches_per_hour_max: Option<u32>,
    pub removals_last_hour: u32,
    pub removals_per_hour_max: Option<u32>,
    pub removal_percent_max: Option<f64>,
}

/// An action, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActionTaken {
    pub intent: Uuid,
    /// Such as `launch 2 × ecs.c7.large in vsw-zone-h`.
    pub action: String,
    /// The same with what came of it; `null` while nobody knows.
    pub outcome: Option<String>,
    pub answered_after_secs: Option<f64>,
    pub launched: Vec<String>,
    /// Until the last of the launched ones served; `null` while one does not.
    pub served_after_secs: Option<u64>,
}

/// The events that followed a decision in the journal.
#[derive(Debug, Default)]
pub(in crate::api) struct Followed {
    settled: BTreeMap<IntentId, (Timestamp, Settlement)>,
    intended: BTreeMap<IntentId, Timestamp>,
    served: BTreeMap<InstanceId, Timestamp>,
}

impl Followed {
    /// One more record, in the order of the journal.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Intended(intent) => {
                self.intended.insert(intent.action.intent, intent.at);
            }
            Event::Settled { at, intent, settlement } => {
                self.settled.insert(*intent, (*at, settlement.clone()));
            }
            Event::Ticked(ticked) => {
                for (id, phase) in &ticked.phases {
                    if *phase == Phase::InService {
                        self.served.entry(id.clone()).or_insert(ticked.at);
                    }
                }
            }
            _ => {}
        }
    }

    fn taken(&self, action: &Action) -> ActionTaken {
        let settled = self.settled.get(&action.intent);
        let sent = self.intended.get(&action.intent);
        let ids = match settled {
            Some((_, Settlement::Launched { ids })) => ids.as_slice(),
            _ => &[],
        };
        let served: Option<Vec<Timestamp>> =
            ids.iter().map(|id| self.served.get(id).copied()).collect();
        let since = |begin: &Timestamp, end: Timestamp| clock::age(end, *begin);
        let answered = settled.and_then(|(end, _)| sent.map(|begin| since(begin, *end)));
        ActionTaken {
            intent: action.intent.0,
            action: action.to_string(),
            outcome: settled.map(|(_, settlement)| {
                let settlement = settlement.clone();
                Outcome::Sent { action: action.to_string(), settlement }.line()
            }),
            answered_after_secs: answered.map(|took| super::rounded(took.as_secs_f64())),
            launched: ids.iter().map(|id| id.0.clone()).collect(),
            served_after_secs: served
                .and_then(|served| served.into_iter().max())
                .and_then(|end| sent.map(|begin| since(begin, end).as_secs())),
        }
    }
}

impl DecisionView {
    /// `decided` with what it was made from, and what followed.
    pub(in crate::api) fn of(
        fleet: &str,
        decided: &Decided,
        inputs: Option<&Inputs>,
        followed: &Followed,
    ) -> DecisionView {
        let decision = &decided.decision;
        let signals = inputs.into_iter().flat_map(|inputs| &inputs.signals);
        DecisionView {
            id: decided.id.0,
            fleet: fleet.to_owned(),
            decided_at: at(decided.at),
            summary: decision.to_string(),
            current_instances: decision.current,
            recommended_instances: decision.recommended,
            desired_instances: decision.desired,
            launched_instances: decision.add,
            removed_instances: decision.remove,
            saw: inputs.map(SawView::of),
            signals: signals.map(|(name, reading)| SignalView::of(&name.0, reading)).collect(),
            rules: inputs.map(|inputs| RuleView::all(inputs, decided)).unwrap_or_default(),
            limits: inputs.map(LimitsView::of),
            reasons: decision.reasons.iter().map(ReasonView::from).collect(),
            blocked_by: decision.blocked_by.as_ref().map(ReasonView::from),
            shortfalls: decided.plan.shortfalls.clone(),
            actions: decided.plan.actions.iter().map(|action| followed.taken(action)).collect(),
            moves: decided.plan.moves(),
            would_change: decision.counterfactuals.iter().map(ReasonView::from).collect(),
        }
    }
}

impl SawView {
    fn of(inputs: &Inputs) -> SawView {
        SawView {
            instances: SizesView::from(Counts::of(&inputs.inventory)),
            listing_age_secs: clock::age(inputs.now, inputs.inventory.listed_at).as_secs(),
            doubts: inputs.inventory.doubts.clone(),
        }
    }
}

impl RuleView {
    /// The rules in the order of the configuration. What each asked for is found by deciding again,
    /// which gives the same.
    fn all(inputs: &Inputs, decided: &Decided) -> Vec<RuleView> {
        let remembered = inputs.history.memory.clone();
        let (_, memory) = policy::decide(&inputs.situation(&inputs.census()), remembered);
        let asked = RuleAsked::all(&memory);
        let rules = inputs.fleet.rules.iter().map(|rule| {
            let signals: Vec<&SignalName> = rule.signals();
            let speaks_of = |reason: &&crate::model::Reason| {
                reason.signal().is_some_and(|signal| signals.contains(&signal))
            };
            let because = decided.decision.reasons.iter().filter(speaks_of);
            RuleView {
                rule: rule.name.0.clone(),
                asks_instances: asked.iter().find(|a| a.name == rule.name).and_then(|a| a.wants),
                because: because.map(ReasonView::from).collect(),
            }
        });
        rules.collect()
    }
}

impl LimitsView {
    fn of(inputs: &Inputs) -> LimitsView {
        let Inputs { fleet, spent: Spent { fleet: used, account: of_account }, .. } = inputs;
        let brake = |brakes: Brakes, used: crate::model::Amounts| BrakeView {
            launches_last_hour: used.launches,
            launches_per_hour_max: brakes.launches_per_hour,
            removals_last_hour: used.removals,
            removals_per_hour_max: brakes.removals_per_hour,
            removal_percent_max: brakes.removal_percent,
        };
        LimitsView {
            bounds: BoundsView::from(fleet.bounds),
            fleet: brake(fleet.brakes, *used),
            account: brake(fleet.account_brakes, *of_account),
            holds: inputs.holds.iter().map(HoldView::from).collect(),
        }
    }
}
