//! Rate limits: asking less often than the provider would refuse.
//!
//! One token bucket (the `governor` crate, on our clock) per action of one account and region. A
//! provider that throttles anyway closes that action until its next minute begins: that is the
//! vendor's rule, and to knock earlier only prolongs it. Other actions go on.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::{self, Clock, Timestamp};

/// No provider's wish to come back later is honoured beyond this: a broken header must not stop an
/// action for an hour. The vendor's own command line caps it at 60 s too.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);
/// After the minute has turned, callers come back within 5 s of each other, not all at once.
const SPREAD: Duration = Duration::from_secs(5);

/// The limits of one account in one region.
#[derive(Debug)]
pub struct Limits {
    clock: Arc<dyn Clock>,
    per_second: Rates,
    actions: Mutex<BTreeMap<String, Arc<Bucket>>>,
}

/// Calls per second, by action. The vendor publishes figures only in each account's Quota Center.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// Actions without a figure of their own whose name begins with `Describe` or `List`.
    pub reads: f64,
    /// All other actions without a figure of their own.
    pub writes: f64,
    pub by_action: BTreeMap<String, f64>,
}

impl Default for Rates {
    /// 5 reads, 2 writes and 1 RunInstances a second: far below any figure seen for these APIs,
    /// since console, scripts and other tools share the account's quota.
    fn default() -> Self {
        Rates { reads: 5.0, writes: 2.0, by_action: [("RunInstances".to_owned(), 1.0)].into() }
    }
}

impl Rates {
    fn of(&self, action: &str) -> f64 {
        let is_read = action.starts_with("Describe") || action.starts_with("List");
        let rest = if is_read { self.reads } else { self.writes };
        self.by_action.get(action).copied().unwrap_or(rest)
    }
}

type Direct = RateLimiter<NotKeyed, InMemoryState, OurClock, NoOpMiddleware<Nanos>>;

#[derive(Debug)]
struct Bucket {
    tokens: Direct,
    closed_until: Mutex<Option<Timestamp>>,
}

impl Limits {
    #[must_use]
    pub fn new(per_second: Rates, clock: Arc<dyn Clock>) -> Self {
        Limits { clock, per_second, actions: Mutex::default() }
    }

    /// Returns when `action` may be sent. Waits on the clock; other actions are not held up.
    pub async fn wait(&self, action: &str) {
        let bucket = self.bucket(action);
        loop {
            let closed = *bucket.closed_until.lock().expect("no holder of this lock can panic");
            let now = self.clock.now();
            if let Some(until) = closed.filter(|until| now < *until) {
                self.clock.sleep(clock::age(until, now)).await;
                continue;
            }
            match bucket.tokens.check() {
                Ok(()) => return,
                Err(not_until) => {
                    let wait = not_until.wait_time_from(nanos(now));
                    // A nanosecond more: the token is there at that moment, not before it.
                    self.clock.sleep(wait + Duration::from_nanos(1)).await;
                }
            }
        }
    }

    /// The provider throttled `action`: it is closed until the next minute begins (or for
    /// `retry_after`, if that is longer), plus up to 5 s by `jitter` (`0.0..=1.0`).
    pub fn throttled(&self, action: &str, retry_after: Option<Duration>, jitter: f64) {
        let now = self.clock.now();
        let into_minute = now.timestamp().rem_euclid(60);
        let to_minute = Duration::from_secs(60 - u64::try_from(into_minute).expect("0 to 59"));
        let wished = retry_after.unwrap_or_default().min(RETRY_AFTER_CAP);
        let until =
            clock::after(now, to_minute.max(wished) + SPREAD.mul_f64(jitter.clamp(0.0, 1.0)));
        let bucket = self.bucket(action);
        let mut closed = bucket.closed_until.lock().expect("no holder of this lock can panic");
        *closed = (*closed).max(Some(until));
    }

    fn bucket(&self, action: &str) -> Arc<Bucket> {
        let mut actions = self.actions.lock().expect("no holder of this lock can panic");
        if let Some(bucket) = actions.get(action) {
            return bucket.clone();
        }
        let bucket = Arc::new(Bucket {
            tokens: RateLimiter::direct_with_clock(
                quota(self.per_second.of(action)),
                OurClock(self.clock.clone()),
            ),
            closed_until: Mutex::default(),
        });
        actions.insert(action.to_owned(), bucket.clone());
        bucket
    }
}

/// One token every `1 / per_second`, as many at once as come in a second (at least one).
fn quota(per_second: f64) -> Quota {
    let per_second = per_second.clamp(0.001, 10_000.0);
    let period = Duration::from_secs_f64(1.0 / per_second);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 10,000 after the clamp"
    )]
    let burst = NonZeroU32::new(per_second.max(1.0) as u32).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period).expect("the period is not zero").allow_burst(burst)
}

/// governor on our clock.
#[derive(Debug, Clone)]
struct OurClock(Arc<dyn Clock>);

impl governor::clock::Clock for OurClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        nanos(self.0.now())
    }
}

fn nanos(at: Timestamp) -> Nanos {
    Nanos::new(at.timestamp_nanos_opt().and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    fn clock() -> ManualClock {
        ManualClock::at("2026-01-02T03:04:20Z".parse().expect("a valid time"))
    }

    /// Whether `action` has to wait now.
    async fn waits(limits: &Arc<Limits>, clock: &ManualClock, action: &'static str) -> bool {
        let task = tokio::spawn({
            let limits = limits.clone();
            async move { limits.wait(action).await }
        });
        while !task.is_finished() && clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        let waits = !task.is_finished();
        task.abort();
        drop(task.await);
        waits
    }

    #[tokio::test]
    async fn an_action_waits_when_its_bucket_is_empty_and_others_do_not() {
        let clock = clock();
        let limits = Arc::new(Limits::new(Rates::default(), Arc::new(clock.clone())));
        assert!(!waits(&limits, &clock, "RunInstances").await);
        assert!(waits(&limits, &clock, "RunInstances").await);
        for _ in 0..5 {
            assert!(!waits(&limits, &clock, "DescribeInstances").await);
        }
        assert!(waits(&limits, &clock, "DescribeInstances").await);
        clock.advance(Duration::from_secs(1));
        assert!(!waits(&limits, &clock, "RunInstances").await);
    }

    #[tokio::test]
    async fn a_throttled_action_is_closed_until_the_next_minute_and_others_are_not() {
        let clock = clock();
        let limits = Arc::new(Limits::new(Rates::default(), Arc::new(clock.clone())));
        limits.throttled("RunInstances", None, 0.5);
        assert!(!waits(&limits, &clock, "DescribeInstances").await);
        clock.advance(Duration::from_secs(42));
        assert!(
            waits(&limits, &clock, "RunInstances").await,
            "40 s to the minute and 2.5 s spread"
        );
        clock.advance(Duration::from_secs(1));
        assert!(!waits(&limits, &clock, "RunInstances").await);
    }

    #[tokio::test]
    async fn a_broken_wish_to_come_back_in_an_hour_is_capped() {
        let clock = clock();
        let limits = Arc::new(Limits::new(Rates::default(), Arc::new(clock.clone())));
        limits.throttled("DeleteInstances", Some(Duration::from_secs(3_600)), 0.0);
        clock.advance(Duration::from_secs(60));
        assert!(!waits(&limits, &clock, "DeleteInstances").await);
    }
}
