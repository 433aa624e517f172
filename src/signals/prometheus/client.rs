//! Asking servers: one client per server and access, each question once per window.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::http::{self, BodyError, Proxies};
use cloud::{Clock, Redactor, Secret, Timestamp};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{self, Answer, Want};
use super::asked::{Question, QuestionCache, Reply};
use super::circuit::{Circuit, Ticket};
use crate::model::{Gap, Span};
use crate::signals::{Auth, ServerAccess};

/// A vector of 10,000 labelled series is about 2 MB; a signal that needs more than 4 should be
/// aggregated by the server.
const ANSWER_LIMIT: u64 = 4 * 1024 * 1024;
/// An answer that is larger waits for a place: one number with its labels has some hundred bytes.
const SMALL_ANSWER: usize = 64 * 1024;
/// Large answers that are read at once, of all servers: each may take four times its limit.
const LARGE_ANSWERS: usize = 3;
/// Questions under way at one server: Prometheus evaluates 20 at once by default
/// (`--query.max-concurrency`) and serves people, too.
const CONCURRENCY: usize = 10;
/// The memory that kept answers of one server may take, and those of all, in KiB. Three
/// vectors of 10,000 fleets are some 4 MiB.
const KEPT_KIB: usize = 6 * 1024;
const KEPT_KIB_ALL: usize = 12 * 1024;
/// The path of the API below a server's base.
const PATH: &str = "/api/v1/query";

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

/// The state that all sources share: clients, answers that are new enough to be shared, and the memory that
/// answers may take.
#[derive(Debug)]
pub struct Clients {
    clock: Arc<dyn Clock>,
    window: Duration,
    proxies: Proxies,
    large: Arc<Semaphore>,
    kept: Arc<Semaphore>,
    clients: Mutex<Vec<(String, ServerAccess, Arc<Client>)>>,
}

impl Clients {
    /// An answer younger than `window` is shared: between fleets, and between the rules of one.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, window: Duration) -> Self {
        Clients::through(clock, window, Proxies::from_env())
    }

    /// The same over these proxies.
    #[must_use]
    pub fn through(clock: Arc<dyn Clock>, window: Duration, proxies: Proxies) -> Self {
        Clients {
            clock,
            window,
            proxies,
            large: Arc::new(Semaphore::new(LARGE_ANSWERS)),
            kept: Arc::new(Semaphore::new(KEPT_KIB_ALL)),
            clients: Mutex::default(),
        }
    }

    /// The client for the server at `url`, reached with `access`.
    pub(super) fn client(
        &self,
        url: &str,
        access: &ServerAccess,
    ) -> Result<Arc<Client>, SourceError> {
        let mut clients = self.clients.lock().expect("no holder of this lock can panic");
        if let Some((_, _, client)) = clients.iter().find(|(u, a, _)| u == url && a == access) {
            return Ok(client.clone());
        }
        let client = Arc::new(self.connect(url, access)?);
        clients.push((url.to_owned(), access.clone(), client.clone()));
        Ok(client)
    }

    fn connect(&self, base: &str, access: &ServerAccess) -> Result<Client, SourceError> {
        let url = format!("{}{PATH}", base.trim_end_matches('/'));
        let url: Url = url.parse().map_err(|_| SourceError::Url { url: base.to_owned() })?;
        let made = http::client_builder_to(&url, &self.proxies).map_err(SourceError::Client)?;
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
        Ok(Client {
            http: builder.build().map_err(SourceError::Client)?,
            url,
            proxy: proxy.map(|proxy| proxy.name),
            auth: access.auth.clone(),
            redactor: Redactor::new(secrets),
            by_get: AtomicBool::new(false),
            places: Semaphore::new(CONCURRENCY),
            large: self.large.clone(),
            large_here: Semaphore::new(1),
            kept: [self.kept.clone(), Arc::new(Semaphore::new(KEPT_KIB))],
            clock: self.clock.clone(),
            circuit: Circuit::default(),
            asked: QuestionCache::new(self.window),
        })
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

/// One server with one way to reach it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    /// `host:port` of the proxy on the way.
    proxy: Option<String>,
    auth: Option<Auth>,
    redactor: Redactor,
    /// It does not take POST.
    by_get: AtomicBool,
    places: Semaphore,
    large: Arc<Semaphore>,
    /// One large answer at a time: a server that sends slowly must not hold all places for them.
    large_here: Semaphore,
    /// The memory that kept answers may take, of all servers and of this one.
    kept: [Arc<Semaphore>; 2],
    clock: Arc<dyn Clock>,
    circuit: Circuit,
    asked: QuestionCache,
}

