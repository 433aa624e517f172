//! The main job, end to end: a real Prometheus scrapes a real node_exporter of this machine; a
//! burner drives the real CPU over the threshold; the daemon, started and configured as a user
//! would, grows the fleet, and shrinks it again when the burner stops.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::prometheus::{Server, node_exporter};
use crate::support::{Process, fleetscaler, free_port, get, until};

/// Keeps every core busy until it is dropped, and for two minutes at the most.
struct Burner(Vec<Process>);

impl Burner {
    fn start(dir: &Path) -> Burner {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let one = |n: usize| {
            let mut command = Command::new("timeout");
            command.args(["120", "sh", "-c", "exec sha256sum /dev/zero"]);
            Process::start(
                command,
                &dir.join(format!("burner{n}.log")),
                "apt-get install -y coreutils",
            )
        };
        Burner((0..cores).map(one).collect())
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        // `timeout` hands SIGTERM on to its child; killing it would leave the child behind.
        for burner in &mut self.0 {
            burner.terminate();
        }
    }
}

async fn emulator_says(url: &str, what: &str) -> Vec<Value> {
    let text = get(&format!("{url}/_emulator/{what}")).await.expect("the emulator answers");
    serde_json::from_str(&text).expect("a list")
}

async fn serving(url: &str) -> usize {
    let running =
        |view: &&Value| view["status"] == "Running" && view["tags"]["scale-fleet"] == "web";
    emulator_says(url, "instances").await.iter().filter(running).count()
}

#[tokio::test]
async fn real_load_grows_the_fleet_and_its_end_shrinks_it() {
    let _processors = crate::support::processors_alone().await;
    let dir = tempfile::tempdir().expect("a directory");
    let (_node, address) = node_exporter(dir.path()).await;
    let prometheus = Server::start(dir.path(), &[("node", address)].into()).await;

    let port = free_port();
    let cloud = format!("http://127.0.0.1:{port}");
    let mut command = fleetscaler();
    command.args(["emulator", "--boot", "2s", "--listen", &format!("127.0.0.1:{port}")]);
    let _emulator = Process::start(command, &dir.path().join("emulator.log"), "cargo build");
    until("an emulator", 30, async || get(&format!("{cloud}/_emulator/clock")).await).await;
    let foreign =
        post(&format!("{cloud}/_emulator/instances"), r#"{"tags":{"owner":"else"}}"#).await;

    let config = dir.path().join("config.toml");
    std::fs::write(&config, text(dir.path(), &cloud, &prometheus.url)).expect("written");
    let key = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
    ];
    let check = fleetscaler().arg("check").arg("--config").arg(&config).envs(key).output();
    assert!(check.expect("it runs").status.success());
    let mut command = fleetscaler();
    command.arg("run").arg("--config").arg(&config).envs(key);
    let mut daemon = Process::start(command, &dir.path().join("daemon.log"), "cargo build");

    until("the minimum of 1", 60, async || (serving(&cloud).await >= 1).then_some(())).await;
    {
        let _burner = Burner::start(dir.path());
        until("three instances", 100, async || (serving(&cloud).await >= 3).then_some(())).await;
    }
    until("one instance again", 150, async || (serving(&cloud).await == 1).then_some(())).await;
    assert!(daemon.is_running());
    assert_eq!(daemon.terminate(), Some(0), "a clean stop");

    let transcript = emulator_says(&cloud, "transcript").await;
    let ids = |key: &str| -> Vec<String> {
        let lists = transcript.iter().flat_map(|entry| entry[key].as_array().cloned());
        lists.flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    let (created, deleted) = (ids("created"), ids("deleted"));
    assert!(created.len() >= 3 && created.len() <= 4, "never above max: {created:?}");
    assert_eq!(
        deleted,
        created[..deleted.len()],
        "the oldest first: none warms up, which would go before those that serve"
    );
    let tokens: Vec<&Value> = transcript
        .iter()
        .filter(|entry| entry["action"] == "RunInstances")
        .map(|entry| &entry["parameters"]["ClientToken"])
        .collect();
    let distinct: std::collections::BTreeSet<String> =
        tokens.iter().map(|t| t.to_string()).collect();
    assert_eq!(tokens.len(), distinct.len(), "one token per launch");
    assert_eq!(emulator_says(&cloud, "violations").await, Vec::<Value>::new());
    let views = emulator_says(&cloud, "instances").await;
    let other = views.iter().find(|view| foreign.contains(view["id"].as_str().unwrap_or("?")));
    assert_eq!(
        other.expect("it is listed")["status"],
        "Running",
        "untagged instances are untouched"
    );

    // The same, seen by the vendor's own SDK.
    let listed = crate::sdk::run(&["list", &cloud]);
    let listed: Value = serde_json::from_str(listed.trim()).expect("a list");
    let ours: Vec<&Value> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter(|instance| {
            instance["tags"]["scale-fleet"] == "web" && instance["status"] == "Running"
        })
        .collect();
    assert_eq!(ours.len(), 1, "{listed}");
    for tag in ["scale-source", "scale-timestamp", "scale-intent"] {
        assert!(ours[0]["tags"][tag].is_string(), "{tag}: {listed}");
    }
}

async fn post(url: &str, body: &str) -> String {
    let client = cloud::http::client_builder().tls_certs_only([]).build().expect("a client");
    let sent = client.post(url).body(body.to_owned()).send().await.expect("an answer");
    sent.text().await.expect("a body")
}

fn text(dir: &Path, cloud: &str, prometheus: &str) -> String {
    format!(
        r#"
[daemon]
interval = "1s"
state = "sqlite:{}"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
[fleet.web]
provider = "aliyun"
min = 1
max = 4
max_removal_percent = 100
warmup = "0s"
stabilization = "5s"
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large", "ecs.g7.large"]
vswitches = ["vsw-zone-h", "vsw-zone-i"]
security_group_ids = ["sg-bp1example"]
[fleet.web.signal.cpu]
source = "prometheus"
url = "{prometheus}"
query = '100 * (1 - avg(rate(node_cpu_seconds_total{{mode="idle"}}[8s])))'
max_age = "20s"
[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 85, samples = 2, by = 2 }}
scale_in = {{ below = 70, samples = 3, by = 1 }}
cooldown = {{ out = "4s", in = "2s" }}
"#,
        dir.join("state.db").display(),
    )
}
