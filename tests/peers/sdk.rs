//! The vendor's own Python SDKs against the emulator: they sign, page and parse as they do in the
//! field.

use std::process::Command;
use std::sync::Arc;

use cloud::SystemClock;
use ecs_emulator::{Emulator, World};

use crate::support::peers_dir;

const INSTALL: &str = "python3 -m venv target/peers/venv && \
                       target/peers/venv/bin/pip install -r tests/peers/requirements.txt";

/// Runs the script with the SDKs; returns what it printed. Panics when it fails.
pub(crate) fn run(args: &[&str]) -> String {
    run_script("vendor_sdk.py", args)
}

fn run_script(name: &str, args: &[&str]) -> String {
    let python = peers_dir().join("venv/bin/python");
    assert!(python.exists(), "{} is absent; install it: {INSTALL}", python.display());
    let script = format!("{}/tests/peers/{name}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python).arg(script).args(args).output().expect("python runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn the_vendors_sdks_drive_the_emulator() {
    let _processors = crate::support::processors_shared().await;
    for sdk in ["v1", "acs3"] {
        let mut world = World::default();
        world.set_boot(std::time::Duration::from_secs(1));
        let emulator = Emulator::on_loopback(world, Arc::new(SystemClock)).await.expect("up");
        let url = emulator.url();
        let printed = tokio::task::spawn_blocking(move || run(&[sdk, &url])).await.expect("it ran");
        assert!(printed.contains("all answers are as expected"), "{sdk}: {printed}");
        let wanted = if sdk == "v1" { "V1" } else { "ACS3" };
        let transcript = emulator.transcript();
        assert!(transcript.len() > 10 && transcript.iter().all(|e| e.signature == wanted), "{sdk}");
        let strange: Vec<_> = emulator
            .violations()
            .into_iter()
            .filter(|violation| violation.what.starts_with("unknown parameter"))
            .collect();
        assert!(strange.is_empty(), "{sdk}: {strange:?}");
    }
}

#[tokio::test]
async fn the_vendors_sdks_drive_the_emulators_load_balancers() {
    let _processors = crate::support::processors_shared().await;
    let mut world = World::default();
    world.set_boot(std::time::Duration::from_secs(1));
    let emulator = Emulator::on_loopback(world, Arc::new(SystemClock)).await.expect("up");
    let url = emulator.url();
    let run = tokio::task::spawn_blocking(move || run_script("vendor_balancers.py", &[&url]));
    let printed = run.await.expect("it ran");
    assert!(printed.contains("all answers are as expected"), "{printed}");
    let strange: Vec<_> = emulator
        .violations()
        .into_iter()
        .filter(|violation| violation.what.starts_with("unknown parameter"))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
