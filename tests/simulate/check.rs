//! The invariants, checked against the emulators' own account of what exists and what was done.

mod calls;
mod ends;
mod ledger;
mod ticks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::{Clock, Timestamp};
use ecs_emulator::{Emulator, Entry};

use crate::host::TrueClock;
use crate::script::Shape;
use crate::who::Who;

pub(crate) use ledger::{Key, Known, Ledger, Whose};

/// How long what was seen and what is done may lie apart: a decision is good for a minute, the call
/// for as long again.
pub(crate) const TICK_TAKES: Duration = Duration::from_secs(120);

/// The cool-downs of all fleets here, in seconds.
pub(crate) const COOLDOWN_OUT: i64 = 60;
pub(crate) const COOLDOWN_IN: i64 = 90;

/// A call of the cloud, before it was let go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) account: usize,
    pub(crate) who: Option<Who>,
    pub(crate) at: Timestamp,
    /// By the store's word, the fleet was the asker's then.
    pub(crate) holds: bool,
}

/// The observations so far, and what was wrong with them.
#[derive(Debug)]
pub(crate) struct Checks {
    emulators: Vec<Arc<Emulator>>,
    clock: TrueClock,
    shape: Arc<Shape>,
    seen: Mutex<CheckState>,
}

#[derive(Debug, Default)]
struct CheckState {
    ledger: Ledger,
    /// The last call that was looked at, by account.
    seq: Vec<u64>,
    /// Calls that have their effect later.
    late: Vec<(u64, Asked)>,
    /// Client tokens that created something, by account.
    tokens: BTreeSet<(usize, String)>,
    holds: BTreeMap<usize, Held>,
    /// When each fleet's newest instance was created.
    launched: BTreeMap<usize, Timestamp>,
    /// The instances that each fleet launched, and those that it ended while they served.
    grown: BTreeMap<usize, Vec<Timestamp>>,
    shrunk: BTreeMap<usize, Vec<Timestamp>>,
    /// Instances that a person has replaced.
    replaced: BTreeSet<Key>,
    /// Fleets of which a person had the older ones replaced.
    refreshed: BTreeSet<usize>,
    /// When each instance was in service the last time, by the report of a tick.
    in_service: BTreeMap<(usize, String), Timestamp>,
    /// When each replica's host had its clock set the last time.
    steps: BTreeMap<usize, Timestamp>,
    /// Since when each fleet has not been configured.
    removed: BTreeMap<usize, Timestamp>,
    /// Something concerned a whole account: its money, its keys, its quota.
    account_trouble: bool,
    wrong: Vec<String>,
    launches: usize,
    deletions: usize,
    /// Calls that change something, by who makes them.
    changes: BTreeMap<(usize, usize), u64>,
}

/// The holds of an operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) out: bool,
    pub(crate) in_: bool,
    pub(crate) placed: Timestamp,
    pub(crate) until: Timestamp,
}

impl CheckState {
    /// Whether it may go out of turn, since a person has it replaced, or its fleet.
    fn is_replaced(&self, key: &Key) -> bool {
        let whose = self.ledger.known.get(key).map(|known| known.whose);
        self.replaced.contains(key)
            || matches!(whose, Some(Whose::Fleet(fleet)) if self.refreshed.contains(&fleet))
    }
}

impl Checks {
    pub(crate) fn new(
        shape: Arc<Shape>,
        emulators: Vec<Arc<Emulator>>,
        clock: TrueClock,
    ) -> Checks {
        let seq = vec![0; emulators.len()];
        let seen = CheckState { ledger: Ledger::new(&shape), seq, ..CheckState::default() };
        Checks { emulators, clock, shape, seen: Mutex::new(seen) }
    }

