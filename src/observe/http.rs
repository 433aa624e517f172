//! Metrics and health over HTTP. Reads only, and knows no secret.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

use super::Instruments;

/// What can be asked.
const INDEX: &str = "\
fleetscaler
  /metrics   for Prometheus
  /healthz   200 while the loop ticks
  /readyz    200 once each fleet of this replica has ticked and the journal
             answers
";

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error(
    "[daemon] listen = \"{address}\" cannot be used: {why}; name a free port of this machine, or \
     leave `listen` out"
)]
pub struct BindError {
    address: SocketAddr,
    why: std::io::Error,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

/// Serves what `instruments` show on `address`.
pub async fn serve(
    address: SocketAddr,
    instruments: Arc<Instruments>,
) -> Result<Served, BindError> {
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.map_err(|why| BindError { address, why })?;
    let address = listener.local_addr().map_err(|why| BindError { address, why })?;
    let router = Router::new()
        .route("/", get(async || INDEX))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || (StatusCode::NOT_FOUND, INDEX))
        .with_state(instruments);
    let server = tokio::spawn(async move {
        // It ends when the task is aborted.
        drop(axum::serve(listener, router).await);
    });
    Ok(Served { address, server })
}

impl Served {
    /// Where it really listens: port 0 means any.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn metrics(State(instruments): State<Arc<Instruments>>) -> Response {
    // Ten thousand fleets are some 30 MB of text: no tick should wait for that.
    match tokio::task::spawn_blocking(move || instruments.metrics()).await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        // The process is ending.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn healthz(State(instruments): State<Arc<Instruments>>) -> Response {
    answer(instruments.health().alive)
}

async fn readyz(State(instruments): State<Arc<Instruments>>) -> Response {
    answer(instruments.health().ready)
}

fn answer(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
