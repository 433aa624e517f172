//! `/v1/fleets/{fleet}/decisions`: why, from the journal.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use cloud::{Timestamp, clock};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::{ErrorView, Refusal};
use super::shape::{DecisionView, DecisionsView, Followed};
use super::{Api, Query};
use crate::journal::{JournalError, Look, Reader, Said};
use crate::model::{Decided, FleetId};

/// A page of them.
const LIMIT: u32 = 20;
/// Each is decided once more to say what its rules asked for: some milliseconds.
const LIMIT_MAX: u32 = 200;
/// After this time what a decision launched serves, or is an affair of its own.
const FOLLOWED: Duration = Duration::from_secs(30 * 60);

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those that were in force at this time, and before: `2026-11-25T12:04:00Z`.
    at: Option<String>,
    /// So many of them; 20 when it is left out, 200 at most.
    limit: Option<u32>,
}

/// Its newest decisions, each with its whole explanation. One that only repeats the one before is kept
/// each ten minutes.
#[utoipa::path(
    get, path = "/v1/fleets/{fleet}/decisions", tag = "fleets",
    params(("fleet", description = "Its name"), Which),
    responses(
        (status = 200, body = DecisionsView),
        (status = 400, body = ErrorView), (status = 404, body = ErrorView),
        (status = 503, body = ErrorView)
    )
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Path(fleet): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<DecisionsView>, Refusal> {
    let fleet = &api.fleet(&fleet)?.fleet.id;
    let until = match which.at.as_deref().map(str::parse::<Timestamp>) {
        None => None,
        Some(Ok(until)) => Some(until),
        Some(Err(_)) => {
            let hint = "write it as 2026-11-25T12:04:00Z";
            return Err(Refusal::bad_request("`at` is no time", hint));
        }
    };
    let limit = which.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let hint = format!("write a number from 1 to {LIMIT_MAX}");
        return Err(Refusal::bad_request("`limit` is out of its range", hint));
    }
    let reader = api.world.journal.reader();
    let mut decisions = explained(&reader, fleet, until, limit).await?;
    decisions.reverse();
    Ok(Json(DecisionsView { decisions }))
}

/// The newest decisions of `fleet` until then, oldest first, with what they were made from and what
/// followed.
pub(crate) async fn explained(
    reader: &Reader,
    fleet: &FleetId,
    until: Option<Timestamp>,
    newest: u32,
) -> Result<Vec<DecisionView>, JournalError> {
    let mut views = Vec::new();
    for decided in reader.decisions(fleet, until, newest).await? {
        // Recorded by another version, say: the rest is known all the same.
        let inputs = match reader.inputs(decided.id).await {
            Err(JournalError::Unreadable { .. }) => None,
            inputs => inputs?,
        };
        let followed = followed(reader, fleet, &decided).await?;
        views.push(DecisionView::of(&fleet.0, &decided, inputs.as_ref(), &followed));
    }
    Ok(views)
}

async fn followed(
    reader: &Reader,
    fleet: &FleetId,
    decided: &Decided,
) -> Result<Followed, JournalError> {
    let mut followed = Followed::default();
    if decided.plan.actions.is_empty() {
        return Ok(followed);
    }
    let look = Look {
        fleet: Some(fleet.clone()),
        since: Some(decided.at),
        until: Some(clock::after(decided.at, FOLLOWED)),
        kinds: ["intent", "settlement", "tick"].map(str::to_owned).into(),
        ..Look::default()
    };
    for entry in reader.look(&look).await? {
        if let Ok(Said::Fleet(event)) = &entry.said {
            followed.take(event);
        }
    }
    Ok(followed)
}
