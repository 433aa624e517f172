//! Asking servers: one client per server and access, each question once per tick.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::http::{BodyError, client_builder, head, read_limited};
use cloud::{Clock, Timestamp, clock};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OnceCell, Semaphore};

use super::answer::{self, Answer};
use crate::model::{Gap, Span};
use crate::signals::{Access, Auth};

/// A vector of 10,000 labelled series is about 2 MB; a signal that needs more than 4 should be
/// aggregated by the server.
const ANSWER_LIMIT: u64 = 4 * 1024 * 1024;
/// Questions under way at one server: Prometheus evaluates 20 at once by default
/// (`--query.max-concurrency`) and serves people, too.
const CONCURRENCY: usize = 10;

/// A source that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("ca_file {path} cannot be used: {why}")]
    CaFile { path: PathBuf, why: String },
    #[error(
        "the header {name:?} cannot be sent: its name or value has characters that HTTP forbids"
    )]
    Header { name: String },
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// What all sources share: clients, and answers that are new enough to be shared.
#[derive(Debug)]
pub struct Shared {
    clock: Arc<dyn Clock>,
    window: Duration,
    clients: Mutex<Vec<(String, Access, Arc<Client>)>>,
}

impl Shared {
    /// An answer younger than `window` is shared: between fleets, and between the rules of one.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, window: Duration) -> Self {
        Shared { clock, window, clients: Mutex::default() }
    }

    /// The client for the server at `url`, reached with `access`.
    pub(super) fn client(&self, url: &str, access: &Access) -> Result<Arc<Client>, SourceError> {
        let mut clients = self.clients.lock().expect("no holder of this lock can panic");
        if let Some((_, _, client)) = clients.iter().find(|(u, a, _)| u == url && a == access) {
            return Ok(client.clone());
        }
        let client = Arc::new(Client {
            http: http(url, access)?,
            url: format!("{}/api/v1/query", url.trim_end_matches('/')),
            auth: access.auth.clone(),
            places: Semaphore::new(CONCURRENCY),
            clock: self.clock.clone(),
            window: self.window,
            asked: Mutex::default(),
        });
        clients.push((url.to_owned(), access.clone(), client.clone()));
        Ok(client)
    }
}

fn http(url: &str, access: &Access) -> Result<reqwest::Client, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &access.headers {
        let wrong = || SourceError::Header { name: name.clone() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    let mut builder = client_builder().default_headers(headers);
    if url.starts_with("http://") {
        // No certificates are needed, and a machine may have none.
        builder = builder.tls_certs_only([]);
    }
    if let Some(path) = &access.ca_file {
        let wrong = |why: String| SourceError::CaFile { path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| wrong(error.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong("it holds no PEM certificate".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(SourceError::Client)
}

/// One server with one way to reach it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    auth: Option<Auth>,
    places: Semaphore,
    clock: Arc<dyn Clock>,
    window: Duration,
    asked: Mutex<BTreeMap<Question, Asked>>,
}

/// The query, and the time of evaluation in Unix milliseconds (`None`: the server's now).
type Question = (String, Option<i64>);

#[derive(Debug)]
struct Asked {
    at: Timestamp,
    /// Whoever comes first asks, the others wait for the same answer; a gap is shared too, so that
    /// a dead server is not asked by every fleet.
    answer: Arc<OnceCell<Result<Answer, Gap>>>,
}

impl Client {
    /// Asks, unless the same question was asked less than the window ago.
    pub(super) async fn ask(
        &self,
        query: &str,
        at: Option<f64>,
        timeout: Span,
    ) -> Result<Answer, Gap> {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; it is only a key")]
        let millis = at.map(|at| (at * 1000.0) as i64);
        let cell = self.cell((query.to_owned(), millis));
        cell.get_or_init(|| self.send(query, at, timeout)).await.clone()
    }

    fn cell(&self, question: Question) -> Arc<OnceCell<Result<Answer, Gap>>> {
        let now = self.clock.now();
        let mut asked = self.asked.lock().expect("no holder of this lock can panic");
        // What is older than the window is of no use to anybody: the map holds one window's
        // questions.
        asked.retain(|_, asked| asked.at <= now && clock::age(now, asked.at) < self.window);
        let entry = asked.entry(question);
        entry.or_insert_with(|| Asked { at: now, answer: Arc::default() }).answer.clone()
    }

    async fn send(&self, query: &str, at: Option<f64>, timeout: Span) -> Result<Answer, Gap> {
        let _place = self.places.acquire().await.expect("nobody closes it");
        let mut form = vec![("query", query.to_owned())];
        if let Some(at) = at {
            form.push(("time", format!("{at:.3}")));
        }
        let mut request = self.http.post(&self.url).timeout(timeout.get()).form(&form);
        request = match &self.auth {
            None => request,
            Some(Auth::Bearer { token }) => request.bearer_auth(token.expose()),
            Some(Auth::Basic { username, password }) => {
                request.basic_auth(username, Some(password.expose()))
            }
        };
        let gap = |error: &reqwest::Error| {
            if error.is_timeout() {
                Gap::TimedOut { after: timeout }
            } else {
                Gap::Unreachable { why: cause(error) }
            }
        };
        let response = request.send().await.map_err(|error| gap(&error))?;
        let status = response.status().as_u16();
        let body = match read_limited(response, ANSWER_LIMIT).await {
            Ok(body) => body,
            Err(BodyError::TooLarge { limit }) => {
                let what = format!("it is larger than {limit} bytes; aggregate in the query");
                return Err(Gap::BadAnswer { what, head: String::new() });
            }
            Err(BodyError::Cut(error)) => return Err(gap(&error)),
        };
        answer::parse(status, &body, &head(&body))
    }
}

/// The innermost cause, without the URL: it may carry a name that is nobody's business.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
