//! The things that happen to the world, and end: loads, faults, zones, signals, hosts, and what
//! operators and strangers do.

use std::time::Duration;

use cloud::Timestamp;
use ecs_emulator::{Emulator, Fault, FaultKind};
use fleetscaler::journal::codec;
use fleetscaler::journal::store::{Durability, NewRecord, Scope, Write};
use fleetscaler::model::{Direction, Hold, Instructed, Instruction, OperatorEvent};
use rand::Rng;
use uuid::Uuid;

use super::Driver;
use crate::check::{Held, Key, Whose};
use crate::replica;
use crate::script::{Change, KINDS, What, ZONES};
use crate::store::Down;

/// By so much, in seconds, the clocks of hosts that share a journal differ at most at first.
const DISAGREE: i64 = 20;

/// As long as `fleetscaler replace` says.
const REPLACED_WITHIN: u32 = 24 * 3_600;

impl Driver {
    pub(super) fn happen(&mut self, what: &What, until: &mut Vec<(Timestamp, What)>) {
        let lasts = match what {
            What::Hiccup { secs, .. }
            | What::Quota { secs, .. }
            | What::ListsNothing { secs, .. }
            | What::Protect { secs, .. }
            | What::LoseZone { secs, .. }
            | What::HangZone { secs, .. } => Some(*secs),
            _ => None,
        };
        until.extend(lasts.map(|secs| (self.in_secs(secs), what.clone())));
        match what {
            What::Fault { account, .. }
            | What::ClearFaults { account }
            | What::Hiccup { account, .. }
            | What::Stock { account, .. }
            | What::Quota { account, .. }
            | What::ListsNothing { account, .. }
            | What::Boots { account, .. }
            | What::LoseZone { account, .. }
            | What::HangZone { account, .. } => {
                let emulator = self.outside.emulators[*account].clone();
                self.change_the_cloud(what, &emulator);
            }
            What::Load { .. }
            | What::SignalGap { .. }
            | What::SignalFreeze { .. }
            | What::SignalPartial { .. }
            | What::SignalLag { .. }
            | What::SourceBack { .. }
            | What::Panic { .. } => self.change_a_signal(what),
            What::Vanish { nth } => self.on_nth(*nth, |emulator, id| emulator.vanish(id)),
            What::Stop { nth } => self.on_nth(*nth, |emulator, id| emulator.stop(id)),
            What::Untag { nth } => self.on_nth(*nth, |emulator, id| {
                emulator.untag(id, &["scale-timestamp", "scale-source"]);
            }),
            What::Retag { fleet, .. } if !self.outside.checks.have_launched(*fleet) => {}
            What::Retag { nth, fleet } => {
                let name = self.outside.shape.fleets[*fleet].name.clone();
                self.on_nth(*nth, |emulator, id| emulator.retag(id, &[("scale-fleet", &name)]));
            }
            What::Protect { nth, .. } => self.on_nth_known(*nth, |driver, key| {
                driver.outside.emulators[key.0].protect(&key.1, true);
                driver.outside.checks.protect(key, true);
            }),
            What::Refresh { fleet, secs } => self.refresh(*fleet, *secs),
            What::Replace { nth } => self.on_nth_known(*nth, Driver::replace),
            What::Stranger { fleet, intent, count } => self.stranger(*fleet, *intent, *count),
            What::Base { fleet, add } => self.base(*fleet, *add),
            What::Hold { fleet, out, in_, secs } => self.hold(*fleet, *out, *in_, *secs),
            What::Resume { fleet } => self.lift(*fleet),
            What::Configure { installation, change } => self.configure(*installation, change),
            What::Crash { .. }
            | What::Pause { .. }
            | What::ClockStep { .. }
            | What::StoreDown { .. }
            | What::StoreLies { .. } => self.change_a_replica(what),
        }
        self.outside.checks.look();
    }

    fn change_the_cloud(&self, what: &What, emulator: &Emulator) {
        match what {
            What::Fault { fault, .. } => {
                if concerns_the_account(fault.kind) {
                    self.outside.checks.account_trouble();
                }
                emulator.inject(fault.clone());
            }
            What::ClearFaults { .. } => emulator.clear_faults(),
            What::Hiccup { .. } => {
                let kind = FaultKind::EmptyListing;
                emulator.inject(Fault { times: None, ..Fault::on("DescribeInstances", kind) });
            }
            What::Stock { zone, kind, left, .. } => {
                let place = format!("{}/{}", ZONES[*zone], KINDS[*kind]);
                emulator.change(|world| match left {
                    Some(left) => drop(world.stock.insert(place, *left)),
                    None => drop(world.stock.remove(&place)),
                });
            }
            What::Quota { left, .. } => {
                self.outside.checks.account_trouble();
                let exist = emulator.instances().iter().filter(|v| v.status != "Gone").count();
                let quota = u32::try_from(exist).expect("few") + left;
                emulator.change(|world| world.instance_quota = quota);
            }
            What::ListsNothing { .. } => emulator.change(|world| world.lists_nothing = true),
            What::Boots { secs, .. } => emulator.set_boot(Duration::from_secs(*secs)),
            What::LoseZone { zone, .. } => emulator.lose_zone(ZONES[*zone]),
            What::HangZone { zone, .. } => emulator.hang_zone(ZONES[*zone]),
            _ => {}
        }
    }

