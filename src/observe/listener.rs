//! Serving on a port that strangers may reach: every neighbour on the host, and every page that a
//! browser there shows.
//!
//! A connection costs a descriptor and some memory, and the daemon needs both to do its job. So
//! there are few connections, each step of one has a time limit, and a new one takes the place of
//! the oldest that waits for its client. Nothing here knows what is served.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use cloud::Clock;
use futures::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::Tls;
use super::watched::Watched;

/// Prometheus, a probe of health and a few people have one each.
const CONNECTIONS: usize = 32;
/// Prometheus gives up after 10 s, too. A request's head, its body and each burst of the answer may
/// take so long.
const STEP: Duration = Duration::from_secs(10);
/// Then a connection begins anew: whoever sends requests without end has its turn, and no more.
const REQUESTS: usize = 16;
/// A request's head. Browsers send a few kilobytes.
const HEAD_BYTES: usize = 16 * 1024;
/// A request's body: what is posted to a daemon is a short text.
const BODY_BYTES: usize = 1024 * 1024;
/// Without a descriptor nothing can be accepted: looking again at once would only cost processor
/// time.
const AGAIN: Duration = Duration::from_secs(1);

/// How much is given to clients.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connections: usize,
    step: Duration,
}

const LIMITS: Limits = Limits { connections: CONNECTIONS, step: STEP };

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error("[daemon] listen = \"{address}\" cannot be used: {why}; {}", self.todo())]
pub struct BindError {
    address: SocketAddr,
    why: io::Error,
}

impl BindError {
    fn todo(&self) -> &'static str {
        if self.why.kind() == io::ErrorKind::PermissionDenied {
            return "systemd lets the service listen at the ports of its SocketBindAllow= only (tcp:9177 \
                    as shipped): add this one, or use that one";
        }
        "name a free port of this machine, or leave `listen` out"
    }
}

/// A running server; it and its connections end when this is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    server: AbortHandle,
}

impl Served {
    /// Where it really listens: port 0 means any.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The names by which this server may be called.
///
/// A page in a browser may have a name of its own point to this machine and then read the answers
/// as its own. Addresses cannot be used for that, and names only if they are accepted here.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// `localhost`, this machine's own name, and `more`.
    #[must_use]
    pub fn of_this_machine(more: &[String]) -> Names {
        let system = rustix::system::uname();
        let own = system.nodename().to_string_lossy();
        let names = more.iter().map(String::as_str).chain(["localhost", &own]);
        Names(names.filter(|name| !name.is_empty()).map(str::to_lowercase).collect())
    }

    /// Whether `host`, as it stands in a request, is one of them, or an address.
    fn accepts(&self, host: &str) -> bool {
        let address = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
        if address.unwrap_or(host).parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name.parse::<IpAddr>().is_ok()
            || self.0.contains(&name.trim_end_matches('.').to_lowercase())
    }
}

/// Serves `router` on `address` to those who call it by one of `names`, in the clear without `tls`.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    names: Names,
    router: Router,
    tls: Option<Tls>,
    clock: Arc<dyn Clock>,
) -> Result<Served, BindError> {
    let wrong = |why| BindError { address, why };
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    let router = guarded(router, names, LIMITS.step);
    let server = match tls {
        None => tokio::spawn(accept(listener, router, clock, LIMITS)),
        Some(tls) => tokio::spawn(accept(TlsListener { listener, tls }, router, clock, LIMITS)),
    };
    Ok(Served { address: bound, server: server.abort_handle() })
}

/// The router behind what holds for every request.
fn guarded(router: Router, names: Names, step: Duration) -> Router {
    router
        .layer(middleware::from_fn_with_state(step, whole_body))
        .layer(middleware::from_fn_with_state(Arc::new(names), called_by_name))
}

/// Refuses requests for another host. Who sends no name at all is no browser.
async fn called_by_name(State(names): State<Arc<Names>>, request: Request, next: Next) -> Response {
    let in_header = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or(""));
    let host = request.uri().authority().map(|authority| authority.as_str()).or(in_header);
    if host.is_none_or(|host| names.accepts(host)) {
        return next.run(request).await;
    }
    let why = "this server has another name: add the one that you use to [daemon] listen_hosts\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

