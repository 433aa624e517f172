//! A Prometheus for measuring: it answers `/api/v1/query` for every fleet at once or for one, quickly,
//! counts the questions, and can raise one fleet's load.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use cloud::{Clock, Timestamp};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

use crate::arguments::Arguments;

/// What a fleet shows, and what it shows while it is breached: above its rule's bound of 75.
const STEADY: &str = "50";
const BREACHED: &str = "95";

/// The running endpoint.
#[derive(Debug)]
pub(crate) struct Prometheus {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    fleets: Vec<(String, usize)>,
    breached: Mutex<HashSet<String>>,
    asked: AtomicU64,
}

impl Prometheus {
    pub(crate) async fn serve(
        arguments: &Arguments,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Prometheus> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let fleets = (0..arguments.fleets)
            .map(|fleet| (Arguments::name(fleet), arguments.instances_of(fleet)))
            .collect();
        let (breached, asked) = (Mutex::default(), AtomicU64::new(0));
        let shared = Arc::new(Shared { clock, fleets, breached, asked });
        tokio::spawn(accept(listener, shared.clone()));
        Ok(Prometheus { addr, shared })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many questions have come.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// From now on the fleet's load is too high.
    pub(crate) fn breach(&self, fleet: &str) {
        self.shared.breached().insert(fleet.to_owned());
    }

    pub(crate) fn calm(&self, fleet: &str) {
        self.shared.breached().remove(fleet);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // The daemon closes connections as it likes.
            drop(connection.await);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let form = format!("{query}&{}", String::from_utf8_lossy(&body));
    let text = shared.result(&form);
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert("content-type", "application/json".parse().expect("a header"));
    Ok(response)
}

impl Shared {
    fn breached(&self) -> MutexGuard<'_, HashSet<String>> {
        self.breached.lock().expect("no holder of this lock can panic")
    }

    fn result(&self, form: &str) -> String {
        let field = |name: &str| {
            let value = form.split('&').find_map(|part| part.strip_prefix(name))?;
            let spaced = value.replace('+', " ");
            Some(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
        };
        let query = field("query=").unwrap_or_default();
        let at = field("time=").unwrap_or_else(|| seconds(self.clock.now()));
        let breached = self.breached();
        let row = |fleet: &str, instances: usize| {
            let count = instances.to_string();
            let value = if query.contains("timestamp") {
                // Whatever is asked for was scraped just then.
                at.as_str()
            } else if query.contains("count") {
                count.as_str()
            } else if breached.contains(fleet) {
                BREACHED
            } else {
                STEADY
            };
            format!(r#"{{"metric":{{"fleet":"{fleet}"}},"value":[{at},"{value}"]}}"#)
        };
        let named = query.split("fleet=\"").nth(1).and_then(|rest| rest.split('"').next());
        let rows: Vec<String> = match named {
            Some(name) => {
                let found = self.fleets.binary_search_by(|(fleet, _)| fleet.as_str().cmp(name));
                found.iter().map(|n| row(&self.fleets[*n].0, self.fleets[*n].1)).collect()
            }
            None => self.fleets.iter().map(|(fleet, count)| row(fleet, *count)).collect(),
        };
        let rows = rows.join(",");
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{rows}]}}}}"#)
    }
}

fn seconds(at: Timestamp) -> String {
    let millis = at.timestamp_millis();
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}
