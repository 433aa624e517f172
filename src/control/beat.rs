//! The beat: when fleets tick, and when the leases are renewed.
//!
//! Each fleet has a task of its own, so a slow source or cloud delays no other fleet. A tick that
//! takes longer than the interval delays only the next tick of its own fleet; ticks never overlap.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::{FleetInWorld, TickError, TickReport, World, tick};
use crate::journal::JournalError;
use crate::model::FleetId;

/// Extra ticks in a row that a sold-out place may cause, before the interval applies again: more
/// places than this are rare, and a fault must not make the loop spin.
const EXTRA_TICKS: u32 = 8;

/// How long the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// One tick per fleet.
    Once,
    /// Until told to stop.
    Forever,
}

/// Where reports go.
pub trait Sink: Send + Sync {
    fn tick(&self, report: &TickReport);
    fn trouble(&self, fleet: &FleetId, error: &TickError);
    /// A tick has ended, one way or the other, and took so long.
    fn took(&self, _fleet: &FleetId, _took: Duration) {}
    /// The journal could not be asked who acts for which fleet, or can be again.
    fn journal(&self, state: Result<(), &JournalError>);
}

/// Ticks every fleet until `stop` says so; returns when the ticks under way have ended, which begin no
/// further action then. The result says whether every fleet's last tick succeeded.
pub async fn beat(
    world: Arc<World>,
    beat: Beat,
    sink: Arc<dyn Sink>,
    mut stop: watch::Receiver<bool>,
) -> bool {
    // Every fleet ticks soon: nobody need be nudged.
    sink.journal(world.journal.tend(&world.fleet_ids()).await.as_ref().map(drop));
    let (end, ended) = watch::channel(false);
    // A single tick may outlast a lease, too: a new fleet is looked at for 20 s before it is launched.
    let (renewing, writer, reports) = (world.clone(), world.clone(), sink.clone());
    let renewal = tokio::spawn(async move { renew(&renewing, &*reports).await });
    let writing = tokio::spawn(async move { write(&writer, ended).await });
    let mut tasks = JoinSet::new();
    let stop_of_ticks = stop.clone();
    let mut changes = world.fleets.changes();
    let begin = |tasks: &mut JoinSet<bool>, added: Vec<Arc<FleetInWorld>>| {
        let count = added.len();
        for (nth, member) in added.into_iter().enumerate() {
            let (world, sink, stop) = (world.clone(), sink.clone(), stop_of_ticks.clone());
            let wait = match beat {
                Beat::Once => Duration::ZERO,
                Beat::Forever => first_after(member.interval.get(), nth, count),
            };
            tasks.spawn(async move { one_fleet(&world, member, wait, beat, &*sink, stop).await });
        }
    };
    begin(&mut tasks, changes.first());
    let mut all_ok = true;
    // A reload may replace every fleet: the loop outlives them all.
    while beat == Beat::Forever || !tasks.is_empty() {
        tokio::select! {
            biased;
            () = async { drop(stop.wait_for(|stop| *stop).await) } => {
                world.stop.ask();
                break;
            }
            added = changes.added(), if beat == Beat::Forever => begin(&mut tasks, added),
            Some(ended) = tasks.join_next() => all_ok &= or_panic(ended),
        }
    }
    while let Some(ended) = tasks.join_next().await {
        all_ok &= or_panic(ended);
    }
    // Until now: ticks under way need their leases.
    renewal.abort();
    // A write under way is finished: what it takes would be lost.
    end.send_replace(true);
    if let Err(error) = writing.await {
        tracing::error!("the journal's writer ended by itself: {error}");
    }
    world.pulse.stopped();
    all_ok
}

/// A bug outside of a tick ends the process, as it would without tasks: a fleet that nobody ticks any more
/// must not go unnoticed.
fn or_panic(ended: Result<bool, JoinError>) -> bool {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Renews the leases once and writes what has gathered; fleets that were taken over tick now.
pub async fn tend(world: &World) -> Result<(), JournalError> {
    let taken = world.journal.tend(&world.fleet_ids()).await?;
    nudge(world, taken);
    Ok(())
}

fn nudge(world: &World, taken: Vec<FleetId>) {
    let taken: BTreeSet<FleetId> = taken.into_iter().collect();
    for member in world.fleets.all().iter().filter(|member| taken.contains(&member.fleet.id)) {
        member.nudge.notify_one();
    }
}

/// Renews the leases, and does nothing else: whatever takes long would let them run out.
async fn renew(world: &World, sink: &dyn Sink) {
    loop {
        world.pulse.renewed(passed(world));
        world.clock.sleep(world.journal.renewal()).await;
        let renewed =
            world.journal.renew(&world.fleet_ids()).await.map(|taken| nudge(world, taken));
        let state = renewed.and_then(|()| world.journal.written());
        sink.journal(state.as_ref().map(drop));
    }
}

/// Writes what the ticks have gathered, as often as leases are renewed.
async fn write(world: &World, mut end: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = world.clock.sleep(world.journal.renewal()) => {}
            _ = end.wait_for(|end| *end) => return,
        }
        // `Journal::written` tells of a failure.
        if world.journal.flush().await.is_ok() {
            world.journal.save_snapshots().await;
        }
    }
}

