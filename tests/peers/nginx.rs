//! A real nginx in front of a fleet that grows and shrinks all the time: nobody who asks it may notice.
//!
//! The emulator gives instances addresses of this machine, and servers of this test stand for them. A
//! server begins to answer some time after its instance runs (the service is slow to start), and is cut
//! off in the middle of its answers when the instance is deleted. nginx reads the list of servers that the
//! daemon renders, and never asks a second server for a request that the first one failed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloud::{Clock, SystemClock};
use ecs_emulator::{Emulator, World as Cloud};
use fleetscaler::demo::prometheus::{self, Metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{Process, fleetscaler, free_port, get, until};

/// How long the service of an instance takes to start once it runs.
const STARTS: Duration = Duration::from_millis(700);
/// Every fiftieth request takes this long: it is under way while its instance leaves.
const SLOW: Duration = Duration::from_secs(2);
/// Those who ask at the same time.
const CLIENTS: usize = 24;
/// From the smallest size to the largest: so many scale-outs, and as many scale-ins.
const STEPS: u64 = 5;
const ROUNDS: usize = 2;

/// The servers that stand for instances.
struct Instances {
    emulator: Emulator,
    port: u16,
}

impl Instances {
    /// Begins and ends servers as instances run and end, for ever.
    async fn serve(self: Arc<Instances>) {
        let mut servers: BTreeMap<IpAddr, JoinSet<()>> = BTreeMap::new();
        loop {
            let running: BTreeSet<IpAddr> = self
                .emulator
                .instances()
                .into_iter()
                .filter(|instance| instance.status == "Running")
                .filter_map(|instance| instance.private_ip.parse().ok())
                .collect();
            // A deleted instance cuts off what it was doing.
            servers.retain(|ip, _| running.contains(ip));
            for ip in running {
                servers.entry(ip).or_insert_with(|| {
                    let mut server = JoinSet::new();
                    server.spawn(serve(SocketAddr::new(ip, self.port)));
                    server
                });
            }
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn serve(address: SocketAddr) {
    SystemClock.sleep(STARTS).await;
    let listener = TcpListener::bind(address).await.expect("an address of this machine");
    let mut answers = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        answers.spawn(answer(stream, address.ip()));
        while answers.try_join_next().is_some() {}
    }
}

/// `GET /slow` takes its time, everything else is answered at once.
async fn answer(mut stream: TcpStream, ip: IpAddr) {
    let mut head = Vec::new();
    let mut buffer = [0; 1_024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    if head.starts_with(b"GET /slow") {
        SystemClock.sleep(SLOW).await;
    }
    let body = ip.to_string();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // Nobody may be there any more.
    drop(stream.write_all(text.as_bytes()).await);
}

/// Starts nginx with the list of servers that is at `dir/upstream.conf`.
fn nginx(dir: &Path, port: u16) -> Process {
    let shown = dir.display();
    let conf = format!(
        "daemon off;\nmaster_process on;\nworker_processes 1;\npid {shown}/nginx.pid;\n\
         error_log {shown}/nginx-error.log warn;\nevents {{ worker_connections 512; }}\n\
         http {{\n  access_log off;\n  proxy_temp_path {shown}/t1;\n  client_body_temp_path {shown}/t2;\n\
         fastcgi_temp_path {shown}/t3;\n  uwsgi_temp_path {shown}/t4;\n  scgi_temp_path {shown}/t5;\n\
         include {shown}/upstream.conf;\n  server {{\n    listen 127.0.0.1:{port};\n    location / {{\n\
         proxy_pass http://web;\n      proxy_next_upstream off;\n    }}\n  }}\n}}\n",
    );
    std::fs::write(dir.join("nginx.conf"), conf).expect("written");
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-e").arg(dir.join("nginx-start.log")).arg("-c").arg(dir.join("nginx.conf"));
    Process::start(command, &dir.join("nginx.log"), "apt-get install -y nginx-light")
}

fn configuration(dir: &Path, cloud: &str, metrics: &str, port: u16) -> String {
    let shown = dir.display();
    format!(
        r#"
[daemon]
interval = "1s"
state = "sqlite:{shown}/state.db"
api_socket = "{shown}/api.sock"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
rate_limits = {{ DescribeInstances = 100, account = 200 }}
[fleet.web]
provider = "aliyun"
min = 1
max = 12
max_removal_percent = 100
warmup = "0s"
stabilization = "0s"
terminate = "force"
[[fleet.web.health]]
kind = "http"
url = "http://{{ip}}:{port}/"
interval = "1s"
healthy_after = 1
[fleet.web.drain]
wait = "4s"
timeout = "30s"
[[fleet.web.render]]
template = "{shown}/upstream.conf.j2"
file = "{shown}/upstream.conf"
check = ["/bin/grep", "-q", "server", "{{file}}"]
reload = ["/bin/sh", "-c", "test ! -e {shown}/nginx.pid || kill -HUP $(cat {shown}/nginx.pid)"]
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.web.signal.size]
source = "prometheus"
url = "{metrics}"
query = "avg(service_cpu_percent)"
[[fleet.web.rule]]
kind = "external"
signal = "size"
"#
    )
}

const TEMPLATE: &str = "upstream {{ fleet }} {\n{% for i in instances %}  server {{ i.ip }}:PORT max_fails=0;\n{% endfor %}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_real_nginx_no_request_is_lost_while_the_fleet_grows_and_shrinks() {
    let _processors = crate::support::processors_shared().await;
    let dir = tempfile::tempdir().expect("a directory");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut cloud = Cloud { loopback: true, ..Cloud::default() };
    cloud.set_boot(Duration::from_millis(300));
    let emulator = Emulator::on_loopback(cloud, clock.clone()).await.expect("an emulator");
    let url = emulator.url();
    let instances = Arc::new(Instances { emulator, port: free_port() });
    let port = instances.port;
    let servers = tokio::spawn(instances.clone().serve());
    let metrics = Arc::new(Metrics::new(clock));
    let endpoint = prometheus::serve(metrics.clone()).await.expect("an endpoint");

    let text = configuration(dir.path(), &url, &endpoint.url(), port);
    std::fs::write(dir.path().join("config.toml"), text).expect("written");
    let template = TEMPLATE.replace("PORT", &port.to_string());
    std::fs::write(dir.path().join("upstream.conf.j2"), template).expect("written");
    let want = |size: u64| {
        metrics.scrape(vec![("all".to_owned(), size as f64)], SystemClock.now());
    };
    want(1);
    let mut command = fleetscaler();
    command.arg("run").arg("--config").arg(dir.path().join("config.toml")).envs([
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
    ]);
    let mut daemon = Process::start(command, &dir.path().join("daemon.log"), "cargo build");
    let upstream = dir.path().join("upstream.conf");
    let named =
        || std::fs::read_to_string(&upstream).unwrap_or_default().matches("server ").count();
    until("a list of one server", 60, async || (named() == 1).then_some(())).await;
    let front = free_port();
    let mut nginx = nginx(dir.path(), front);
    let page = format!("http://127.0.0.1:{front}");
    until("an answer through nginx", 30, async || {
        get(&page).await.filter(|text| text.starts_with("127.16."))
    })
    .await;

    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(load.clone().ask(client, page.clone()));
    }
    for _ in 0..ROUNDS {
        for size in (2..=1 + STEPS).chain((1..=STEPS).rev()) {
            want(size);
            until(&format!("{size} servers"), 90, async || {
                want(size);
                assert!(daemon.is_running() && nginx.is_running());
                (named() as u64 == size).then_some(())
            })
            .await;
        }
    }
    // Those that left last are deleted under the load, too.
    until("one instance", 60, async || {
        let left = instances.emulator.instances();
        (left.iter().filter(|instance| instance.status == "Running").count() == 1).then_some(())
    })
    .await;
    load.is_over.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    let (asked, lost) =
        (load.asked.load(Ordering::Relaxed), load.lost.lock().expect("no panic").clone());
    let log = std::fs::read_to_string(dir.path().join("nginx-error.log")).unwrap_or_default();
    assert!(lost.is_empty(), "of {asked} requests: {lost:#?}; nginx says: {log}");
    assert!(asked >= 2_000, "only {asked} requests were made");
    let launched = instances.emulator.instances().len() as u64;
    // What was drained may have come back instead of a launch.
    assert!((1 + STEPS..=1 + ROUNDS as u64 * STEPS).contains(&launched), "{launched} launched");
    assert_eq!(daemon.terminate(), Some(0));
    nginx.terminate();
    servers.abort();
}

/// People who ask.
#[derive(Default)]
struct Load {
    asked: AtomicUsize,
    lost: std::sync::Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Load {
    async fn ask(self: Arc<Load>, client: usize, page: String) {
        // A kept connection that nginx ends while it reloads is the client's affair: each asks anew.
        let http = cloud::http::client_builder().tls_certs_only([]).pool_max_idle_per_host(0);
        let http = http.build().expect("a client");
        while !self.is_over.load(Ordering::Relaxed) {
            let n = self.asked.fetch_add(1, Ordering::Relaxed);
            let path = if n % 50 == client { "/slow" } else { "/" };
            let answer = http.get(format!("{page}{path}")).send().await;
            let why = match answer {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(format!("{path}: {}", answer.status())),
                Err(error) => Some(format!("{path}: {error:?}")),
            };
            if let Some(why) = why {
                let at = SystemClock.now();
                self.lost.lock().expect("no panic").push(format!("{at} {why}"));
            }
            // Not all of this machine: the daemon has work to do, too.
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
    }
}
