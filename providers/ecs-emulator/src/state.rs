//! Everything that exists: instances and their statuses over time, tokens, nonces, quotas.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Timestamp, clock};
use serde::Serialize;

use crate::answer::{ApiError, Outcome};
use crate::balancers::Group;
use crate::faults::Faults;
use crate::machine::{InstanceView, Machine, Power};
use crate::machines::Machines;
use crate::transcript::Transcript;
use crate::world::World;

/// A nonce may not come again within this time.
const NONCE_WINDOW: Duration = Duration::from_secs(15 * 60);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    clock: Arc<dyn Clock>,
    /// How far `/_emulator/clock` has moved the time forward.
    offset: Duration,
    pub(crate) instances: Machines,
    pub(crate) faults: Faults,
    pub(crate) transcript: Transcript,
    pub(crate) violations: Vec<Violation>,
    pub(crate) tokens: BTreeMap<(String, String), Remembered>,
    /// Requests that have not had their effect yet.
    pub(crate) late: Vec<Late>,
    /// Of load balancers, by the id of the group.
    pub(crate) backends: BTreeMap<String, Group>,
    /// The moment of a late effect, while it happens.
    pub(crate) moment: Option<Timestamp>,
    /// Zones that are gone, and zones whose instances do not answer.
    pub(crate) lost_zones: BTreeSet<String>,
    pub(crate) hung_zones: BTreeSet<String>,
    nonces: HashSet<String>,
    /// The same, the oldest first.
    nonces_by_age: VecDeque<(Timestamp, String)>,
    /// Action → the minute, the calls in it.
    minutes: BTreeMap<String, (i64, u32)>,
    /// The minute, and instances asked for in it.
    asked: (i64, u32),
    made: u64,
}

/// The first call with a client token.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    parameters: BTreeMap<String, String>,
    outcome: Outcome,
    pub(crate) used_at: Timestamp,
    /// Until then the first call is still under way.
    ready_at: Timestamp,
}

/// A request that is still queued in the cloud when its connection breaks; see the module `late`.
#[derive(Debug, Clone)]
pub(crate) struct Late {
    pub(crate) due: Timestamp,
    /// Of the call that it came with.
    pub(crate) seq: u64,
    pub(crate) action: String,
    pub(crate) version: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A mistake of a client that the real API lets pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub seq: u64,
    pub action: String,
    pub what: String,
}

impl State {
    pub(crate) fn new(world: World, clock: Arc<dyn Clock>) -> Self {
        State {
            world,
            clock,
            offset: Duration::ZERO,
            instances: Machines::default(),
            faults: Faults::default(),
            transcript: Transcript::default(),
            violations: Vec::new(),
            tokens: BTreeMap::new(),
            late: Vec::new(),
            backends: BTreeMap::new(),
            moment: None,
            lost_zones: BTreeSet::new(),
            hung_zones: BTreeSet::new(),
            nonces: HashSet::new(),
            nonces_by_age: VecDeque::new(),
            minutes: BTreeMap::new(),
            asked: (0, 0),
            made: 0,
        }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.moment.unwrap_or_else(|| clock::after(self.clock.now(), self.offset))
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.offset += by;
    }

    /// A fresh id; they sort in the order of creation.
    pub(crate) fn fresh_id(&mut self) -> String {
        self.made += 1;
        format!("i-bp1emu{:012}", self.made)
    }

    /// An instance that exists now, listed or not.
    pub(crate) fn existing(&self, id: &str) -> Option<&Machine> {
        let (now, boot) = (self.now(), self.world.boot.0);
        self.instances.get(id).filter(|machine| machine.status(now, boot).is_some())
    }

    pub(crate) fn existing_mut(&mut self, id: &str) -> Option<&mut Machine> {
        let (now, boot) = (self.now(), self.world.boot.0);
        self.instances.get_mut(id).filter(|machine| machine.status(now, boot).is_some())
    }