/// Ticks one fleet, as it is configured at each tick, until the process is to end or the fleet is not
/// configured any more. The first tick comes after `wait`.
async fn one_fleet(
    world: &World,
    mut member: Arc<FleetInWorld>,
    wait: Duration,
    beat: Beat,
    sink: &dyn Sink,
    mut stop: watch::Receiver<bool>,
) -> bool {
    let index = member.place;
    let mut extra = 0;
    if beat == Beat::Forever {
        world.pulse.waits(index, passed(world) + wait);
        tokio::select! {
            () = world.clock.sleep(wait) => {}
            () = member.nudge.notified() => {}
            _ = stop.wait_for(|stop| *stop) => return true,
        }
    }
    loop {
        // Configured anew under its name, it is another fleet, with a task of its own.
        match world.fleets.get(&member.fleet.id).filter(|now| now.place == index) {
            Some(now) => member = now,
            None => {
                world.pulse.ended(index);
                return true;
            }
        }
        let began = world.clock.now();
        world.pulse.ticks(index, passed(world));
        let result = guarded_tick(world, &member).await.map(Arc::new);
        member.shown.ticked(&result, world.clock.now());
        sink.took(&member.fleet.id, cloud::clock::age(world.clock.now(), began));
        let again = matches!(&result, Ok(report) if report.wants_another_tick());
        match &result {
            Ok(report) => sink.tick(report),
            Err(TickError::Stopped) => {}
            Err(error) => sink.trouble(&member.fleet.id, error),
        }
        let ok = matches!(result, Ok(_) | Err(TickError::Elsewhere));
        if beat == Beat::Once || *stop.borrow() {
            world.pulse.ended(index);
            return ok;
        }
        if again && extra < EXTRA_TICKS {
            extra += 1;
            continue;
        }
        extra = 0;
        let spent = cloud::clock::age(world.clock.now(), began);
        let mut wait = jittered(&member).saturating_sub(spent);
        if let Ok(report) = &result
            && let Some(retry) = report.retry_after()
        {
            wait = wait.min(retry);
        }
        // The whole report is not kept over the wait: ten thousand of them would be.
        drop(result);
        world.pulse.waits(index, passed(world) + wait);
        tokio::select! {
            () = world.clock.sleep(wait) => {}
            () = member.nudge.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {
                world.pulse.ended(index);
                return ok;
            }
        }
    }
}

/// A tick, which a bug may end: then it is this fleet's trouble, and no other's. What it left half done
/// is read from the journal before the next one.
///
/// On the heap, and for as long as it takes only: a tick's state has some 20 kB, and most fleets wait.
pub async fn guarded_tick(world: &World, member: &FleetInWorld) -> Result<TickReport, TickError> {
    let ticked = AssertUnwindSafe(Box::pin(tick(world, member))).catch_unwind().await;
    match ticked {
        Ok(result) => result,
        Err(panic) => {
            world.journal.forget(&member.fleet.id).await;
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(TickError::Panicked(text.unwrap_or_else(|| "it did not say why".to_owned())))
        }
    }
}

/// A fleet's first tick comes so long after the start: all at once would ask the cloud and the sources
/// for everything in the same moment, and again an interval later.
fn first_after(interval: Duration, index: usize, count: usize) -> Duration {
    /// Between one fleet and the next, so that a few fleets need not wait for each other.
    const APART: Duration = Duration::from_millis(10);
    let [index, count] = [index, count].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    (interval / count.max(1)).min(APART).saturating_mul(index)
}

/// The interval, or up to 5 % less, different for each fleet but always the same for one: fleets spread
/// out instead of asking the cloud all at the same moment, and a test can tell when a tick comes.
fn jittered(member: &FleetInWorld) -> Duration {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    member.fleet.id.hash(&mut hasher);
    let percent = u32::try_from(hasher.finish() % 6).expect("below 6");
    member.interval.get() * (95 + percent) / 100
}

/// How long the process has run, by a clock that nobody sets.
fn passed(world: &World) -> Duration {
    world.clock.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_ticks_are_spread_over_the_interval_and_a_few_need_not_wait() {
        let interval = Duration::from_secs(15);
        let last = |count: usize| first_after(interval, count - 1, count);
        assert_eq!(first_after(interval, 0, 10_000), Duration::ZERO);
        assert_eq!(last(3), Duration::from_millis(20));
        assert!(last(1_000) < Duration::from_secs(10));
        assert!(last(10_000) < interval && last(10_000) > interval * 9 / 10);
    }
}
