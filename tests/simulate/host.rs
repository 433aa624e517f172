//! The true time, and the clocks of hosts, which may be set while durations go on all the same.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use cloud::{Clock, Timestamp, clock};
use futures::channel::oneshot;

/// The true time. It moves only when told to, and wakes sleepers in the order of their times and then
/// of their going to sleep: the same ones first in every run.
#[derive(Clone)]
pub(crate) struct TrueClock(Arc<Mutex<Time>>);

struct Time {
    now: Timestamp,
    elapsed: Duration,
    /// Until when each sleeps.
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

impl TrueClock {
    pub(crate) fn at(now: Timestamp) -> TrueClock {
        let time = Time { now, elapsed: Duration::ZERO, sleepers: Vec::new() };
        TrueClock(Arc::new(Mutex::new(time)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut time = self.time();
        time.now = clock::after(time.now, by);
        time.elapsed += by;
        let elapsed = time.elapsed;
        let (mut due, asleep): (Vec<_>, Vec<_>) = std::mem::take(&mut time.sleepers)
            .into_iter()
            .partition(|(until, _)| *until <= elapsed);
        time.sleepers = asleep;
        drop(time);
        due.sort_by_key(|(until, _)| *until);
        for (_, sleeper) in due {
            // Nobody waits any more when its task is gone.
            sleeper.send(()).unwrap_or_default();
        }
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

impl fmt::Debug for TrueClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrueClock({})", self.time().now)
    }
}

#[async_trait]
impl Clock for TrueClock {
    fn now(&self) -> Timestamp {
        self.time().now
    }

    fn elapsed(&self) -> Duration {
        self.time().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        {
            let mut time = self.time();
            let until = time.elapsed + duration;
            time.sleepers.push((until, wake));
        }
        woken.await.unwrap_or_default();
    }
}

/// A clock that shows another time than the true one.
#[derive(Debug, Clone)]
pub(crate) struct HostClock {
    real: TrueClock,
    ahead: Arc<Mutex<TimeDelta>>,
}

impl HostClock {
    pub(crate) fn new(real: TrueClock) -> HostClock {
        HostClock { real, ahead: Arc::default() }
    }

    /// Somebody sets it, forward or back.
    pub(crate) fn step(&self, secs: i64) {
        *self.ahead.lock().expect("no panic") += TimeDelta::seconds(secs);
    }

    /// It shows the true time again.
    pub(crate) fn correct(&self) {
        *self.ahead.lock().expect("no panic") = TimeDelta::zero();
    }
}

#[async_trait]
impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        self.real.now() + *self.ahead.lock().expect("no panic")
    }

    fn elapsed(&self) -> Duration {
        self.real.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.real.sleep(duration).await;
    }
}
