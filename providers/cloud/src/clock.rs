//! The only place that reads the clock or sleeps.
//!
//! Signatures, token expiry and rate limits need a clock below the daemon, so it lives here.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

/// A moment in UTC.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Reads the time and waits for it to pass.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// The current time, UTC.
    fn now(&self) -> Timestamp;
    /// How much time has passed since some moment before, always the same one in a process: unlike
    /// [`Clock::now`] it only ever goes on, whoever sets the host's clock.
    fn elapsed(&self) -> Duration;
    /// Returns once `duration` has passed on this clock.
    async fn sleep(&self, duration: Duration);
}

/// `duration` as chrono counts it; durations beyond chrono's range (292 million years) saturate.
#[must_use]
pub fn delta(duration: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX)
}

/// How long ago `then` was at `now`; zero when `then` is in the future (a clock that was set back
/// must not make ages wrap).
#[must_use]
pub fn age(now: Timestamp, then: Timestamp) -> Duration {
    (now - then).to_std().unwrap_or(Duration::ZERO)
}

/// `then + duration`, saturating at the end of time.
#[must_use]
pub fn after(then: Timestamp, duration: Duration) -> Timestamp {
    then.checked_add_signed(delta(duration)).unwrap_or(Timestamp::MAX_UTC)
}

/// `then - duration`, saturating at the beginning of time: a damaged record may speak of any duration.
#[must_use]
pub fn before(then: Timestamp, duration: Duration) -> Timestamp {
    then.checked_sub_signed(delta(duration)).unwrap_or(Timestamp::MIN_UTC)
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn elapsed(&self) -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that sleeps")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when told to, for tests and simulations.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<watch::Sender<Timestamp>>,
    /// The time that was advanced, and not set.
    elapsed: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        let elapsed = Arc::new(watch::Sender::new(Duration::ZERO));
        ManualClock { now: Arc::new(watch::Sender::new(start)), elapsed }
    }

    /// Moves the clock forward and wakes every sleeper whose time has come.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
        self.now.send_modify(|now| *now = after(*now, by));
    }

    /// Sets the clock to `to`, backwards too (an operator or NTP may do that). No time passes by that.
    pub fn set(&self, to: Timestamp) {
        self.now.send_replace(to);
    }

    /// How many tasks sleep on this clock right now: a test waits for it to know that the code
    /// under test has reached its wait.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.now.receiver_count()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let mut now = self.now.subscribe();
        let until = after(*now.borrow_and_update(), duration);
        // An error means that the sender is gone; `self` holds it, so that cannot happen.
        now.wait_for(|now| *now >= until).await.expect("the clock outlives its sleepers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().expect("a valid time")
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_a_sleeper_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::at(start());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(10)).await }
        });
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.expect("the sleeper wakes");
    }

    #[test]
    fn an_age_never_wraps_when_the_clock_was_set_back() {
        assert_eq!(age(start(), after(start(), Duration::from_secs(5))), Duration::ZERO);
    }
}
