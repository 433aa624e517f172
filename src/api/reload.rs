//! `/v1/reload`: the configuration, read anew.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cloud::text;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::{ErrorView, Refusal};
use super::shape::ReloadView;
use super::{Api, Query};
use crate::control::{ReloadError, Reloader};

/// By whose word, and whether it is only asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// The author, for the journal.
    author: String,
    /// Says what would change, and changes nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Reads the configuration anew: it is taken as a whole, or refused as a whole while the old one goes on.
#[utoipa::path(
    post, path = "/v1/reload", tag = "daemon", params(How),
    responses(
        (status = 200, body = ReloadView), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 409, body = ErrorView), (status = 422, body = ErrorView)
    )
)]
pub(super) async fn reload(
    State(api): State<Arc<Api>>,
    Query(how): Query<How>,
) -> Result<Json<ReloadView>, Refusal> {
    let author = text::one_line(&how.author);
    if author.trim().is_empty() {
        let hint = "say who asks for it: ?author=mei";
        return Err(Refusal::bad_request("`author` is empty", hint));
    }
    let reloader = &api.reloader;
    let ended = match how.dry_run {
        true => reloader.preview().await,
        false => reloader.reload(&author).await,
    };
    match ended {
        Ok(reloaded) => Ok(Json(ReloadView::of(&reloaded, reloader.path(), !how.dry_run))),
        Err(error) => Err(refused(&error, reloader)),
    }
}

fn refused(error: &ReloadError, reloader: &Reloader) -> Refusal {
    let message = error.to_string();
    match error {
        ReloadError::NeedsRestart(_) => {
            let hint =
                "undo it, or `systemctl restart fleetscaler`: what is under way is finished first";
            Refusal::new(StatusCode::CONFLICT, "needs_restart", message, hint)
        }
        ReloadError::Problems(_) | ReloadError::Wire(_) => {
            let path = reloader.path().display();
            let hint = format!("the old configuration goes on; correct {path}");
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration_refused", message, hint)
        }
    }
}
