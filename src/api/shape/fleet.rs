//! A fleet as it is now: its size, what it wants, what blocks it.

use chrono::{DateTime, Utc};
use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::headline::headline;
use super::{
    CostView, HoldView, InstructionView, ReasonView, ScheduledView, ShadowNowView, at, rounded,
};
use crate::control::{Counts, InstanceSeen, Newest, TickReport};
use crate::model::{
    Alert, Bounds, Counterfactual, Decision, FleetId, Hold, Ownership, Phase, Reading, Reason,
};

/// The daemon itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DaemonView {
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// This replica's name in the journal.
    pub replica: String,
    pub replicas: u32,
    pub fleets: u32,
    /// Fleets that this replica acts for.
    pub acts_for_fleets: u32,
    /// Why the journal cannot be used, if so: nothing is changed then.
    pub journal_trouble: Option<String>,
    /// Why it is not ready, if so.
    pub not_ready: Option<String>,
}

/// All fleets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetsView {
    pub fleets: Vec<FleetView>,
}

/// One fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetView {
    pub fleet: String,
    /// `this_replica`, `another_replica`, or `nobody` before the first tick.
    pub acts: String,
    /// When its newest tick looked; everything below is as of then.
    pub seen_at: Option<DateTime<Utc>>,
    pub seen_ago_secs: Option<u64>,
    /// From one tick to the next; `null` where it is read from the journal.
    pub interval_secs: Option<u64>,
    pub instances: Option<SizesView>,
    pub bounds: Option<BoundsView>,
    pub wants: Option<WantsView>,
    /// Why it is as it is, in some twenty characters.
    pub headline: Option<String>,
    /// The decision in one line.
    pub why: Option<String>,
    pub reasons: Vec<ReasonView>,
    /// The reason that keeps it from its recommended size, if any.
    pub blocked_by: Option<ReasonView>,
    /// The values that would have led to an action.
    pub would_change: Vec<ReasonView>,
    /// When what blocks it ends, where that is known.
    pub next_change_at: Option<DateTime<Utc>>,
    pub last_scale_out_at: Option<DateTime<Utc>>,
    pub last_scale_in_at: Option<DateTime<Utc>>,
    pub signals: Vec<SignalView>,
    pub alerts: Vec<AlertView>,
    pub holds: Vec<HoldView>,
    /// What people asked for, and is in force.
    #[serde(default)]
    pub instructions: Vec<InstructionView>,
    /// What its instances cost; `null` while no price is known, and where it is read from the journal.
    #[serde(default)]
    pub cost: Option<CostView>,
    /// What its schedules say, now and in the next seven days, in the order of their beginnings.
    #[serde(default)]
    pub schedule: Vec<ScheduledView>,
    /// What its shadow rules want beside the live ones, if it has some.
    #[serde(default)]
    pub shadow: Option<ShadowNowView>,
    /// Why the newest tick could not do its work, if so.
    pub trouble: Option<TroubleView>,
    /// Why nothing is changed, where it only looks.
    pub only_looks: Option<String>,
}

/// A fleet's instances by phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SizesView {
    pub serving: u32,
    pub warming_up: u32,
    pub booting: u32,
    /// Accepted by the cloud, in no listing yet; launches of unknown outcome among them.
    pub requested: u32,
    /// Out of service, and not ended yet: they come back when they are needed.
    #[serde(default)]
    pub draining: u32,
    pub leaving: u32,
    /// Kept out of service for a person.
    #[serde(default)]
    pub standby: u32,
    pub failed: u32,
    /// They serve by their phase, in a zone of which nothing is heard.
    pub unreachable: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BoundsView {
    pub min_instances: u32,
    pub max_instances: u32,
}

/// The sizes that a fleet wants, from before the first limit to after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WantsView {
    /// Instances that serve or soon will: what the decision started from.
    pub current_instances: u32,
    /// The most that a rule asks for, before any limit; `null` while none has an opinion.
    pub asked_instances: Option<u32>,
    /// Within the bounds.
    pub recommended_instances: u32,
    /// After holds, cool-downs and everything else.
    pub desired_instances: u32,
    /// After the hourly limits: what this tick launched or removed.
    pub launched_now_instances: u32,
    pub removed_now_instances: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignalView {
    pub signal: String,
    /// `null`: missing.
    pub value: Option<f64>,
    /// How old the value was when it was read.
    pub age_secs: Option<u64>,
    pub measured_at: Option<DateTime<Utc>>,
    pub reporting_instances: Option<u32>,
    /// Why there is no value.
    pub missing: Option<ReasonView>,
    /// The newest values, oldest first; `null` is a gap.
    pub recent_values: Vec<Option<f64>>,
}

/// The signals of one fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignalsView {
    pub signals: Vec<SignalView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// Its page in the runbook has this name.
    pub code: String,
    /// Which of several, such as an instance or an account.
    pub about: String,
    pub message: String,
    pub since: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TroubleView {
    pub since: DateTime<Utc>,
    pub message: String,
}

