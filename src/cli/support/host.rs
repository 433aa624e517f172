//! What the host says: the system, the unit and its log.

use std::process::Stdio;
use std::time::Duration;

use cloud::Timestamp;
use tokio::process::Command;

use super::archive::Part;

/// `journalctl` over a day of a busy host takes seconds; a host that hangs must not keep the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// The packaged unit.
const UNIT: &str = "fleetscaler.service";

/// The version, the system and the moment.
pub(super) fn about(now: Timestamp) -> String {
    let version = env!("FLEETSCALER_VERSION");
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let uid = rustix::process::geteuid().as_raw();
    let mut text = format!("fleetscaler {version}\nwritten {now}\n{cpus} processors, user {uid}\n");
    for file in ["/etc/os-release", "/proc/version", "/proc/uptime", "/proc/meminfo"] {
        // A host without one of them is told by its absence.
        if let Ok(read) = std::fs::read_to_string(file) {
            let lines: Vec<&str> = read.lines().take(8).collect();
            text.push_str(&format!("\n{file}\n{}\n", lines.join("\n")));
        }
    }
    text
}

/// The unit and its log since then.
pub(super) async fn unit(since: Timestamp) -> Vec<Part> {
    // journalctl wants whole seconds, with the zone's name behind them.
    let since = since.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let status = ["systemctl", "show", "--no-pager", UNIT];
    let log =
        ["journalctl", "--no-pager", "--utc", "-o", "short-iso", "-u", UNIT, "--since", &since];
    vec![
        Part::new("unit.txt", printed(&status).await.map(|text| without_environment(&text))),
        Part::new("log.txt", printed(&log).await),
    ]
}

/// What a program prints.
async fn printed(argv: &[&str]) -> Result<String, String> {
    let [program, rest @ ..] = argv else { return Err("no program".to_owned()) };
    let run = Command::new(program).args(rest).stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = tokio::time::timeout(PATIENCE, run).await;
    let output = ended
        .map_err(|_| format!("{program} did not end within {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} failed ({}): {}", output.status, said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A unit's environment may hold keys that somebody put there.
fn without_environment(text: &str) -> String {
    let keeps =
        |line: &&str| !line.starts_with("Environment=") && !line.starts_with("SetCredential");
    text.lines().filter(keeps).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_shown_without_its_environment() {
        let shown = "Type=notify\nEnvironment=ALIBABA_CLOUD_ACCESS_KEY_SECRET=hush\nSetCredential=a: hush\n\
                     EnvironmentFiles=/etc/default/fleetscaler (ignore_errors=yes)\n";
        let expected =
            "Type=notify\nEnvironmentFiles=/etc/default/fleetscaler (ignore_errors=yes)\n";
        assert_eq!(without_environment(shown), expected);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_or_fails_is_told() {
        let absent = printed(&["/no/such/program"]).await.expect_err("absent");
        assert!(absent.contains("/no/such/program cannot be run"), "{absent}");
        let failed = printed(&["false"]).await.expect_err("failed");
        assert!(failed.contains("false failed"), "{failed}");
        assert_eq!(printed(&["echo", "one"]).await, Ok("one\n".to_owned()));
    }
}
