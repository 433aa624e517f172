//! `/v1/overview`: every fleet in a few words, small enough to be read each second by a page.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::fleets::view;
use super::shape::FleetView;

/// All fleets, in the order of their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct OverviewView {
    pub fleets: Vec<RowView>,
}

/// One fleet. Counts are of instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct RowView {
    pub fleet: String,
    /// `false` before its first tick, and while another replica acts for it.
    pub is_seen: bool,
    pub seen_ago_secs: Option<u64>,
    pub serving: u32,
    pub coming: u32,
    pub draining: u32,
    pub leaving: u32,
    /// Failed, on standby, or in a zone of which nothing is heard.
    pub troubled: u32,
    pub desired: Option<u32>,
    pub min: Option<u32>,
    pub max: Option<u32>,
    /// The first signal that has a value, else the first.
    pub signal: Option<String>,
    pub value: Option<f64>,
    pub age_secs: Option<u64>,
    pub recent_values: Vec<Option<f64>>,
    pub headline: Option<String>,
    /// One word for what keeps it from its recommended size.
    pub blocked_by: Option<String>,
    pub alerts: Vec<String>,
    /// What its instances cost; `null` while no price is known.
    pub cost_per_hour: Option<f64>,
    pub currency: Option<String>,
    /// How many holds are in force.
    pub holds: u32,
    pub trouble: Option<String>,
}

/// Every fleet in a few words.
#[utoipa::path(get, path = "/v1/overview", tag = "fleets", responses((status = 200, body = OverviewView)))]
pub(super) async fn show(State(api): State<Arc<Api>>) -> Json<OverviewView> {
    let members = api.world.fleets.all();
    let mut fleets: Vec<RowView> = members.iter().map(|member| view(&api, member).into()).collect();
    fleets.sort_by(|a, b| a.fleet.cmp(&b.fleet));
    Json(OverviewView { fleets })
}

impl From<FleetView> for RowView {
    fn from(fleet: FleetView) -> RowView {
        let sizes = fleet.instances;
        let count = |of: fn(&super::shape::SizesView) -> u32| sizes.as_ref().map_or(0, of);
        let signal = fleet.signals.iter().find(|signal| signal.value.is_some());
        let signal = signal.or(fleet.signals.first());
        RowView {
            is_seen: fleet.seen_at.is_some(),
            seen_ago_secs: fleet.seen_ago_secs,
            serving: count(|sizes| sizes.serving),
            coming: count(|sizes| sizes.requested + sizes.booting + sizes.warming_up),
            draining: count(|sizes| sizes.draining),
            leaving: count(|sizes| sizes.leaving),
            troubled: count(|sizes| sizes.failed + sizes.standby + sizes.unreachable),
            desired: fleet.wants.as_ref().map(|wants| wants.desired_instances),
            min: fleet.bounds.map(|bounds| bounds.min_instances),
            max: fleet.bounds.map(|bounds| bounds.max_instances),
            signal: signal.map(|signal| signal.signal.clone()),
            value: signal.and_then(|signal| signal.value),
            age_secs: signal.and_then(|signal| signal.age_secs),
            recent_values: signal.map(|signal| signal.recent_values.clone()).unwrap_or_default(),
            headline: fleet.headline,
            blocked_by: fleet.blocked_by.map(|reason| reason.kind),
            alerts: fleet.alerts.into_iter().map(|alert| alert.code).collect(),
            cost_per_hour: fleet.cost.as_ref().map(|cost| cost.amount_per_hour),
            currency: fleet.cost.map(|cost| cost.currency),
            holds: u32::try_from(fleet.holds.len()).unwrap_or(u32::MAX),
            trouble: fleet.trouble.map(|trouble| trouble.message),
            fleet: fleet.fleet,
        }
    }
}
