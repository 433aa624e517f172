//! HTTP as every client of this workspace does it: one TLS set-up, bounded answers.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use reqwest::{ClientBuilder, Response, Url};

use crate::Secret;
use crate::text::one_line;

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

/// The same for a client that asks one server, over the proxy that the environment names for it.
/// A report of an answer says which proxy it came through: it may be the proxy's own.
pub fn client_builder_to(
    url: &Url,
    proxies: &Proxies,
) -> Result<(ClientBuilder, Option<Proxy>), reqwest::Error> {
    let builder = client_builder().no_proxy();
    let Some(proxy) = proxies.toward(url) else { return Ok((builder, None)) };
    let mut through = reqwest::Proxy::all(&proxy.url)?;
    if let Some(auth) = &proxy.auth {
        through = through.custom_http_auth(auth.clone());
    }
    Ok((builder.proxy(through), Some(proxy)))
}

/// The same over the proxy that this process's environment names for `url`, if it names one. What is no
/// URL is asked without.
pub fn client_builder_by_env(url: &str) -> Result<ClientBuilder, reqwest::Error> {
    match url.parse::<Url>() {
        Ok(url) => Ok(client_builder_to(&url, &Proxies::from_env())?.0),
        Err(_) => Ok(client_builder().no_proxy()),
    }
}

/// Whether what is sent to `url` never leaves this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let named = host.trim_end_matches('.');
    named == "localhost"
        || named.ends_with(".localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The proxies that the environment names, as curl reads it.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    pub all: String,
    pub http: String,
    pub https: String,
    pub no: String,
}

/// The proxy on the way to one server.
#[derive(Clone)]
pub struct Proxy {
    url: String,
    /// `host:port`, for a message.
    pub name: String,
    auth: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy {}", self.name)
    }
}

impl Proxies {
    /// The proxies that the environment of this process names.
    #[must_use]
    pub fn from_env() -> Proxies {
        // In a CGI script HTTP_PROXY is a header of the request.
        if std::env::var_os("REQUEST_METHOD").is_some() {
            return Proxies::default();
        }
        let either = |upper: &str| {
            let lower = upper.to_lowercase();
            let value = std::env::var(upper).or_else(|_| std::env::var(lower));
            value.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        Proxies {
            all: either("ALL_PROXY"),
            http: either("HTTP_PROXY"),
            https: either("HTTPS_PROXY"),
            no: either("NO_PROXY"),
        }
    }

    /// The proxy for `url`. A loopback address has none: a proxy elsewhere would ask its own
    /// machine. `*` among the exceptions means every host, addresses too.
    #[must_use]
    pub fn toward(&self, url: &Url) -> Option<Proxy> {
        if is_loopback(url) || self.no.split(',').any(|host| host.trim() == "*") {
            return None;
        }
        let matcher = Matcher::builder()
            .all(self.all.clone())
            .http(self.http.clone())
            .https(self.https.clone())
            .no(self.no.clone())
            .build();
        let found = matcher.intercept(&url.as_str().parse().ok()?)?;
        let name = found.uri().authority()?.to_string();
        Some(Proxy { url: found.uri().to_string(), name, auth: found.basic_auth().cloned() })
    }
}

impl Proxy {
    /// The texts for the proxy that nobody else should read, as they are sent.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let auth = self.auth.as_ref().and_then(|auth| auth.to_str().ok());
        let Some(encoded) = auth.and_then(|auth| auth.strip_prefix("Basic ")) else {
            return Vec::new();
        };
        let pair = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let password = pair.as_ref().and_then(|pair| pair.split_once(':')).map(|(_, word)| word);
        let texts = [password.map(ToOwned::to_owned), pair.clone(), Some(encoded.to_owned())];
        texts.into_iter().flatten().map(Secret::new).collect()
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    Cut(#[from] reqwest::Error),
}

/// The whole body, unless it is larger than `limit` bytes: then reading stops there. It takes at most
/// half as much again as `limit`, for a moment, whatever the peer says of its length.
pub async fn read_limited(response: Response, limit: u64) -> Result<Vec<u8>, BodyError> {
    let (body, _) = read_in_room(response, limit, usize::MAX, async || ()).await?;
    Ok(body)
}

/// The same, but a body that is larger than `small` bytes waits for `room` before more of it is read,
/// and is returned with it.
pub async fn read_in_room<R>(
    mut response: Response,
    limit: u64,
    small: usize,
    room: impl AsyncFnOnce() -> R,
) -> Result<(Vec<u8>, Option<R>), BodyError> {
    let too_large = BodyError::TooLarge { limit };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut room = Some(room);
    let mut held = None;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(too_large);
        }
        if length > small
            && let Some(room) = room.take()
        {
            held = Some(room().await);
        }
        if length > body.capacity() {
            let capacity = (body.capacity() * 2).max(length).min(limit);
            body.reserve_exact(capacity - body.len());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, held))
}

/// The first 200 characters of a body on one line, for an error text.
#[must_use]
pub fn head(body: &[u8]) -> String {
    // 200 characters take at most 800 bytes; the rest need not be decoded.
    let text = String::from_utf8_lossy(&body[..body.len().min(800)]);
    one_line(&text).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_proxy_is_asked_for_what_is_elsewhere_and_not_excepted() {
        let proxies = |no: &str| Proxies {
            http: "http://user:hush@10.0.0.1:3128".to_owned(),
            https: "10.0.0.2:3128".to_owned(),
            no: no.to_owned(),
            ..Proxies::default()
        };
        for (target, no, proxy) in [
            ("http://prometheus:9090", "", Some("10.0.0.1:3128")),
            ("https://prometheus", "", Some("10.0.0.2:3128")),
            ("http://192.0.2.1:9090", "", Some("10.0.0.1:3128")),
            ("http://192.0.2.1:9090", "*", None),
            ("http://192.0.2.1:9090", "a.example, *", None),
            ("http://192.0.2.1:9090", "192.0.2.0/24", None),
            ("http://a.example", ".example", None),
            ("http://127.0.0.1:9090", "", None),
            ("http://127.9.9.9:9090", "", None),
            ("http://[::1]:9090", "", None),
            ("http://[::ffff:127.0.0.1]:9090", "", None),
            ("http://localhost:9090", "", None),
        ] {
            let found = proxies(no).toward(&url(target));
            assert_eq!(found.map(|proxy| proxy.name).as_deref(), proxy, "{target}, no {no:?}");
        }
    }

    #[test]
    fn a_proxys_password_is_known_and_not_shown() {
        let http = "http://user:hush@10.0.0.1:3128".to_owned();
        let proxies = Proxies { http, ..Proxies::default() };
        let proxy = proxies.toward(&url("http://prometheus:9090")).expect("a proxy");
        assert!(!format!("{proxy:?}").contains("hush"));
        let redactor = crate::Redactor::new(proxy.secrets());
        assert_eq!(redactor.line("Basic dXNlcjpodXNo and hush"), "Basic <secret> and <secret>");
    }
}
