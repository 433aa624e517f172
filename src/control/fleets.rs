//! The fleets that are looked after just now: the one place that says which there are.
//!
//! A reload replaces them all at once. A tick goes on with the fleet that it began with; the next tick of
//! the same fleet begins with the new one. Its report, its nudge and its place in the pulse stay.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::{Care, Shown};
use crate::config::FleetConfig;
use crate::execute::Executor;
use crate::model::{Fleet, FleetId, SignalName, Span};
use crate::signals::{Source, UpSource};

/// One fleet with everything that its ticks need.
#[derive(Debug, Clone)]
pub struct FleetInWorld {
    /// As configured: what was learned is filled in tick by tick.
    pub fleet: Fleet,
    pub interval: Span,
    pub sources: BTreeMap<SignalName, Arc<dyn Source>>,
    /// Says which instances are up, for fleets that have a query for that.
    pub up_source: Option<Arc<dyn UpSource>>,
    /// The health checks and hooks of its instances.
    pub care: Care,
    /// Tells whether the sources are configured as they were.
    pub sources_hash: u64,
    pub executor: Executor,
    /// Makes the next tick happen now. A nudge carries no data.
    pub nudge: Arc<Notify>,
    /// The report of its newest tick.
    pub shown: Arc<Shown>,
    /// Its place in the pulse: a number that no other fleet of this process ever had.
    pub place: usize,
}

impl FleetInWorld {
    /// Without sources: a fleet of which no tick is known yet.
    #[must_use]
    pub fn of(fleet: Fleet, interval: Span, executor: Executor) -> FleetInWorld {
        FleetInWorld {
            fleet,
            interval,
            sources: BTreeMap::new(),
            up_source: None,
            care: Care::default(),
            sources_hash: 0,
            executor,
            nudge: Arc::default(),
            shown: Arc::default(),
            place: 0,
        }
    }
}

/// A hash of how the sources of `fleet` are configured, secrets left out.
#[must_use]
pub(super) fn sources_hash(fleet: &FleetConfig) -> u64 {
    let mut hasher = DefaultHasher::new();
    let FleetConfig { sources, up, checks, busy, hooks, renders, .. } = fleet;
    format!("{sources:?} {up:?} {checks:?} {busy:?} {hooks:?} {renders:?}").hash(&mut hasher);
    hasher.finish()
}

/// The fleets of this process, in the order of the configuration.
#[derive(Debug)]
pub struct Fleets(watch::Sender<Known>);

#[derive(Debug, Default)]
struct Known {
    all: Arc<[Arc<FleetInWorld>]>,
    index: BTreeMap<FleetId, usize>,
    /// The place of the next new fleet.
    next_place: usize,
}

impl Fleets {
    /// These, with places given out in their order.
    #[must_use]
    pub fn new(members: Vec<FleetInWorld>) -> Fleets {
        let fleets = Fleets(watch::Sender::default());
        fleets.replace(members);
        fleets
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Arc<[Arc<FleetInWorld>]> {
        self.0.borrow().all.clone()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.borrow().all.len()
    }

    /// The one of that name.
    #[must_use]
    pub fn get(&self, id: &FleetId) -> Option<Arc<FleetInWorld>> {
        let known = self.0.borrow();
        known.index.get(id).map(|index| known.all[*index].clone())
    }

    /// Tells of fleets that are added.
    pub(super) fn changes(&self) -> Changes {
        Changes { known: self.0.subscribe(), from: 0 }
    }

    /// From now on these are the fleets. One that was there before keeps its report, its nudge and its
    /// place.
    pub fn replace(&self, members: Vec<FleetInWorld>) {
        self.0.send_modify(|known| {
            let mut all: Vec<Arc<FleetInWorld>> = Vec::with_capacity(members.len());
            for mut member in members {
                match known.index.get(&member.fleet.id).map(|index| &known.all[*index]) {
                    Some(before) => {
                        if member.sources_hash == before.sources_hash {
                            // What was found out by probes, and calls that are under way, stay.
                            member.care = before.care.clone();
                        }
                        keep_pushed(&mut member, before);
                        member.nudge = before.nudge.clone();
                        member.shown = before.shown.clone();
                        member.place = before.place;
                    }
                    None => {
                        member.place = known.next_place;
                        known.next_place += 1;
                    }
                }
                all.push(Arc::new(member));
            }
            let kept: BTreeSet<usize> = all.iter().map(|member| member.place).collect();
            // Their tasks end now, not an interval later.
            let gone = known.all.iter().filter(|member| !kept.contains(&member.place));
            gone.for_each(|member| member.nudge.notify_one());
            known.index =
                all.iter().enumerate().map(|(n, member)| (member.fleet.id.clone(), n)).collect();
            known.all = all.into();
        });
    }
}

/// What was sent to signals of `before` that `member` has, too, stays.
fn keep_pushed(member: &mut FleetInWorld, before: &FleetInWorld) {
    for (name, source) in &mut member.sources {
        let old = before.sources.get(name).and_then(|old| old.pushed());
        if let (Some(new), Some(old)) = (source.pushed(), old) {
            let kept = new.after(old);
            *source = Arc::new(kept);
        }
    }
}

/// Waits for fleets that were not there before.
pub(super) struct Changes {
    known: watch::Receiver<Known>,
    /// Every fleet with a lower place has been told of.
    from: usize,
}

impl Changes {
    /// Those that are there already.
    pub(super) fn first(&mut self) -> Vec<Arc<FleetInWorld>> {
        let known = self.known.borrow_and_update();
        let all = known.all.iter().filter(|member| member.place >= self.from).cloned().collect();
        self.from = known.next_place;
        all
    }

    /// Fleets that were added since; waits until there are some.
    pub(super) async fn added(&mut self) -> Vec<Arc<FleetInWorld>> {
        loop {
            if self.known.changed().await.is_err() {
                // The process ends: nothing is added any more.
                return std::future::pending().await;
            }
            let added = self.first();
            if !added.is_empty() {
                return added;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures;

    fn member(name: &str) -> FleetInWorld {
        let fleet = Fleet { id: FleetId(name.to_owned()), ..fixtures::fleet(1, 3) };
        FleetInWorld::of(fleet, Span::secs(15), Executor::Dry(Arc::new(Nothing)))
    }

    /// Sends nothing and says nothing of it.
    #[derive(Debug)]
    struct Nothing;

    impl cloud::Preview for Nothing {
        fn preview(&self, _: &cloud::Mutation) -> Vec<cloud::PlannedCall> {
            Vec::new()
        }
    }

    #[tokio::test]
    async fn a_fleet_keeps_its_report_and_place_and_one_that_comes_back_is_a_new_one() {
        let fleets = Fleets::new(vec![member("web"), member("db")]);
        let mut changes = fleets.changes();
        assert_eq!(changes.first().len(), 2);
        let web = fleets.get(&"web".into()).expect("it is there");

        let changed = FleetInWorld { interval: Span::secs(30), ..member("web") };
        fleets.replace(vec![member("api"), changed]);
        let again = fleets.get(&"web".into()).expect("it is there");
        assert_eq!((again.interval, again.place), (Span::secs(30), web.place));
        assert!(Arc::ptr_eq(&again.shown, &web.shown) && Arc::ptr_eq(&again.nudge, &web.nudge));
        assert!(fleets.get(&"db".into()).is_none());
        let added: Vec<String> =
            changes.added().await.iter().map(|member| member.fleet.id.0.clone()).collect();
        assert_eq!(added, ["api"]);

        fleets.replace(vec![member("web"), member("db")]);
        assert_eq!(changes.added().await[0].place, 3, "`db` is another one than before");
    }
}
