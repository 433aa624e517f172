//! Holds: read them, place them, lift them. What is said here is recorded as what `fleetscaler hold`
//! says.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use cloud::{clock, text};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::error::{ErrorView, Refusal};
use super::shape::{HoldView, HoldsView, NewHold};
use super::{Api, Query};
use crate::model::{FleetId, HOLD_TIMES, Hold, OperatorEvent, Span};

/// The holds of one fleet, those of all fleets among them.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}/holds", tag = "holds", params(("fleet", description = "Its name")),
    responses((status = 200, body = HoldsView), (status = 404, body = ErrorView),
        (status = 503, body = ErrorView))
)]
pub(super) async fn of_fleet(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
) -> Result<Json<HoldsView>, Refusal> {
    let holds = api.world.journal.holds(&api.fleet(&fleet)?.fleet.id)?;
    Ok(Json(HoldsView { holds: holds.iter().map(HoldView::from).collect() }))
}

/// All holds that are in force.
#[utoipa::path(
    get, path = "/v1/holds", tag = "holds",
    responses((status = 200, body = HoldsView), (status = 503, body = ErrorView))
)]
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Json<HoldsView>, Refusal> {
    let holds = in_force(&api).await?;
    Ok(Json(HoldsView { holds: holds.iter().map(HoldView::from).collect() }))
}

async fn in_force(api: &Api) -> Result<Vec<Hold>, Refusal> {
    let now = api.world.clock.now();
    let orders = api.world.journal.reader().orders().await?;
    Ok(orders.holds.into_iter().filter(|hold| now < hold.until).collect())
}

/// Keeps one fleet from changing its size for a while.
#[utoipa::path(
    post, path = "/v1/fleets/{fleet}/holds", tag = "holds", params(("fleet", description = "Its name")),
    request_body = NewHold,
    responses(
        (status = 201, body = HoldView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView), (status = 503, body = ErrorView)
    )
)]
pub(super) async fn place(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<HoldView>), Refusal> {
    let fleet = api.fleet(&fleet)?.fleet.id.clone();
    placed(&api, Some(fleet), &body).await
}

/// Keeps all fleets from changing their sizes for a while.
#[utoipa::path(
    post, path = "/v1/holds", tag = "holds", request_body = NewHold,
    responses(
        (status = 201, body = HoldView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 503, body = ErrorView)
    )
)]
pub(super) async fn place_for_all(
    State(api): State<Arc<Api>>,
    body: Bytes,
) -> Result<(StatusCode, Json<HoldView>), Refusal> {
    placed(&api, None, &body).await
}

async fn placed(
    api: &Api,
    fleet: Option<FleetId>,
    body: &[u8],
) -> Result<(StatusCode, Json<HoldView>), Refusal> {
    const FORM: &str = r#"write {"holds":"scale_in","for_secs":7200,"author":"mei","reason":"…"}"#;
    let asked: NewHold = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is no hold: {error}"), FORM))?;
    let Ok(direction) = asked.direction() else {
        let hint = "write \"scale_in\", \"scale_out\" or \"both\"";
        return Err(Refusal::bad_request("`holds` is no direction", hint));
    };
    let span = Span::secs(asked.for_secs);
    if !HOLD_TIMES.contains(&span) {
        let hint = "write 60 to 2592000; for good, set `min` and `max`";
        return Err(Refusal::bad_request("`for_secs` is out of its range", hint));
    }
    // They stay one line each, whatever is in them.
    let [author, reason] = [&asked.author, &asked.reason].map(|said| text::one_line(said));
    if author.trim().is_empty() || reason.trim().is_empty() {
        return Err(Refusal::bad_request("`author` or `reason` is empty", FORM));
    }
    let now = api.world.clock.now();
    let until = clock::after(now, span.get());
    let id = Uuid::new_v4();
    let hold = Hold { id, fleet, direction, author, reason, placed: now, until };
    let event = OperatorEvent::Held { at: now, hold: hold.clone() };
    api.world.journal.say(&event).await?;
    Ok((StatusCode::CREATED, Json(HoldView::from(&hold))))
}

/// The author of a lift.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Author {
    /// The author.
    author: String,
}

impl Author {
    /// The name, on one line.
    pub(super) fn named(&self) -> Result<String, Refusal> {
        let author = text::one_line(&self.author);
        if author.trim().is_empty() {
            return Err(Refusal::bad_request("`author` is empty", "say who it is: ?author=mei"));
        }
        Ok(author)
    }
}

/// Lifts a hold.
#[utoipa::path(
    delete, path = "/v1/holds/{id}", tag = "holds",
    params(("id" = Uuid, description = "The hold's"), Author),
    responses(
        (status = 200, body = HoldView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView), (status = 503, body = ErrorView)
    )
)]
pub(super) async fn lift(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(author): Query<Author>,
) -> Result<Json<HoldView>, Refusal> {
    lifted(&api, None, &id, author.named()?).await
}

/// Lifts a hold of one fleet.
#[utoipa::path(
    delete, path = "/v1/fleets/{fleet}/holds/{id}", tag = "holds",
    params(("fleet", description = "Its name"), ("id" = Uuid, description = "The hold's"), Author),
    responses(
        (status = 200, body = HoldView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView), (status = 503, body = ErrorView)
    )
)]
pub(super) async fn lift_of_fleet(
    State(api): State<Arc<Api>>,
    Path((fleet, id)): Path<(String, String)>,
    Query(author): Query<Author>,
) -> Result<Json<HoldView>, Refusal> {
    let fleet = api.fleet(&fleet)?.fleet.id.clone();
    lifted(&api, Some(fleet), &id, author.named()?).await
}

async fn lifted(
    api: &Api,
    fleet: Option<FleetId>,
    id: &str,
    author: String,
) -> Result<Json<HoldView>, Refusal> {
    let holds = in_force(api).await?;
    let meant = holds
        .into_iter()
        .find(|hold| hold.id.to_string() == id && (fleet.is_none() || hold.fleet == fleet));
    let Some(hold) = meant else {
        let message = "no such hold is in force";
        let hint = "GET /v1/holds lists those that are; one of all fleets is lifted there";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_hold", message, hint));
    };
    let at = api.world.clock.now();
    let event = OperatorEvent::Lifted { at, id: hold.id, author, hold: Some(hold.clone()) };
    api.world.journal.say(&event).await?;
    let concerned = |id: &FleetId| hold.fleet.as_ref().is_none_or(|fleet| fleet == id);
    let fleets = api.world.fleets.all();
    let members = fleets.iter().filter(|member| concerned(&member.fleet.id));
    members.for_each(|member| member.nudge.notify_one());
    Ok(Json(HoldView::from(&hold)))
}
