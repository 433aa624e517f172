//! The contract as OpenAPI 3.1, made of the pages and their types. `docs/openapi.json` is the same text.

use utoipa::OpenApi;

use super::{
    accounts, daemon, decisions, discovery, events, fleets, holds, instances, instructions,
    overview, reload, samples, series, shadow,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "fleetscaler",
        description = "What the daemon knows, as JSON, and the few things that people may tell it. \
                       Served on a Unix socket and, for reading, on a loopback address."
    ),
    paths(
        daemon::show,
        overview::show,
        fleets::list,
        fleets::show,
        fleets::instances,
        fleets::signals,
        samples::push,
        series::show,
        shadow::show,
        decisions::list,
        holds::of_fleet,
        holds::place,
        holds::lift_of_fleet,
        holds::list,
        holds::place_for_all,
        holds::lift,
        instructions::of_fleet,
        instructions::list,
        instructions::place,
        instructions::withdraw,
        instances::report,
        instances::protect,
        discovery::prometheus,
        accounts::places,
        accounts::budget,
        accounts::audits,
        events::stream,
        reload::reload,
    )
)]
struct Contract;

/// The whole document.
#[must_use]
pub fn document() -> String {
    let text = Contract::openapi().to_pretty_json();
    text.expect("names and texts can be written as JSON") + "\n"
}

pub(super) async fn show() -> ([(axum::http::HeaderName, &'static str); 1], String) {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], document())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_OPENAPI=1 cargo test --lib openapi` writes it anew.
    #[test]
    fn the_contract_in_the_documents_is_the_one_that_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let document = document();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &document).expect("written");
        }
        let written = std::fs::read_to_string(path).expect("docs/openapi.json");
        assert!(written == document, "UPDATE_OPENAPI=1 cargo test --lib openapi writes it anew");
    }
}
