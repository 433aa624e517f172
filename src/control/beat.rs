//! The beat: when fleets tick, and when the leases are renewed.
//!
//! Each fleet has a task of its own, so a slow source or cloud delays no other fleet. A tick that
//! takes longer than the interval delays only the next tick of its own fleet; ticks never overlap.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

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
    sink.journal(tend(&world).await.as_ref().map(drop));
    let renewal = (beat == Beat::Forever).then(|| {
        let (world, sink) = (world.clone(), sink.clone());
        tokio::spawn(async move { renew(&world, &*sink).await })
    });
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..world.fleets.len() {
        let (world, sink, stop) = (world.clone(), sink.clone(), stop.clone());
        tasks.spawn(async move { one_fleet(&world, index, beat, &*sink, stop).await });
    }
    let ended = tasks.join_all();
    tokio::pin!(ended);
    let ok = tokio::select! {
        biased;
        () = async { drop(stop.wait_for(|stop| *stop).await) } => {
            world.stop.ask();
            ended.await
        }
        ok = &mut ended => ok,
    };
    let ok = ok.into_iter().all(|ok| ok);
    // Until now: ticks under way need their leases.
    if let Some(renewal) = renewal {
        renewal.abort();
    }
    ok
}

/// Renews the leases once; fleets that were taken over tick now.
pub async fn tend(world: &World) -> Result<(), JournalError> {
    let taken: BTreeSet<FleetId> =
        world.journal.tend(&world.fleet_ids()).await?.into_iter().collect();
    for member in world.fleets.iter().filter(|member| taken.contains(&member.fleet.id)) {
        member.nudge.notify_one();
    }
    Ok(())
}

async fn renew(world: &World, sink: &dyn Sink) {
    loop {
        world.clock.sleep(world.journal.renewal()).await;
        sink.journal(tend(world).await.as_ref().map(drop));
    }
}

async fn one_fleet(
    world: &World,
    index: usize,
    beat: Beat,
    sink: &dyn Sink,
    mut stop: watch::Receiver<bool>,
) -> bool {
    let member = &world.fleets[index];
    let mut extra = 0;
    loop {
        let began = world.clock.now();
        let result = tick(world, member).await;
        sink.took(&member.fleet.id, cloud::clock::age(world.clock.now(), began));
        let again = matches!(&result, Ok(report) if report.wants_another_tick());
        match &result {
            Ok(report) => sink.tick(report),
            Err(TickError::Stopped) => {}
            Err(error) => sink.trouble(&member.fleet.id, error),
        }
        let ok = matches!(result, Ok(_) | Err(TickError::Elsewhere));
        if beat == Beat::Once || *stop.borrow() {
            return ok;
        }
        if again && extra < EXTRA_TICKS {
            extra += 1;
            continue;
        }
        extra = 0;
        let spent = cloud::clock::age(world.clock.now(), began);
        let mut wait = jittered(member).saturating_sub(spent);
        if let Ok(report) = &result
            && let Some(retry) = report.retry_after()
        {
            wait = wait.min(retry);
        }
        tokio::select! {
            () = world.clock.sleep(wait) => {}
            () = member.nudge.notified() => {}
            _ = stop.wait_for(|stop| *stop) => return ok,
        }
    }
}

/// The interval ± 5 %, different for each fleet but always the same for one: fleets spread out
/// instead of asking the cloud all at the same moment, and a test can tell when a tick comes.
fn jittered(member: &FleetInWorld) -> Duration {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    member.fleet.id.hash(&mut hasher);
    let percent = u32::try_from(hasher.finish() % 11).expect("below 11");
    member.interval.get() * (95 + percent) / 100
}
