//! Leases: this replica's share of the fleets, kept by a heartbeat, spread evenly over all
//! replicas that live.
//!
//! The store decides who holds a lease, by its own time. What is kept here is only how long we may
//! believe that we still do: a little shorter, counted from before we asked. A process that was
//! paused or cut off finds its time over and sends nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::{Clock, Deadline, Timestamp, clock};
use tokio::sync::OwnedMutexGuard;

use super::JournalError;
use super::store::{Fence, Held, Scope, Store};
use crate::model::{FleetId, ReplicaId};

/// How long a lease holds, and how often it is renewed, as parts of the lease time: the time within
/// which a fleet that lost its replica has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTime(pub Duration);

impl LeaseTime {
    /// A heartbeat is good for four fifths of it; the rest is for the others to notice.
    fn valid(self) -> Duration {
        self.0 * 4 / 5
    }

    /// We believe in it for a tenth less than the store does: clocks drift, but not by that much
    /// within seconds.
    fn believed(self) -> Duration {
        self.valid() * 9 / 10
    }

    /// A tenth: a renewal may fail several times before anything is lost.
    #[must_use]
    pub fn renewal(self) -> Duration {
        self.0 / 10
    }
}

/// The right to act for one fleet, for one tick: while it is held the fleet is not handed over.
#[derive(Debug)]
pub struct Lease {
    pub fleet: FleetId,
    pub fence: Fence,
    /// Moves on with each renewal, and ends when the lease is lost.
    pub deadline: Deadline,
    /// One at a time.
    _turn: OwnedMutexGuard<()>,
}

impl Lease {
    pub(super) fn held(&self) -> Held {
        Held { scope: Scope::Fleet(self.fleet.clone()), fence: self.fence }
    }
}

/// Whose turn it is to act for a fleet.
#[derive(Debug)]
pub enum Turn {
    /// Ours.
    Mine(Lease),
    /// Another replica's, or nobody's yet.
    Elsewhere,
    /// The store cannot be asked. It may have been ours the last time that it could.
    Unknown(JournalError),
}

/// The leases that this replica holds.
#[derive(Debug)]
pub(super) struct Leases {
    me: ReplicaId,
    time: LeaseTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    mine: BTreeMap<FleetId, Mine>,
    turns: BTreeMap<FleetId, Arc<tokio::sync::Mutex<()>>>,
    /// Why the last renewal failed.
    trouble: Option<JournalError>,
    replicas: usize,
    /// Whether the store ever said to the end which fleets are ours.
    tended: bool,
}

#[derive(Debug, Clone)]
struct Mine {
    fence: Fence,
    deadline: Deadline,
}

impl Leases {
    pub(super) fn new(me: ReplicaId, time: LeaseTime) -> Leases {
        Leases { me, time, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }

    pub(super) fn me(&self) -> &ReplicaId {
        &self.me
    }

    pub(super) fn time(&self) -> LeaseTime {
        self.time
    }

    /// How many fleets are held, and how many replicas live.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.mine.len(), state.replicas)
    }

    /// The fleets whose leases the store gave us, renewed in time or not.
    pub(super) fn held(&self) -> BTreeSet<FleetId> {
        self.state().mine.keys().cloned().collect()
    }

    /// The fleets that this replica may act for at `now`.
    pub(super) fn mine(&self, now: Timestamp) -> Vec<FleetId> {
        let state = self.state();
        let held = state.mine.iter().filter(|(_, mine)| now < mine.deadline.get());
        held.map(|(fleet, _)| fleet.clone()).collect()
    }

    /// Waits until no other tick of the fleet is under way, then says whose the fleet is.
    pub(super) async fn turn(&self, fleet: &FleetId, clock: &dyn Clock) -> Turn {
        let turn = self.state().turns.entry(fleet.clone()).or_default().clone();
        let turn = turn.lock_owned().await;
        let now = clock.now();
        let state = self.state();
        match state.mine.get(fleet) {
            Some(mine) if now < mine.deadline.get() => Turn::Mine(Lease {
                fleet: fleet.clone(),
                fence: mine.fence,
                deadline: mine.deadline.clone(),
                _turn: turn,
            }),
            // Ours for all we know, but not renewed in time.
            Some(_) => Turn::Unknown(state.trouble.clone().unwrap_or(JournalError::Expired)),
            // Whose it is by now cannot be asked.
            None => state.trouble.clone().map_or(Turn::Elsewhere, Turn::Unknown),
        }
    }

    /// Renews what is held, gives up what is too much, takes what is missing. Returns the fleets
    /// that were newly taken.
    pub(super) async fn tend(
        &self,
        store: &dyn Store,
        fleets: &[FleetId],
        clock: &dyn Clock,
    ) -> Result<Vec<(FleetId, Fence)>, JournalError> {
        let result = self.try_tend(store, fleets, clock).await;
        let mut state = self.state();
        match &result {
            Ok(_) => {
                state.trouble = None;
                state.tended = true;
            }
            Err(error) => state.trouble = Some(error.clone()),
        }
        result
    }

