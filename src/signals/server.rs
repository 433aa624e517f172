//! A server with one way to reach it: its certificates, its credentials, the proxy on the way, and the
//! secrets that no text may repeat. What is asked of it is the affair of the sources.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::http::{self, Proxies};
use cloud::{Redactor, Secret};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Url};

use super::{Auth, ServerAccess};
use crate::model::Gap;

/// A source that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("ca_file {path} cannot be used: {why}")]
    CaFile { path: PathBuf, why: String },
    #[error(
        "the header {name:?} cannot be sent: its name or value has characters that HTTP forbids"
    )]
    Header { name: String },
    #[error("`{url}` is no URL")]
    Url { url: String },
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    http: reqwest::Client,
    /// `host:port` of the proxy on the way.
    proxy: Option<String>,
    auth: Option<Auth>,
    pub(super) redactor: Redactor,
}

impl Server {
    /// Asks nothing of the network. `url` is any URL of the server.
    pub(super) fn connect(
        url: &Url,
        access: &ServerAccess,
        proxies: &Proxies,
    ) -> Result<Server, SourceError> {
        let made = http::client_builder_to(url, proxies).map_err(SourceError::Client)?;
        let (mut builder, proxy) = made;
        builder = builder.default_headers(headers(access)?);
        if url.scheme() == "http" {
            // No certificates are needed, and a machine may have none.
            builder = builder.tls_certs_only([]);
        }
        if let Some(path) = &access.ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let mut secrets = secrets(access);
        secrets.extend(proxy.iter().flat_map(http::Proxy::secrets));
        Ok(Server {
            http: builder.build().map_err(SourceError::Client)?,
            proxy: proxy.map(|proxy| proxy.name),
            auth: access.auth.clone(),
            redactor: Redactor::new(secrets),
        })
    }

    /// A request with the credentials.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.auth {
            None => request,
            Some(Auth::Bearer { token }) => request.bearer_auth(token.expose()),
            Some(Auth::Basic { username, password }) => {
                request.basic_auth(username, Some(password.expose()))
            }
        }
    }

    /// `gap` with the name of the proxy that the answer came through, if one did.
    pub(super) fn named(&self, gap: Gap) -> Gap {
        let Some(name) = &self.proxy else { return gap };
        match gap {
            Gap::Http { status, head, .. } => Gap::Http { status, head, proxy: Some(name.clone()) },
            Gap::BadAnswer { what, head } => {
                Gap::BadAnswer { what: format!("{what} (it came through the proxy {name})"), head }
            }
            Gap::Unreachable { why } => {
                Gap::Unreachable { why: format!("through the proxy {name}: {why}") }
            }
            gap => gap,
        }
    }

    /// The gap of a request that had no answer.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Gap {
        let mut why = self.redactor.line(&cause(error));
        if error.is_connect() && error.is_timeout() {
            why = "no connection in time".to_owned();
        }
        self.named(Gap::Unreachable { why })
    }
}

fn headers(access: &ServerAccess) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &access.headers {
        let wrong = || SourceError::Header { name: name.clone() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn certificates(path: &PathBuf) -> Result<Vec<reqwest::Certificate>, SourceError> {
    let wrong = |why: String| SourceError::CaFile { path: path.clone(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no PEM certificate".to_owned()));
    }
    Ok(certificates)
}

/// Everything secret that a request carries.
fn secrets(access: &ServerAccess) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for value in access.headers.values() {
        secrets.push(value.clone());
        // `Token abc`: the second word is the secret.
        if let Some((_, last)) = value.expose().rsplit_once(' ') {
            secrets.push(Secret::new(last.to_owned()));
        }
    }
    match &access.auth {
        None => {}
        Some(Auth::Bearer { token }) => secrets.push(token.clone()),
        Some(Auth::Basic { username, password }) => {
            let pair = format!("{username}:{}", password.expose());
            secrets.push(Secret::new(STANDARD.encode(&pair)));
            secrets.push(Secret::new(pair));
            secrets.push(password.clone());
        }
    }
    secrets
}

/// The innermost cause, without the URL: it may carry a name that is nobody's business.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
