//! The right to change the cloud once.

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
    send_before: Timestamp,
}

impl Permit {
    /// The permit of a recorded intent; no attempt may be sent at or after `send_before`.
    #[must_use]
    pub fn after_commit(intent: Uuid, send_before: Timestamp) -> Self {
        Permit { intent, send_before }
    }

    /// The intent that this permit carries out.
    #[must_use]
    pub fn intent(&self) -> Uuid {
        self.intent
    }

    /// The first moment at which nothing may be sent any more. It lies before the end of the lease
    /// under which the intent was recorded, so a paused process cannot act on a lost lease.
    #[must_use]
    pub fn send_before(&self) -> Timestamp {
        self.send_before
    }
}
