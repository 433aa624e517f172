//! How many calls each account had within the last minute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::{Clock, Meter};

use crate::model::AccountId;

/// A minute has six of them.
const EVERY: Duration = Duration::from_secs(10);
const KEPT: usize = 6;

/// The meters at the ends of the last minute's parts.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<BTreeMap<AccountId, VecDeque<u64>>>);

impl Pace {
    /// Looks at the meters for ever.
    pub(super) async fn watch(
        self: Arc<Self>,
        meters: Vec<(AccountId, Arc<dyn Meter>)>,
        clock: Arc<dyn Clock>,
    ) {
        loop {
            for (account, meter) in &meters {
                self.note(account, calls(&**meter));
            }
            clock.sleep(EVERY).await;
        }
    }

    fn note(&self, account: &AccountId, calls: u64) {
        let mut noted = self.0.lock().expect("no holder of this lock can panic");
        let of_account = noted.entry(account.clone()).or_default();
        of_account.push_back(calls);
        if of_account.len() > KEPT {
            of_account.pop_front();
        }
    }

    /// The calls of `account` since a minute ago, or since the start.
    pub(super) fn last_minute(&self, account: &AccountId, meter: &dyn Meter) -> u64 {
        let noted = self.0.lock().expect("no holder of this lock can panic");
        let before = noted.get(account).and_then(|noted| noted.front()).copied().unwrap_or(0);
        calls(meter).saturating_sub(before)
    }
}

/// All calls so far.
fn calls(meter: &dyn Meter) -> u64 {
    meter.budget().iter().find(|budget| budget.action == "*").map_or(0, |budget| budget.calls)
}