    async fn try_tend(
        &self,
        store: &dyn Store,
        fleets: &[FleetId],
        clock: &dyn Clock,
    ) -> Result<Vec<(FleetId, Fence)>, JournalError> {
        // Read before the store is asked: what we believe ends before what the store says.
        let asked_at = clock.now();
        failpoint!("heartbeat.before");
        let alive = store.heartbeat(&self.me, self.time.valid(), asked_at).await?;
        failpoint!("heartbeat.after");
        let held = store.held(&self.me, asked_at).await?;
        let until = clock::after(asked_at, self.time.believed());
        self.renew(&held, until, alive.len());

        let (rank, count) = (alive.iter().position(|id| *id == self.me), alive.len().max(1));
        let Some(rank) = rank else { return Ok(Vec::new()) };
        let share = fleets.len() / count + usize::from(rank < fleets.len() % count);
        let named: BTreeSet<&FleetId> = fleets.iter().collect();
        let is_named = |held: &&Held| match &held.scope {
            Scope::Fleet(fleet) => named.contains(fleet),
            _ => false,
        };
        let mine = held.iter().filter(is_named).count();
        // Fleets that are configured no more, too: another replica may know them still.
        let surplus = held.len() - mine + mine.saturating_sub(share);
        if surplus > 0 {
            self.give_up(store, fleets, surplus, asked_at).await?;
        }
        if mine > share {
            return Ok(Vec::new());
        }
        let wanted: Vec<Scope> = {
            let state = self.state();
            let missing = fleets.iter().filter(|fleet| !state.mine.contains_key(*fleet));
            missing.map(|fleet| Scope::Fleet(fleet.clone())).collect()
        };
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let me = &self.me;
        failpoint!("claim.before");
        let mut taken = store.claim(me, &wanted, share - mine, Duration::ZERO, asked_at).await?;
        // What nobody took for a whole lease time is taken beyond the share: the others may not
        // know of it.
        let most = wanted.len();
        taken.extend(store.claim(me, &wanted, most, self.time.0, asked_at).await?);
        failpoint!("claim.after");
        let taken: Vec<(FleetId, Fence)> = taken
            .into_iter()
            .filter_map(|held| match held.scope {
                Scope::Fleet(fleet) => Some((fleet, held.fence)),
                _ => None,
            })
            .collect();
        let mut state = self.state();
        for (fleet, fence) in &taken {
            let mine = Mine { fence: *fence, deadline: Deadline::moving(until) };
            state.mine.insert(fleet.clone(), mine);
        }
        Ok(taken)
    }

    /// Takes the lease of a single fleet, beyond the share.
    pub(super) async fn borrow(
        &self,
        store: &dyn Store,
        fleet: &FleetId,
        clock: &dyn Clock,
    ) -> Result<Option<Lease>, JournalError> {
        let asked_at = clock.now();
        let wanted = [Scope::Fleet(fleet.clone())];
        let taken = store.claim(&self.me, &wanted, 1, Duration::ZERO, asked_at).await?;
        if let Some(held) = taken.first() {
            // The heartbeat under it may be as old as a renewal.
            let good = self.time.believed().saturating_sub(self.time.renewal());
            let until = clock::after(asked_at, good);
            let mine = Mine { fence: held.fence, deadline: Deadline::moving(until) };
            self.state().mine.insert(fleet.clone(), mine);
        }
        match self.turn(fleet, clock).await {
            Turn::Mine(lease) => Ok(Some(lease)),
            Turn::Elsewhere => Ok(None),
            Turn::Unknown(error) => Err(error),
        }
    }

    /// Takes over what the store says that we hold, at the store's fences.
    fn renew(&self, held: &[Held], until: Timestamp, replicas: usize) {
        let mut state = self.state();
        state.replicas = replicas;
        let mut mine = BTreeMap::new();
        for Held { scope, fence } in held {
            let Scope::Fleet(fleet) = scope else { continue };
            let deadline = match state.mine.remove(fleet) {
                Some(before) if before.fence == *fence => {
                    before.deadline.extend(until);
                    before.deadline
                }
                Some(before) => {
                    before.deadline.end();
                    Deadline::moving(until)
                }
                None => Deadline::moving(until),
            };
            mine.insert(fleet.clone(), Mine { fence: *fence, deadline });
        }
        // The rest was lost: whatever is still under way sends nothing more.
        for lost in state.mine.values() {
            lost.deadline.end();
        }
        state.mine = mine;
    }

    /// Gives up `count` fleets whose ticks rest just now, those first that the configuration does
    /// not name.
    async fn give_up(
        &self,
        store: &dyn Store,
        fleets: &[FleetId],
        count: usize,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        // Made before the lock is taken, under which no fleet can begin its tick.
        let named: BTreeSet<&FleetId> = fleets.iter().collect();
        let mut given = Vec::new();
        // Held until the store knows, so that no tick begins meanwhile.
        let mut turns = Vec::new();
        {
            let mut state = self.state();
            let mut order: Vec<FleetId> = state.mine.keys().cloned().collect();
            order.sort_by_key(|fleet| named.contains(fleet));
            for fleet in order {
                if given.len() == count {
                    break;
                }
                let turn = state.turns.entry(fleet.clone()).or_default().clone();
                let Ok(turn) = turn.try_lock_owned() else { continue };
                turns.push(turn);
                if let Some(mine) = state.mine.remove(&fleet) {
                    mine.deadline.end();
                }
                given.push(Scope::Fleet(fleet));
            }
        }
        store.release(&self.me, &given, now).await
    }

    /// Gives everything up, for good.
    pub(super) async fn depart(
        &self,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        {
            let mut state = self.state();
            for mine in std::mem::take(&mut state.mine).into_values() {
                mine.deadline.end();
            }
        }
        store.depart(&self.me, now).await
    }

    /// Whether it is known which fleets are ours: they have been taken, all of them, once at least.
    pub(super) fn tended(&self) -> bool {
        self.state().tended
    }

    /// Whether the store answered the last time, and if not, why.
    pub(super) fn trouble(&self) -> Option<JournalError> {
        self.state().trouble.clone()
    }
}
