//! What happens to the world, and what ends it: loads, faults, zones, signals, and an operator's word.

use std::time::Duration;

use cloud::Timestamp;
use fleetscaler::journal::codec;
use fleetscaler::journal::store::{Durability, NewRecord, Scope, Store, Write};
use fleetscaler::model::{Direction, Hold, OperatorEvent};
use uuid::Uuid;

use super::Driver;
use crate::script::{KINDS, What, ZONES};
use crate::truth;

impl Driver {
    pub(super) fn happen(&mut self, what: &What, until: &mut Vec<(Timestamp, What)>) {
        let emulator = self.outside.emulator.clone();
        let later = |secs: &u32| self.in_secs(*secs);
        match what {
            What::Load { fleet, load } => self.outside.truth.fleets()[*fleet].load = *load,
            What::Fault(fault) => emulator.inject(fault.clone()),
            What::ClearFaults => emulator.clear_faults(),
            What::Stock { zone, kind, left } => {
                let place = format!("{}/{}", ZONES[*zone], KINDS[*kind]);
                emulator.change(|world| match left {
                    Some(left) => drop(world.stock.insert(place, *left)),
                    None => drop(world.stock.remove(&place)),
                });
            }
            What::Quota { left, secs } => {
                let exist = emulator.instances().iter().filter(|v| v.status != "Gone").count();
                let quota = u32::try_from(exist).expect("few") + left;
                emulator.change(|world| world.instance_quota = quota);
                until.push((later(secs), what.clone()));
            }
            What::ListsNothing { secs } => {
                emulator.change(|world| world.lists_nothing = true);
                until.push((later(secs), what.clone()));
            }
            What::Crash { replica, steps, down_secs } => {
                if self.places[*replica].world.is_some() {
                    self.places[*replica].crash_after = Some((*steps, *down_secs));
                }
            }
            What::Pause { replica, secs } => {
                let until = later(secs);
                self.places[*replica].paused_until = Some(until);
            }
            What::StoreDown { replica, secs } => {
                let down_until = Some(later(secs));
                for (n, place) in self.places.iter().enumerate() {
                    if replica.is_none_or(|replica| replica == n) {
                        place.trouble.lock().expect("no panic").down_until = down_until;
                    }
                }
            }
            What::StoreLies { replica } => {
                self.places[*replica].trouble.lock().expect("no panic").lies = true;
            }
            What::SignalGap { fleet, secs } => {
                let until = Some(later(secs));
                self.outside.truth.fleets()[*fleet].gap_until = until;
            }
            What::SignalFreeze { fleet, secs } => {
                let until = Some(later(secs));
                self.outside.truth.fleets()[*fleet].frozen_until = until;
            }
            What::SignalPartial { fleet, secs } => {
                let until = Some(later(secs));
                self.outside.truth.fleets()[*fleet].partial_until = until;
            }
            What::SignalLag { fleet, lag_secs } => {
                let lag = Duration::from_secs(u64::from(*lag_secs));
                self.outside.truth.fleets()[*fleet].lag = lag;
            }
            What::Vanish { nth } => self.on_nth(*nth, |id| emulator.vanish(id)),
            What::Stop { nth } => self.on_nth(*nth, |id| emulator.stop(id)),
            What::Untag { nth } => {
                self.on_nth(*nth, |id| emulator.untag(id, &["scale-timestamp", "scale-source"]));
            }
            What::Protect { nth, secs } => {
                if let Some(id) = self.nth(*nth) {
                    emulator.protect(&id, true);
                    self.outside.checks.protect(&id, true);
                    until.push((later(secs), what.clone()));
                }
            }
            What::LoseZone { zone, secs } => {
                emulator.lose_zone(ZONES[*zone]);
                until.push((later(secs), what.clone()));
            }
            What::Foreign => drop(emulator.place(&[("scale-source", "auto"), ("owner", "x")])),
            What::Hold { fleet, out, in_, secs } => self.hold(*fleet, *out, *in_, *secs),
            What::Resume { fleet } => self.lift(*fleet),
        }
    }

    pub(super) fn undo(&mut self, what: &What) {
        let emulator = &self.outside.emulator;
        match what {
            What::Quota { .. } => emulator.change(|world| world.instance_quota = 10_000),
            What::ListsNothing { .. } => emulator.change(|world| world.lists_nothing = false),
            What::LoseZone { zone, .. } => emulator.restore_zone(ZONES[*zone]),
            What::Protect { .. } => {
                for view in emulator.instances() {
                    emulator.protect(&view.id, false);
                    self.outside.checks.protect(&view.id, false);
                }
            }
            _ => {}
        }
    }

    /// The nth of the instances that exist and are ours.
    fn nth(&self, nth: usize) -> Option<String> {
        let views = self.outside.emulator.instances().into_iter();
        let ours: Vec<String> = views
            .filter(|view| view.status != "Gone" && view.tags.contains_key("scale-intent"))
            .map(|view| view.id)
            .collect();
        (!ours.is_empty()).then(|| ours[nth % ours.len()].clone())
    }

    fn on_nth(&self, nth: usize, then: impl FnOnce(&str)) {
        if let Some(id) = self.nth(nth) {
            then(&id);
        }
    }

    fn hold(&mut self, fleet: usize, out: bool, in_: bool, secs: u32) {
        let direction = match (out, in_) {
            (true, false) => Some(Direction::Out),
            (false, true) => Some(Direction::In),
            _ => None,
        };
        let now = self.now();
        let hold = Hold {
            id: Uuid::from_u128(fleet as u128 + 1),
            fleet: Some(truth::name(fleet).as_str().into()),
            direction,
            author: "ann".into(),
            reason: "simulated".into(),
            placed: now,
            until: self.in_secs(secs),
        };
        self.operator(&OperatorEvent::Held { at: now, hold });
    }

    pub(super) fn lift(&mut self, fleet: usize) {
        let (at, id) = (self.now(), Uuid::from_u128(fleet as u128 + 1));
        self.operator(&OperatorEvent::Lifted { at, id, author: "ann".into(), hold: None });
    }

    /// What an operator's command records, beside the replicas.
    fn operator(&mut self, event: &OperatorEvent) {
        let record = NewRecord {
            scope: Scope::Operator,
            at: event.at(),
            kind: event.kind(),
            v: codec::VERSION,
            body: serde_json::to_string(event).expect("it has text keys"),
        };
        let write = Write { records: vec![record], ..Write::default() };
        let memory = self.outside.memory.clone();
        let now = self.now();
        let committed = futures::executor::block_on(memory.commit(
            &"operator".into(),
            &[write],
            Durability::Durable,
            now,
        ));
        committed.expect("memory takes it");
    }
}
