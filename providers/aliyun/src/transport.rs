//! How a signed request gets to the provider, and its answer back.
//!
//! Everything above it is the same for every transport: a simulation replaces this one seam and
//! has limits, signatures, parsing, classification and retries as they are in the field.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use cloud::http::{self, BodyError};
use reqwest::{Client, Method, Url};

use crate::settings::SettingsError;

/// A page of 100 instances is some 300 kB; 8 MB leave room for instances with many disks and tags,
/// and keep a runaway answer from filling the memory.
pub(crate) const ANSWER_LIMIT: u64 = 8 * 1024 * 1024;

/// Carries one request.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends `request` once and reads the whole answer. It repeats nothing.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;

    /// The proxy on the way, `host:port`: what is answered may be its own answer.
    fn proxy(&self) -> Option<&str> {
        None
    }
}

/// A signed request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    /// Whole, with the query.
    pub url: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How long the request may take until its answer is read.
    pub timeout: Duration,
}

/// Query, headers and body hold the signature, tokens and start scripts.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &place)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nothing was sent.
    #[error("no connection: {why}")]
    NotConnected { why: String },
    /// It may have been received.
    #[error("no answer in time")]
    TimedOut,
    /// It may have been received.
    #[error("the connection broke: {why}")]
    Cut { why: String },
    /// It was received, and the answer is larger than anybody wants to read.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// Nothing was sent, since it is no request that could be.
    #[error("not a request: {why}")]
    NotSendable { why: String },
}

/// HTTP by reqwest, answers limited while they are read.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) client: Client,
    pub(crate) proxy: Option<String>,
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|error| TransportError::NotSendable { why: error.to_string() })?;
        let mut sending = self.client.request(method, request.url);
        for (name, value) in request.headers {
            sending = sending.header(name, value);
        }
        let sending = sending.timeout(request.timeout).body(request.body);
        let response = sending.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let header = |(name, value): (&reqwest::header::HeaderName, _)| {
            let value: &reqwest::header::HeaderValue = value;
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        };
        let headers = response.headers().iter().map(header).collect();
        match http::read_limited(response, ANSWER_LIMIT).await {
            Ok(body) => Ok(HttpResponse { status, headers, body }),
            Err(BodyError::TooLarge { limit }) => Err(TransportError::TooLarge { limit }),
            Err(BodyError::Cut(error)) => Err(failure(&error)),
        }
    }

    fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}

/// Several hosts of the vendor's, each by a client of its own: another proxy may lead to each.
#[derive(Debug)]
pub(crate) struct ByHost {
    pub(crate) ecs: Http,
    pub(crate) others: Vec<Lazily>,
}

/// A host whose client is made when it is first needed.
#[derive(Debug)]
pub(crate) struct Lazily {
    url: Url,
    make: fn(&Url) -> Result<Http, SettingsError>,
    made: OnceLock<Http>,
}

impl Lazily {
    pub(crate) fn new(url: Url, make: fn(&Url) -> Result<Http, SettingsError>) -> Lazily {
        Lazily { url, make, made: OnceLock::new() }
    }

    fn get(&self) -> Result<&Http, TransportError> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let made = (self.make)(&self.url);
        let made = made.map_err(|error| TransportError::NotSendable { why: error.to_string() })?;
        Ok(self.made.get_or_init(|| made))
    }
}

#[async_trait]
impl Transport for ByHost {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let is_there = |other: &&Lazily| request.url.starts_with(other.url.as_str());
        match self.others.iter().find(is_there) {
            Some(other) => other.get()?.send(request).await,
            None => self.ecs.send(request).await,
        }
    }

    fn proxy(&self) -> Option<&str> {
        self.ecs.proxy()
    }
}

fn failure(error: &reqwest::Error) -> TransportError {
    if error.is_connect() {
        TransportError::NotConnected { why: cause(error) }
    } else if error.is_timeout() {
        TransportError::TimedOut
    } else if error.is_builder() {
        TransportError::NotSendable { why: cause(error) }
    } else {
        TransportError::Cut { why: cause(error) }
    }
}

/// The innermost cause, without the URL: a V1 URL carries the signature.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) { "no further detail".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_neither_signature_nor_body() {
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: "http://127.0.0.1:1/?Signature=hush".to_owned(),
            headers: [("authorization".to_owned(), "hush".to_owned())].into(),
            body: b"UserData=hush".to_vec(),
            timeout: Duration::ZERO,
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("127.0.0.1:1/") && !shown.contains("hush"), "{shown}");
    }
}
