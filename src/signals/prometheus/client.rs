//! Asking servers: one client per server and access, each question once per window.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::http::{self, BodyError, Proxies};
use cloud::{Clock, Redactor, Timestamp};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{self, Answer, Want};
use super::asked::{Question, QuestionCache, Reply};
use super::circuit::{Circuit, Ticket};
use crate::model::{Gap, Span};
use crate::signals::ServerAccess;
use crate::signals::document::Library;
use crate::signals::server::{Server, SourceError};

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
/// Programs that run at once, of all signals: a hundred fleets must not start a hundred in one second.
const PROGRAMS: usize = 16;
/// The path of the API below a server's base.
const PATH: &str = "/api/v1/query";

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
    /// Servers of JSON documents, by their origin.
    libraries: Mutex<Vec<(String, ServerAccess, Arc<Library>)>>,
    programs: Arc<Semaphore>,
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
            libraries: Mutex::default(),
            programs: Arc::new(Semaphore::new(PROGRAMS)),
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

    /// The server of the document at `url`, reached with `access`.
    pub(in crate::signals) fn library(
        &self,
        url: &Url,
        access: &ServerAccess,
    ) -> Result<Arc<Library>, SourceError> {
        let origin = url.origin().ascii_serialization();
        let mut libraries = self.libraries.lock().expect("no holder of this lock can panic");
        let known = libraries.iter().find(|(o, a, _)| *o == origin && a == access);
        if let Some((_, _, library)) = known {
            return Ok(library.clone());
        }
        let library = Library::connect(url, access, &self.proxies, self.large.clone())?;
        let library = Arc::new(library);
        libraries.push((origin, access.clone(), library.clone()));
        Ok(library)
    }

    /// Places for programs that run at once.
    pub(in crate::signals) fn programs(&self) -> Arc<Semaphore> {
        self.programs.clone()
    }

    pub(in crate::signals) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn connect(&self, base: &str, access: &ServerAccess) -> Result<Client, SourceError> {
        let url = format!("{}{PATH}", base.trim_end_matches('/'));
        let url: Url = url.parse().map_err(|_| SourceError::Url { url: base.to_owned() })?;
        Ok(Client {
            server: Server::connect(&url, access, &self.proxies)?,
            url,
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

/// One server with one way to reach it.
#[derive(Debug)]
pub(super) struct Client {
    server: Server,
    url: Url,
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
        &self.server.redactor
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
        let answer = self.understand(&received, want).map_err(|gap| self.server.named(gap))?;
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
        let request = self.server.request(method.clone(), self.url.clone());
        let request = if method == Method::GET { request.query(form) } else { request.form(form) };
        let response = request
            .send()
            .await
            .map_err(|error| Failure::NotThere(self.server.unreachable(&error)))?;
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
                Err(Failure::Unusable(self.server.named(gap)))
            }
            Err(BodyError::Cut(error)) => Err(Failure::NotThere(self.server.unreachable(&error))),
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
        answer::parse(status, &received.body, want, &self.server.redactor)
    }

    /// Where a redirect leads, and what to write when that is the API elsewhere.
    fn redirect(&self, to: &[u8]) -> String {
        let to = self.server.redactor.line_of(to);
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
            let value = self.server.redactor.line_of(value.as_bytes());
            let says = name == "m3-results-limited" || name.contains("partial");
            (says && !matches!(value.as_str(), "" | "false" | "0"))
                .then(|| format!("{name}: {value}"))
        })
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
