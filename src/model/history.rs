//! What is known of a fleet's past: the fold of its events, and nothing else.
//!
//! A restart folds the same events and therefore changes nothing: cool-downs, sample runs, open
//! intents and sold-out places are all here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cloud::{Class, InstanceId, Mutation, Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{
    Direction, Event, Intent, IntentId, Phase, Place, Sample, Settlement, SignalName, Ticked,
};

/// Samples kept per signal: rules look at runs of at most this many (checked by the configuration).
pub(crate) const SAMPLES_KEPT: usize = 64;
/// A place that was sold out is left alone for 5 minutes, doubling to 30; the strikes are forgotten
/// after 3 hours. Cluster Autoscaler's figures, proven over years.
const COLD_FIRST: Duration = Duration::from_secs(5 * 60);
const COLD_LONGEST: Duration = Duration::from_secs(30 * 60);
const COLD_FORGOTTEN: Duration = Duration::from_secs(3 * 60 * 60);
/// The remainder of a scale-out is looked for elsewhere for 5 minutes; after that the signals
/// decide anew, since the load may be another one by then.
const UNFINISHED_FORGOTTEN: Duration = Duration::from_secs(5 * 60);

/// The fold of a fleet's events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When the first event was recorded.
    pub began: Option<Timestamp>,
    pub samples: BTreeMap<SignalName, SampleWindow>,
    /// The end of the last action in each direction.
    pub last_out: Option<ActionEnd>,
    pub last_in: Option<ActionEnd>,
    /// Instances that we launched or have seen, until they are gone.
    pub instances: BTreeMap<InstanceId, Tracked>,
    /// Intents whose outcome is not known.
    pub open: BTreeMap<IntentId, Intent>,
    pub cold: BTreeMap<Place, Cold>,
    /// What the newest decision wanted.
    pub last_desired: u32,
    /// A scale-out of which a part found no capacity: its remainder goes to the next place.
    pub unfinished: Option<Unfinished>,
}

/// A scale-out that is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    pub target: u32,
    pub since: Timestamp,
}

/// When an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionEnd {
    pub at: Timestamp,
}

/// One instance's phase, since when, and the intent that launched it (if we know it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    pub phase: Phase,
    pub since: Timestamp,
    pub launched_by: Option<IntentId>,
}

/// A place that was sold out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cold {
    pub until: Timestamp,
    /// How often in a row.
    pub strikes: u32,
    pub last: Timestamp,
    pub why: String,
}

/// The newest samples of one signal, oldest first, no sample twice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SampleWindow(VecDeque<Sample>);

impl SampleWindow {
    /// Adds `sample` if it is newer than the newest: a repeated sample does not count twice.
    pub(crate) fn push(&mut self, sample: Sample) {
        if self.0.back().is_some_and(|newest| sample.measured_at <= newest.measured_at) {
            return;
        }
        self.0.push_back(sample);
        if self.0.len() > SAMPLES_KEPT {
            self.0.pop_front();
        }
    }

    /// Newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter().rev()
    }
}