    pub(crate) fn existing_count(&self) -> usize {
        let (now, boot) = (self.now(), self.world.boot.0);
        self.instances.iter().filter(|m| m.status(now, boot).is_some()).count()
    }

    pub(crate) fn views(&self) -> Vec<InstanceView> {
        let (now, boot) = (self.now(), self.world.boot.0);
        let view = |m: &Machine| InstanceView {
            id: m.id.clone(),
            status: m.status(now, boot).unwrap_or("Gone").to_owned(),
            zone: m.zone.clone(),
            instance_type: m.instance_type.clone(),
            created_at: m.created_at,
            gone_at: m.gone_at(now),
            tags: (*m.tags).clone(),
            reachable: m.gone_at(now).is_none() && !self.hung_zones.contains(&m.zone),
            private_ip: m.ip.clone(),
        };
        self.instances.iter().map(view).collect()
    }

    /// Whether a nonce was used a short while ago; it is now, in any case.
    pub(crate) fn is_replayed(&mut self, nonce: &str) -> bool {
        let now = self.now();
        let is_old = |(at, _): &(Timestamp, String)| clock::age(now, *at) >= NONCE_WINDOW;
        while self.nonces_by_age.front().is_some_and(is_old) {
            if let Some((_, old)) = self.nonces_by_age.pop_front() {
                self.nonces.remove(&old);
            }
        }
        let is_new = self.nonces.insert(nonce.to_owned());
        if is_new {
            self.nonces_by_age.push_back((now, nonce.to_owned()));
        }
        !is_new
    }

    /// Counts a call against its quota of the minute. Once it is used up, every further call of
    /// the minute is refused.
    pub(crate) fn throttle(&mut self, action: &str) -> Result<(), ApiError> {
        let minute = self.now().timestamp().div_euclid(60);
        let quota = self.world.quotas.calls_per_minute.get(action).copied();
        let entry = self.minutes.entry(action.to_owned()).or_insert((minute, 0));
        if entry.0 != minute {
            *entry = (minute, 0);
        }
        entry.1 += 1;
        if quota.is_some_and(|quota| entry.1 > quota) { Err(throttled()) } else { Ok(()) }
    }

    /// 5,000 instances may be asked for in a minute.
    pub(crate) fn throttle_instances(&mut self, amount: u32) -> Result<(), ApiError> {
        const PER_MINUTE: u32 = 5_000;
        let minute = self.now().timestamp().div_euclid(60);
        if self.asked.0 != minute {
            self.asked = (minute, 0);
        }
        if self.asked.1 + amount > PER_MINUTE {
            return Err(throttled_resource());
        }
        self.asked.1 += amount;
        Ok(())
    }

