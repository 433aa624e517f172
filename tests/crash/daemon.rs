//! The daemon's process: started, killed, started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// One process of the daemon; it is killed when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

/// The effect of the failpoints of a process.
pub(crate) struct Points<'a> {
    /// Nothing counts before this file is there.
    pub(crate) arm: &'a Path,
    /// Each point is written down here.
    pub(crate) log: &'a Path,
    /// The process kills itself at this one.
    pub(crate) kill: Option<&'a str>,
}

impl Daemon {
    pub(crate) fn start(config: &Path, log: &Path, points: &Points<'_>) -> Daemon {
        let out = std::fs::OpenOptions::new().append(true).create(true).open(log);
        let out = out.expect("a log file");
        let errors = out.try_clone().expect("a second handle");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetscaler"));
        command.arg("run").arg("--config").arg(config);
        command.args(["--log-format", "text", "--log", "info"]);
        command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid");
        command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret");
        command.env("FLEETSCALER_FAILPOINT_ARM", points.arm);
        command.env("FLEETSCALER_FAILPOINT_LOG", points.log);
        if let Some(kill) = points.kill {
            command.env("FLEETSCALER_FAILPOINT", kill);
        }
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        let child = command.spawn().expect("the daemon starts");
        Daemon { child, log: log.to_owned() }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// SIGTERM; returns how it ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -TERM {pid}");
        self.child.wait().expect("it is our child")
    }

    /// The end of what it said.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
