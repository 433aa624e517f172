//! `fleetscaler run`: the daemon, its dry run, and one tick of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use cloud::{Clock, SystemClock, Timestamp};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::args::{Format, RunArgs};
use super::{Exit, output};
use crate::control::{Beat, Mode, Sink, TickError, TickReport, beat, wire};
use crate::journal::JournalError;
use crate::model::FleetId;
use crate::{config, observe};

/// Records are pruned at most this often: an hour's records are small beside the retention.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

pub(super) async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    observe::init(args.log.log_format, &args.log.log)?;
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(problems) => {
            output::error(&format!("the configuration has problems\n{problems}"));
            return Ok(Exit::Config);
        }
    };
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Live };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let world = Arc::new(wire(config, mode, clock.clone(), None).await.context("cannot start")?);

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

    let names: Vec<String> = world.fleets.iter().map(|m| m.fleet.id.to_string()).collect();
    tracing::info!(
        fleets = world.fleets.len(),
        "fleetscaler {} {} {}: {}",
        env!("CARGO_PKG_VERSION"),
        if args.dry_run { "shows what it would do for" } else { "controls" },
        if names.len() == 1 { "fleet" } else { "fleets" },
        names.join(", "),
    );
    let status = format!("{} {}", names.len(), if names.len() == 1 { "fleet" } else { "fleets" });
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let background = [
        tokio::spawn(watchdog(clock.clone())),
        tokio::spawn(prune(world.journal.clone(), clock.clone())),
    ];
    let sink = Arc::new(Reporter {
        printed: (args.dry_run || args.once).then_some(args.format),
        said: Mutex::default(),
        trouble: Mutex::default(),
    });
    let pace = if args.once { Beat::Once } else { Beat::Forever };
    let ok = beat(world.clone(), pace, sink, stopped).await;
    for task in background {
        task.abort();
    }
    world.journal.close().await;
    tracing::info!("stopped");
    // A daemon that was told to stop has done its job, whatever its last tick met.
    Ok(if ok || pace == Beat::Forever { Exit::Ok } else { Exit::Failed })
}

/// Tells the service manager; without one this does nothing.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

/// Pings the service manager's watchdog at half its period, from the runtime that also ticks: a
/// runtime that hangs is restarted.
async fn watchdog(clock: Arc<dyn Clock>) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    loop {
        notify(&[NotifyState::Watchdog]);
        clock.sleep(period / 2).await;
    }
}

async fn prune(journal: Arc<crate::journal::Journal>, clock: Arc<dyn Clock>) {
    loop {
        if let Err(error) = journal.prune().await {
            tracing::warn!("old journal records cannot be removed: {error}");
        }
        clock.sleep(PRUNE_EVERY).await;
    }
}

/// Prints reports where they were asked for, and logs what is new.
struct Reporter {
    printed: Option<Format>,
    /// What was last said of each fleet, and when.
    said: Mutex<BTreeMap<FleetId, (String, Timestamp)>>,
    /// Why the journal cannot be used, as it was last said.
    trouble: Mutex<Option<String>>,
}

/// A fleet about which nothing changes is mentioned every 10 minutes: often enough to see that it
/// is looked after, rarely enough to read the rest.
const SAY_AGAIN: Duration = Duration::from_secs(600);

impl Reporter {
    /// Whether `gist` is news about `fleet`.
    fn is_news(&self, fleet: &FleetId, gist: String, at: Timestamp) -> bool {
        let mut said = self.said.lock().expect("no holder of this lock can panic");
        if let Some((last, when)) = said.get(fleet)
            && *last == gist
            && cloud::clock::age(at, *when) < SAY_AGAIN
        {
            return false;
        }
        said.insert(fleet.clone(), (gist, at));
        true
    }
}

impl Sink for Reporter {
    fn tick(&self, report: &TickReport) {
        match self.printed {
            Some(Format::Text) => output::line(output::text(report).trim_end()),
            Some(Format::Json) => output::line(&output::json(report)),
            None => {}
        }
        let TickReport { fleet, decision, .. } = report;
        // What is printed to stdout need not be logged as well.
        if self.printed.is_some() {
            return;
        }
        if self.is_news(fleet, decision.gist(), report.at) || !report.outcomes.is_empty() {
            tracing::info!(
                fleet.id = %fleet, decision.current, decision.desired, decision.recommended,
                instances = %report.counts.line(),
                "fleet `{fleet}` {decision}",
            );
        } else {
            tracing::debug!(fleet.id = %fleet, decision.current, decision.desired,
                "fleet `{fleet}` {decision}");
        }
        for skipped in &report.plan.skipped {
            tracing::info!(fleet.id = %fleet, "fleet `{fleet}`: {skipped}");
        }
        for shortfall in &report.plan.shortfalls {
            tracing::warn!(fleet.id = %fleet, "fleet `{fleet}`: {shortfall}");
        }
        for outcome in &report.outcomes {
            if outcome.is_trouble() {
                tracing::warn!(fleet.id = %fleet, "fleet `{fleet}`: {}", outcome.line());
            } else {
                tracing::info!(fleet.id = %fleet, "fleet `{fleet}`: {}", outcome.line());
            }
        }
    }

    fn journal(&self, state: Result<(), &JournalError>) {
        let mut trouble = self.trouble.lock().expect("no holder of this lock can panic");
        let now = state.err().map(ToString::to_string);
        match (&*trouble, &now) {
            (before, Some(why)) if before.as_ref() != Some(why) => tracing::error!(
                alert = "journal_unavailable",
                "the journal cannot be used, nothing is changed in the cloud: {why}",
            ),
            (Some(_), None) => tracing::info!("the journal can be used again"),
            _ => {}
        }
        *trouble = now;
    }

    fn trouble(&self, fleet: &FleetId, error: &TickError) {
        if matches!(error, TickError::Elsewhere) {
            return;
        }
        tracing::error!(fleet.id = %fleet, "fleet `{fleet}` keeps its size: {error}");
    }
}
