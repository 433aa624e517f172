//! The right to change the cloud once, and for how long it lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use crate::Timestamp;

/// Proof that an intent was recorded durably before the call that carries it out.
///
/// Every method of [`Mutate`](crate::Mutate) takes one. It can be neither cloned nor made outside
/// `execute/dispatch.rs` of the daemon (clippy bans the constructor elsewhere): a dry run has no
/// permit, so it cannot change anything.
#[derive(Debug)]
pub struct Permit {
    intent: Uuid,
    lease: Deadline,
    latest: Timestamp,
}

impl Permit {
    /// The permit of a recorded intent: good while `lease` is, and never at or after `latest`.
    #[must_use]
    pub fn after_commit(intent: Uuid, lease: Deadline, latest: Timestamp) -> Self {
        Permit { intent, lease, latest }
    }

    /// The intent that this permit carries out.
    #[must_use]
    pub fn intent(&self) -> Uuid {
        self.intent
    }

    /// The first moment at which nothing may be sent any more, as of now: ask again before every
    /// attempt, since the lease may have been renewed or lost while the call waited.
    #[must_use]
    pub fn send_before(&self) -> Timestamp {
        self.lease.get().min(self.latest)
    }
}

/// Where the far past is: no clock reads less.
const ENDED: i64 = i64::MIN;

/// A moment that may move while somebody holds it: the end of a lease that is renewed, or lost.
///
/// Clones are one deadline. It moves forward only, and once ended it stays so: a renewal that was
/// under way while the lease was lost does not revive it.
#[derive(Debug, Clone)]
pub struct Deadline {
    /// Unix milliseconds.
    at: Arc<AtomicI64>,
    moves: bool,
}

impl Deadline {
    /// A deadline that stays where it is, unless it is ended.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Deadline { at: Arc::new(AtomicI64::new(at.timestamp_millis())), moves: false }
    }

    /// A deadline that can be extended.
    #[must_use]
    pub fn moving(at: Timestamp) -> Self {
        Deadline { moves: true, ..Deadline::fixed(at) }
    }

    /// When it is, to the millisecond and never later than it was set to.
    #[must_use]
    pub fn get(&self) -> Timestamp {
        let millis = self.at.load(Ordering::Acquire);
        Timestamp::from_timestamp_millis(millis).unwrap_or(Timestamp::MIN_UTC)
    }

    /// Moves it to `to`, if that is later.
    pub fn extend(&self, to: Timestamp) {
        let to = to.timestamp_millis();
        let later = |at: i64| (self.moves && at != ENDED && at < to).then_some(to);
        // `None` says that there was nothing to move.
        self.at.fetch_update(Ordering::AcqRel, Ordering::Acquire, later).ok();
    }

    /// It is over, for good.
    pub fn end(&self) {
        self.at.store(ENDED, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_767_355_200 + second, 0).expect("a valid time")
    }

    #[expect(clippy::disallowed_methods, reason = "these tests stand in for the journal")]
    fn permit(lease: &Deadline, latest: Timestamp) -> Permit {
        Permit::after_commit(Uuid::nil(), lease.clone(), latest)
    }

    #[test]
    fn a_permit_lives_as_long_as_its_lease_is_renewed_and_no_longer_than_it_may() {
        let lease = Deadline::moving(second(30));
        let permit = permit(&lease, second(100));
        assert_eq!(permit.send_before(), second(30));
        lease.extend(second(60));
        assert_eq!(permit.send_before(), second(60));
        lease.extend(second(500));
        assert_eq!(permit.send_before(), second(100));
    }

    #[test]
    fn a_lost_lease_ends_its_permits_and_is_not_revived_by_a_late_renewal() {
        let lease = Deadline::moving(second(30));
        let permit = permit(&lease, second(100));
        lease.end();
        lease.extend(second(60));
        assert!(permit.send_before() < second(-1_000_000));
    }

    #[test]
    fn a_deadline_moves_forward_only_and_a_fixed_one_not_at_all() {
        let lease = Deadline::moving(second(30));
        lease.extend(second(10));
        assert_eq!(lease.get(), second(30));
        let fixed = Deadline::fixed(second(30));
        fixed.extend(second(60));
        assert_eq!(fixed.get(), second(30));
        fixed.end();
        assert_eq!(fixed.get(), Timestamp::MIN_UTC);
    }
}
