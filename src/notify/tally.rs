//! The numbers of a channel's messages: taken, failed, waiting.

/// One channel since the daemon began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that the channel took.
    pub arrived: u64,
    /// Messages that it did not take, after all attempts. What they told is told again.
    pub failed: u64,
    /// Beginnings and ends of alerts that are still to be told.
    pub waiting: usize,
}