impl History {
    /// The history after one more event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Ticked(ticked) => self.ticked(ticked),
            Event::Intended(intent) => {
                self.began.get_or_insert(intent.at);
                self.open.insert(intent.action.intent, (**intent).clone());
            }
            Event::Settled { at, intent, settlement } => self.settled(*at, *intent, settlement),
        }
    }

    /// Instances of launches whose outcome is open.
    #[must_use]
    pub fn launches_in_doubt(&self) -> u32 {
        let amount = |intent: &Intent| match &intent.action.mutation {
            Mutation::Launch(launch) => launch.amount,
            _ => 0,
        };
        self.open.values().map(amount).sum()
    }

    /// Until when `place` is cold, if it is at `now`.
    #[must_use]
    pub fn cold_at(&self, place: &Place, now: Timestamp) -> Option<&Cold> {
        self.cold.get(place).filter(|cold| now < cold.until)
    }

    fn ticked(&mut self, ticked: &Ticked) {
        self.began.get_or_insert(ticked.at);
        for (signal, reading) in &ticked.signals {
            if let Ok(sample) = reading {
                self.samples.entry(signal.clone()).or_default().push(*sample);
            }
        }
        for (id, phase) in &ticked.phases {
            self.moved(id, *phase, ticked.at);
        }
        self.last_desired = ticked.decision.desired;
        let reached = ticked.decision.current >= self.last_desired;
        self.unfinished = self.unfinished.filter(|unfinished| {
            !reached && clock::age(ticked.at, unfinished.since) < UNFINISHED_FORGOTTEN
        });
        self.cold.retain(|_, cold| clock::age(ticked.at, cold.last) < COLD_FORGOTTEN);
    }

    fn moved(&mut self, id: &InstanceId, phase: Phase, at: Timestamp) {
        if phase == Phase::Gone {
            self.instances.remove(id);
            return;
        }
        let tracked = self.instances.entry(id.clone()).or_insert(Tracked {
            phase,
            since: at,
            launched_by: None,
        });
        if tracked.phase != phase {
            tracked.phase = phase;
            tracked.since = at;
        }
    }

    fn settled(&mut self, at: Timestamp, id: IntentId, settlement: &Settlement) {
        if matches!(settlement, Settlement::Open { .. }) {
            return;
        }
        let Some(intent) = self.open.remove(&id) else {
            return;
        };
        match (settlement, intent.action.mutation) {
            (Settlement::Launched { ids }, Mutation::Launch(launch)) => {
                let place = Place::of(&launch);
                self.acted(Direction::Out, at);
                if ids.len() < launch.amount as usize {
                    let why = format!("only {} of {} were to be had", ids.len(), launch.amount);
                    self.sold_out(place, at, &why);
                } else {
                    self.cold.remove(&place);
                }
                for instance in ids {
                    self.instances.entry(instance.clone()).or_insert(Tracked {
                        phase: Phase::Requested,
                        since: at,
                        launched_by: Some(id),
                    });
                }
            }
            (
                Settlement::Failed { class: Class::NoCapacity, message },
                Mutation::Launch(launch),
            ) => {
                self.sold_out(Place::of(&launch), at, message);
            }
            (Settlement::Done { done, .. }, Mutation::Stop { .. }) => {
                self.removed(done, Phase::Draining, at);
            }
            (Settlement::Done { done, .. }, Mutation::Delete { .. }) => {
                self.removed(done, Phase::Terminating, at);
            }
            _ => {}
        }
    }

    fn removed(&mut self, ids: &[InstanceId], phase: Phase, at: Timestamp) {
        for id in ids {
            self.moved(id, phase, at);
        }
        // A batch of which nothing was done removed nothing: no cool-down.
        if !ids.is_empty() {
            self.acted(Direction::In, at);
        }
    }

    /// An action has ended: its cool-down begins, and samples that led to it do not count again.
    fn acted(&mut self, direction: Direction, at: Timestamp) {
        match direction {
            Direction::Out => self.last_out = Some(ActionEnd { at }),
            Direction::In => self.last_in = Some(ActionEnd { at }),
        }
        self.samples.clear();
    }

    fn sold_out(&mut self, place: Place, at: Timestamp, why: &str) {
        let strikes = self.cold.get(&place).map_or(0, |cold| cold.strikes);
        let wait = COLD_FIRST.saturating_mul(1 << strikes.min(3)).min(COLD_LONGEST);
        let until = clock::after(at, wait);
        self.unfinished.get_or_insert(Unfinished { target: self.last_desired, since: at });
        self.cold
            .insert(place, Cold { until, strikes: strikes + 1, last: at, why: why.to_owned() });
    }
}

impl Place {
    /// Where `launch` goes.
    #[must_use]
    pub fn of(launch: &cloud::Launch) -> Place {
        Place { instance_type: launch.instance_type.clone(), vswitch: launch.vswitch.clone() }
    }
}
