//! Numbers that are sent: the signals with `source = "push"` live on them. They are kept in memory and no
//! record of them is made; the tick that decides by one records it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use cloud::text::one_line;

use super::access::{Door, push_refusal};
use super::error::{ErrorView, Refusal};
use super::shape::{NewSample, SampleView};
use super::{Api, NAMED};
use crate::config;
use crate::control::FleetInWorld;
use crate::signals::{NotTaken, Push};

const FORM: &str = r#"write {"value":3.5,"time":"2026-01-02T12:00:00Z"}; without `time` it is now"#;

/// Sends the newest number of a signal with `source = "push"`.
#[utoipa::path(
    post, path = "/v1/signals/{fleet}/{signal}", tag = "signals",
    params(("fleet", description = "Its name"), ("signal", description = "Its name")),
    request_body = NewSample,
    responses(
        (status = 200, body = SampleView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView)
    )
)]
pub(super) async fn push(
    State(api): State<Arc<Api>>,
    Extension(door): Extension<Door>,
    Path((fleet, signal)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<SampleView>, Refusal> {
    let member = api.fleet(&fleet)?;
    let push = pushed(&member, &signal)?;
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    if let Some(refusal) = push_refusal(&door, given, push.token()) {
        return Err(refusal);
    }
    let sample: NewSample = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the body is no sample: {}", one_line(&error.to_string()));
        Refusal::bad_request(message, FORM)
    })?;
    let taken = push.take(sample.value, sample.time).map_err(|refused| {
        Refusal::bad_request(format!("it is not taken: {refused}"), way_out(refused))
    })?;
    let (value, time, is_new) = (taken.value, taken.at, taken.is_new);
    let acts = api.world.journal.mine().contains(&member.fleet.id);
    Ok(Json(SampleView { fleet, signal, value, time, is_new, acts }))
}

/// The signal of that name, which numbers are sent to.
fn pushed<'a>(member: &'a FleetInWorld, signal: &str) -> Result<&'a Push, Refusal> {
    let named = member.sources.iter().find(|(name, _)| name.0 == signal);
    let Some((_, source)) = named else {
        let names = member.sources.keys().map(|name| name.0.as_str());
        let (fleet, shown) = (&member.fleet.id, one_line(signal));
        let message = format!("`{fleet}` has no signal `{shown}`");
        let hint = config::hint(signal, names.take(NAMED), "there are");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_signal", message, hint));
    };
    source.pushed().ok_or_else(|| {
        let message = format!("`{signal}` of `{}` is asked for, not sent", member.fleet.id);
        Refusal::bad_request(message, "give it source = \"push\" in the configuration")
    })
}

fn way_out(refused: NotTaken) -> &'static str {
    match refused {
        NotTaken::NotFinite => FORM,
        NotTaken::Ahead { .. } => "set the clock of the sender, or leave `time` out",
        NotTaken::Older { .. } => "send each number once, in the order of their times",
        NotTaken::Another => "a number stays as it was sent: send the next one with its own time",
    }
}
