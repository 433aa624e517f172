//! One token bucket: the `governor` crate on moments that the caller gives.
//!
//! It reads no clock, and a token that was taken can be given back: a call that has to pass several
//! buckets takes from all of them or from none.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::Timestamp;

/// Tokens that come back at a steady rate, up to `burst` of them.
#[derive(Debug)]
pub(super) struct Bucket {
    limiter: RateLimiter<NotKeyed, Level, Moment, NoOpMiddleware<Nanos>>,
    level: Level,
    moment: Moment,
    start: u64,
    period: Duration,
    burst: NonZeroU32,
}

/// What to put back into a bucket.
#[derive(Debug)]
pub(super) struct Taken(u64);

impl Bucket {
    /// A full bucket of `burst` tokens (at least one) of which `per_second` come back.
    pub(super) fn new(per_second: f64, burst: f64, now: Timestamp) -> Self {
        // A token every thousand seconds is as good as never, and ten thousand a second as good as
        // no limit.
        let period = Duration::from_secs_f64(1.0 / per_second.clamp(0.001, 10_000.0));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "1 to 10,000 after the clamp"
        )]
        let burst = NonZeroU32::new(burst.clamp(1.0, 10_000.0) as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period).expect("the period is not zero").allow_burst(burst);
        let (level, moment) = (Level::default(), Moment::default());
        moment.set(now);
        let limiter = RateLimiter::new(quota, level.clone(), moment.clone());
        Bucket { limiter, level, moment, start: nanos(now), period, burst }
    }

    /// Takes `n` tokens, or says how long it is until there are as many. Nobody can have more than
    /// the bucket holds: then all that it holds are enough.
    pub(super) fn take(&self, n: u32, now: Timestamp) -> Result<Taken, Duration> {
        self.moment.set(now);
        let before = self.level.0.load(Ordering::Relaxed);
        let n = NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN).min(self.burst);
        let checked = self.limiter.check_n(n).expect("no more is asked for than the bucket holds");
        checked.map(|()| Taken(before)).map_err(|not_until| {
            // Never nothing: the caller would ask again at the same moment.
            not_until.wait_time_from(Nanos::new(nanos(now))).max(Duration::from_nanos(1))
        })
    }

    /// How long it takes until one more token is there.
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// Undoes the last take.
    pub(super) fn give_back(&self, taken: Taken) {
        self.level.0.store(taken.0, Ordering::Relaxed);
    }

    /// How many tokens are there.
    pub(super) fn tokens(&self, now: Timestamp) -> f64 {
        let burst = f64::from(self.burst.get());
        let level = self.level.0.load(Ordering::Relaxed);
        if level == Level::UNTOUCHED {
            return burst;
        }
        let passed = nanos(now).saturating_sub(self.start);
        let missing = Duration::from_nanos(level.saturating_sub(passed));
        (burst - missing.div_duration_f64(self.period)).max(0.0)
    }
}

/// Where governor keeps a bucket's level (the moment at which it is full again, in nanoseconds
/// since it was made), within our reach. All access is under the lock of [`Limits`](super::Limits).
#[derive(Debug, Clone)]
struct Level(Arc<AtomicU64>);

impl Level {
    const UNTOUCHED: u64 = u64::MAX;
}

impl Default for Level {
    fn default() -> Self {
        Level(Arc::new(AtomicU64::new(Level::UNTOUCHED)))
    }
}

impl StateStore for Level {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let level = self.0.load(Ordering::Relaxed);
        let known = (level != Level::UNTOUCHED).then(|| Nanos::new(level));
        let (result, new) = f(known)?;
        self.0.store(new.as_u64(), Ordering::Relaxed);
        Ok(result)
    }
}

/// governor's clock: the moment that the caller gave last.
#[derive(Debug, Clone, Default)]
struct Moment(Arc<AtomicU64>);

impl Moment {
    fn set(&self, now: Timestamp) {
        self.0.store(nanos(now), Ordering::Relaxed);
    }
}

impl governor::clock::Clock for Moment {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

fn nanos(at: Timestamp) -> u64 {
    at.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(0)
}