    fn change_a_signal(&self, what: &What) {
        let mut fleets = self.outside.truth.fleets();
        let until = |secs: &u32| Some(self.in_secs(*secs));
        match what {
            What::Load { fleet, load } => fleets[*fleet].load = *load,
            What::SignalGap { fleet, secs } => fleets[*fleet].gap_until = until(secs),
            What::SignalFreeze { fleet, secs } => fleets[*fleet].frozen_until = until(secs),
            What::SignalPartial { fleet, secs } => fleets[*fleet].partial_until = until(secs),
            What::SignalLag { fleet, lag_secs } => {
                fleets[*fleet].lag = Duration::from_secs(u64::from(*lag_secs));
            }
            What::SourceBack { fleet, secs } => {
                fleets[*fleet].back += Duration::from_secs(u64::from(*secs));
            }
            What::Panic { fleet } => fleets[*fleet].panics = true,
            _ => {}
        }
    }

    fn change_a_replica(&mut self, what: &What) {
        match what {
            What::Crash { replica, steps, down_secs } => {
                let place = &mut self.places[*replica];
                place.crash_after = place.replica.is_some().then_some((*steps, *down_secs));
            }
            What::Pause { replica, secs } => {
                self.places[*replica].paused_until = Some(self.in_secs(*secs));
            }
            What::ClockStep { replica, secs } => {
                // Replicas whose hosts disagree by more take each other's records for old.
                let of = self.places[*replica].installation;
                let alone = self.outside.shape.installations[of].replicas == 1;
                let most = if alone { i64::MAX } else { DISAGREE };
                self.places[*replica].host.step((*secs).clamp(-most, most));
                self.outside.checks.clock_was_set(*replica);
            }
            What::StoreDown { installation, replica, secs } => {
                let down = Down { since: self.now(), until: self.in_secs(*secs) };
                for (n, place) in self.places.iter().enumerate() {
                    let is = replica.is_none_or(|replica| replica == n);
                    if is && place.installation == *installation {
                        place.trouble.lock().expect("no panic").down = Some(down);
                    }
                }
            }
            What::StoreLies { replica } => {
                self.places[*replica].trouble.lock().expect("no panic").lies = true;
            }
            _ => {}
        }
    }

    pub(super) fn undo(&mut self, what: &What) {
        let emulator = |account: &usize| &self.outside.emulators[*account];
        match what {
            What::Hiccup { account, .. } => emulator(account).clear_faults(),
            What::Quota { account, .. } => {
                emulator(account).change(|world| world.instance_quota = 10_000);
            }
            What::ListsNothing { account, .. } => {
                emulator(account).change(|world| world.lists_nothing = false);
            }
            What::LoseZone { account, zone, .. } | What::HangZone { account, zone, .. } => {
                emulator(account).restore_zone(ZONES[*zone]);
            }
            What::Protect { .. } => self.unprotect(),
            _ => {}
        }
        self.outside.checks.look();
    }

    pub(super) fn unprotect(&self) {
        for (key, known) in self.outside.checks.known() {
            if known.protected_since.is_some() {
                self.outside.emulators[key.0].protect(&key.1, false);
                self.outside.checks.protect(&key, false);
            }
        }
    }

    /// Another configuration: the replicas of the installation are restarted one after the other.
    fn configure(&mut self, installation: usize, change: &Change) {
        match change {
            Change::Bounds { fleet, min, max } => {
                self.setups[*fleet].min = *min;
                self.setups[*fleet].max = *max;
            }
            Change::Launch { fleet } => self.setups[*fleet].revision += 1,
            Change::Remove { fleet } => self.setups[*fleet].present = false,
            Change::Add { fleet } => self.setups[*fleet].present = true,
            Change::Rename { fleet, to } => {
                if self.setups[*fleet].present && !self.setups[*to].present {
                    self.setups[*fleet].present = false;
                    self.setups[*to].present = true;
                    let mut fleets = self.outside.truth.fleets();
                    fleets[*to].load = fleets[*fleet].load;
                }
            }
        }
        for fleet in change.fleets() {
            self.outside.checks.configured(fleet, self.setups[fleet].present);
        }
        let mut at = self.now();
        let places = self.places.iter_mut().filter(|place| place.installation == installation);
        for place in places {
            place.restart_at = Some(at);
            at = cloud::clock::after(at, Duration::from_secs(self.rng.random_range(0..40)));
        }
    }

