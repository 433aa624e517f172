//! The HTTP API: what the daemon knows, as JSON, and the few things that people may tell it.
//!
//! It reads what the ticks left behind, and the journal; it asks no cloud and no signal source, so it
//! answers as well while they are away. `docs/api.md` is its page, `docs/openapi.json` its contract.

mod access;
mod accounts;
mod daemon;
mod decisions;
mod discovery;
mod error;
mod events;
mod fleets;
mod holds;
mod instances;
mod instructions;
mod openapi;
mod overview;
mod pace;
mod recorded;
mod reload;
mod samples;
mod series;
mod shadow;
pub mod shape;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware;
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use tokio::task::AbortHandle;

use crate::config;
use crate::control::{FleetInWorld, Reloader, World};
use crate::model::FleetId;
use crate::observe::Instruments;

pub use access::Door;
pub(crate) use decisions::explained;
pub use error::{ErrorBody, ErrorView};
pub use openapi::document;
pub(crate) use recorded::recorded;

use error::Refusal;
use pace::Pace;

/// Everything that answers are made of.
#[derive(Debug)]
pub struct Api {
    world: Arc<World>,
    instruments: Arc<Instruments>,
    reloader: Arc<Reloader>,
    pace: Arc<Pace>,
    watches: AbortHandle,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.watches.abort();
    }
}

impl Api {
    /// Begins to count calls; to be made within a runtime.
    #[must_use]
    pub fn new(
        world: Arc<World>,
        instruments: Arc<Instruments>,
        reloader: Arc<Reloader>,
    ) -> Arc<Api> {
        let pace = Arc::new(Pace::default());
        let meters = world.accounts.iter();
        let meters = meters.map(|(id, account)| (id.clone(), account.meter.clone())).collect();
        let watches = tokio::spawn(pace.clone().watch(meters, world.clock.clone())).abort_handle();
        Arc::new(Api { world, instruments, reloader, pace, watches })
    }

    /// The fleet of that name.
    fn fleet(&self, name: &str) -> Result<Arc<FleetInWorld>, Refusal> {
        self.world.member(&FleetId(name.to_owned())).ok_or_else(|| {
            let fleets = self.world.fleets.all();
            let names = fleets.iter().map(|member| member.fleet.id.0.as_str());
            let shown = cloud::text::one_line(name);
            let message = format!("no fleet is called `{shown}`");
            let hint = config::hint(name, names.take(NAMED), "there are");
            Refusal::new(StatusCode::NOT_FOUND, "unknown_fleet", message, hint)
        })
    }
}

/// Fleets among which a slip is looked for, and which are named: a page of them.
const NAMED: usize = 200;

/// The pages below `/v1`, for those who come by `door`.
pub fn router(api: Arc<Api>, door: Door) -> Router {
    let pages = Router::new()
        .route("/v1/daemon", get(daemon::show))
        .route("/v1/overview", get(overview::show))
        .route("/v1/fleets", get(fleets::list))
        .route("/v1/fleets/{fleet}", get(fleets::show))
        .route("/v1/fleets/{fleet}/instances", get(fleets::instances))
        .route("/v1/fleets/{fleet}/signals", get(fleets::signals))
        .route("/v1/fleets/{fleet}/series", get(series::show))
        .route("/v1/fleets/{fleet}/shadow", get(shadow::show))
        .route("/v1/fleets/{fleet}/decisions", get(decisions::list))
        .route("/v1/fleets/{fleet}/holds", get(holds::of_fleet).post(holds::place))
        .route("/v1/fleets/{fleet}/holds/{id}", delete(holds::lift_of_fleet))
        .route("/v1/holds", get(holds::list).post(holds::place_for_all))
        .route("/v1/holds/{id}", delete(holds::lift))
        .route("/v1/fleets/{fleet}/instructions", get(instructions::of_fleet))
        .route("/v1/instructions", get(instructions::list).post(instructions::place))
        .route("/v1/instructions/{id}", delete(instructions::withdraw))
        .route("/v1/instances/{id}/health", post(instances::report))
        .route("/v1/instances/{id}/protect", post(instances::protect))
        .route("/v1/discovery/prometheus", get(discovery::prometheus))
        .route("/v1/places", get(accounts::places))
        .route("/v1/budget", get(accounts::budget))
        .route("/v1/audit", get(accounts::audits))
        .route("/v1/events", get(events::stream))
        .route("/v1/reload", post(reload::reload))
        .route("/v1/openapi.json", get(openapi::show))
        .route("/v1/{*rest}", axum::routing::any(async || Refusal::no_such_page()))
        .method_not_allowed_fallback(async || wrong_method());
    // A signal may have a token of its own, so its page asks for one by itself.
    let samples = Router::new()
        .route("/v1/signals/{fleet}/{signal}", post(samples::push))
        .method_not_allowed_fallback(async || wrong_method())
        .layer(Extension(door.clone()));
    let pages = pages.layer(middleware::from_fn_with_state(door, access::admit));
    pages.merge(samples).with_state(api)
}

fn wrong_method() -> Refusal {
    let hint = "docs/openapi.json says what each page takes";
    let message = "this page does not take that method";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, hint)
}

/// A query, refused as everything else is.
struct Query<T>(T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query<T>, Refusal> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(why) => {
                let hint = "docs/openapi.json says what each page takes";
                Err(Refusal::bad_request(why.body_text(), hint))
            }
        }
    }
}
