//! The page for people, as the daemon serves it at `/`: three files that are part of the binary.
//!
//! `web/` has its sources, `scripts/page` makes `assets/` of them. The page asks the API for everything
//! that it shows, and asks nobody else: it works without the internet.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const INDEX: &str = include_str!("assets/index.html");
const SCRIPT: &str = include_str!("assets/app.js");
const STYLE: &str = include_str!("assets/app.css");

/// Scripts and styles come from here only, and none stands in the page: a fleet's name that is a script stays
/// a name. Nothing may be shown within another site, or sent to one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether who asks wants to look at a page: `curl` does not say so.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The page itself.
pub(crate) fn index() -> Response {
    file(INDEX, "text/html; charset=utf-8")
}

/// What the page consists of beside itself.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/page/app.js", get(async || file(SCRIPT, "text/javascript; charset=utf-8")))
        .route("/page/app.css", get(async || file(STYLE, "text/css; charset=utf-8")))
}

fn file(text: &'static str, kind: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // Another version of the daemon has another page.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_has_no_script_within() {
        assert!(INDEX.len() + SCRIPT.len() + STYLE.len() < 300 * 1024);
        assert!(
            !INDEX.contains("<script>") && !INDEX.contains("style=") && !INDEX.contains("http")
        );
        assert!(SCRIPT.contains("MIT"), "the library's notice is kept");
    }

    #[test]
    fn browsers_get_a_page_and_others_a_text() {
        let accepts = |accept: &'static str| {
            is_browser(&[(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect())
        };
        assert!(accepts("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!accepts("*/*") && !is_browser(&HeaderMap::new()));
    }
}