/// The instances of one fleet, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstancesView {
    pub seen_at: Option<DateTime<Utc>>,
    pub instances: Vec<InstanceView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    pub instance: String,
    /// `requested`, `booting`, `warming`, `in_service`, `draining`, `stopping`, `terminating`, `failed`,
    /// `standby`.
    pub phase: String,
    pub phase_since: Option<DateTime<Utc>>,
    pub launched_at: Option<DateTime<Utc>>,
    /// `managed`, or `base`: counted and never changed.
    pub ownership: String,
    /// `null`, as the following: no listing shows it.
    pub zone: Option<String>,
    pub instance_type: Option<String>,
    pub private_ip: Option<String>,
    pub is_protected: Option<bool>,
    pub is_unreachable: Option<bool>,
    /// By its checks, its load balancers and what was reported; `null`: nothing tells yet.
    pub is_healthy: Option<bool>,
    /// Another template than today's launched it; `null`: nobody knows which one did.
    #[serde(default)]
    pub is_outdated: Option<bool>,
}

impl FleetView {
    /// The view of `fleet` at `now`.
    pub(crate) fn of(
        fleet: &FleetId,
        newest: &Newest,
        interval_secs: Option<u64>,
        holds: &[Hold],
        now: Timestamp,
    ) -> FleetView {
        let report = newest.report.as_deref();
        let view = report.map(|report| FleetView::seen(report, now)).unwrap_or_default();
        let acts = match (newest.is_elsewhere, report) {
            (true, _) => "another_replica",
            (false, Some(_)) => "this_replica",
            (false, None) => "nobody",
        };
        let trouble = newest
            .trouble
            .as_ref()
            .map(|trouble| TroubleView { since: at(trouble.since), message: trouble.why.clone() });
        FleetView {
            fleet: fleet.0.clone(),
            acts: acts.to_owned(),
            interval_secs,
            holds: holds.iter().map(HoldView::from).collect(),
            trouble,
            ..view
        }
    }

    fn seen(report: &TickReport, now: Timestamp) -> FleetView {
        let TickReport { decision, recent, .. } = report;
        let blocked_by = decision.blocked_by.as_ref();
        let after = |counterfactual: &Counterfactual| match counterfactual {
            Counterfactual::After { until, .. } => Some(*until),
            _ => None,
        };
        let ends = decision.counterfactuals.iter().filter_map(after);
        let next = ends.chain(blocked_by.and_then(ends_at)).filter(|end| *end > now).min();
        FleetView {
            seen_at: Some(at(report.at)),
            seen_ago_secs: Some(clock::age(now, report.at).as_secs()),
            instances: Some(SizesView::from(report.counts)),
            bounds: Some(BoundsView::from(report.bounds)),
            wants: Some(WantsView::of(report)),
            headline: Some(headline(report)),
            why: Some(decision.to_string()),
            reasons: decision.reasons.iter().map(ReasonView::from).collect(),
            blocked_by: blocked_by.map(ReasonView::from),
            would_change: decision.counterfactuals.iter().map(ReasonView::from).collect(),
            next_change_at: next.map(at),
            last_scale_out_at: recent.last_out.map(at),
            last_scale_in_at: recent.last_in.map(at),
            signals: SignalView::all(report),
            alerts: report.alerts.iter().map(|alert| AlertView::of(alert, report)).collect(),
            shadow: report.shadow.as_ref().map(|shadow| ShadowNowView::of(report, shadow)),
            only_looks: report.only_looked.clone(),
            ..FleetView::default()
        }
    }
}

impl Default for FleetView {
    /// Nothing is known yet.
    fn default() -> FleetView {
        FleetView {
            fleet: String::new(),
            acts: "nobody".to_owned(),
            seen_at: None,
            seen_ago_secs: None,
            interval_secs: None,
            instances: None,
            bounds: None,
            wants: None,
            headline: None,
            why: None,
            reasons: Vec::new(),
            blocked_by: None,
            would_change: Vec::new(),
            next_change_at: None,
            last_scale_out_at: None,
            last_scale_in_at: None,
            signals: Vec::new(),
            alerts: Vec::new(),
            holds: Vec::new(),
            instructions: Vec::new(),
            cost: None,
            schedule: Vec::new(),
            shadow: None,
            trouble: None,
            only_looks: None,
        }
    }
}

/// When what a reason speaks of is over, where that is known.
fn ends_at(reason: &Reason) -> Option<Timestamp> {
    match reason {
        Reason::CoolingDown { until, .. }
        | Reason::NoRecordYet { until }
        | Reason::Stabilizing { until, .. }
        | Reason::LaunchesFailed { until, .. }
        | Reason::AccountStopped { until, .. } => Some(*until),
        Reason::Held { hold } => Some(hold.until),
        _ => None,
    }
}

