//! A minimal Prometheus query endpoint: aggregations and `timestamp()` over the service's metric, and
//! over `up`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use cloud::{Clock, Timestamp};
use promql_parser::parser::{self, Expr, token};
use serde::Deserialize;
use serde_json::{Value, json};

/// The metrics' names.
const CPU: &str = "service_cpu_percent";
const UP: &str = "up";

/// The last scrape, and the endpoint's clock.
#[derive(Debug)]
pub struct Metrics {
    clock: Arc<dyn Clock>,
    samples: Mutex<Vec<MetricSample>>,
}

/// The newest sample of one metric of one instance.
#[derive(Debug, Clone)]
struct MetricSample {
    metric: &'static str,
    instance: String,
    value: f64,
    at: Timestamp,
}

impl Metrics {
    /// Nothing scraped yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Metrics { clock, samples: Mutex::default() }
    }

    /// One sample per instance: its id, its CPU in percent.
    pub fn scrape(&self, samples: Vec<(String, f64)>, at: Timestamp) {
        self.replace(CPU, samples, at);
    }

    /// Each instance, and whether it answered its scrape.
    pub fn hear(&self, heard: Vec<(String, bool)>, at: Timestamp) {
        let value = |up| if up { 1.0 } else { 0.0 };
        self.replace(UP, heard.into_iter().map(|(id, up)| (id, value(up))).collect(), at);
    }

    fn replace(&self, metric: &'static str, samples: Vec<(String, f64)>, at: Timestamp) {
        let mut held = self.samples.lock().expect("no holder of this lock can panic");
        held.retain(|sample| sample.metric != metric);
        held.extend(samples.into_iter().map(|(instance, value)| MetricSample {
            metric,
            instance,
            value,
            at,
        }));
    }

    fn samples(&self) -> Vec<MetricSample> {
        self.samples.lock().expect("no holder of this lock can panic").clone()
    }
}

/// A running endpoint; it stops when it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    addr: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Endpoint {
    /// Such as `http://127.0.0.1:9090`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves `metrics` on a free port of 127.0.0.1.
pub async fn serve(metrics: Arc<Metrics>) -> std::io::Result<Endpoint> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let router =
        axum::Router::new().route("/api/v1/query", get(by_get).post(by_post)).with_state(metrics);
    let server = tokio::spawn(async move {
        // It ends when the task is aborted.
        drop(axum::serve(listener, router).await);
    });
    Ok(Endpoint { addr, server })
}

#[derive(Deserialize)]
struct Ask {
    query: String,
    time: Option<f64>,
}

async fn by_get(State(metrics): State<Arc<Metrics>>, Query(ask): Query<Ask>) -> impl IntoResponse {
    answer(&metrics, &ask)
}

async fn by_post(State(metrics): State<Arc<Metrics>>, Form(ask): Form<Ask>) -> impl IntoResponse {
    answer(&metrics, &ask)
}

fn answer(metrics: &Metrics, ask: &Ask) -> (StatusCode, Json<Value>) {
    let samples = metrics.samples();
    let result = parser::parse(&ask.query).and_then(|expr| evaluate(&expr, &samples));
    match result {
        Ok(values) => {
            let at = ask.time.unwrap_or_else(|| seconds(metrics.clock.now()));
            let rows: Vec<Value> = values
                .into_iter()
                .map(
                    |(labels, value)| json!({ "metric": labels, "value": [at, value.to_string()] }),
                )
                .collect();
            let data = json!({ "resultType": "vector", "result": rows });
            (StatusCode::OK, Json(json!({ "status": "success", "data": data })))
        }
        Err(why) => (
            StatusCode::BAD_REQUEST,
            Json(json!({ "status": "error", "errorType": "bad_data", "error": why })),
        ),
    }
}

fn seconds(at: Timestamp) -> f64 {
    // Milliseconds since 1970 fit a double exactly for 285,000 years.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let millis = at.timestamp_millis() as f64;
    millis / 1000.0
}

type Rows = Vec<(Value, f64)>;

/// A selector of a metric, `timestamp()` of one, and aggregations of either.
fn evaluate(expr: &Expr, samples: &[MetricSample]) -> Result<Rows, String> {
    match expr {
        Expr::Paren(inner) => evaluate(&inner.expr, samples),
        Expr::VectorSelector(selector) => {
            let name = selector.name.as_deref();
            let of_it = samples.iter().filter(|sample| Some(sample.metric) == name);
            let row = |sample: &MetricSample| {
                let labels = json!({ "__name__": sample.metric, "instance": sample.instance });
                (labels, sample.value)
            };
            Ok(of_it.map(row).collect())
        }
        Expr::Call(call) if call.func.name == "timestamp" => {
            let inner = call.args.args.first().ok_or("timestamp() takes a selector")?;
            let rows = evaluate(inner, samples)?;
            let at = |(labels, _): (Value, f64)| {
                let sample = samples.iter().find(|sample| {
                    labels["instance"] == sample.instance && labels["__name__"] == sample.metric
                });
                sample.map(|s| (json!({ "instance": s.instance }), seconds(s.at)))
            };
            Ok(rows.into_iter().filter_map(at).collect())
        }
        Expr::Aggregate(aggregate) => {
            let values: Vec<f64> =
                evaluate(&aggregate.expr, samples)?.into_iter().map(|(_, value)| value).collect();
            if values.is_empty() {
                return Ok(Vec::new());
            }
            let count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
            let value = match aggregate.op.id() {
                token::T_AVG => values.iter().sum::<f64>() / count,
                token::T_SUM => values.iter().sum(),
                token::T_MIN => values.iter().copied().fold(f64::INFINITY, f64::min),
                token::T_MAX => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                token::T_COUNT => count,
                _ => return Err(format!("the demo's endpoint does not know {}", aggregate.op)),
            };
            Ok(vec![(json!({}), value)])
        }
        other => Err(format!("the demo's endpoint does not know `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_the_queries_that_the_demo_asks() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a valid time");
        let metrics = Metrics::new(Arc::new(cloud::ManualClock::at(at)));
        metrics.scrape(vec![("i-1".into(), 40.0), ("i-2".into(), 60.0)], at);
        metrics.hear(vec![("i-1".into(), true), ("i-2".into(), false)], at);
        for (query, value) in [
            ("avg(service_cpu_percent)", "50"),
            ("max(service_cpu_percent)", "60"),
            ("count(service_cpu_percent)", "2"),
            ("max(timestamp(service_cpu_percent))", "1767323045"),
            ("sum(up)", "1"),
            ("count(up)", "2"),
        ] {
            let (status, Json(body)) = answer(&metrics, &Ask { query: query.into(), time: None });
            assert_eq!(status, StatusCode::OK, "{query}");
            assert_eq!(body["data"]["result"][0]["value"][1], value, "{query}");
        }
        let (_, Json(none)) = answer(&metrics, &Ask { query: "avg(other)".into(), time: None });
        assert_eq!(none["data"]["result"], json!([]));
        for query in ["sum(", "rate(service_cpu_percent[1m])"] {
            let (status, Json(body)) = answer(&metrics, &Ask { query: query.into(), time: None });
            assert_eq!((status, &body["status"]), (StatusCode::BAD_REQUEST, &json!("error")));
        }
    }
}
