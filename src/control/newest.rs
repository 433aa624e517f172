//! The newest of each fleet: what its last tick saw and did, or why it could not.
//!
//! The API, the status line and everything else that shows a fleet reads it here, and waits for the
//! next one here.
//! A tick waits for no reader.

use std::sync::Arc;

use cloud::Timestamp;
use tokio::sync::watch;

use super::{TickError, TickReport};

/// The newest knowledge of one fleet.
#[derive(Debug, Clone, Default)]
pub struct Newest {
    /// Of the newest tick that saw the fleet; it stays while later ticks fail. `None` before the first
    /// one, and while another replica acts for the fleet.
    pub report: Option<Arc<TickReport>>,
    /// Why the newest tick could not do its work, if so.
    pub trouble: Option<Trouble>,
    /// Another replica acts for the fleet.
    pub is_elsewhere: bool,
}

/// Why a tick ended without a plan carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub since: Timestamp,
    pub why: String,
}

/// Where the newest of one fleet is kept.
#[derive(Debug, Default)]
pub struct Shown(watch::Sender<Newest>);

impl Shown {
    /// The newest knowledge.
    #[must_use]
    pub fn newest(&self) -> Newest {
        self.0.borrow().clone()
    }

    /// To wait for the next tick.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Newest> {
        self.0.subscribe()
    }

    /// A tick ended at `now`.
    pub fn ticked(&self, result: &Result<Arc<TickReport>, TickError>, now: Timestamp) {
        match result {
            // It was told to stop: nothing was found out.
            Err(TickError::Stopped) => {}
            Ok(report) => {
                let report = Some(report.clone());
                self.0.send_replace(Newest { report, ..Newest::default() });
            }
            Err(TickError::Elsewhere) => {
                self.0.send_replace(Newest { is_elsewhere: true, ..Newest::default() });
            }
            Err(error) => self.0.send_modify(|newest| {
                let since = newest.trouble.as_ref().map_or(now, |trouble| trouble.since);
                newest.trouble = Some(Trouble { since, why: error.to_string() });
                newest.is_elsewhere = false;
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloud::clock;

    use super::*;
    use crate::journal::JournalError;
    use crate::model::fixtures::now;

    #[test]
    fn trouble_is_known_since_its_first_tick_and_another_replica_ends_it() {
        let shown = Shown::default();
        let mut watch = shown.watch();
        for secs in [0, 15] {
            let closed = Err(TickError::Journal(JournalError::Closed));
            shown.ticked(&closed, clock::after(now(), Duration::from_secs(secs)));
        }
        let newest = shown.newest();
        assert_eq!(newest.trouble.as_ref().map(|trouble| trouble.since), Some(now()));
        assert!(newest.report.is_none() && !newest.is_elsewhere);
        assert!(watch.has_changed().expect("it lives"));
        drop(watch.borrow_and_update());
        shown.ticked(&Err(TickError::Stopped), now());
        assert!(
            !watch.has_changed().expect("it lives"),
            "a tick that was stopped found out nothing"
        );
        shown.ticked(&Err(TickError::Elsewhere), now());
        let newest = shown.newest();
        assert!(newest.trouble.is_none() && newest.is_elsewhere);
    }
}
