//! A refusal as the API says it: `{"error":{"code","message","hint"}}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::journal::JournalError;

/// The body of every answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorView {
    pub error: ErrorBody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// One word for programs, such as `unknown_fleet`.
    pub code: String,
    /// The fault, in a sentence.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// A refusal with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: ErrorBody,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Refusal {
        let (message, hint) = (message.into(), hint.into());
        Refusal { status, body: ErrorBody { code: code.to_owned(), message, hint } }
    }

    /// The request makes no sense.
    pub(super) fn bad_request(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    }

    /// The daemon has begun, and does not know the fleet's instances yet.
    pub(super) fn not_seen_yet(fleet: &str) -> Refusal {
        let message = format!("the instances of `{fleet}` are not known yet");
        let hint = "ask again in some seconds; `fleetscaler status` says what it waits for";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_seen_yet", message, hint)
    }

    pub(super) fn no_such_page() -> Refusal {
        let hint = "docs/openapi.json and docs/api.md list what there is";
        Refusal::new(StatusCode::NOT_FOUND, "unknown_page", "there is no such page", hint)
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Refusal {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "journal_unavailable",
            format!("the journal cannot be used: {error}"),
            "the alert `journal_unavailable` in docs/reliability.md says what to do",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorView { error: self.body })).into_response()
    }
}
