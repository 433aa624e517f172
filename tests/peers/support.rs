//! Processes that end with their test, free ports, waiting on conditions.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cloud::{Clock, SystemClock};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command`; its output goes to `log`. Panics with `install` when the program is absent.
    pub(crate) fn start(mut command: Command, log: &Path, install: &str) -> Process {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = std::fs::File::create(log).expect("a log file");
        let errors = file.try_clone().expect("a second handle");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{name} does not start ({error}); install it: {install}")
        });
        Process { child, name }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits for the end; returns the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        signal("TERM", self.child.id());
        self.child.wait().expect("a status").code()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap_or_else(|e| panic!("{}: {e}", self.name)).is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to one process, by id.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}

/// This machine's processors. A test that measures their load has them for itself; the others share.
static PROCESSORS: RwLock<()> = RwLock::const_new(());

/// Held by a test during which others may run.
pub(crate) async fn processors_shared() -> RwLockReadGuard<'static, ()> {
    PROCESSORS.read().await
}

/// Held by a test that runs alone.
pub(crate) async fn processors_alone() -> RwLockWriteGuard<'static, ()> {
    PROCESSORS.write().await
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Asks until `ready` gives something, for at most `seconds`; then panics with `what`.
pub(crate) async fn until<T>(
    what: &str,
    seconds: u32,
    mut ready: impl AsyncFnMut() -> Option<T>,
) -> T {
    for _ in 0..seconds * 4 {
        if let Some(value) = ready().await {
            return value;
        }
        SystemClock.sleep(Duration::from_millis(250)).await;
    }
    panic!("within {seconds} s there was not: {what}");
}

/// The daemon's binary.
pub(crate) fn fleetscaler() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fleetscaler"))
}

/// Where peers are kept between runs.
pub(crate) fn peers_dir() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// The body of a GET, if it answers.
pub(crate) async fn get(url: &str) -> Option<String> {
    let client = cloud::http::client_builder().tls_certs_only([]).build().expect("a client");
    client.get(url).send().await.ok()?.text().await.ok()
}
