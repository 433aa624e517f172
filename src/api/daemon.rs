//! `/v1/daemon`: the daemon itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::Api;
use super::shape::{DaemonView, at};

/// Version, replica, journal: whether it does its job.
#[utoipa::path(get, path = "/v1/daemon", tag = "daemon", responses((status = 200, body = DaemonView)))]
pub(super) async fn show(State(api): State<Arc<Api>>) -> Json<DaemonView> {
    let journal = &api.world.journal;
    let (held, replicas) = journal.counts();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Json(DaemonView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: at(api.instruments.began()),
        replica: journal.me().to_string(),
        replicas: count(replicas),
        fleets: count(api.world.fleets.count()),
        acts_for_fleets: count(held),
        journal_trouble: journal.trouble().map(|error| error.to_string()),
        not_ready: api.instruments.health().ready.err(),
    })
}
