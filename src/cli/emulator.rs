//! `fleetscaler emulator`: an ECS look-alike on loopback.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use cloud::SystemClock;
use ecs_emulator::{Emulator, World};

use super::args::EmulatorArgs;
use super::{Exit, output};

pub(super) async fn run(args: EmulatorArgs) -> anyhow::Result<Exit> {
    let mut world = match &args.world {
        Some(path) => World::load(path)?,
        None => World::default(),
    };
    let secret = match &args.access_key_secret_file {
        Some(path) => secret_in(path)?,
        None => args.access_key_secret,
    };
    world.keys = [(args.access_key_id.clone(), secret)].into();
    if let Some(boot) = args.boot {
        world.set_boot(boot.get());
    }
    world.loopback |= args.loopback;
    let places = format!(
        "{} types in {} vSwitches of {}",
        world.instance_types.len(),
        world.vswitches.len(),
        world.region,
    );
    let emulator = Emulator::start(world, Arc::new(SystemClock), args.listen)
        .await
        .context("the emulator cannot start")?;
    let url = emulator.url();
    output::line(&format!("ECS emulator on {url}: {places}, access key {}", args.access_key_id));
    output::line(&format!("what happened there: curl -s {url}/_emulator/transcript"));
    tokio::select! {
        () = emulator.run() => {}
        result = tokio::signal::ctrl_c() => result.context("cannot wait for Ctrl-C")?,
    }
    Ok(Exit::Ok)
}

/// The secret on the only line of a file.
fn secret_in(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
    let secret = text.trim();
    anyhow::ensure!(
        !secret.is_empty() && secret.lines().count() == 1,
        "{} holds no secret on a single line",
        path.display(),
    );
    Ok(secret.to_owned())
}
