//! HTTP as every client of this workspace does it: one TLS set-up, bounded answers.

use std::time::Duration;

use reqwest::{ClientBuilder, Response};

use crate::text::printable;

/// 5 s: a connection within a region is made in milliseconds; the vendor's SDK waits 5 s too.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client builder with rustls (ring) and the system's root certificates, without redirects (a
/// signed request must not be sent elsewhere) and with a connect time-out of 5 s.
#[expect(clippy::disallowed_methods, reason = "this is the one place that makes HTTP clients")]
pub fn client_builder() -> ClientBuilder {
    // An error says that a provider is installed already, which is just as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fleetscaler/", env!("CARGO_PKG_VERSION")))
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    Cut(#[from] reqwest::Error),
}

/// The whole body, unless it is larger than `limit` bytes: then reading stops there.
pub async fn read_limited(mut response: Response, limit: u64) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(BodyError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The first 200 characters of a body on one line, for an error text.
#[must_use]
pub fn head(body: &[u8]) -> String {
    // 200 characters take at most 800 bytes; the rest need not be decoded.
    let text = String::from_utf8_lossy(&body[..body.len().min(800)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&line).chars().take(200).collect()
}