    fn seen(&self) -> MutexGuard<'_, CheckState> {
        self.seen.lock().expect("no holder of this lock can panic")
    }

    /// The first fault, if there was one.
    pub(crate) fn wrong(&self) -> Option<String> {
        let seen = self.seen();
        (!seen.wrong.is_empty()).then(|| seen.wrong.join("\n  "))
    }

    pub(crate) fn fail(&self, what: String) {
        self.seen().wrong.push(what);
    }

    /// Calls that created, and calls that ended instances.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let seen = self.seen();
        (seen.launches, seen.deletions)
    }

    /// Looks at what exists, after something happened or time has passed.
    pub(crate) fn look(&self) {
        let mut seen = self.seen();
        self.late_effects(&mut seen);
        for account in 0..self.emulators.len() {
            self.look_at(&mut seen, account, &BTreeMap::new());
        }
    }

    fn look_at(&self, seen: &mut CheckState, account: usize, launched: &BTreeMap<String, usize>) {
        let views = self.emulators[account].instances();
        seen.ledger.look(account, &views, launched, self.clock.now());
    }

    /// A call has had its effect, unless that is delayed.
    pub(crate) fn called(&self, asked: &Asked) {
        let mut seen = self.seen();
        self.late_effects(&mut seen);
        let account = asked.account;
        for entry in self.emulators[account].transcript_after(seen.seq[account]) {
            seen.seq[account] = entry.seq;
            if !changes(&entry) {
                continue;
            }
            if let Some(who) = asked.who
                && let Some(tick) = who.tick
            {
                *seen.changes.entry((who.place, tick.fleet)).or_default() += 1;
            }
            self.sent(&mut seen, &entry, asked);
            if entry.fault == Some(ecs_emulator::FaultKind::Delayed) {
                seen.late.push((entry.seq, *asked));
            }
            self.effects(&mut seen, &entry, asked, false);
        }
    }

    /// Effects of delayed calls that have come about.
    fn late_effects(&self, seen: &mut CheckState) {
        let due = std::mem::take(&mut seen.late);
        // Several may have come about at once: each knows its own instances before anybody looks.
        for (seq, asked) in &due {
            let entries = self.emulators[asked.account].transcript_after(seq - 1);
            let entry = entries.into_iter().next().filter(|entry| entry.seq == *seq);
            let fleet = asked.who.and_then(|who| who.tick).map(|tick| tick.fleet);
            if let (Some(entry), Some(fleet)) = (entry, fleet) {
                let new = entry.created.iter().map(|id| ((asked.account, id.clone()), fleet));
                seen.ledger.expected.extend(new);
            }
        }
        for (seq, asked) in due {
            let entries = self.emulators[asked.account].transcript_after(seq - 1);
            let entry = entries.into_iter().next().filter(|entry| entry.seq == seq);
            match entry {
                Some(entry) if !entry.created.is_empty() || !entry.deleted.is_empty() => {
                    self.effects(seen, &entry, &asked, true);
                }
                // It may have been refused in the end.
                _ => seen.late.push((seq, asked)),
            }
        }
    }

    pub(crate) fn serving(&self, fleet: usize) -> u32 {
        u32::try_from(self.seen().ledger.serving(fleet).count()).expect("few")
    }

    pub(crate) fn serving_ids(&self, fleet: usize) -> Vec<String> {
        self.seen().ledger.serving(fleet).map(|((_, id), _)| id.clone()).collect()
    }

    /// Whether every fleet of this one's name has launched something: one that has not may take over
    /// what carries its tags.
    pub(crate) fn have_launched(&self, fleet: usize) -> bool {
        let name = &self.shape.fleets[fleet].name;
        let seen = self.seen();
        let fleets = self.shape.fleets.iter().enumerate();
        fleets.filter(|(_, of)| of.name == *name).all(|(n, _)| seen.launched.contains_key(&n))
    }

    /// Something about an instance was changed from outside.
    pub(crate) fn touched(&self, key: &Key) {
        let now = self.clock.now();
        if let Some(known) = self.seen().ledger.known.get_mut(key) {
            known.touched_at = Some(now);
        }
    }

    pub(crate) fn protect(&self, key: &Key, protected: bool) {
        let now = self.clock.now();
        if let Some(known) = self.seen().ledger.known.get_mut(key) {
            known.protected_since = protected.then_some(now);
            known.touched_at = Some(now);
        }
    }

    /// Whether a person has it replaced.
    pub(crate) fn is_replaced(&self, key: &Key) -> bool {
        self.seen().is_replaced(key)
    }

    pub(crate) fn refreshed(&self, fleet: usize) {
        self.seen().refreshed.insert(fleet);
    }

    pub(crate) fn replaced(&self, key: &Key) {
        self.seen().replaced.insert(key.clone());
    }

    pub(crate) fn held(&self, fleet: usize, held: Option<Held>) {
        match held {
            Some(held) => drop(self.seen().holds.insert(fleet, held)),
            None => drop(self.seen().holds.remove(&fleet)),
        }
    }

    pub(crate) fn clock_was_set(&self, place: usize) {
        let now = self.clock.now();
        self.seen().steps.insert(place, now);
    }

    pub(crate) fn configured(&self, fleet: usize, present: bool) {
        let now = self.clock.now();
        let mut seen = self.seen();
        if present {
            seen.removed.remove(&fleet);
        } else {
            seen.removed.entry(fleet).or_insert(now);
        }
    }

    pub(crate) fn account_trouble(&self) {
        self.seen().account_trouble = true;
    }

    /// Everything that is known, for a look at the end.
    pub(crate) fn known(&self) -> BTreeMap<Key, Known> {
        self.seen().ledger.known.clone()
    }
}

/// Whether a call means to change something.
fn changes(entry: &Entry) -> bool {
    let changing = ["RunInstances", "StopInstances", "StartInstances", "DeleteInstances"];
    let dry = entry.parameters.get("DryRun").is_some_and(|dry| dry == "true");
    (changing.contains(&entry.action.as_str()) || entry.action == "TagResources") && !dry
}
