//! One token bucket, by the generic cell rate algorithm: all that it keeps is when it is full again.
//!
//! It reads no clock, and a token that was taken can be given back: a call that has to pass several
//! buckets takes from all of them or from none.

use std::cell::Cell;
use std::time::Duration;

use crate::Timestamp;
use crate::clock::{after, age};

/// Tokens that come back at a steady rate, up to `burst` of them.
#[derive(Debug)]
pub(super) struct Bucket {
    /// One token comes back in this time.
    period: Duration,
    burst: u32,
    /// A cell, since one call takes from several buckets at a time; the lock of
    /// [`Limits`](super::Limits) is around all of them.
    full_at: Cell<Timestamp>,
}

/// The state of a bucket before tokens were taken, to give them back.
#[derive(Debug)]
pub(super) struct Taken(Timestamp);

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
        let burst = burst.clamp(1.0, 10_000.0) as u32;
        Bucket { period, burst, full_at: Cell::new(now) }
    }

    /// Takes `n` tokens, or says how long it is until there are as many. Nobody can have more than
    /// the bucket holds: then all that it holds are enough.
    pub(super) fn take(&self, n: u32, now: Timestamp) -> Result<Taken, Duration> {
        let before = self.full_at.get();
        let full_at = after(before.max(now), self.period.saturating_mul(n.clamp(1, self.burst)));
        let emptiest = after(now, self.period.saturating_mul(self.burst));
        let wait = age(full_at, emptiest);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.full_at.set(full_at);
        Ok(Taken(before))
    }

    /// How long it takes until one more token is there.
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// Undoes the last take.
    pub(super) fn give_back(&self, taken: Taken) {
        self.full_at.set(taken.0);
    }

    /// How many tokens are there.
    pub(super) fn tokens(&self, now: Timestamp) -> f64 {
        let missing = age(self.full_at.get(), now).div_duration_f64(self.period);
        (f64::from(self.burst) - missing).max(0.0)
    }
}
