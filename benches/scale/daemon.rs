//! The daemon as a process: started, asked, measured and stopped.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cloud::Clock;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failure;
use crate::arguments::Arguments;

/// The daemon says where it listens within this time, or has said why it does not run.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);
/// What is under way is finished first; nothing here takes a minute.
const STOPS_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// A running daemon; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    address: String,
}

/// What the kernel says of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds on any core since the start.
    pub(crate) cpu_secs: f64,
    pub(crate) rss_mib: f64,
    pub(crate) rss_peak_mib: f64,
}

impl Daemon {
    pub(crate) fn start(
        arguments: &Arguments,
        dir: &Path,
        config: &Path,
    ) -> Result<Daemon, Failure> {
        let log = File::create(dir.join("log"))?;
        let child = Command::new(&arguments.daemon)
            .arg("run")
            .arg("--config")
            .arg(config)
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid")
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", arguments.daemon.display()))?;
        let mut daemon = Daemon { child, address: String::new() };
        let log = dir.join("log");
        for _ in 0..LISTENS_WITHIN.as_millis() / LOOK.as_millis() {
            let text = std::fs::read_to_string(&log)?;
            let served = text.split("served on http://").nth(1);
            if let Some(address) = served.and_then(|rest| rest.split('/').next()) {
                daemon.address = address.to_owned();
                return Ok(daemon);
            }
            if let Some(status) = daemon.child.try_wait()? {
                return Err(format!("the daemon ended with {status}:\n{text}").into());
            }
            pause();
        }
        Err(format!("the daemon does not listen:\n{}", daemon.log_tail(dir)).into())
    }

    /// Whether every fleet has ticked.
    pub(crate) async fn is_ready(&self) -> Result<bool, Failure> {
        Ok(self.get("/readyz").await?.0 == 200)
    }

    /// The status and the body of a page.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String), Failure> {
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", &self.address)
            .header("connection", "close")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let stat = std::fs::read_to_string(proc.join("stat"))?;
        // The name before it, in parentheses, may have spaces.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok());
        let status = std::fs::read_to_string(proc.join("status"))?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().ok()?;
            Some(kib / 1024.0)
        };
        // utime and stime, in hundredths of a second on every Linux.
        let cpu = ticks(11).zip(ticks(12)).map(|(user, system)| (user + system) / 100.0);
        let read = || "the process cannot be measured: /proc has another form".to_owned();
        Ok(Usage {
            cpu_secs: cpu.ok_or_else(read)?,
            rss_mib: mib("VmRSS").ok_or_else(read)?,
            rss_peak_mib: mib("VmHWM").ok_or_else(read)?,
        })
    }

    pub(crate) fn log_tail(&self, dir: &Path) -> String {
        let text = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn stop(mut self, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        for _ in 0..STOPS_WITHIN.as_millis() / LOOK.as_millis() {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            clock.sleep(LOOK).await;
        }
        Err(format!("the daemon did not end within {STOPS_WITHIN:?}").into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "another process starts, on the real clock")]
fn pause() {
    std::thread::sleep(LOOK);
}
