//! Retry arithmetic: how long to wait before the next attempt, or why there is none.
//!
//! Pure. The exponential growth and its cap are the `backoff` crate's, which stands here and
//! nowhere else; it never reads a clock and draws no randomness here: elapsed time and jitter are
//! arguments. Full jitter (the wait is anything between nothing and the exponential step) spreads
//! callers that failed together.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::{Class, Error, ErrorKind};

/// How one operation is repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The longest first wait.
    pub initial: Duration,
    /// By how much the longest wait grows from attempt to attempt.
    pub multiplier: f64,
    /// No wait is longer than this.
    pub cap: Duration,
    /// Attempts and waits together take no longer than this.
    pub deadline: Duration,
}

impl Default for Policy {
    /// 0.5 s doubling to 10 s, the figures of the vendor's own ECS tool; 90 s in all, since
    /// RunInstances alone may take 86 s by the vendor's time-out table.
    fn default() -> Self {
        Policy {
            initial: Duration::from_millis(500),
            multiplier: 2.0,
            cap: Duration::from_secs(10),
            deadline: Duration::from_secs(90),
        }
    }
}

/// The next step after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait this long, then try again.
    Wait(Duration),
    /// It does not get better by repeating, or is repeated by somebody else.
    GiveUp,
    /// It might, but the deadline would pass.
    Deadline,
}

/// The waits of one operation.
#[derive(Debug)]
pub struct Schedule {
    backoff: ExponentialBackoff,
    deadline: Duration,
}

impl Schedule {
    /// The waits that `policy` gives.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let mut backoff = ExponentialBackoff {
            current_interval: policy.initial,
            initial_interval: policy.initial,
            multiplier: policy.multiplier,
            max_interval: policy.cap,
            // Jitter comes from the caller.
            randomization_factor: 0.0,
            // The deadline is checked here, against time that the caller measured.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        backoff.current_interval = policy.initial;
        Schedule { backoff, deadline: policy.deadline }
    }

    /// The step that follows an attempt that failed with `error`, `elapsed` after the operation began.
    /// `jitter` is uniform in `0.0..=1.0`.
    pub fn next(&mut self, error: &Error, jitter: f64, elapsed: Duration) -> Next {
        // The same request under the same token is refused for as long as the token is known.
        if matches!(error.kind, ErrorKind::TokenMismatch { .. }) {
            return Next::GiveUp;
        }
        let step = match error.class {
            Class::Transient | Class::Ambiguous => self
                .backoff
                .next_backoff()
                .expect("without a maximum of elapsed time it never ends"),
            // When a throttled action may be tried again is not for one operation to say: the rate
            // limit closes it for all of them.
            Class::Throttled { .. }
            | Class::NoCapacity
            | Class::Quota
            | Class::Auth
            | Class::Conflict
            | Class::Gone
            | Class::Permanent => return Next::GiveUp,
        };
        let wait = step.mul_f64(jitter.clamp(0.0, 1.0));
        if elapsed.saturating_add(wait) >= self.deadline {
            Next::Deadline
        } else {
            Next::Wait(wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(class: Class) -> Error {
        let (code, message) = ("Code".to_owned(), "message".to_owned());
        let concerns = crate::Concerns::of_class(class);
        failed(class, ErrorKind::Refused { code, message, concerns })
    }

    fn failed(class: Class, kind: ErrorKind) -> Error {
        let action = "RunInstances".to_owned();
        Error { action, class, kind, status: None, request_id: None, attempts: 1 }
    }

    #[test]
    fn waits_grow_from_attempt_to_attempt_up_to_the_cap() {
        let policy = Policy { deadline: Duration::from_secs(3_600), ..Policy::default() };
        let mut schedule = Schedule::new(policy);
        let millis: Vec<u128> = (0..7)
            .map(|_| match schedule.next(&refused(Class::Transient), 1.0, Duration::ZERO) {
                Next::Wait(wait) => wait.as_millis(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(millis, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn what_does_not_get_better_is_not_repeated() {
        for class in [
            Class::Throttled { retry_after: None },
            Class::NoCapacity,
            Class::Quota,
            Class::Auth,
            Class::Conflict,
            Class::Gone,
            Class::Permanent,
        ] {
            let mut schedule = Schedule::new(Policy::default());
            assert_eq!(
                schedule.next(&refused(class), 0.0, Duration::ZERO),
                Next::GiveUp,
                "{class}"
            );
        }
    }

    #[test]
    fn what_may_have_happened_is_repeated_unless_its_token_means_something_else() {
        let (code, message) = ("IdempotentParameterMismatch".to_owned(), "other".to_owned());
        let misused = failed(Class::Ambiguous, ErrorKind::TokenMismatch { code, message });
        for (error, next) in [
            (refused(Class::Ambiguous), Next::Wait(Duration::from_millis(250))),
            (misused, Next::GiveUp),
        ] {
            let mut schedule = Schedule::new(Policy::default());
            assert_eq!(schedule.next(&error, 0.5, Duration::ZERO), next, "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_wait_is_above_the_cap_and_none_ends_after_the_deadline(
            jitter in 0.0f64..=1.0, elapsed_ms in 0u64..200_000, attempts in 1usize..20,
        ) {
            let policy = Policy::default();
            let mut schedule = Schedule::new(policy);
            let elapsed = Duration::from_millis(elapsed_ms);
            for _ in 0..attempts {
                match schedule.next(&refused(Class::Transient), jitter, elapsed) {
                    Next::Wait(wait) => {
                        prop_assert!(wait <= policy.cap);
                        prop_assert!(elapsed + wait < policy.deadline);
                    }
                    Next::Deadline => prop_assert!(elapsed + policy.cap >= policy.deadline),
                    Next::GiveUp => prop_assert!(false, "transient failures are repeated"),
                }
            }
        }
    }
}
