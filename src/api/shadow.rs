//! `/v1/fleets/{fleet}/shadow`: what its shadow rules want beside the live ones.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Api;
use super::error::{ErrorView, Refusal};
use super::shape::ShadowView;

/// What its shadow rules want now, and how they would have done in the last 24 hours.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}/shadow", tag = "fleets",
    params(("fleet", description = "Its name")),
    responses((status = 200, body = ShadowView), (status = 404, body = ErrorView))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
) -> Result<Json<ShadowView>, Refusal> {
    let member = api.fleet(&fleet)?;
    if member.fleet.shadow.is_none() {
        let message = format!("`{}` has no shadow rules", member.fleet.id);
        let hint = format!("add a table [[fleet.{}.shadow]]", member.fleet.id);
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no_shadow_rules", message, hint));
    }
    let newest = member.shown.newest();
    Ok(Json(ShadowView::of(&member.fleet.id, newest.report.as_deref())))
}
