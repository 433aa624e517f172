//! `/v1/fleets`: what each fleet has, wants and waits for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::Api;
use super::error::{ErrorView, Refusal};
use super::shape::{
    CostView, FleetView, FleetsView, InstancesView, InstructionsView, ScheduledView, SignalView,
    SignalsView,
};
use crate::control::FleetInWorld;

pub(super) fn view(api: &Api, member: &FleetInWorld) -> FleetView {
    let id = &member.fleet.id;
    // Without the journal nobody knows of holds, which its own trouble says.
    let holds = api.world.journal.holds(id).unwrap_or_default();
    let now = api.world.clock.now();
    let interval = Some(member.interval.get().as_secs());
    let instructions = api.world.journal.instructions(id).unwrap_or_default();
    FleetView {
        schedule: ScheduledView::all(&member.fleet, now),
        cost: api.world.cost(member).map(CostView::from),
        instructions: InstructionsView::of(&instructions).instructions,
        ..FleetView::of(id, &member.shown.newest(), interval, &holds, now)
    }
}

/// All fleets, in the order of their names.
#[utoipa::path(get, path = "/v1/fleets", tag = "fleets", responses((status = 200, body = FleetsView)))]
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<FleetsView> {
    let mut fleets: Vec<FleetView> =
        api.world.fleets.all().iter().map(|member| view(&api, member)).collect();
    fleets.sort_by(|a, b| a.fleet.cmp(&b.fleet));
    Json(FleetsView { fleets })
}

/// One fleet: its size by phase, its bounds, what it wants before and after each limit, what blocks it.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}", tag = "fleets", params(("fleet", description = "Its name")),
    responses((status = 200, body = FleetView), (status = 404, body = ErrorView))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
) -> Result<Json<FleetView>, Refusal> {
    let member = api.fleet(&fleet)?;
    Ok(Json(view(&api, &member)))
}

/// Its instances, the oldest first.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}/instances", tag = "fleets",
    params(("fleet", description = "Its name")),
    responses((status = 200, body = InstancesView), (status = 404, body = ErrorView))
)]
pub(super) async fn instances(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
) -> Result<Json<InstancesView>, Refusal> {
    Ok(Json(InstancesView::of(&api.fleet(&fleet)?.shown.newest())))
}

/// Its signals, with their newest values.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}/signals", tag = "fleets",
    params(("fleet", description = "Its name")),
    responses((status = 200, body = SignalsView), (status = 404, body = ErrorView))
)]
pub(super) async fn signals(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
) -> Result<Json<SignalsView>, Refusal> {
    let newest = api.fleet(&fleet)?.shown.newest();
    let signals = newest.report.as_deref().map(SignalView::all).unwrap_or_default();
    Ok(Json(SignalsView { signals }))
}
