//! Every instance that there ever was, by the emulators' word: whose it is, what it does, and who
//! ended it.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Timestamp, clock};
use ecs_emulator::InstanceView;

use crate::script::Shape;

/// What happens to an instance without our doing is known to the daemon after this at the latest, a
/// doubtful listing and its further looks included.
pub(crate) const KNOWN_AFTER: Duration = Duration::from_secs(300);

/// An instance by its account and id: ids are only unique within an account.
pub(crate) type Key = (usize, String);

/// Whose an instance is, whatever its tags say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Launched by it.
    Fleet(usize),
    /// The operator's own, counted with the fleet.
    Base(usize),
    /// Somebody else's.
    Nobodys,
}

#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) whose: Whose,
    pub(crate) created_at: Timestamp,
    pub(crate) first_seen: Timestamp,
    pub(crate) status: String,
    /// Running, and answering, since.
    pub(crate) serves_since: Option<Timestamp>,
    /// When it ceased to serve without our doing.
    pub(crate) lost_at: Option<Timestamp>,
    /// When we ended it.
    pub(crate) ended_at: Option<Timestamp>,
    /// When somebody changed something about it (a tag, a protection), or an end of it was asked for
    /// that did not come about.
    pub(crate) touched_at: Option<Timestamp>,
    /// Since when somebody has protected it.
    pub(crate) protected_since: Option<Timestamp>,
    /// As it was created, for those that nobody may touch.
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) known: BTreeMap<Key, Known>,
    /// Instances of which it is known whose they are before they are seen.
    pub(crate) expected: BTreeMap<Key, usize>,
    base: BTreeMap<String, usize>,
}

impl Ledger {
    pub(crate) fn new(shape: &Shape) -> Ledger {
        let pools = 0..shape.fleets.len();
        let base = pools.map(|fleet| (crate::replica::pool(fleet), fleet)).collect();
        Ledger { known: BTreeMap::new(), expected: BTreeMap::new(), base }
    }

    /// What the emulator of `account` shows at `now`. `launched`: new ones are of this fleet.
    pub(crate) fn look(
        &mut self,
        account: usize,
        views: &[InstanceView],
        launched: &BTreeMap<String, usize>,
        now: Timestamp,
    ) {
        for view in views {
            let key = (account, view.id.clone());
            let expected = self.expected.get(&key).copied();
            let known = self.known.entry(key).or_insert_with(|| {
                let pool = view.tags.get("pool").and_then(|pool| self.base.get(pool));
                Known {
                    whose: match (launched.get(&view.id).copied().or(expected), pool) {
                        (Some(fleet), _) => Whose::Fleet(fleet),
                        (None, Some(fleet)) => Whose::Base(*fleet),
                        (None, None) => Whose::Nobodys,
                    },
                    created_at: view.created_at,
                    first_seen: now,
                    status: String::new(),
                    serves_since: None,
                    lost_at: None,
                    ended_at: None,
                    touched_at: None,
                    protected_since: None,
                    tags: view.tags.clone(),
                }
            });
            let serves = view.status == "Running" && view.reachable;
            match known.serves_since {
                None if serves => {
                    known.serves_since = Some(now);
                    known.lost_at = None;
                }
                Some(_) if !serves => {
                    known.serves_since = None;
                    if known.ended_at.is_none() {
                        known.lost_at = Some(now);
                    }
                }
                _ => {}
            }
            if known.status != view.status {
                known.status.clone_from(&view.status);
            }
        }
    }

    fn of(&self, fleet: usize) -> impl Iterator<Item = (&Key, &Known)> {
        let counted = move |known: &Known| {
            known.whose == Whose::Fleet(fleet) || known.whose == Whose::Base(fleet)
        };
        self.known.iter().filter(move |(_, known)| counted(known))
    }

    /// Those that serve for the fleet, base ones included.
    pub(crate) fn serving(&self, fleet: usize) -> impl Iterator<Item = (&Key, &Known)> {
        self.of(fleet).filter(|(_, known)| known.serves_since.is_some())
    }

    /// How many have served for `least` at least.
    pub(crate) fn have_served(&self, fleet: usize, least: Duration, now: Timestamp) -> usize {
        let long = |since: Timestamp| clock::age(now, since) >= least;
        self.serving(fleet).filter(|(_, known)| known.serves_since.is_some_and(long)).count()
    }

    /// How many serve, and how many served until a short while ago, of whose loss the daemon may
    /// not know yet.
    pub(crate) fn serving_for_all_it_knows(&self, fleet: usize, now: Timestamp) -> usize {
        let recent = |at: Timestamp| clock::age(now, at) < KNOWN_AFTER;
        let lost = self.of(fleet).filter(|(_, known)| known.lost_at.is_some_and(recent)).count();
        // What came up in a zone that hangs runs by every listing.
        let silent = |known: &Known| {
            let never = known.serves_since.is_none() && known.lost_at.is_none();
            known.status == "Running" && never && known.ended_at.is_none()
        };
        let silent = self.of(fleet).filter(|(_, known)| silent(known)).count();
        self.serving(fleet).count() + lost + silent
    }

    /// How many exist that count against `max`. A base instance that is new may not be known yet.
    pub(crate) fn exist(&self, fleet: usize, now: Timestamp) -> usize {
        let counts = |known: &Known| match known.whose {
            Whose::Base(_) => clock::age(now, known.first_seen) >= super::TICK_TAKES,
            _ => true,
        };
        self.of(fleet).filter(|(_, known)| known.status != "Gone" && counts(known)).count()
    }

    /// We ended it.
    pub(crate) fn ended(&mut self, key: &Key, now: Timestamp) {
        if let Some(known) = self.known.get_mut(key) {
            known.ended_at.get_or_insert(now);
        }
    }
}
