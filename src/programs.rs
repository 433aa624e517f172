//! Programs of this machine that the configuration names: sources of signals, health checks, hooks, and
//! the readers of rendered files.
//!
//! One is run without a shell and with the daemon's environment, less every variable whose name says that it
//! holds a secret. It leads a process group of its own, which ends with it: a script that leaves a process
//! behind at each tick must not fill the machine. What it wants to outlive it, it starts in a session of its
//! own (`setsid`).

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};

use cloud::text::one_line;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// 4 KiB of what it says on its error output are kept: its last words.
const SAID_BYTES_MAX: usize = 4 * 1024;

/// Words in the name of a variable that is likely to hold a secret, such as the daemon's own key.
const SECRETIVE: [&str; 6] = ["KEY", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL"];
/// The directory in which systemd puts the service's credentials: a program may have one of its own there, and
/// finds the directory without being told.
const NO_SECRET: &str = "CREDENTIALS_DIRECTORY";

/// The end of a program: its exit status and its outputs.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: Vec<u8>,
    /// One line of its error output.
    pub(crate) said: String,
}

/// Why a program left nothing behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("{program} cannot be run: {why}")]
    NotRun { program: String, why: String },
    #[error("it prints more than {limit} bytes")]
    TooMuch { limit: usize },
    #[error("its output cannot be read: {why}")]
    Unread { why: String },
}

/// Runs `argv` to its end, with the variables `facts` beside the daemon's own, and reads at most `output_max`
/// bytes of what it prints (0: none of it). It ends, too, when this is given up.
pub(crate) async fn run(
    argv: &[String],
    facts: &[(&str, String)],
    output_max: usize,
) -> Result<Ended, ProgramError> {
    let program = argv.first().map_or("", String::as_str);
    let not_run = |error: std::io::Error| ProgramError::NotRun {
        program: program.to_owned(),
        why: error.to_string(),
    };
    let mut command = Command::new(program);
    for name in secretive(std::env::vars_os().map(|(name, _)| name)) {
        command.env_remove(name);
    }
    command
        .args(argv.iter().skip(1))
        .envs(facts.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(if output_max == 0 { Stdio::null() } else { Stdio::piped() })
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0);
    let mut child = command.spawn().map_err(not_run)?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let status = child.wait().await.map_err(not_run);
        // Those that it started hold its outputs open: without them the reading ends.
        drop(group);
        status
    };
    let output = async {
        match stdout {
            Some(stdout) => read_all(stdout, output_max).await,
            None => Ok(Vec::new()),
        }
    };
    let said = async {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            read_last(stderr, &mut said).await;
        }
        Ok(one_line(String::from_utf8_lossy(&said).trim()))
    };
    let (status, output, said) = futures::future::try_join3(ended, output, said).await?;
    Ok(Ended { status, output, said })
}

/// The names of variables that no program gets.
fn secretive(names: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let is_secretive = |name: &OsString| {
        let name = name.to_string_lossy().to_uppercase();
        name != NO_SECRET && SECRETIVE.iter().any(|word| name.contains(word))
    };
    names.filter(is_secretive).collect()
}

/// The process group of a program: all of it ends with this. Right after the program's own end nobody else
/// can have its number yet.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // As a rule nobody is left, and nobody to be found.
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::debug!("what a program left behind cannot be ended: {error}");
        }
    }
}

async fn read_all(mut from: impl AsyncRead + Unpin, limit: usize) -> Result<Vec<u8>, ProgramError> {
    let mut output = Vec::new();
    let bytes = u64::try_from(limit).unwrap_or(u64::MAX - 1);
    match (&mut from).take(bytes + 1).read_to_end(&mut output).await {
        Ok(_) if output.len() <= limit => Ok(output),
        Ok(_) => Err(ProgramError::TooMuch { limit }),
        Err(error) => Err(ProgramError::Unread { why: error.to_string() }),
    }
}

/// Reads to the end and keeps the last bytes.
async fn read_last(mut from: impl AsyncRead + Unpin, into: &mut Vec<u8>) {
    let mut buffer = [0; 4 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        into.extend_from_slice(&buffer[..read]);
        let surplus = into.len().saturating_sub(SAID_BYTES_MAX);
        into.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shell(script: &str) -> [String; 3] {
        ["/bin/sh", "-c", script].map(str::to_owned)
    }

    /// Whether the process whose id stands in `file` has ended.
    async fn ends(file: &std::path::Path) -> bool {
        let id = std::fs::read_to_string(file).expect("it began");
        let state = format!("/proc/{}/stat", id.trim());
        for _ in 0..100 {
            // Gone, or ended and not yet taken away.
            match std::fs::read_to_string(&state) {
                Ok(text) if !text.contains(") Z ") => {}
                _ => return true,
            }
            tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>())
                .await
                .expect_err("it waits");
        }
        false
    }

    #[tokio::test]
    async fn what_a_program_started_ends_with_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().display();
        // One that holds the outputs open, and one that does not.
        for script in ["sleep 60 &", "sleep 60 >/dev/null 2>&1 &"] {
            let script = shell(&format!("{script} echo $! > {path}; echo 7"));
            let ended = run(&script, &[], 64).await.expect("it ends");
            assert_eq!((ended.status.success(), &ended.output[..]), (true, &b"7\n"[..]));
            assert!(ends(file.path()).await, "{script:?}");
        }
    }

    #[tokio::test]
    async fn one_that_is_given_up_ends_with_all_that_it_started() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let script = shell(&format!("sleep 60 & echo $! > {}; wait", file.path().display()));
        let begun = async {
            while std::fs::read_to_string(file.path()).is_ok_and(|text| text.is_empty()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = run(&script, &[], 64) => panic!("it ended: {ended:?}"),
            () = begun => {}
        }
        assert!(ends(file.path()).await);
    }

    #[test]
    fn variables_that_hold_a_secret_are_told_by_their_names() {
        let names = [
            "PATH",
            "HOME",
            "https_proxy",
            "CREDENTIALS_DIRECTORY",
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "ALIBABA_CLOUD_SECURITY_TOKEN",
            "PGPASSWORD",
            "prom_token",
        ];
        let kept_back = secretive(names.iter().map(OsString::from));
        assert_eq!(kept_back, names[4..].iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_program_gets_its_facts_and_no_secret() {
        // Cargo gives its tests a variable of that kind neither here nor elsewhere: `env` shows all there are.
        let facts = [("FLEETSCALER_FLEET", "web".to_owned())];
        let ended = run(&["/usr/bin/env".to_owned()], &facts, 64 * 1024).await.expect("it ends");
        let text = String::from_utf8_lossy(&ended.output).into_owned();
        assert!(text.lines().any(|line| line == "FLEETSCALER_FLEET=web"), "{text}");
        let names = text.lines().filter_map(|line| Some(OsString::from(line.split_once('=')?.0)));
        assert_eq!(secretive(names), Vec::<OsString>::new());
        let error = run(&["/no/such/program".to_owned()], &[], 0).await.expect_err("nobody");
        assert!(error.to_string().starts_with("/no/such/program cannot be run: "), "{error}");
    }
}
