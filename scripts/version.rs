//! Build script: the commit that a released binary is made of, for `--version`.
//!
//! A debug build does not ask: each commit would build everything anew. Without git, as from an archive of
//! the sources, the binary knows its version only.

#![expect(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=scripts/version.rs");
    println!("cargo:rerun-if-env-changed=FLEETSCALER_COMMIT");
    let version = env("CARGO_PKG_VERSION");
    let from = if env("PROFILE") == "debug" { Some("debug build".to_owned()) } else { commit() };
    let text = from.map_or(version.clone(), |from| format!("{version} ({from})"));
    println!("cargo:rustc-env=FLEETSCALER_VERSION={text}");
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// `8027480c1b2d 2026-11-27`: the commit and its date, or what the packager says.
fn commit() -> Option<String> {
    let given = env("FLEETSCALER_COMMIT");
    if !given.is_empty() {
        return Some(given);
    }
    // The next commit is another binary.
    for path in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", path])?;
        println!("cargo:rerun-if-changed={path}");
    }
    git(&["log", "-1", "--abbrev=12", "--date=short", "--format=%h %cd"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