impl From<&Reason> for ReasonView {
    fn from(reason: &Reason) -> ReasonView {
        ReasonView { kind: reason.kind().to_owned(), text: reason.to_string() }
    }
}

impl From<&Counterfactual> for ReasonView {
    fn from(counterfactual: &Counterfactual) -> ReasonView {
        let kind = match counterfactual {
            Counterfactual::Samples { .. } => "samples",
            Counterfactual::After { .. } => "after",
            Counterfactual::SignalReturns { .. } => "signal_returns",
            Counterfactual::HigherMax { .. } => "higher_max",
            Counterfactual::LowerMin { .. } => "lower_min",
        };
        ReasonView { kind: kind.to_owned(), text: counterfactual.to_string() }
    }
}

impl From<Counts> for SizesView {
    fn from(counts: Counts) -> SizesView {
        SizesView {
            serving: counts.in_service,
            warming_up: counts.warming,
            booting: counts.booting,
            requested: counts.requested,
            draining: counts.draining,
            leaving: counts.leaving,
            standby: counts.standby,
            failed: counts.failed,
            unreachable: counts.unreachable,
        }
    }
}

impl From<Bounds> for BoundsView {
    fn from(Bounds { min, max }: Bounds) -> BoundsView {
        BoundsView { min_instances: min, max_instances: max }
    }
}

impl WantsView {
    fn of(report: &TickReport) -> WantsView {
        let Decision { current, recommended, desired, add, remove, .. } = report.decision;
        WantsView {
            current_instances: current,
            asked_instances: report.rules.iter().filter_map(|rule| rule.wants).max(),
            recommended_instances: recommended,
            desired_instances: desired,
            launched_now_instances: add,
            removed_now_instances: remove,
        }
    }
}

impl SignalView {
    /// The signals of a tick.
    pub(crate) fn all(report: &TickReport) -> Vec<SignalView> {
        let view = |(name, reading): (&crate::model::SignalName, &Reading)| {
            let recent = report.recent.values.get(name).into_iter().flatten();
            let recent_values = recent.map(|value| value.map(rounded)).collect();
            SignalView { recent_values, ..SignalView::of(&name.0, reading) }
        };
        report.signals.iter().map(view).collect()
    }

    pub(super) fn of(signal: &str, reading: &Reading) -> SignalView {
        let sample = reading.as_ref().ok();
        SignalView {
            signal: signal.to_owned(),
            value: sample.map(|sample| rounded(sample.value)),
            age_secs: sample.map(|sample| sample.age.get().as_secs()),
            measured_at: sample.map(|sample| at(sample.measured_at)),
            reporting_instances: sample.and_then(|sample| sample.reporting),
            missing: reading
                .as_ref()
                .err()
                .map(|gap| ReasonView { kind: gap.name().to_owned(), text: gap.to_string() }),
            recent_values: Vec::new(),
        }
    }
}

impl AlertView {
    fn of(alert: &Alert, report: &TickReport) -> AlertView {
        AlertView {
            code: alert.key.code.name().to_owned(),
            about: alert.key.about.clone(),
            message: alert.message.clone(),
            since: at(report.recent.alerts.get(&alert.key).copied().unwrap_or(report.at)),
        }
    }
}

impl InstancesView {
    /// The instances that a fleet's newest tick saw.
    pub(crate) fn of(newest: &Newest) -> InstancesView {
        let report = newest.report.as_deref();
        let seen = report.map_or(&[][..], |report| &report.instances);
        InstancesView {
            seen_at: report.map(|report| at(report.at)),
            instances: seen.iter().map(InstanceView::from).collect(),
        }
    }
}

impl From<&InstanceSeen> for InstanceView {
    fn from(seen: &InstanceSeen) -> InstanceView {
        let listed = seen.listed.as_ref();
        InstanceView {
            instance: seen.id.0.clone(),
            phase: phase(seen.phase).to_owned(),
            phase_since: seen.since.map(at),
            launched_at: seen.launched.map(at),
            ownership: match seen.ownership {
                Ownership::Managed => "managed",
                Ownership::Base => "base",
            }
            .to_owned(),
            zone: listed.map(|listed| listed.zone.clone()),
            instance_type: listed.map(|listed| listed.instance_type.clone()),
            private_ip: listed.and_then(|listed| listed.private_ip).map(|ip| ip.to_string()),
            is_protected: listed.map(|listed| listed.is_protected),
            is_unreachable: listed.map(|listed| listed.is_unreachable),
            is_healthy: listed.and_then(|listed| listed.is_healthy),
            is_outdated: seen.is_outdated,
        }
    }
}

/// As the journal names it.
pub(in crate::api) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Requested => "requested",
        Phase::Booting => "booting",
        Phase::Warming => "warming",
        Phase::InService => "in_service",
        Phase::Draining => "draining",
        Phase::Stopping => "stopping",
        Phase::Terminating => "terminating",
        Phase::Gone => "gone",
        Phase::Failed => "failed",
        Phase::Standby => "standby",
    }
}
