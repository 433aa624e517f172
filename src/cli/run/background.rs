//! The work beside the ticks: the watchdog, the status line, pruning, audits.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::reporter::Reporter;
use super::{descriptors, notify};
use crate::control::{World, hourly, keep_prices};
use crate::model::plural;

/// Ten thousand fleets write 200,000 ticks in five minutes, which is what one pruning removes within
/// seconds; an hour of them would keep the journal busy for a minute.
const PRUNE_EVERY: Duration = Duration::from_secs(5 * 60);
/// Writers of any speed pass `keep_mib` by what they write in this time. To ask costs one page.
const SIZE_EVERY: Duration = Duration::from_secs(5);
/// Between two prunings that did not help.
const PRUNE_PAUSE: Duration = Duration::from_secs(60);
/// An audit decides by itself whether its hour has come: after a start, or when the replica that
/// made it is gone, it is late by this much at most.
const AUDIT_EVERY: Duration = Duration::from_secs(5 * 60);
/// As often as somebody reads `systemctl status` twice.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The tasks beside the ticks.
pub(super) struct Background {
    /// May end at any moment.
    tasks: Vec<JoinHandle<()>>,
    /// May delete strays: it ends by itself.
    audits: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts them; a dry run and a single tick keep no records and audit nothing.
    pub(super) fn start(
        world: &Arc<World>,
        reporter: &Arc<Reporter>,
        stopped: &watch::Receiver<bool>,
        is_daemon: bool,
    ) -> Background {
        let mut tasks = vec![tokio::spawn(watchdog(world.clone()))];
        let mut audits = None;
        if is_daemon {
            tasks.push(tokio::spawn(prune(world.clone())));
            tasks.push(tokio::spawn(say_status(world.clone())));
            tasks.push(tokio::spawn(keep_prices(world.clone())));
            tasks.push(tokio::spawn(descriptors::watch(world.clone(), reporter.clone())));
            let audit = audit(world.clone(), reporter.clone(), stopped.clone());
            audits = Some(tokio::spawn(audit));
        }
        Background { tasks, audits }
    }

    /// Ends them; a deletion under way is finished first.
    pub(super) async fn end(self) {
        for task in self.tasks {
            task.abort();
        }
        if let Some(audits) = self.audits
            && let Err(error) = audits.await
        {
            tracing::error!("the audit ended by itself: {error}");
        }
    }
}

/// Feeds the service manager's watchdog at half its period while the loop goes round, from the runtime
/// that also ticks: a runtime that hangs is restarted, and so is a loop that is stuck.
async fn watchdog(world: Arc<World>) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    loop {
        match world.pulse.stuck(world.clock.elapsed()) {
            None => notify(&[NotifyState::Watchdog]),
            Some(why) => tracing::error!("the watchdog is not fed: {why}"),
        }
        world.clock.sleep(period / 2).await;
    }
}

async fn prune(world: Arc<World>) {
    loop {
        let too_large = until_too_large(&world).await;
        // A journal that is away is said elsewhere, once.
        if let Err(error) = world.journal.prune().await
            && world.journal.trouble().is_none()
        {
            tracing::warn!("old journal records cannot be removed: {error}");
        }
        // Records that cannot be removed yet, since no snapshot covers them, are not measured all the time.
        if too_large && world.journal.is_too_large().await.is_ok_and(|is| is) {
            world.clock.sleep(PRUNE_PAUSE).await;
        }
    }
}

/// Waits for the next pruning, or until more is recorded than is kept.
async fn until_too_large(world: &World) -> bool {
    let mut left = PRUNE_EVERY;
    while !left.is_zero() {
        let step = left.min(SIZE_EVERY);
        world.clock.sleep(step).await;
        left -= step;
        if world.journal.is_too_large().await.is_ok_and(|is| is) {
            return true;
        }
    }
    false
}

async fn say_status(world: Arc<World>) {
    let mut said = String::new();
    loop {
        let now = status(&world);
        if now != said {
            notify(&[NotifyState::Status(&now)]);
            said = now;
        }
        world.clock.sleep(STATUS_EVERY).await;
    }
}

/// `acts for 3 of 5 fleets, 2 replicas`: for `systemctl status`.
pub(super) fn status(world: &World) -> String {
    let fleets = plural(u32::try_from(world.fleets.count()).unwrap_or(u32::MAX), "fleet");
    if let Some(error) = world.journal.trouble() {
        return format!("{fleets}; nothing is changed: {error}");
    }
    let (held, replicas) = world.journal.counts();
    let replicas = plural(u32::try_from(replicas).unwrap_or(u32::MAX), "replica");
    format!("acts for {held} of {fleets}, {replicas}")
}

async fn audit(world: Arc<World>, reporter: Arc<Reporter>, mut stopped: watch::Receiver<bool>) {
    loop {
        for (account, findings) in hourly(&world).await {
            reporter.audited(&account, &findings);
        }
        reporter.forget_old_audits();
        tokio::select! {
            () = world.clock.sleep(AUDIT_EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}
