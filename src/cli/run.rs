//! `fleetscaler run`: the daemon, its dry run, and one tick of it.

mod background;
mod descriptors;
mod panics;
mod reporter;
mod serve;

use std::sync::Arc;

use anyhow::Context;
use cloud::{Clock, SystemClock};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use self::background::Background;
use self::reporter::Reporter;
use super::args::RunArgs;
use super::{Exit, output, process};
use crate::control::{Beat, Mode, Reloader, Running, World, beat, wire};
use crate::model;
use crate::notify::Notifier;
use crate::observe::{self, Instruments};

pub(super) async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    observe::init(args.log.log_format, &args.log.log)?;
    process::raise_descriptors();
    process::ignore_user_signals().context("cannot handle SIGUSR1 and SIGUSR2")?;
    panics::log_them();
    let config = match output::load(&args.config, args.dry_run.then_some("run --dry-run")) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    for warning in &config.warnings {
        tracing::warn!("{}", warning.in_a_line());
    }
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Live };
    let pace = if args.once { Beat::Once } else { Beat::Forever };
    let doors = serve::Doors::of(&config.daemon);
    let running = Running::from(&config);
    let channels = config.notify.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let world = Arc::new(wire(config, mode, clock.clone(), None).await.context("cannot start")?);
    let instruments = Arc::new(Instruments::new(world.clone()));
    let is_daemon = mode == Mode::Live && pace == Beat::Forever;
    let printed = (args.dry_run || args.once).then_some(args.format);
    let dry = args.dry_run.then(|| args.config.clone());
    // A dry run and a single tick may run beside the daemon, which tells people.
    let notifier = match is_daemon {
        true => Some(Arc::new(Notifier::start(&channels, &clock).context("cannot start")?)),
        false => None,
    };
    if let Some(notifier) = &notifier {
        instruments.count_messages(notifier.clone());
    }
    let reporter = Arc::new(Reporter::new(instruments.clone(), printed, dry, notifier));
    let reloader =
        Arc::new(Reloader::new(world.clone(), args.config.clone(), running, reporter.clone()));
    // A dry run and a single tick may run beside the daemon, which has the address.
    let _served = match is_daemon {
        true => Some(serve::serve(&doors, &world, &instruments, &reloader).await?),
        false => None,
    };

    let (stop, stopped) = watch::channel(false);
    // Until the handlers are in place a signal would kill us without a word.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new ticks, the actions under way are finished first");
        notify(&[NotifyState::Stopping]);
        stop.send_replace(true);
    });

    // On a terminal it means that the terminal is gone, and ends the process as it ends any other.
    if is_daemon && !output::has_terminal() {
        let hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
        tokio::spawn(reload_at(hangup, reloader));
    }

    introduce(&world, mode);
    if let Some(why) = world.journal.blind() {
        output::error(&format!(
            "without the journal: holds, cool-downs and earlier samples are not considered: {why}"
        ));
    }
    notify(&[NotifyState::Ready, NotifyState::Status(&background::status(&world))]);
    let background = Background::start(&world, &reporter, &stopped, is_daemon);
    let ok = beat(world.clone(), pace, reporter, stopped).await;
    background.end().await;
    world.journal.close().await;
    tracing::info!("stopped");
    // A daemon that was told to stop has done its job, whatever its last tick met.
    Ok(if ok || pace == Beat::Forever { Exit::Ok } else { Exit::Failed })
}

/// Reads the configuration anew at each signal; how that ended is logged, and an alert if it was refused.
async fn reload_at(mut hangup: Signal, reloader: Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        // So that a service manager that sent the signal knows when it is done.
        let since = NotifyState::monotonic_usec_now();
        notify(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
        if let Err(error) = reloader.reload("SIGHUP").await {
            tracing::debug!("SIGHUP: {error}");
        }
        notify(&[NotifyState::Ready]);
    }
}

fn introduce(world: &World, mode: Mode) {
    let names: Vec<String> = world.fleet_ids().iter().map(ToString::to_string).collect();
    let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
    tracing::info!(
        fleets = count,
        "fleetscaler {} {} {}: {}",
        env!("CARGO_PKG_VERSION"),
        if mode == Mode::DryRun { "shows what it would do for" } else { "controls" },
        model::plural(count, "fleet"),
        names.join(", "),
    );
}

/// Tells the service manager; without one this does nothing.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}
