//! A hostile neighbour on the host: it reaches the port of the metrics, and nothing else.

use std::process::Command;
use std::time::Duration;

use cloud::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::World;
use crate::http::Daemon;

/// Descriptors that the daemon may have in these tests: few enough to be used up.
const DESCRIPTORS: usize = 256;

/// The daemon with a soft limit below the hard one, as systems start it.
fn limited(command: Command) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -Sn 64; ulimit -Hn {DESCRIPTORS}; exec \"$@\"");
    shell.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    shell.env_clear().stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        shell.env(name, value.expect("no variable is removed"));
    }
    shell.env("PATH", "/usr/bin:/bin");
    shell
}

async fn connected(daemon: &Daemon, first: &str) -> Option<TcpStream> {
    let address = daemon.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.ok()?;
    // It may be given up at once.
    drop(stream.write_all(first.as_bytes()).await);
    Some(stream)
}

/// Connections on which `first` was sent.
async fn flood(daemon: &Daemon, count: usize, first: &str) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.extend(connected(daemon, first).await);
    }
    open
}

/// More sockets than this process may have by default.
fn raise_own_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("up to the hard limit");
}

#[tokio::test]
async fn floods_cost_little_memory_and_the_daemon_goes_on_scaling() {
    raise_own_limit();
    let world = World::new().await;
    // Somebody else's, in the same account.
    let other = world.emulator.place(&[("team", "billing")]);
    let daemon = Daemon::started(&world, "web", limited);
    daemon.until_metric("fleetscaler_instances{fleet=\"web\",phase=\"in_service\"} 1.0").await;
    let before = daemon.status("VmRSS");

    let half = flood(&daemon, 1_100, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1").await;
    let request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let slow = flood(&daemon, 400, &request.repeat(200)).await;
    assert!(half.len() + slow.len() > 1_000, "the flood arrived");

    // Beside all that somebody asks, and the fleet grows with its load.
    assert_eq!(daemon.get("/healthz").await, (200, "ok\n".to_owned()));
    world.cpu(95.0);
    let mut grown = false;
    for _ in 0..100 {
        grown = world.emulator.instances().iter().filter(|view| view.id != other).count() >= 2;
        if grown {
            break;
        }
        world.cpu(95.0);
        SystemClock.sleep(Duration::from_millis(200)).await;
    }
    assert!(grown, "the daemon goes on scaling");
    let grew = daemon.status("VmRSS").saturating_sub(before);
    assert!(grew < 32 * 1024, "{grew} KiB more");
    drop((half, slow));

    let untouched = world.emulator.instances().into_iter().find(|view| view.id == other);
    assert_eq!(untouched.expect("it is there").status, "Running");
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("descriptor"), "{log}");
    assert!(log.lines().count() < 60, "{log}");
}

#[tokio::test]
async fn a_page_under_another_name_is_not_this_machines() {
    let world = World::new().await;
    let daemon = Daemon::start(&world);
    daemon.get("/healthz").await;
    let request = "GET /metrics HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n";
    let mut stream = connected(&daemon, request).await.expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    assert!(answer.contains("listen_hosts") && !answer.contains("fleetscaler_"), "{answer}");
}

#[tokio::test]
async fn being_near_the_end_of_the_descriptors_is_an_alert() {
    let world = World::new().await;
    // What leaks is the same as what is inherited.
    let leak = "for n in $(seq 10 220); do eval \"exec $n</dev/null\"; done; exec \"$@\"";
    let daemon = Daemon::started(&world, "web", |command| {
        let limited = limited(command);
        let mut shell = Command::new("bash");
        shell.args(["-c", leak, "bash"]).arg(limited.get_program()).args(limited.get_args());
        shell.stdin(std::process::Stdio::null()).env_clear();
        for (name, value) in limited.get_envs() {
            shell.env(name, value.expect("no variable is removed"));
        }
        shell
    });
    let line = "fleetscaler_alert{fleet=\"\",account=\"\",code=\"descriptors\",about=\"\"} 1.0";
    daemon.until_metric(line).await;
    daemon.until_metric("fleetscaler_instances{fleet=\"web\",phase=\"in_service\"} 1.0").await;
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    let said = log.lines().filter(|line| line.contains("\"alert\":\"descriptors\""));
    let said: Vec<&str> = said.collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains(&format!("of {DESCRIPTORS} file descriptors are in use")), "{log}");
}

#[tokio::test]
async fn signals_for_other_programs_do_not_end_it_and_nobody_reads_its_memory() {
    let world = World::new().await;
    let daemon = Daemon::start(&world);
    daemon.until_metric("fleetscaler_held{fleet=\"web\"} 1.0").await;
    for signal in ["-USR1", "-USR2"] {
        let sent = Command::new("kill").args([signal, &daemon.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }
    assert_eq!(daemon.get("/healthz").await.0, 200, "it goes on");
    // The kernel gives the files of a process that is not dumpable to root.
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{}/environ", daemon.id())).expect("it is there");
    assert_eq!(owner.uid(), 0);
    assert_eq!(daemon.stop().0, Some(0));
}
