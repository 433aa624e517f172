//! The end of the process, as the executor sees it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Asked for once, for good: the action under way is finished, no further one begins. One action may
/// take 90 s, so a plan of several would outlive the patience of whoever stops the process; what is
/// left of it, the next process plans anew.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