/// An answer as it came.
struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// Asks, unless the same question was asked less than the window ago. It takes `timeout` at
    /// most, the wait for a place at the server included.
    pub(super) async fn ask(
        &self,
        query: &Arc<str>,
        want: &Want,
        at: Option<f64>,
        timeout: Span,
    ) -> Reply {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; it is only a key")]
        let at_millis = at.map(|at| (at * 1000.0) as i64);
        let now = self.clock.now();
        let question = Question { query: query.clone(), at_millis, want: want.clone() };
        let cell = self.asked.cell(question, now);
        if let Some(reply) = cell.get() {
            return reply.clone();
        }
        let ticket = self.circuit.pass(now, timeout)?;
        let asking = cell.get_or_init(|| self.send(query, want, at, ticket, timeout));
        match tokio::time::timeout(timeout.get(), asking).await {
            Ok(reply) => reply.clone(),
            Err(_) => {
                let gap = Gap::TimedOut { after: timeout };
                self.circuit.failed(ticket, self.clock.now(), Some(timeout), &gap);
                Err(gap)
            }
        }
    }

    /// The answer to a question about the past, as it came: its status and its body.
    pub(super) async fn past(
        &self,
        query: &str,
        at: Timestamp,
        timeout: Span,
    ) -> Result<(u16, Vec<u8>), Gap> {
        let form = [("query", query.to_owned()), ("time", at.timestamp().to_string())];
        let mut room = None;
        let asked = self.exchange(&form, &mut room);
        match tokio::time::timeout(timeout.get(), asked).await {
            Ok(Ok(received)) => Ok((received.status.as_u16(), received.body)),
            Ok(Err(Failure::NotThere(gap) | Failure::Unusable(gap))) => Err(gap),
            Err(_) => Err(Gap::TimedOut { after: timeout }),
        }
    }

    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    async fn send(
        &self,
        query: &str,
        want: &Want,
        at: Option<f64>,
        ticket: Ticket,
        timeout: Span,
    ) -> Reply {
        let _place = self.places.acquire().await.expect("nobody closes it");
        if let Some(gap) = self.circuit.refuted(ticket, timeout) {
            return Err(gap);
        }
        let mut form = vec![("query", query.to_owned())];
        if let Some(at) = at {
            form.push(("time", format!("{at:.3}")));
        }
        let mut _room = None;
        let received = match self.exchange(&form, &mut _room).await {
            Ok(received) => received,
            Err(Failure::NotThere(gap)) => {
                self.circuit.failed(ticket, self.clock.now(), None, &gap);
                return Err(gap);
            }
            Err(Failure::Unusable(gap)) => return Err(gap),
        };
        self.circuit.answered();
        let answer = self.understand(&received, want).map_err(|gap| self.named(gap))?;
        self.keep(answer).map(Arc::new)
    }

    /// Asks by POST; a server that does not take that is asked by GET, now and from then on.
    async fn exchange<'s>(&'s self, form: &Form, room: &mut Room<'s>) -> Result<Received, Failure> {
        if self.by_get.load(Ordering::Relaxed) {
            let received = self.once(Method::GET, form, room).await?;
            if let 405 | 414 | 501 = received.status.as_u16() {
                self.by_get.store(false, Ordering::Relaxed);
            }
            return Ok(received);
        }
        let mut posted = self.once(Method::POST, form, room).await?;
        // 403: a gateway that lets nobody write takes a POST for a write.
        if !matches!(posted.status.as_u16(), 403 | 405 | 501) {
            return Ok(posted);
        }
        // It is an error page: its beginning is enough, while another answer is read.
        posted.body.truncate(SMALL_ANSWER);
        posted.body.shrink_to_fit();
        let got = self.once(Method::GET, form, room).await?;
        match got.status.as_u16() {
            // What the API itself answers: data, or what is wrong with the query.
            200 | 400 | 422 | 503 => self.by_get.store(true, Ordering::Relaxed),
            403 | 404 | 405 | 501 => return Ok(posted),
            _ => {}
        }
        Ok(got)
    }

    /// Sends one request and reads the whole answer. A large one holds `room` while it is used.
    async fn once<'s>(
        &'s self,
        method: Method,
        form: &Form,
        room: &mut Room<'s>,
    ) -> Result<Received, Failure> {
        let mut request = self.http.request(method.clone(), self.url.clone());
        request = if method == Method::GET { request.query(form) } else { request.form(form) };
        request = match &self.auth {
            None => request,
            Some(Auth::Bearer { token }) => request.bearer_auth(token.expose()),
            Some(Auth::Basic { username, password }) => {
                request.basic_auth(username, Some(password.expose()))
            }
        };
        let response = request.send().await.map_err(|error| self.failure(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let large = async || {
            let here = self.large_here.acquire().await.expect("nobody closes it");
            (here, self.large.acquire().await.expect("nobody closes it"))
        };
        *room = None;
        let read = http::read_in_room(response, ANSWER_LIMIT, SMALL_ANSWER, large).await;
        match read {
            Ok((body, held)) => {
                *room = held;
                Ok(Received { status, headers, body })
            }
            Err(BodyError::TooLarge { limit }) => {
                let what = format!("it is larger than {limit} bytes; aggregate in the query");
                let gap = Gap::BadAnswer { what, head: String::new() };
                Err(Failure::Unusable(self.named(gap)))
            }
            Err(BodyError::Cut(error)) => Err(self.failure(&error)),
        }
    }

    fn understand(&self, received: &Received, want: &Want) -> Result<Answer, Gap> {
        let status = received.status.as_u16();
        if received.status.is_redirection()
            && let Some(to) = received.headers.get(LOCATION)
        {
            let head = self.redirect(to.as_bytes());
            return Err(Gap::Http { status, head, proxy: None });
        }
        if let Some(says) = self.partial(&received.headers) {
            return Err(Gap::Partial { says });
        }
        answer::parse(status, &received.body, want, &self.redactor)
    }

    /// Where a redirect leads, and what to write when that is the API elsewhere.
    fn redirect(&self, to: &[u8]) -> String {
        let to = self.redactor.line_of(to);
        let place = to.split(['?', '#']).next().unwrap_or_default();
        match place.strip_suffix(PATH) {
            Some(base) if base.contains("://") => {
                format!("it redirects; write url = \"{base}\"")
            }
            _ => format!("it redirects to {place}, and is not followed"),
        }
    }

    /// The remarks of the headers about an incomplete answer: M3 has no other way.
    fn partial(&self, headers: &HeaderMap) -> Option<String> {
        headers.iter().find_map(|(name, value)| {
            let name = name.as_str();
            let value = self.redactor.line_of(value.as_bytes());
            let says = name == "m3-results-limited" || name.contains("partial");
            (says && !matches!(value.as_str(), "" | "false" | "0"))
                .then(|| format!("{name}: {value}"))
        })
    }

    /// `gap` with the name of the proxy that the answer came through, if one did.
    fn named(&self, gap: Gap) -> Gap {
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

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let mut why = self.redactor.line(&cause(error));
        if error.is_connect() && error.is_timeout() {
            why = "no connection in time".to_owned();
        }
        Failure::NotThere(self.named(Gap::Unreachable { why }))
    }

    /// `answer` with its share of the memory for answers that are kept.
    fn keep(&self, mut answer: Answer) -> Result<Answer, Gap> {
        let kib = u32::try_from(answer.bytes() / 1024).unwrap_or(u32::MAX);
        if kib == 0 {
            return Ok(answer);
        }
        let [all, here] = &self.kept;
        let share = |of: &Arc<Semaphore>| of.clone().try_acquire_many_owned(kib).ok();
        let room: Option<[OwnedSemaphorePermit; 2]> =
            share(here).and_then(|here| Some([here, share(all)?]));
        let Some(room) = room else {
            let what = "with the other answers of these seconds it takes too much memory; \
                        aggregate in the query";
            return Err(Gap::BadAnswer { what: what.to_owned(), head: String::new() });
        };
        answer.room = Some(room);
        Ok(answer)
    }
}

type Form = [(&'static str, String)];

/// Two places for a large answer: at this server, and among all.
type Room<'s> = Option<(tokio::sync::SemaphorePermit<'s>, tokio::sync::SemaphorePermit<'s>)>;

/// Why there is no answer.
enum Failure {
    /// Nobody answers.
    NotThere(Gap),
    /// There is one that cannot be used.
    Unusable(Gap),
}

/// The innermost cause, without the URL: it may carry a name that is nobody's business.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
