//! Metrics and health of the daemon, over HTTP.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cloud::{Clock, SystemClock};
use ecs_emulator::{Fault, FaultKind};

use crate::harness::World;

/// A running daemon; it is killed when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: String,
}

impl Daemon {
    pub(crate) fn start(world: &World) -> Daemon {
        Daemon::start_for(world, "web")
    }

    /// Starts it for one fleet called `fleet`.
    pub(crate) fn start_for(world: &World, fleet: &str) -> Daemon {
        Daemon::started(world, fleet, |command| command)
    }

    /// Starts it for one fleet, by the command that `change` makes of the usual one.
    pub(crate) fn started(
        world: &World,
        fleet: &str,
        change: impl FnOnce(Command) -> Command,
    ) -> Daemon {
        let port = free_port();
        world.configure(&format!("listen = \"127.0.0.1:{port}\""), fleet);
        let mut command = change(world.command(&["run", "--log-format", "json"]));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        Daemon { child, address: format!("http://127.0.0.1:{port}") }
    }

    /// Status and body of a page, once there is an answer.
    pub(crate) async fn get(&self, page: &str) -> (u16, String) {
        let client = cloud::http::client_builder().tls_certs_only([]).build().expect("a client");
        for _ in 0..100 {
            if let Ok(response) = client.get(format!("{}{page}", self.address)).send().await {
                let status = response.status().as_u16();
                return (status, response.text().await.expect("a body"));
            }
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
        panic!("{}{page} does not answer", self.address);
    }

    /// Waits until the metrics have this line.
    pub(crate) async fn until_metric(&self, line: &str) -> String {
        let mut text = String::new();
        for _ in 0..300 {
            text = self.get("/metrics").await.1;
            if text.lines().any(|got| got == line) {
                return text;
            }
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
        panic!("no {line}\n{text}");
    }

    /// Waits until no metric has this in its line.
    pub(crate) async fn until_no_metric(&self, part: &str) {
        for _ in 0..300 {
            if !self.get("/metrics").await.1.contains(part) {
                return;
            }
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
        panic!("{part} stays");
    }

    /// Stops it; returns its exit code and its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("a pipe");
        std::io::Read::read_to_string(&mut stderr, &mut log).expect("UTF-8");
        (self.child.wait().expect("a status").code(), log)
    }
}

impl Daemon {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A number of `/proc/PID/status`, such as `VmRSS`.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let text = text.expect("it lives");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let word = line.and_then(|line| line.split_whitespace().next()).expect(name);
        word.parse().expect("a number")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_running_daemon_shows_its_metrics_and_health_also_when_the_cloud_is_gone() {
    let world = World::new().await;
    let daemon = Daemon::start(&world);
    let (status, index) = daemon.get("/").await;
    assert_eq!(status, 200);
    for page in ["/metrics", "/healthz", "/readyz"] {
        assert!(index.contains(page), "{index}");
    }
    assert_eq!(daemon.get("/nothing").await.0, 404);
    let text =
        daemon.until_metric("fleetscaler_instances{fleet=\"web\",phase=\"in_service\"} 1.0").await;
    assert_eq!(daemon.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(daemon.get("/readyz").await, (200, "ok\n".to_owned()));
    for line in [
        "fleetscaler_held{fleet=\"web\"} 1.0",
        "fleetscaler_desired{fleet=\"web\"} 1.0",
        "fleetscaler_signal_missing{fleet=\"web\",signal=\"cpu\"} 0.0",
        "fleetscaler_launches_total{fleet=\"web\"} 1.0",
        "fleetscaler_journal_up 1.0",
        "fleetscaler_journal_replicas 1.0",
        "fleetscaler_api_calls_total{account=\"aliyun\",action=\"RunInstances\",class=\"ok\"} 1.0",
    ] {
        assert!(text.lines().any(|got| got == line), "{line}\n{text}");
    }
    assert!(text.contains("fleetscaler_api_headroom{account=\"aliyun\",action=\"*\"}"), "{text}");
    assert!(
        !text.contains("testsecret") && !text.contains("testid") && !text.contains("i-"),
        "{text}"
    );

    // A hold beside the running daemon.
    let held = world.run(&["hold", "--fleet", "web", "--for", "1h", "--reason", "a look"]).await;
    assert_eq!(held.code, Some(0), "{held:?}");
    world.cpu(95.0);
    let mut blocked = String::new();
    for _ in 0..100 {
        blocked = daemon.get("/metrics").await.1;
        if blocked.contains("decisions_blocked_total{fleet=\"web\",reason=\"held\"}") {
            break;
        }
        world.cpu(95.0);
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    assert!(blocked.contains("reason=\"held\""), "{blocked}");
    let read = world.run(&["journal", "--fleet", "web"]).await;
    assert!(read.out.contains("scaling held by ann"), "{read:?}");

    let forbidden = Fault::on("DescribeInstances", FaultKind::Forbidden);
    world.emulator.inject(forbidden);
    let unreadable =
        "fleetscaler_alert{fleet=\"web\",account=\"\",code=\"cloud_unreadable\",about=\"\"} 1.0";
    daemon.until_metric(unreadable).await;
    assert_eq!(daemon.get("/healthz").await.0, 200, "the loop still ticks");
    world.emulator.clear_faults();
    daemon.until_no_metric("code=\"cloud_unreadable\"").await;
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    let said: Vec<&str> =
        log.lines().filter(|line| line.contains("\"alert\":\"cloud_unreadable\"")).collect();
    assert_eq!(said.len(), 2, "said once, and once that it is over\n{log}");
    assert!(said[0].contains("\"level\":\"WARN\""), "{log}");
    assert!(said[1].contains("\"level\":\"INFO\"") && said[1].contains("cleared"), "{log}");
}

#[tokio::test]
async fn a_stray_is_an_alert_of_its_account_with_its_price() {
    let world = World::new().await;
    world.grow_to(1, 50.0).await;
    let stray = world.emulator.instances()[0].id.clone();
    let daemon = Daemon::start_for(&world, "shop");
    let labels = format!("fleet=\"\",account=\"aliyun\",code=\"stray\",about=\"{stray}\"");
    let text = daemon.until_metric(&format!("fleetscaler_alert{{{labels}}} 1.0")).await;
    for line in [
        "fleetscaler_audit_findings{account=\"aliyun\",kind=\"stray\"} 1.0",
        "fleetscaler_audit_cost_per_hour{account=\"aliyun\",currency=\"CNY\"} 0.5",
    ] {
        assert!(text.lines().any(|got| got == line), "{line}\n{text}");
    }
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    let said = log.lines().filter(|line| {
        line.contains("\"alert\":\"stray\"") && line.contains("\"account.id\":\"aliyun\"")
    });
    assert_eq!(said.count(), 1, "{log}");
    let left = world.emulator.instances().into_iter().find(|view| view.id == stray);
    assert_eq!(left.expect("it is listed").status, "Running", "only reported");
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_start_with_what_to_do() {
    let world = World::new().await;
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address");
    world.configure(&format!("listen = \"{address}\""), "web");
    let said = world.run(&["run", "--log-format", "text"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let wanted = format!("[daemon] listen = \"{address}\" cannot be used: Address already in use");
    assert!(said.err.contains(&wanted), "{said:?}");
    // Beside the daemon, a single tick needs no address.
    assert_eq!(world.run(&["run", "--once", "--log", "error"]).await.code, Some(0));
}

#[tokio::test]
async fn what_a_fleet_costs_and_what_its_schedule_says_is_shown() {
    let world = World::new().await;
    let schedule = "[[fleet.web.rule]]\nkind = \"schedule\"\nname = \"days\"\ntimezone = \"UTC\"\n\
                    entries = [{ cron = \"0 8 * * *\", lasts = \"9h\", min = 1 }]\n";
    let daemon = Daemon::started(&world, "web", |command| {
        world.edit(|text| text + schedule);
        command
    });
    daemon.until_metric("fleetscaler_cost_per_hour{fleet=\"web\",currency=\"CNY\"} 0.5").await;
    let (status, body) = daemon.get("/v1/fleets/web").await;
    assert_eq!(status, 200, "{body}");
    let fleet: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(fleet["cost"]["amount_per_hour"], 0.5, "{fleet:#}");
    assert_eq!(fleet["schedule"][0]["rule"], "days", "{fleet:#}");
    assert_eq!(fleet["schedule"][0]["min_instances"], 1, "{fleet:#}");
    let (_, body) = daemon.get("/v1/overview").await;
    assert!(body.contains("\"cost_per_hour\":0.5,\"currency\":\"CNY\""), "{body}");
    let why = world.run(&["why", "web"]).await;
    assert!(why.out.contains("Costs    0.50 CNY an hour, 12.00 a day, for 1 instance."), "{why:?}");
}
