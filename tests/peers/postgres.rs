//! A PostgreSQL server of one's own: on loopback, on a free port, in a directory that goes with it.
//!
//! The unit tests of the journal include this file as well.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

const INSTALL: &str = "apt-get install -y postgresql";

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// Holds the data, the socket and the log.
    dir: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    databases: AtomicU32,
}

impl Server {
    /// Makes a cluster and starts its server. Panics with the command that installs PostgreSQL when
    /// there is none.
    pub(crate) fn start() -> Server {
        let programs = programs();
        let dir = tempfile::tempdir().expect("a directory");
        if is_root() {
            // PostgreSQL refuses to run as root.
            let id = |which| {
                let output = Command::new("id").args([which, "postgres"]).output().expect("id");
                let id = String::from_utf8(output.stdout).expect("a number");
                id.trim().parse().unwrap_or_else(|_| panic!("no user postgres: {INSTALL}"))
            };
            chown(dir.path(), Some(id("-u")), Some(id("-g"))).expect("its owner is postgres");
        }
        let server = Server { dir, programs, port: free_port(), databases: AtomicU32::new(0) };
        let data = server.data();
        let data = data.to_str().expect("a path in UTF-8");
        // No locale: it need not be installed, and sorts as we do.
        server.run("initdb", &["-D", data, "-A", "trust", "-U", "postgres", "--no-locale", "-N"]);
        server.resume();
        server
    }

    /// One server for all tests that need none of their own; it ends with the last of them.
    pub(crate) fn shared() -> Arc<Server> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// The address of a new, empty database.
    pub(crate) fn url(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let place = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        self.run("createdb", &[&place[..], &[&name]].concat());
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    /// Stops the server at once, as if it had crashed.
    pub(crate) fn stop(&self) {
        let data = self.data();
        let data = data.to_str().expect("a path in UTF-8");
        self.run("pg_ctl", &["-D", data, "-m", "immediate", "-w", "stop"]);
    }

    /// Starts it again, and returns once it answers.
    pub(crate) fn resume(&self) {
        let (data, log) = (self.data(), self.dir.path().join("log"));
        let options = format!(
            "-c listen_addresses=127.0.0.1 -p {} -k {} -c fsync=off -c max_connections=100",
            self.port,
            self.dir.path().display()
        );
        let [data, log] = [&data, &log].map(|path| path.to_str().expect("a path in UTF-8"));
        self.run("pg_ctl", &["-D", data, "-l", log, "-o", &options, "-w", "start"]);
    }

    pub(crate) fn restart(&self) {
        self.stop();
        self.resume();
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Runs one of PostgreSQL's programs to its end, as its own user.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        // Its output goes to a file: the server would keep a pipe open for as long as it lives.
        let said = tempfile::NamedTempFile::new().expect("a file");
        let [out, errors] = [said.reopen(), said.reopen()].map(|file| file.expect("a handle"));
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(out).stderr(errors);
        let status = command.status().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        if !status.success() {
            let said = std::fs::read_to_string(said.path()).unwrap_or_default();
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            panic!("{program:?} {arguments:?}: {status}\n{said}\n{log}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test may have stopped it.
        if self.data().join("postmaster.pid").exists() {
            self.stop();
        }
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id");
    output.stdout.starts_with(b"0\n")
}

/// Where the newest version's programs are. Debian puts them beside the path, by version.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let dirs = versions.map(|version| version.path().join("bin"));
    let version =
        |dir: &PathBuf| -> Option<u32> { dir.parent()?.file_name()?.to_str()?.parse().ok() };
    let whole = |dir: &PathBuf| {
        ["initdb", "pg_ctl", "createdb"].iter().all(|program| Path::exists(&dir.join(program)))
    };
    let newest = dirs.filter(whole).max_by_key(version);
    newest.unwrap_or_else(|| panic!("PostgreSQL is not installed; install it: {INSTALL}"))
}

#[test]
fn a_server_of_ones_own_stops_and_starts_again() {
    let server = Server::start();
    let answers = || std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok();
    assert!(answers());
    assert_ne!(server.url(), server.url(), "each asker has a database of its own");
    server.restart();
    assert!(answers());
    server.stop();
    assert!(!answers());
    drop(Server::shared());
}
