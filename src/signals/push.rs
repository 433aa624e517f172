//! `push`: a number that somebody sends, kept in memory until the next one comes.
//!
//! Nothing is asked. What was sent is as old as its own time says, by this machine's clock; after a restart
//! there is nothing until somebody sends again.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloud::{Clock, Timestamp, clock};
use sha2::{Digest, Sha256};

use super::time::{dated, unix_secs};
use super::{Clients, PushSpec, Source};
use crate::model::{Gap, Reading, Span};

/// 10 s: the clocks of two machines that follow a time server are closer than one.
const AHEAD_MAX: Duration = Duration::from_secs(10);

/// One number that is sent.
#[derive(Debug)]
pub struct Push {
    max_age: Span,
    /// SHA-256 of the token with which it alone may be sent.
    token: Option<[u8; 32]>,
    /// Shared with the one that a reload puts in its place.
    newest: Arc<Mutex<Option<Pushed>>>,
    clock: Arc<dyn Clock>,
}

/// A number as it was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pushed {
    pub value: f64,
    pub at: Timestamp,
    /// It was not there before.
    pub is_new: bool,
}

/// Why a number is not taken. What was kept before stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    NotFinite,
    /// Its time is ahead of this machine's clock.
    Ahead {
        now: Timestamp,
    },
    /// A newer one is there.
    Older {
        newest: Timestamp,
    },
    /// Another value with this time is there.
    Another,
}

impl Push {
    #[must_use]
    pub fn new(spec: &PushSpec, shared: &Clients) -> Push {
        Push {
            max_age: spec.max_age,
            token: spec.token.as_ref().map(|token| Sha256::digest(token.expose()).into()),
            newest: Arc::default(),
            clock: shared.clock(),
        }
    }

    /// SHA-256 of the token with which this number alone may be sent.
    #[must_use]
    pub fn token(&self) -> Option<[u8; 32]> {
        self.token
    }

    /// The same signal after a reload: what `before` has got, and gets while it is replaced, stays.
    #[must_use]
    pub fn after(&self, before: &Push) -> Push {
        let newest = before.newest.clone();
        Push { max_age: self.max_age, token: self.token, newest, clock: self.clock.clone() }
    }

    /// Takes `value`, which was true `at` that time, or now. The same one twice is taken once.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn take(&self, value: f64, at: Option<Timestamp>) -> Result<Pushed, NotTaken> {
        let now = self.clock.now();
        let at = at.unwrap_or(now);
        let latest = clock::after(now, AHEAD_MAX);
        if !value.is_finite() {
            return Err(NotTaken::NotFinite);
        }
        if at > latest {
            return Err(NotTaken::Ahead { now });
        }
        let mut newest = self.newest.lock().expect("no holder of this lock can panic");
        // One that is ahead is of a clock that was set back since: it must not shut out all others.
        match newest.as_ref().filter(|kept| kept.at <= latest) {
            Some(kept) if at < kept.at => return Err(NotTaken::Older { newest: kept.at }),
            Some(kept) if at == kept.at && value.to_bits() == kept.value.to_bits() => {
                return Ok(Pushed { is_new: false, ..*kept });
            }
            Some(kept) if at == kept.at => return Err(NotTaken::Another),
            _ => {}
        }
        Ok(*newest.insert(Pushed { value, at, is_new: true }))
    }
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |at: &Timestamp| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        match self {
            NotTaken::NotFinite => f.write_str("the value is no finite number"),
            NotTaken::Ahead { now } => {
                write!(f, "its time is in the future: here it is {}", shown(now))
            }
            NotTaken::Older { newest } => {
                write!(f, "it is older than the newest one, which is of {}", shown(newest))
            }
            NotTaken::Another => f.write_str("the newest one has the same time and another value"),
        }
    }
}

#[async_trait]
impl Source for Push {
    async fn read(&self) -> Reading {
        let newest = *self.newest.lock().expect("no holder of this lock can panic");
        let Pushed { value, at, .. } = newest.ok_or(Gap::NotPushed)?;
        dated(value, unix_secs(at), unix_secs(self.clock.now()), self.max_age)
    }

    fn pushed(&self) -> Option<&Push> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use cloud::{ManualClock, Secret};

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_timestamp(1_767_355_200 + secs, 0).expect("a time")
    }

    fn push() -> (Push, ManualClock) {
        let clock = ManualClock::at(at(0));
        let clients = Clients::new(Arc::new(clock.clone()), Duration::from_secs(7));
        let token = Some(Secret::new("hunter2".to_owned()));
        (Push::new(&PushSpec { max_age: Span::secs(90), token }, &clients), clock)
    }

    #[tokio::test]
    async fn what_was_sent_last_is_the_number_until_it_is_too_old() {
        let (push, clock) = push();
        assert_eq!(push.read().await, Err(Gap::NotPushed));
        push.take(3.5, Some(at(-20))).expect("taken");
        let sample = push.read().await.expect("a sample");
        assert_eq!((sample.value, sample.age, sample.measured_at), (3.5, Span::secs(20), at(-20)));
        push.take(4.0, None).expect("taken");
        assert_eq!(push.read().await.expect("a sample").measured_at, at(0));
        clock.advance(Duration::from_secs(90));
        assert_eq!(push.read().await.expect("a sample").age, Span::secs(90));
        clock.advance(Duration::from_secs(1));
        let gap = push.read().await.expect_err("silence");
        assert_eq!(gap, Gap::Stale { age: Span::secs(91), max_age: Span::secs(90) });
    }

    #[test]
    fn what_makes_no_sense_is_not_taken_and_changes_nothing() {
        let (push, _) = push();
        let kept = push.take(3.5, Some(at(-20))).expect("taken");
        assert!(kept.is_new);
        let again = push.take(3.5, Some(at(-20))).expect("the same");
        assert_eq!(again, Pushed { is_new: false, ..kept });
        for (name, value, time, refused) in [
            ("NaN", f64::NAN, 0, NotTaken::NotFinite),
            ("infinite", f64::INFINITY, 0, NotTaken::NotFinite),
            ("the future", 1.0, 11, NotTaken::Ahead { now: at(0) }),
            ("older", 1.0, -21, NotTaken::Older { newest: at(-20) }),
            ("another", 1.0, -20, NotTaken::Another),
        ] {
            assert_eq!(push.take(value, Some(at(time))), Err(refused), "{name}");
            assert_eq!(push.take(3.5, Some(at(-20))), Ok(again), "{name}");
        }
        push.take(1.0, Some(at(10))).expect("as good as now");
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_shuts_nobody_out() {
        let (push, clock) = push();
        push.take(3.5, None).expect("taken");
        clock.set(at(-3600));
        assert_eq!(push.read().await.expect_err("a time ahead").name(), "age_unknown");
        push.take(4.5, None).expect("taken");
        assert_eq!(push.read().await.expect("a sample").value, 4.5);
    }

    #[tokio::test]
    async fn a_reload_keeps_what_was_sent_and_what_is_sent_meanwhile() {
        let (before, _) = push();
        before.take(3.5, Some(at(-2))).expect("taken");
        let (new, _) = push();
        let after = new.after(&before);
        before.take(4.5, Some(at(-1))).expect("taken");
        assert_eq!(after.read().await.expect("a sample").value, 4.5);
        assert!(!format!("{after:?}").contains("hunter2"));
    }
}
