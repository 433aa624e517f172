//! A hostile metric source, asked by the real binary: bounds on memory, disk, log and time, no secret of
//! ours anywhere, and the machines untouched.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloud::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::World;
use crate::http::Daemon;

const TOKEN: &str = "hush-hush-token";
/// All answers of peers together.
const MEMORY_KIB: u64 = 64 * 1024;
const ANSWER: usize = 4 * 1024 * 1024 - 1024;

/// One request is read, and answered the `n`th way.
async fn answer(mut stream: TcpStream, n: usize) {
    let mut request = vec![0; 16 * 1024];
    let read = stream.read(&mut request).await.unwrap_or_default();
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    let body = match n % 5 {
        0 => "[".repeat(ANSWER),
        1 => {
            let series = r#"{"metric":{"a":"b"},"value":[1,"1"]},"#;
            let begin = r#"{"status":"success","data":{"resultType":"vector","result":["#;
            format!("{begin}{}", series.repeat(ANSWER / series.len()))
        }
        // The request repeated, and lines that look like ours.
        2 => format!(
            r#"{{"status":"error","error":{}}}"#,
            serde_json::Value::from(format!("{request}\n{{\"level\":\"INFO\"}}\n").repeat(8_000))
        ),
        3 => format!("{request}\r\n{}", "\u{1b}[2J\u{202e}all is well\n".repeat(100_000)),
        _ => {
            // It begins, and goes on for ever.
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await);
            while stream.write_all(b"4\r\n    \r\n").await.is_ok() {
                SystemClock.sleep(Duration::from_millis(10)).await;
            }
            return;
        }
    };
    let status = if n % 5 < 2 { "200 OK" } else { "400 Bad Request" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    drop(stream.write_all(head.as_bytes()).await);
    drop(stream.write_all(body.as_bytes()).await);
}

/// A source that is only away until `turn` is above 0, and hostile from then on.
async fn source(turn: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match turn.load(Ordering::Relaxed) {
                0 => drop(stream),
                n => {
                    turn.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(answer(stream, n));
                }
            }
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_source_costs_little_and_changes_nothing() {
    let world = World::new().await;
    let theirs = world.emulator.place(&[("team", "billing")]);
    let turn = Arc::new(AtomicUsize::new(0));
    let url = source(turn.clone()).await;
    let secret = world.config().with_file_name("token");
    std::fs::write(&secret, TOKEN).expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let daemon = Daemon::started(&world, "web", |command| {
        let text = std::fs::read_to_string(world.config()).expect("the configuration");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for line in lines.iter_mut().filter(|line| line.starts_with("url = ")) {
            *line = format!("url = \"{url}\"\nbearer_token_file = \"token\"\ntimeout = \"1s\"");
        }
        std::fs::write(world.config(), lines.join("\n")).expect("written");
        command
    });
    daemon.until_metric("fleetscaler_instances{fleet=\"web\",phase=\"in_service\"} 1.0").await;
    let before = daemon.status("VmHWM");

    turn.store(1, Ordering::Relaxed);
    for _ in 0..200 {
        if turn.load(Ordering::Relaxed) > 11 {
            break;
        }
        SystemClock.sleep(Duration::from_millis(200)).await;
    }
    assert!(turn.load(Ordering::Relaxed) > 5, "every kind of answer was asked for");
    assert_eq!(daemon.get("/healthz").await, (200, "ok\n".to_owned()));
    let grew = daemon.status("VmHWM").saturating_sub(before);
    assert!(grew < MEMORY_KIB, "{grew} KiB more at the most");
    let metrics = daemon.get("/metrics").await.1;
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");

    assert!(log.lines().count() < 80 && log.len() < 100_000, "{} bytes: {log}", log.len());
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("every line is ours");
    }
    let mut disk = Vec::new();
    for file in std::fs::read_dir(world.state().parent().expect("a directory")).expect("read") {
        let path = file.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("state.db")) {
            disk.extend(std::fs::read(path).expect("read"));
        }
    }
    assert!(disk.len() < 8 * 1024 * 1024, "{} bytes of journal", disk.len());
    let disk = String::from_utf8_lossy(&disk);
    for text in [&*disk, &log, &metrics] {
        assert!(!text.contains(TOKEN));
    }
    let calls = world.emulator.transcript();
    let count = |action: &str| calls.iter().filter(|call| call.action == action).count();
    assert_eq!((count("RunInstances"), count("DeleteInstances")), (1, 0));
    let views = world.emulator.instances();
    assert!(views.iter().all(|view| view.status == "Running"), "{views:?}");
    assert!(views.iter().any(|view| view.id == theirs));
}
