//! Single instances, by id: what others found of their health, and that one is not to be ended. Both are
//! instructions, recorded, listed and withdrawn as all others.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use cloud::InstanceId;
use serde::de::DeserializeOwned;

use super::Api;
use super::error::{ErrorView, Refusal};
use super::instructions::{Said, give};
use super::shape::{InstructionView, NewProtection, NewReport};
use crate::model::{Instructed, instance_id};

/// The form of a report.
const REPORT: &str =
    r#"write {"healthy":false,"for_secs":3600,"author":"disk-watch","reason":"…"}"#;
/// The form of a protection.
const PROTECTION: &str = r#"write {"for_secs":7200,"author":"mei","reason":"…"}"#;

/// Reports an instance's health: one check more, beside those of the fleet.
#[utoipa::path(
    post, path = "/v1/instances/{id}/health", tag = "instructions",
    params(("id", description = "The instance's")), request_body = NewReport,
    responses(
        (status = 201, body = InstructionView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 503, body = ErrorView)
    )
)]
pub(super) async fn report(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<InstructionView>), Refusal> {
    let instance = meant(&id)?;
    let NewReport { healthy, author, reason, for_secs } = read(&body, "report", REPORT)?;
    let what = if healthy {
        Instructed::ReportHealthy { instance }
    } else {
        Instructed::ReportUnhealthy { instance }
    };
    give(&api, None, what, Said { author, reason, for_secs }, REPORT).await
}

/// Keeps an instance from being ended for a while.
#[utoipa::path(
    post, path = "/v1/instances/{id}/protect", tag = "instructions",
    params(("id", description = "The instance's")), request_body = NewProtection,
    responses(
        (status = 201, body = InstructionView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 503, body = ErrorView)
    )
)]
pub(super) async fn protect(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<InstructionView>), Refusal> {
    let instance = meant(&id)?;
    let NewProtection { author, reason, for_secs } = read(&body, "protection", PROTECTION)?;
    let what = Instructed::Protect { instance };
    give(&api, None, what, Said { author, reason, for_secs }, PROTECTION).await
}

fn meant(id: &str) -> Result<InstanceId, Refusal> {
    let hint = "write the id into the path: POST /v1/instances/i-…/health";
    instance_id(id).map_err(|error| Refusal::bad_request(error.to_string(), hint))
}

fn read<T: DeserializeOwned>(body: &[u8], what: &str, form: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is no {what}: {error}"), form))
}