/// Reads the body before anything is done with the request: in time, and within its limit.
async fn whole_body(State(step): State<Duration>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    match tokio::time::timeout(step, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok(Err(_)) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// One connection.
struct Open {
    /// Whether the daemon works on a request of it; otherwise it waits for its client.
    is_answering: Arc<AtomicBool>,
    task: AbortHandle,
}

/// Where connections come from.
pub(super) trait Door: Send + 'static {
    /// A connection as it comes.
    type Raw: Send + 'static;
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The key of `[daemon]` that names it.
    const KEY: &'static str;

    fn next(&self) -> impl Future<Output = io::Result<Self::Raw>> + Send;

    /// What comes before the first request; the client may take its time for it.
    fn enter(&self, raw: Self::Raw) -> BoxFuture<'static, io::Result<Self::Stream>>;
}

impl Door for TcpListener {
    type Raw = TcpStream;
    type Stream = TcpStream;
    const KEY: &'static str = "listen";

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // A page goes out at once; a socket that cannot be told so still works.
        drop(stream.set_nodelay(true));
        Ok(stream)
    }

    fn enter(&self, raw: TcpStream) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(async { Ok(raw) })
    }
}

/// A port at which TLS is spoken.
struct TlsListener {
    listener: TcpListener,
    tls: Tls,
}

impl Door for TlsListener {
    type Raw = TcpStream;
    type Stream = TlsStream<TcpStream>;
    const KEY: &'static str = TcpListener::KEY;

    async fn next(&self) -> io::Result<TcpStream> {
        Door::next(&self.listener).await
    }

    fn enter(&self, raw: TcpStream) -> BoxFuture<'static, io::Result<TlsStream<TcpStream>>> {
        Box::pin(TlsAcceptor::from(self.tls.config()).accept(raw))
    }
}

/// Serves those who come by `door`, each by any name, until the task is ended.
pub(super) fn serve_at<D: Door + Sync>(
    door: D,
    router: Router,
    clock: Arc<dyn Clock>,
) -> AbortHandle {
    let router = router.layer(middleware::from_fn_with_state(LIMITS.step, whole_body));
    tokio::spawn(accept(door, router, clock, LIMITS)).abort_handle()
}

async fn accept<D: Door + Sync>(door: D, router: Router, clock: Arc<dyn Clock>, limits: Limits) {
    // Ends them all when this function ends.
    let mut tasks = JoinSet::new();
    // The oldest first.
    let mut open: Vec<Open> = Vec::new();
    let mut fails = false;
    loop {
        let accepted = door.next().await;
        while tasks.try_join_next().is_some() {}
        open.retain(|connection| !connection.task.is_finished());
        match accepted {
            Ok(raw) => {
                if std::mem::take(&mut fails) {
                    tracing::info!("connections to `{}` are accepted again", D::KEY);
                }
                if open.len() >= limits.connections && !make_room(&mut open) {
                    continue;
                }
                let is_answering = Arc::new(AtomicBool::new(false));
                let (entered, router) = (door.enter(raw), router.clone());
                let answering = is_answering.clone();
                let task = tasks.spawn(async move {
                    // What a client did that never came in is its own affair.
                    if let Ok(Ok(stream)) = tokio::time::timeout(limits.step, entered).await {
                        answer(stream, router, answering, limits.step).await;
                    }
                });
                open.push(Open { is_answering, task });
            }
            Err(error) => {
                if !std::mem::replace(&mut fails, true) {
                    tracing::error!("no connection to `{}` can be accepted: {error}", D::KEY);
                }
                clock.sleep(AGAIN).await;
            }
        }
    }
}

/// Ends the oldest connection that waits for its client; `false` if there is none.
fn make_room(open: &mut Vec<Open>) -> bool {
    let waits = |connection: &Open| !connection.is_answering.load(Ordering::Relaxed);
    let Some(place) = open.iter().position(waits) else { return false };
    open.remove(place).task.abort();
    true
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    is_answering: Arc<AtomicBool>,
    step: Duration,
) {
    let watched = Watched::new(stream, is_answering.clone(), step);
    let asked = Arc::new(AtomicUsize::new(0));
    let service = router.layer(middleware::from_fn_with_state((is_answering, asked), mark));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(step)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(watched), TowerToHyperService::new(service));
    // It ended early: what the client did is its own affair.
    drop(served.await);
}

