//! `http-json`: a number at one place of a JSON document that a server gives out, and the time beside it.
//!
//! Without a time in the document, the number is taken to be true at the moment of asking: a server that
//! gives out an old number cannot be told from one that gives out a new one.

use std::sync::Arc;

use async_trait::async_trait;
use cloud::http::{self, BodyError, Proxies};
use cloud::{Clock, Redactor};
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Method, Response, Url};
use tokio::sync::Semaphore;

use super::json::{self, Time};
use super::server::{Server, SourceError};
use super::time::{dated, unix_secs};
use super::{Clients, JsonSpec, Pointer, ServerAccess, Source};
use crate::model::{Gap, Reading, Span};

/// 4 MiB, as for Prometheus: a document that says how long a queue is has some kilobytes.
const ANSWER_LIMIT: u64 = 4 * 1024 * 1024;
/// An answer that is larger waits for a place.
const SMALL_ANSWER: usize = 64 * 1024;
/// Questions under way at one server: it also serves those it was made for.
const CONCURRENCY: usize = 10;

/// A server that gives out documents.
#[derive(Debug)]
pub(super) struct Library {
    server: Server,
    places: Semaphore,
    /// Places for large answers, of all servers.
    large: Arc<Semaphore>,
}

impl Library {
    pub(super) fn connect(
        url: &Url,
        access: &ServerAccess,
        proxies: &Proxies,
        large: Arc<Semaphore>,
    ) -> Result<Library, SourceError> {
        let server = Server::connect(url, access, proxies)?;
        Ok(Library { server, places: Semaphore::new(CONCURRENCY), large })
    }

    /// What `read` makes of the document at `url`, which is not kept.
    async fn document<T>(
        &self,
        url: &Url,
        read: impl FnOnce(&[u8], &Redactor) -> Result<T, Gap>,
    ) -> Result<T, Gap> {
        let _place = self.places.acquire().await.expect("nobody closes it");
        let request = self.server.request(Method::GET, url.clone());
        let request = request.header(ACCEPT, "application/json");
        let response = request.send().await.map_err(|error| self.server.unreachable(&error))?;
        let status = response.status();
        if let Some(gap) = self.redirect(&response) {
            return Err(gap);
        }
        let large = async || self.large.acquire().await.expect("nobody closes it");
        let received = http::read_in_room(response, ANSWER_LIMIT, SMALL_ANSWER, large).await;
        let (body, _room) = received.map_err(|error| match error {
            BodyError::TooLarge { limit } => {
                let what = format!("it is larger than {limit} bytes");
                self.server.named(Gap::BadAnswer { what, head: String::new() })
            }
            BodyError::Cut(error) => self.server.unreachable(&error),
        })?;
        let redactor = &self.server.redactor;
        if status.as_u16() != 200 {
            let (status, head) = (status.as_u16(), json::head(&body, redactor));
            return Err(self.server.named(Gap::Http { status, head, proxy: None }));
        }
        read(&body, redactor).map_err(|gap| self.server.named(gap))
    }

    fn redirect(&self, response: &Response) -> Option<Gap> {
        let to = response.headers().get(LOCATION)?;
        let status = response.status();
        let to = self.server.redactor.line_of(to.as_bytes());
        let place = to.split(['?', '#']).next().unwrap_or_default();
        let head = format!("it redirects to {place}, and is not followed");
        let gap = Gap::Http { status: status.as_u16(), head, proxy: None };
        status.is_redirection().then_some(gap)
    }
}

/// One number of one document.
#[derive(Debug)]
pub struct HttpJson {
    url: Url,
    pointer: Pointer,
    time_pointer: Option<Pointer>,
    max_age: Span,
    timeout: Span,
    library: Arc<Library>,
    clock: Arc<dyn Clock>,
}

impl HttpJson {
    /// Asks nothing of the network. Fails when a certificate file cannot be used.
    pub fn new(spec: &JsonSpec, shared: &Clients) -> Result<HttpJson, SourceError> {
        let url = spec.url.parse::<Url>();
        let url = url.map_err(|_| SourceError::Url { url: spec.url.clone() })?;
        Ok(HttpJson {
            pointer: spec.pointer.clone(),
            time_pointer: spec.time_pointer.clone(),
            max_age: spec.max_age,
            timeout: spec.timeout,
            library: shared.library(&url, &spec.access)?,
            clock: shared.clock(),
            url,
        })
    }

    async fn sample(&self) -> Reading {
        let asked_at = self.clock.now();
        let (value, time) = self
            .library
            .document(&self.url, |body, redactor| {
                let value = json::value(body, &self.pointer, redactor)?;
                let time = match &self.time_pointer {
                    None => None,
                    Some(pointer) => Some((pointer, json::time(body, pointer, redactor)?)),
                };
                Ok((value, time))
            })
            .await?;
        let measured_at = match time {
            None => unix_secs(asked_at),
            Some((_, Time::At(at))) => at,
            Some((pointer, Time::NotThere)) => {
                return Err(Gap::AgeUnknown { why: format!("{pointer} is not there") });
            }
        };
        dated(value, measured_at, unix_secs(asked_at), self.max_age)
    }
}

#[async_trait]
impl Source for HttpJson {
    async fn read(&self) -> Reading {
        let late = Err(Gap::TimedOut { after: self.timeout });
        tokio::time::timeout(self.timeout.get(), self.sample()).await.unwrap_or(late)
    }
}

#[cfg(test)]
mod tests;
