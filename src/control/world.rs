//! The live objects that ticks work with.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use cloud::{Clock, Meter};
use uuid::Uuid;

use super::Steps;
use super::fleets::{FleetInWorld, Fleets};
use super::prices::PriceBoard;
use super::pulse::Pulse;
use crate::execute::{Executor, Stop};
use crate::inventory::{Region, Surveyor};
use crate::journal::Journal;
use crate::model::{AccountId, FleetId};

/// All fleets, and everything that they share.
#[derive(Debug)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub journal: Arc<Journal>,
    pub surveyor: Surveyor,
    /// Notices when the host's clock is set.
    pub steps: Steps,
    pub accounts: BTreeMap<AccountId, LiveAccount>,
    pub fleets: Fleets,
    /// Where the randomness of ticks comes from.
    pub entropy: Arc<dyn Draw>,
    /// The process is to end.
    pub stop: Stop,
    /// Whether the loop goes round.
    pub pulse: Pulse,
}

/// One account and region.
#[derive(Debug)]
pub struct LiveAccount {
    pub region: Arc<Region>,
    /// The cost of its calls.
    pub meter: Arc<dyn Meter>,
    pub executor: Executor,
    /// What its instance types cost.
    pub prices: PriceBoard,
    /// The key that signed last, as the provider tells it from others.
    pub(super) key: Mutex<Option<String>>,
    /// Instances of ours that no fleet wants are deleted, not only reported.
    pub deletes_strays: bool,
}

/// Draws the randomness of one tick.
pub trait Draw: Debug + Send + Sync {
    fn draw(&self) -> Uuid;
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
pub struct OsRandom;

impl Draw for OsRandom {
    fn draw(&self) -> Uuid {
        Uuid::new_v4()
    }
}

impl LiveAccount {
    /// Whether this process has not seen `key` sign yet. Replicas may have a key each: every one of
    /// them says so once, not whenever another one signed meanwhile.
    pub(super) fn is_other_key(&self, key: &str) -> bool {
        let mut last = self.key.lock().expect("no holder of this lock can panic");
        let is_other = last.as_deref() != Some(key);
        *last = Some(key.to_owned());
        is_other
    }
}

impl World {
    /// The region of a configured account.
    pub(crate) fn region(&self, account: &AccountId) -> &Region {
        &self.accounts.get(account).expect("fleets name configured accounts").region
    }

    /// Believes a first listing that is empty: for a cloud that is known to be new.
    pub fn trust_first_looks(&mut self) {
        self.surveyor = Surveyor::trusting_first_looks();
    }

    /// The fleet of that name.
    #[must_use]
    pub fn member(&self, fleet: &FleetId) -> Option<Arc<FleetInWorld>> {
        self.fleets.get(fleet)
    }

    /// The ids of all fleets.
    #[must_use]
    pub fn fleet_ids(&self) -> Vec<FleetId> {
        self.fleets.all().iter().map(|member| member.fleet.id.clone()).collect()
    }
}
