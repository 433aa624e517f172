//! Questions by id, of all fleets together: what is asked while a call is under way goes out with the
//! next one, a hundred ids a call.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::{Clock, Error, Instance, InstanceId, Observe, Timestamp, clock};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::shared_read::died;

type Answer = Result<Arc<BTreeMap<InstanceId, Instance>>, Error>;

/// Questions that share their calls.
pub(super) struct Questions {
    cloud: Arc<dyn Observe>,
    clock: Arc<dyn Clock>,
    /// Between two calls at least so long.
    apart: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The ids to ask for next; taken when its call begins.
    ids: BTreeSet<InstanceId>,
    /// The call that will ask for it.
    next: Option<Call>,
    /// The call before that, which may be under way.
    last: Option<Call>,
    /// When the last call began.
    called_at: Option<Timestamp>,
}

type Call = Shared<BoxFuture<'static, Answer>>;

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Questions").field("waiting", &state.ids.len()).finish_non_exhaustive()
    }
}

impl Questions {
    pub(super) fn new(cloud: Arc<dyn Observe>, clock: Arc<dyn Clock>, apart: Duration) -> Self {
        Questions { cloud, clock, apart, state: Arc::default() }
    }

    /// Those of `ids` that exist. A failure is told to everybody who asked with the same call.
    pub(super) async fn ask(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.join(ids);
        let found = call.await?;
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    /// Adds `ids` to the next call, which begins when the last one has ended.
    fn join(&self, ids: &[InstanceId]) -> Call {
        let mut state = self.state();
        state.ids.extend(ids.iter().cloned());
        if let Some(call) = &state.next {
            return call.clone();
        }
        let last = state.last.take();
        let (cloud, clock, shared) = (self.cloud.clone(), self.clock.clone(), self.state.clone());
        let apart = self.apart;
        let call = async move {
            if let Some(last) = last {
                drop(last.await);
            }
            wait(&*clock, &shared, apart).await;
            let ids: Vec<InstanceId> = {
                let mut state = locked(&shared);
                state.called_at = Some(clock.now());
                // Questions from now on go with the call after this one.
                state.last = state.next.take();
                std::mem::take(&mut state.ids).into_iter().collect()
            };
            let found = AssertUnwindSafe(cloud.instances_by_ids(&ids)).catch_unwind().await;
            let found = found.unwrap_or_else(|_| Err(died()))?;
            let by_id = found.into_iter().map(|instance| (instance.id.clone(), instance));
            Ok(Arc::new(by_id.collect()))
        };
        let call = call.boxed().shared();
        state.next = Some(call.clone());
        call
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

/// Waits until calls may follow each other.
async fn wait(clock: &dyn Clock, state: &Mutex<State>, apart: Duration) {
    let now = clock.now();
    let called_at = locked(state).called_at.filter(|at| *at <= now);
    let left = called_at.map_or(Duration::ZERO, |at| apart.saturating_sub(clock::age(now, at)));
    if !left.is_zero() {
        clock.sleep(left).await;
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no holder of this lock can panic")
}

#[cfg(test)]
mod tests;