    /// The answer to a repeated token; `None` for a new one.
    pub(crate) fn remembered(
        &self,
        action: &str,
        token: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Option<Outcome> {
        let first = self.tokens.get(&(action.to_owned(), token.to_owned()))?;
        if clock::age(self.now(), first.used_at) >= self.world.token_memory.0 {
            return None;
        }
        if first.parameters != *parameters {
            let message = "The request uses the same client token as a previous, but non-identical \
                           request.";
            return Some(Err(ApiError::new(400, "IdempotentParameterMismatch", message)));
        }
        if self.now() < first.ready_at {
            return Some(Err(token_processing()));
        }
        Some(first.outcome.clone())
    }

    pub(crate) fn remember(
        &mut self,
        action: &str,
        token: &str,
        parameters: BTreeMap<String, String>,
        outcome: Outcome,
        ready_in: Duration,
    ) {
        let (used_at, memory) = (self.now(), self.world.token_memory.0);
        self.tokens.retain(|_, first| clock::age(used_at, first.used_at) < memory);
        let ready_at = clock::after(used_at, ready_in);
        let remembered = Remembered { parameters, outcome, used_at, ready_at };
        self.tokens.insert((action.to_owned(), token.to_owned()), remembered);
    }

    pub(crate) fn place_foreign(&mut self, tags: &[(&str, &str)]) -> String {
        let id = self.fresh_id();
        let now = self.now();
        // It was there long before.
        let created_at = now - clock::delta(Duration::from_secs(24 * 60 * 60));
        self.instances.push(Machine {
            id: id.clone(),
            name: id.clone(),
            zone: self.world.zones.first().cloned().unwrap_or_default(),
            instance_type: self.world.instance_types.first().cloned().unwrap_or_default(),
            image: "m-foreign".to_owned(),
            vswitch: "vsw-foreign".to_owned(),
            security_groups: Vec::new(),
            ip: "192.168.0.1".to_owned(),
            spot: "NoSpot".to_owned(),
            deletion_protection: false,
            tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            created_at,
            visible_at: created_at,
            tags_visible_at: created_at,
            never_boots: false,
            vanishes_at: None,
            is_reclaimed: false,
            power: Power::On { since: created_at },
        });
        id
    }

    pub(crate) fn vanish(&mut self, id: &str) {
        let (now, boot) = (self.now(), self.world.boot.0);
        if let Some(machine) = self.existing_mut(id) {
            machine.end(now, boot);
        }
    }

    pub(crate) fn reclaim(&mut self, id: &str, notice: Duration) {
        let at = clock::after(self.now(), notice);
        if let Some(machine) = self.existing_mut(id) {
            (machine.is_reclaimed, machine.vanishes_at) = (true, Some(at));
        }
    }

    pub(crate) fn stop(&mut self, id: &str) {
        let until = clock::after(self.now(), self.world.stop.0);
        if let Some(machine) = self.existing_mut(id) {
            machine.power = Power::Stopping { until, then_gone: false };
        }
    }

    pub(crate) fn protect(&mut self, id: &str, protected: bool) {
        if let Some(machine) = self.existing_mut(id) {
            machine.deletion_protection = protected;
        }
    }

    /// Every instance of the zone is gone, and none can be had there.
    pub(crate) fn lose_zone(&mut self, zone: &str) {
        let (now, boot) = (self.now(), self.world.boot.0);
        let there = self.instances.iter_mut().filter(|machine| machine.zone == zone);
        for machine in there.filter(|machine| machine.gone_at(now).is_none()) {
            machine.end(now, boot);
        }
        self.lost_zones.insert(zone.to_owned());
    }

    /// Nothing in the zone answers any more; listings do not tell.
    pub(crate) fn hang_zone(&mut self, zone: &str) {
        self.hung_zones.insert(zone.to_owned());
    }

    pub(crate) fn restore_zone(&mut self, zone: &str) {
        self.lost_zones.remove(zone);
        self.hung_zones.remove(zone);
    }

    pub(crate) fn untag(&mut self, id: &str, keys: &[&str]) {
        if self.existing(id).is_some() {
            self.instances.untag(id, |key| keys.contains(&key));
        }
    }

    pub(crate) fn retag(&mut self, id: &str, tags: &[(&str, &str)]) {
        if self.existing(id).is_some() {
            tags.iter().for_each(|(key, value)| self.instances.tag(id, key, value));
        }
    }

    /// Every boot under way ends when it would have ended.
    pub(crate) fn set_boot(&mut self, boot: Duration) {
        let before = std::mem::replace(&mut self.world.boot.0, boot);
        for machine in self.instances.iter_mut() {
            if let Power::On { since } = &mut machine.power {
                let up_at = clock::after(*since, before);
                *since = clock::before(up_at, boot);
            }
        }
    }
}

pub(crate) fn throttled() -> ApiError {
    ApiError::new(400, "Throttling.User", "Request was denied due to user flow control.")
}

pub(crate) fn throttled_resource() -> ApiError {
    let message = "Request was denied due to resource operation throttling.";
    ApiError::new(429, "Throttling.Resource", message)
}

pub(crate) fn token_processing() -> ApiError {
    ApiError::new(403, "LastTokenProcessing", "The last token request is processing.")
}
