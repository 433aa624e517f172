//! An operator's commands, with the journal on a real PostgreSQL.

use std::process::Output;
use std::sync::Arc;

use cloud::SystemClock;
use ecs_emulator::{Emulator, World};

use crate::postgres::Server;
use crate::support::{Process, fleetscaler, free_port, get, signal, until};

/// A daemon's place: a cloud, a configuration, a port.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    pub(crate) emulator: Emulator,
    port: u16,
}

impl Site {
    pub(crate) async fn new(state: &str) -> Site {
        let emulator =
            Emulator::on_loopback(World::default(), Arc::new(SystemClock)).await.expect("a cloud");
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let text = format!(
            r#"
[daemon]
interval = "1s"
lease = "3s"
state = "{state}"
listen = "127.0.0.1:{port}"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{}"
[fleet.web]
provider = "aliyun"
min = 2
max = 4
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.web.signal.cpu]
source = "prometheus"
url = "http://127.0.0.1:9"
query = "avg(cpu)"
[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75 }}
"#,
            emulator.url(),
        );
        std::fs::write(dir.path().join("config.toml"), text).expect("written");
        Site { dir, emulator, port }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = fleetscaler();
        let config = self.dir.path().join("config.toml");
        command.arg(arguments[0]).arg("--config").arg(config).args(&arguments[1..]).envs([
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
            ("USER", "ann"),
        ]);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let Output { status, stdout, stderr } = output.expect("no panic").expect("it runs");
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        (status.code(), said)
    }

    pub(crate) fn daemon(&self) -> Process {
        let log = self.dir.path().join("daemon.log");
        Process::start(self.command(&["run", "--log-format", "text"]), &log, "cargo build")
    }

    pub(crate) async fn page(&self, page: &str) -> Option<String> {
        get(&format!("http://127.0.0.1:{}{page}", self.port)).await
    }
}

#[tokio::test]
async fn the_daemon_starts_without_its_database_and_everything_works_once_it_is_there() {
    let _processors = crate::support::processors_shared().await;
    let server = Server::start();
    let site = Site::new(&server.url()).await;
    server.stop();
    let mut daemon = site.daemon();
    until("a daemon that misses its journal", 30, async || {
        site.page("/readyz").await.filter(|page| page.contains("the journal cannot be used"))
    })
    .await;
    let metrics = site.page("/metrics").await.expect("metrics");
    assert!(metrics.contains("fleetscaler_journal_up 0"), "{metrics}");
    let (code, said) = site.run(&["journal"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot be reached"), "{said}");
    let dry = ["run", "--dry-run", "--once", "--log", "error"];
    let (_, said) = site.run(&dry).await;
    assert!(said.contains("without the journal: ") && said.contains("cannot be reached"), "{said}");
    assert_eq!(site.emulator.instances().len(), 0, "nothing is changed");

    server.resume();
    until("a ready daemon", 60, async || site.page("/readyz").await.filter(|page| page == "ok\n"))
        .await;
    until("two instances", 30, async || (site.emulator.instances().len() == 2).then_some(())).await;
    let (code, said) = site.run(&["hold", "--fleet", "web", "--for", "1h", "--reason", "x"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = site.run(&dry).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("without the journal"), "{said}");
    let (_, said) = site.run(&["check", "--online"]).await;
    assert!(said.contains("ok    state in the database: can be read"), "{said}");
    let (_, said) = site.run(&["holds"]).await;
    assert!(said.contains("scaling held by ann"), "{said}");
    let (code, said) = site.run(&["journal", "--fleet", "web"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("launch 2 × ecs.c7.large") && said.contains("held by ann"), "{said}");
    let at = said.find("decision ").expect("a decision") + "decision ".len();
    let (code, replayed) = site.run(&["replay", "--decision", &said[at..at + 8]]).await;
    assert_eq!(code, Some(0), "{replayed}");
    assert!(replayed.contains("identical: "), "{replayed}");
    let (code, said) = site.run(&["audit"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = site.run(&["resume", "--all-fleets"]).await;
    assert_eq!(code, Some(0), "{said}");

    signal("TERM", daemon.id());
    until("the end", 30, async || (!daemon.is_running()).then_some(())).await;
    let log = std::fs::read_to_string(site.dir.path().join("daemon.log")).expect("a log");
    let said = log.lines().filter(|line| line.contains("ERROR the journal cannot"));
    assert_eq!(said.count(), 1, "said once\n{log}");
    assert!(log.contains("the journal can be used again"), "{log}");
}
