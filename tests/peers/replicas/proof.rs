//! The facts on which journal and cloud must agree at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use cloud::{Mutation, Timestamp};
use ecs_emulator::{InstanceView, Violation};
use fleetscaler::journal::store::Scope;
use fleetscaler::journal::{Entry, Said};
use fleetscaler::model::{Event, FleetId, IntentId, Settlement};

use super::stage::who;

/// The most instances that a fleet may have.
const MAX: usize = 4;
/// Twenty lease times: no slowness explains that a fleet has no tick for so long.
const LEFT_LYING: Duration = Duration::from_secs(60);

/// All that is known.
pub(crate) struct Evidence {
    /// In the order of the journal.
    pub(crate) entries: Vec<Entry>,
    pub(crate) instances: Vec<InstanceView>,
    pub(crate) transcript: Vec<ecs_emulator::Entry>,
    pub(crate) violations: Vec<Violation>,
    /// Which daemon each process was.
    pub(crate) pids: BTreeMap<u32, usize>,
    pub(crate) outages: Vec<Outage>,
    pub(crate) stall: Duration,
}

/// When there was no database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Evidence {
    /// The events of each fleet, in order.
    fn by_fleet(&self) -> BTreeMap<&FleetId, Vec<&Event>> {
        let mut by_fleet: BTreeMap<&FleetId, Vec<&Event>> = BTreeMap::new();
        for entry in &self.entries {
            if let (Scope::Fleet(fleet), said) = (&entry.scope, &entry.said) {
                let Ok(Said::Fleet(event)) = said else { panic!("not read: {entry:?}") };
                by_fleet.entry(fleet).or_default().push(event);
            }
        }
        by_fleet
    }

    pub(crate) fn fleets(&self) -> usize {
        self.by_fleet().len()
    }
}

/// Panics at what is wrong; says what was found.
pub(crate) fn check(evidence: &Evidence) -> String {
    let takeovers = one_writer_at_a_time(evidence);
    let launched = nothing_bought_twice(evidence);
    never_above_max(evidence);
    assert_eq!(evidence.violations, []);
    let [longest, over_outage] = nobody_left_alone(evidence).map(|time| time.num_milliseconds());
    format!(
        "{} records, {takeovers} takeovers, {launched} instances bought, {} ended; the longest time \
         that a fleet was left alone: {longest} ms, over an outage: {over_outage} ms more than it \
         (this machine stood still for {} ms)",
        evidence.entries.len(),
        evidence.instances.iter().filter(|view| view.status == "Gone").count(),
        evidence.stall.as_millis(),
    )
}

/// Fences grow, and what is launched under a lease is launched by its holder.
fn one_writer_at_a_time(evidence: &Evidence) -> usize {
    let mut takeovers = 0;
    for (fleet, events) in evidence.by_fleet() {
        let mut lease = None;
        for event in events {
            match event {
                Event::Leased { replica, fence, .. } => {
                    let before = lease.map_or(0, |(fence, _)| fence);
                    assert!(*fence > before, "{fleet}: fence {fence} after {before}");
                    lease = Some((*fence, who(&evidence.pids, replica)));
                    takeovers += 1;
                }
                Event::Intended(intent) => {
                    let (_, holder) = lease.unwrap_or_else(|| panic!("{fleet}: no lease yet"));
                    if let Mutation::Launch(launch) = &intent.action.mutation {
                        let by = launch.tags.get("launched-by").map(String::as_str);
                        assert_eq!(by, Some(holder.to_string().as_str()), "{fleet}: {intent:?}");
                    }
                }
                _ => assert!(lease.is_some(), "{fleet}: {event:?} before the first lease"),
            }
        }
    }
    takeovers
}

/// Each token created at most once, and what exists is what the journal knows that it launched.
fn nothing_bought_twice(evidence: &Evidence) -> usize {
    let mut tokens = BTreeSet::new();
    for entry in evidence.transcript.iter().filter(|entry| !entry.created.is_empty()) {
        assert!(tokens.insert(&entry.parameters["ClientToken"]), "bought twice: {entry:?}");
    }
    let mut open: BTreeSet<IntentId> = BTreeSet::new();
    let mut launched: BTreeSet<&str> = BTreeSet::new();
    for events in evidence.by_fleet().into_values() {
        for event in events {
            match event {
                Event::Intended(intent) => drop(open.insert(intent.action.intent)),
                Event::Settled { intent, settlement, .. } => {
                    if !matches!(settlement, Settlement::Open { .. }) {
                        open.remove(intent);
                    }
                    if let Settlement::Launched { ids } = settlement {
                        for id in ids {
                            assert!(launched.insert(&id.0), "{id} belongs to two intents");
                        }
                    }
                }
                _ => {}
            }
        }
    }
    assert_eq!(open, BTreeSet::new(), "intents that were never settled");
    let exist: BTreeSet<&str> = evidence.instances.iter().map(|view| view.id.as_str()).collect();
    assert_eq!(launched, exist, "what was launched by the journal, and in fact");
    launched.len()
}

/// At no moment a fleet had more instances than it may have, by the cloud's own account.
fn never_above_max(evidence: &Evidence) {
    let mut moments: BTreeMap<&str, Vec<(Timestamp, bool)>> = BTreeMap::new();
    for view in &evidence.instances {
        let of_fleet = moments.entry(&view.tags["scale-fleet"]).or_default();
        of_fleet.push((view.created_at, true));
        of_fleet.extend(view.gone_at.map(|at| (at, false)));
    }
    for (fleet, mut moments) in moments {
        // Who goes in the same moment goes first.
        moments.sort_unstable();
        let mut size = 0;
        for (at, comes) in moments {
            if comes {
                size += 1
            } else {
                size -= 1
            }
            assert!(size <= MAX, "{fleet} has {size} instances at {at}");
        }
    }
}

/// The longest times between two ticks of one fleet: while the database was there all the time, and
/// over an outage, the outage itself left out.
///
/// Two lease times are promised, which only a machine keeps that is fast enough for three daemons with
/// sixty fleets and leases of seconds. The bound here tells that somebody took over, however slow the
/// machine is; the longest times are printed for people.
fn nobody_left_alone(evidence: &Evidence) -> [TimeDelta; 2] {
    let allowed = TimeDelta::from_std(LEFT_LYING).expect("seconds");
    let mut longest = [TimeDelta::zero(); 2];
    for (fleet, events) in evidence.by_fleet() {
        let ticks = events.iter().filter_map(|event| match event {
            Event::Ticked(ticked) => Some(ticked.at),
            _ => None,
        });
        let mut ticks: Vec<Timestamp> = ticks.collect();
        ticks.sort_unstable();
        for pair in ticks.windows(2) {
            let (from, until) = (pair[0], pair[1]);
            let away = evidence.outages.iter().map(|outage| {
                (until.min(outage.until) - from.max(outage.from)).max(TimeDelta::zero())
            });
            let away: TimeDelta = away.sum();
            let alone = (until - from) - away;
            let over_outage = !away.is_zero();
            assert!(alone <= allowed, "{fleet}: no tick from {from} to {until}");
            let longest = &mut longest[usize::from(over_outage)];
            *longest = alone.max(*longest);
        }
    }
    longest
}
