//! Steps: everything that a daemon asks of the outside, one at a time.
//!
//! Each call of the store, the cloud or a source of signals stops before it begins and after it has
//! had its effect, until the driver lets it go on. So the driver decides in which order replicas and
//! fleets proceed, and a crash may come at every one of these points.

use std::sync::{Mutex, MutexGuard};

use futures::channel::oneshot;

/// Where steps wait.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    place: usize,
    go: oneshot::Sender<()>,
}

impl Gates {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().expect("no holder of this lock can panic")
    }

    pub(crate) async fn pass(&self, place: usize) {
        let (go, gone) = oneshot::channel();
        self.waiting().push(Waiting { place, go });
        // The driver forgets a gate only when it crashes the replica, which drops this future.
        gone.await.unwrap_or_default();
    }

    /// The places of the replicas that wait, one entry per waiting step.
    pub(crate) fn places(&self) -> Vec<usize> {
        self.waiting().iter().map(|waiting| waiting.place).collect()
    }

    /// Lets the nth waiting step go on.
    pub(crate) fn release(&self, nth: usize) {
        let waiting = self.waiting().remove(nth);
        // Nobody waits any more when its time was over.
        waiting.go.send(()).unwrap_or_default();
    }

    /// The replica is gone, and all its steps with it.
    pub(crate) fn forget(&self, place: usize) {
        self.waiting().retain(|waiting| waiting.place != place);
    }
}
