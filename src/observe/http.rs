//! Metrics and health over HTTP. Reads only, and knows no secret.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cloud::{Timestamp, clock};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::sync::Mutex;

use super::Instruments;
use crate::page;

/// The list of pages.
const INDEX: &str = "\
fleetscaler
  /metrics   for Prometheus
  /healthz   200 while the loop ticks
  /readyz    200 once each fleet of this replica has ticked and the journal
             answers
";

/// Nobody scrapes more often; whoever asks more often gets the same text, which is kept once.
const FRESH: Duration = Duration::from_secs(1);

struct Pages {
    instruments: Arc<Instruments>,
    /// The newest text of the metrics, and when it was made. Held by who makes it: the others wait
    /// for the same one.
    metrics: Mutex<Option<(Timestamp, Bytes)>>,
}

/// The figures of `instruments`, as pages.
/// Browsers get the page at `/` where it is served `with_page`; it reads the API, which must be there too.
pub fn pages(instruments: Arc<Instruments>, with_page: bool) -> Router {
    let pages = Pages { instruments, metrics: Mutex::default() };
    let index = move |headers: HeaderMap| async move {
        if with_page && page::is_browser(&headers) { page::index() } else { INDEX.into_response() }
    };
    let assets = if with_page { page::assets() } else { Router::new() };
    assets
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || (StatusCode::NOT_FOUND, INDEX))
        .with_state(Arc::new(pages))
}

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    let mut kept = pages.metrics.lock().await;
    let now = pages.instruments.now();
    if let Some((at, text)) = &*kept
        && clock::age(now, *at) < FRESH
        && *at <= now
    {
        return text_of_metrics(text.clone());
    }
    let instruments = pages.instruments.clone();
    // Ten thousand fleets are some 30 MB of text: no tick should wait for that.
    match tokio::task::spawn_blocking(move || instruments.metrics()).await {
        Ok(text) => {
            let text = Bytes::from(text);
            *kept = Some((now, text.clone()));
            text_of_metrics(text)
        }
        // The process is ending.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn text_of_metrics(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

async fn healthz(State(pages): State<Arc<Pages>>) -> Response {
    answer(pages.instruments.health().alive)
}

async fn readyz(State(pages): State<Arc<Pages>>) -> Response {
    answer(pages.instruments.health().ready)
}

fn answer(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
