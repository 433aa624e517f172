//! The groups of one fleet: a task that reads each of them, more often while a change is awaited.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::{BackendChange, BackendGroup, Class, Clock, InstanceId, Observe, Timestamp};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::group::Group;
use crate::model::{Balancer, FleetId, GroupsSeen};

/// While nothing is awaited: a backend that is found unhealthy, or that somebody took out, is noticed within
/// a minute.
const CALM: Duration = Duration::from_secs(30);
/// While an instance waits for its balancer, or a change for its effect: jobs take seconds.
const AWAITED: Duration = Duration::from_secs(5);
/// Reading takes a third of the time at most, however slow the rate limit makes it.
const SHARE: u32 = 3;
/// A fleet that is not ticked here any more (another replica has it) is not read for longer than this.
const UNWATCHED: Duration = Duration::from_secs(180);

/// Something about a group that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The group's id.
    pub group: String,
    pub message: String,
}

/// The load balancers of one fleet. Reading ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Shared {
    fleet: FleetId,
    cloud: Arc<dyn Observe>,
    clock: Arc<dyn Clock>,
    groups: Vec<BackendGroup>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    groups: Vec<Group>,
    /// An instance waits for its balancer.
    is_awaited: bool,
    /// By the monotonic clock.
    until: Duration,
}

impl Watcher {
    /// Of `fleet`, whose balancers these are. Nothing is read before it is watched.
    #[must_use]
    pub fn new(
        fleet: &FleetId,
        balancers: &[Balancer],
        cloud: Arc<dyn Observe>,
        clock: Arc<dyn Clock>,
    ) -> Watcher {
        let groups: Vec<BackendGroup> = balancers.iter().map(|b| b.group.clone()).collect();
        let state = State {
            groups: groups.iter().map(|_| Group::default()).collect(),
            is_awaited: true,
            until: Duration::ZERO,
        };
        let (fleet, state) = (fleet.clone(), Mutex::new(state));
        let shared = Shared { fleet, cloud, clock, groups, state, changed: Notify::new() };
        Watcher { shared: Arc::new(shared), task: Mutex::default() }
    }

    /// Goes on reading. `is_awaited`: an instance waits for what the balancers say.
    pub fn watch(&self, is_awaited: bool) {
        let is_new = {
            let mut state = self.shared.state();
            state.until = self.shared.clock.elapsed() + UNWATCHED;
            is_awaited && !std::mem::replace(&mut state.is_awaited, is_awaited)
        };
        if is_new {
            self.shared.changed.notify_one();
        }
        let mut task = self.task.lock().expect("no holder of this lock can panic");
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            *task = Some(tokio::spawn(run(self.shared.clone())).abort_handle());
        }
    }

    /// The groups as they were seen last, of the instances that are `ours`.
    #[must_use]
    pub fn seen(&self, now: Timestamp, ours: &dyn Fn(&InstanceId) -> bool) -> GroupsSeen {
        self.shared.state().groups.iter().map(|group| group.seen(now, ours)).collect()
    }

    /// A change of `group` was sent: these are done, and this is what became of others.
    pub fn sent(
        &self,
        group: &BackendGroup,
        change: BackendChange,
        done: &[InstanceId],
        failed: &BTreeMap<InstanceId, (Class, String)>,
    ) {
        let now = self.shared.clock.now();
        let Some(n) = self.shared.groups.iter().position(|known| known == group) else { return };
        self.shared.state().groups[n].sent(now, change, done, failed);
        self.shared.changed.notify_one();
    }

    /// What a person should know of the groups.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        let now = self.shared.clock.now();
        let state = self.shared.state();
        let of = |(group, known): (&BackendGroup, &Group)| {
            let why = known.trouble(now)?;
            Some(Trouble { group: group.id().to_owned(), message: format!("{group}: {why}") })
        };
        self.shared.groups.iter().zip(&state.groups).filter_map(of).collect()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().expect("no holder of this lock can panic").take() {
            task.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }

    /// How long to wait after a round of reads that took `took`; `None`: nobody watches any more.
    fn pause(&self, took: Duration) -> Option<Duration> {
        let state = self.state();
        if state.until < self.clock.elapsed() {
            return None;
        }
        let is_awaited = state.is_awaited || state.groups.iter().any(Group::is_awaited);
        let pause = if is_awaited { AWAITED } else { CALM };
        Some(pause.max(took * (SHARE - 1)))
    }
}

async fn run(shared: Arc<Shared>) {
    loop {
        let began = shared.clock.elapsed();
        for (n, group) in shared.groups.iter().enumerate() {
            let asked = shared.clock.now();
            let result = shared.cloud.backends(group).await;
            if let Err(error) = &result {
                let fleet = &shared.fleet;
                tracing::warn!(fleet.id = %fleet, "fleet `{fleet}`: {group} cannot be read: {error}");
            }
            shared.state().groups[n].read(asked, result.map_err(|error| error.to_string()));
        }
        let took = shared.clock.elapsed().saturating_sub(began);
        let Some(pause) = shared.pause(took) else { return };
        // A change takes a moment to show: asked at once, the answer would be the one before.
        let settled = shared.clock.sleep(pause.min(Duration::from_secs(1)));
        settled.await;
        tokio::select! {
            () = shared.clock.sleep(pause.saturating_sub(Duration::from_secs(1))) => {}
            () = shared.changed.notified() => {}
        }
    }
}