    /// Instances that somebody else creates with our tags. They are there long before ours.
    fn stranger(&self, fleet: usize, intent: bool, count: usize) {
        let shape = &self.outside.shape.fleets[fleet];
        let mut tags = vec![("scale-source", "auto"), ("scale-fleet", shape.name.as_str())];
        // A fleet that has launched nothing yet may take over what nobody owns.
        if !self.outside.checks.have_launched(fleet) {
            tags.push(("scale-owner", "somebody"));
        }
        if intent {
            tags.push(("scale-intent", "00000000-0000-4000-8000-000000000000"));
            tags.push(("scale-timestamp", "2026-01-01T12:00:00Z"));
        }
        for _ in 0..count {
            self.outside.emulators[shape.account].place(&tags);
        }
    }

    fn base(&self, fleet: usize, add: bool) {
        let shape = &self.outside.shape.fleets[fleet];
        if shape.base == 0 {
            return;
        }
        let emulator = &self.outside.emulators[shape.account];
        if add {
            emulator.place(&[("pool", &replica::pool(fleet)), ("team", "ops")]);
            return;
        }
        let known = self.outside.checks.known();
        let there = |known: &crate::check::Known| {
            known.whose == Whose::Base(fleet) && known.status != "Gone"
        };
        if let Some(((_, id), _)) = known.iter().find(|(_, known)| there(known)) {
            emulator.vanish(id);
        }
    }

    /// The nth of the instances that exist and are ours, to which something is done.
    fn on_nth_known(&mut self, nth: usize, then: impl FnOnce(&mut Driver, &Key)) {
        let known = self.outside.checks.known();
        let ours: Vec<&Key> = known
            .iter()
            .filter(|(_, known)| matches!(known.whose, Whose::Fleet(_)) && known.status != "Gone")
            .map(|(key, _)| key)
            .collect();
        if ours.is_empty() {
            return;
        }
        let key = ours[nth % ours.len()];
        then(self, key);
        self.outside.checks.touched(key);
    }

    fn on_nth(&mut self, nth: usize, then: impl FnOnce(&Emulator, &str)) {
        self.on_nth_known(nth, |driver, (account, id)| {
            then(&driver.outside.emulators[*account], id);
        });
    }

    /// A person has the instance replaced.
    fn replace(&mut self, key: &Key) {
        let known = self.outside.checks.known();
        let Some(Whose::Fleet(fleet)) = known.get(key).map(|known| known.whose) else { return };
        let what = Instructed::Replace { instance: key.1.as_str().into() };
        // Ids are unique within an account only, here.
        self.instruct(fleet, what, REPLACED_WITHIN);
        self.outside.checks.replaced(key);
    }

    /// A person has those replaced that an older template launched.
    fn refresh(&mut self, fleet: usize, secs: u32) {
        self.instruct(fleet, Instructed::Refresh, secs);
        self.outside.checks.refreshed(fleet);
    }

    fn instruct(&mut self, fleet: usize, what: Instructed, secs: u32) {
        let at = self.now();
        let instruction = Instruction {
            id: Uuid::from_u128(u128::try_from(at.timestamp_millis()).expect("after 1970")),
            fleet: Some(self.outside.shape.fleets[fleet].name.as_str().into()),
            what,
            author: "ann".into(),
            reason: "simulated".into(),
            placed: at,
            until: self.in_secs(secs),
        };
        self.operator(fleet, &OperatorEvent::Instructed { at, instruction });
    }

    fn hold(&mut self, fleet: usize, out: bool, in_: bool, secs: u32) {
        let direction = match (out, in_) {
            (true, false) => Some(Direction::Out),
            (false, true) => Some(Direction::In),
            _ => None,
        };
        let (placed, until) = (self.now(), self.in_secs(secs));
        let hold = Hold {
            id: Uuid::from_u128(fleet as u128 + 1),
            fleet: Some(self.outside.shape.fleets[fleet].name.as_str().into()),
            direction,
            author: "ann".into(),
            reason: "simulated".into(),
            placed,
            until,
        };
        self.operator(fleet, &OperatorEvent::Held { at: placed, hold });
        self.outside.checks.held(fleet, Some(Held { out, in_, placed, until }));
    }

    pub(super) fn lift(&mut self, fleet: usize) {
        let (at, id) = (self.now(), Uuid::from_u128(fleet as u128 + 1));
        let event = OperatorEvent::Lifted { at, id, author: "ann".into(), hold: None };
        self.operator(fleet, &event);
        self.outside.checks.held(fleet, None);
    }

    /// The records of an operator's command, beside the replicas.
    fn operator(&mut self, fleet: usize, event: &OperatorEvent) {
        let record = NewRecord {
            scope: Scope::Operator,
            at: event.at(),
            kind: event.kind(),
            v: codec::VERSION,
            body: serde_json::to_string(event).expect("it has text keys"),
        };
        let writes = [Write { records: vec![record], ..Write::default() }];
        let kept = &self.outside.journals[self.outside.shape.fleets[fleet].installation];
        let (store, now) = (kept.open(), self.now());
        let me = "operator".into();
        let committed = kept.wait(store.commit(&me, &writes, Durability::Durable, now));
        committed.expect("it takes what an operator says");
    }
}

/// Whether launches of the whole account may stop for it: its keys, its money.
fn concerns_the_account(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::BadCredentials | FaultKind::NoBalance)
}
