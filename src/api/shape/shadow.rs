//! Shadow rules as they are shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ReasonView, at, rounded};
use crate::control::{ShadowSeen, TickReport};
use crate::model::{FleetId, ShadowSum};

/// The shadow rules of a fleet beside its live ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowView {
    pub fleet: String,
    /// `null` before the first tick, and while another replica acts for the fleet.
    pub now: Option<ShadowNowView>,
    /// The last 24 hours; `null` likewise.
    pub day: Option<ShadowDayView>,
}

/// The newest tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowNowView {
    pub at: DateTime<Utc>,
    pub live_desired_instances: u32,
    pub shadow_desired_instances: u32,
    pub live_current_instances: u32,
    /// Simulated: the size to which the shadow rules have led by themselves.
    pub shadow_current_instances: u32,
    /// Of the shadow rules, in the order in which they were found.
    pub reasons: Vec<ReasonView>,
    /// Since when the two want different sizes; `null` while they want the same.
    pub differs_since: Option<DateTime<Utc>>,
}

/// Both over some time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowDayView {
    /// The first tick of it.
    pub since: DateTime<Utc>,
    pub compared_ticks: u32,
    /// Ticks in which the two wanted different sizes.
    pub differing_ticks: u32,
    /// Ticks in which the shadow would have had fewer instances than the fleet had.
    pub fewer_ticks: u32,
    pub live_instance_hours: f64,
    pub shadow_instance_hours: f64,
    /// Ticks that had something launched or removed.
    pub live_actions: u32,
    pub shadow_actions: u32,
}

impl ShadowView {
    pub(in crate::api) fn of(fleet: &FleetId, report: Option<&TickReport>) -> ShadowView {
        let seen = report.and_then(|report| Some((report, report.shadow.as_ref()?)));
        ShadowView {
            fleet: fleet.0.clone(),
            now: seen.map(|(report, shadow)| ShadowNowView::of(report, shadow)),
            day: seen.and_then(|(_, shadow)| shadow.sum).map(ShadowDayView::from),
        }
    }
}

impl ShadowNowView {
    pub(super) fn of(report: &TickReport, shadow: &ShadowSeen) -> ShadowNowView {
        ShadowNowView {
            at: at(report.at),
            live_desired_instances: report.decision.desired,
            shadow_desired_instances: shadow.desired,
            live_current_instances: report.decision.current,
            shadow_current_instances: shadow.size,
            reasons: shadow.reasons.iter().map(ReasonView::from).collect(),
            differs_since: shadow.differs_since.map(at),
        }
    }
}

impl From<ShadowSum> for ShadowDayView {
    fn from(sum: ShadowSum) -> ShadowDayView {
        let hours = |secs: u64| rounded(secs as f64 / 3_600.0);
        ShadowDayView {
            since: at(sum.since),
            compared_ticks: sum.ticks,
            differing_ticks: sum.differing,
            fewer_ticks: sum.fewer,
            live_instance_hours: hours(sum.live_instance_secs),
            shadow_instance_hours: hours(sum.shadow_instance_secs),
            live_actions: sum.live_actions,
            shadow_actions: sum.shadow_actions,
        }
    }
}