/// From the whole head of a request to the first byte of its answer the daemon works.
async fn mark(
    State((is_answering, asked)): State<(Arc<AtomicBool>, Arc<AtomicUsize>)>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    is_answering.store(true, Ordering::Relaxed);
    let mut response = next.run(request).await;
    if asked.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use cloud::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server with short limits; the count is of requests that reached a page.
    async fn server(limits: Limits) -> (SocketAddr, Arc<AtomicUsize>, AbortHandle) {
        let reached = Arc::new(AtomicUsize::new(0));
        let counted = reached.clone();
        // More than the kernel buffers for a socket.
        let large = axum::body::Bytes::from(vec![b'x'; 64 * 1024 * 1024]);
        let router = Router::new()
            .route("/", get(async || "ok"))
            .route("/large", get(async move || large))
            .route("/post", post(async |body: axum::body::Bytes| body.len().to_string()))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                counted.fetch_add(1, Ordering::Relaxed);
                next.run(request)
            }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let names = Names(["ops.example".to_owned()].into());
        let router = guarded(router, names, limits.step);
        let task = tokio::spawn(accept(listener, router, Arc::new(SystemClock), limits));
        (address, reached, task.abort_handle())
    }

    /// The answer to `request`, until the server closes.
    async fn asked(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // A reset is an end, too.
        drop(stream.read_to_end(&mut answer).await);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn of(address: SocketAddr) -> String {
        format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
    }

    const QUICK: Limits = Limits { connections: 4, step: Duration::from_millis(300) };
    const PATIENT: Limits = Limits { connections: 4, step: Duration::from_secs(600) };

    #[tokio::test]
    async fn only_its_own_names_and_addresses_reach_a_page() {
        let (address, reached, _task) = server(PATIENT).await;
        for (host, wanted) in [
            ("127.0.0.1:9177", "200"),
            ("[::1]:9177", "200"),
            ("::1", "200"),
            ("[::1]", "200"),
            ("OPS.example.:9177", "200"),
            ("evil.example", "421"),
            ("ops.example.evil.example:9177", "421"),
            ("", "421"),
        ] {
            let before = reached.load(Ordering::Relaxed);
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = asked(address, &request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{host}: {answer}");
            let went_through = reached.load(Ordering::Relaxed) > before;
            assert_eq!(went_through, wanted == "200", "{host}");
        }
        let answer = asked(
            address,
            "GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        );
        assert!(answer.await.starts_with("HTTP/1.1 421"));
        assert!(asked(address, "GET / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200"));
        assert!(Names::of_this_machine(&[]).accepts("localhost:9177"));
    }

    #[tokio::test]
    async fn a_head_that_is_not_finished_and_a_body_that_does_not_come_end_in_time() {
        let (address, reached, _task) = server(QUICK).await;
        let answer = asked(address, "GET / HTTP/1.1\r\nHost: 127").await;
        assert!(!answer.contains("200"), "{answer}");
        let head = "POST /post HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nhalf";
        assert!(asked(address, head).await.starts_with("HTTP/1.1 408"));
        let large = format!("Content-Length: {}", BODY_BYTES + 1);
        let head = format!("POST /post HTTP/1.1\r\nHost: 127.0.0.1\r\n{large}\r\n\r\n");
        assert!(asked(address, &head).await.starts_with("HTTP/1.1 413"));
        assert_eq!(reached.load(Ordering::Relaxed), 0, "no page saw any of it");
        let whole = "POST /post HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\
                     Connection: close\r\n\r\nbody";
        assert!(asked(address, whole).await.ends_with("\r\n\r\n4"));
    }

    #[tokio::test]
    async fn a_connection_has_so_many_requests_and_no_more() {
        let (address, reached, _task) = server(PATIENT).await;
        let many = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(40);
        // A reset may overtake the answers, so what was reached is counted.
        asked(address, &many).await;
        assert_eq!(reached.load(Ordering::Relaxed), REQUESTS);
    }

    #[tokio::test]
    async fn whoever_does_not_read_the_answer_is_cut_off() {
        let (address, _, _task) = server(QUICK).await;
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = "GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sent");
        // Writing to a connection that the other side gave up fails in the end.
        for _ in 0..600 {
            if stream.write_all(b"x").await.is_err() {
                return;
            }
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
        panic!("it is still served");
    }

    #[tokio::test]
    async fn those_who_only_wait_keep_nobody_out() {
        let (address, _, _task) = server(PATIENT).await;
        let mut waiting = Vec::new();
        for _ in 0..64 {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(b"GET / HTTP/1.1\r\nHost: 127").await.expect("sent");
            waiting.push(stream);
        }
        for _ in 0..8 {
            assert!(asked(address, &of(address)).await.starts_with("HTTP/1.1 200"));
        }
        let mut ended = 0;
        for mut stream in waiting {
            let mut byte = [0];
            let read = stream.read(&mut byte);
            let over = tokio::time::timeout(Duration::from_millis(20), read).await;
            ended += usize::from(matches!(over, Ok(Ok(0) | Err(_))));
        }
        assert!(ended >= 60, "{ended} of 64 were given up for newer ones");
    }
}
