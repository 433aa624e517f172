//! A real Prometheus: real ages, real staleness, real errors.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::SystemClock;
use fleetscaler::model::{Gap, Reading, Reduce, Span};
use fleetscaler::signals::{Clients, Prometheus, PrometheusSpec, ServerAccess, Source};

use crate::support::{Process, free_port, get, until};

const INSTALL: &str = "apt-get install -y prometheus prometheus-node-exporter";

/// A running Prometheus with its own storage.
pub(crate) struct Server {
    pub(crate) url: String,
    process: Process,
}

impl Server {
    /// Scrapes `targets` (job → host:port) every second.
    pub(crate) async fn start(dir: &Path, targets: &BTreeMap<&str, String>) -> Server {
        let jobs: String = targets
            .iter()
            .map(|(job, target)| {
                format!("  - job_name: {job}\n    static_configs: [{{ targets: ['{target}'] }}]\n")
            })
            .collect();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n{jobs}"
        );
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config).expect("written");
        let port = free_port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn");
        let process = Process::start(command, &dir.join("prometheus.log"), INSTALL);
        let url = format!("http://127.0.0.1:{port}");
        let ready = format!("{url}/-/ready");
        until("a ready Prometheus", 60, async || {
            get(&ready).await.filter(|text| text.contains("Ready"))
        })
        .await;
        Server { url, process }
    }
}

/// A running node_exporter; returns its address too.
pub(crate) async fn node_exporter(dir: &Path) -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address={address}")).args([
        "--collector.disable-defaults",
        "--collector.cpu",
        "--collector.loadavg",
    ]);
    let process = Process::start(command, &dir.join("node_exporter.log"), INSTALL);
    let url = format!("http://{address}/metrics");
    until("node_exporter's metrics", 30, async || {
        get(&url).await.filter(|text| text.contains("node_cpu_seconds_total"))
    })
    .await;
    (process, address)
}

/// A target whose metrics are what the test says, explicit time stamps included.
struct Target {
    address: String,
    text: Arc<Mutex<String>>,
    server: tokio::task::JoinHandle<()>,
}

impl Target {
    async fn start(text: &str) -> Target {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let shown = text.clone();
        let router = axum::Router::new().route(
            "/metrics",
            axum::routing::get(move || async move { shown.lock().expect("no panic").clone() }),
        );
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Target { address, text, server }
    }
}

async fn read(url: &str, query: &str, reduce: Option<Reduce>) -> Reading {
    let spec = PrometheusSpec {
        url: url.to_owned(),
        query: query.to_owned(),
        freshness: None,
        series: BTreeMap::new(),
        reduce,
        max_age: Span::secs(90),
        asks_coverage: false,
        timeout: Span::secs(5),
        access: ServerAccess::default(),
    };
    // No sharing: each call asks anew.
    let shared = Arc::new(Clients::new(Arc::new(SystemClock), Duration::ZERO));
    Prometheus::new(&spec, &shared).expect("a source").read().await
}

/// Asks until the reading is as wanted.
async fn becomes(url: &str, query: &str, wanted: impl Fn(&Reading) -> bool) -> Reading {
    until(query, 60, async || Some(read(url, query, None).await).filter(&wanted)).await
}

#[tokio::test]
async fn a_real_server_gives_values_with_their_age_and_every_gap() {
    let _processors = crate::support::processors_shared().await;
    let dir = tempfile::tempdir().expect("a directory");
    // The metric's own time stamp says that it is five minutes old (within Prometheus' look-back
    // of five minutes only just, so four).
    let old = (chrono_now() - chrono::TimeDelta::seconds(240)).timestamp_millis();
    let target = Target::start(&format!(
        "gauge{{pod=\"a\"}} 1\ngauge{{pod=\"b\"}} 3\nalone 7\nnan NaN\ninf +Inf\nold 5 {old}\n"
    ))
    .await;
    let (mut node, address) = node_exporter(dir.path()).await;
    let targets = [("node", address), ("app", target.address.clone())].into();
    let mut server = Server::start(dir.path(), &targets).await;
    let url = server.url.clone();

    let sample = becomes(&url, "alone", Reading::is_ok).await.expect("a sample");
    assert_eq!(sample.value, 7.0);
    assert!(sample.age <= Span::secs(30), "{:?}", sample.age);
    let cpu = "100 * (1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[10s])))";
    let sample = becomes(&url, cpu, Reading::is_ok).await.expect("a sample");
    assert!((-1.0..=101.0).contains(&sample.value), "{}", sample.value);
    let sample = read(&url, "gauge", Some(Reduce::Avg)).await.expect("a sample");
    assert_eq!(sample.value, 2.0);

    for (query, gap) in [
        ("gauge", "several_series"),
        ("nan", "not_finite"),
        ("inf", "not_finite"),
        ("no_such_metric", "empty"),
        ("sum(no_such_metric) or vector(0)", "age_unknown"),
        ("vector(1)", "age_unknown"),
        ("alone[1m]", "not_a_number"),
        ("label_replace(gauge, \"pod\", \"x\", \"\", \"\")", "query_failed"),
    ] {
        let got = read(&url, query, None).await.expect_err(query);
        assert_eq!(got.name(), gap, "{query}: {got}");
    }
    let stale = becomes(&url, "old", |r| matches!(r, Err(Gap::Stale { .. }))).await;
    assert!(stale.expect_err("stale").to_string().contains("more than max_age = 1m30s"));

    // A target that is gone ends its series at once, and a sum with a default hides that from
    // whoever looks at the value only.
    target.text.lock().expect("no panic").clear();
    let hidden = becomes(&url, "sum(alone) or vector(0)", Reading::is_err).await;
    assert_eq!(hidden.expect_err("hidden").name(), "age_unknown");
    assert_eq!(read(&url, "alone", None).await.expect_err("gone").name(), "empty");
    node.terminate();
    let ended = |reading: &Reading| matches!(reading, Err(Gap::Empty | Gap::AgeUnknown { .. }));
    becomes(&url, cpu, ended).await.expect_err("the series has ended");

    server.process.terminate();
    assert_eq!(read(&url, "alone", None).await.expect_err("down").name(), "unreachable");
    target.server.abort();
}

fn chrono_now() -> cloud::Timestamp {
    cloud::Clock::now(&SystemClock)
}
