//! Whether a listing is believed that lost instances.
//!
//! One answer may leave some out, and an account without permission gets an empty list. So a loss is
//! believed only when several looks agree, and the loss of most of a fleet only when listing is
//! permitted as well. Base instances count like managed ones: to miss them buys as much.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use cloud::{InstanceId, Timestamp, clock};

use super::merge::{self, Loss};
use super::{Region, Survey};
use crate::model::{Fleet, FleetId, History, Inventory, Member, Ownership, Phase, Unlisted};

/// How many looks in a row must miss an instance before it is gone: one answer that left it out must
/// not buy another one.
const LOOKS: u32 = 2;
/// How many of them, each with a permission probe, where more than half of the fleet is missing.
pub(crate) const LOOKS_AT_MANY: u32 = 3;
/// Two looks that agree are at least so long apart, whatever the interval: a hiccup of the cloud lasts
/// seconds, and three looks must not fit into it.
pub(crate) const LOOKS_APART: Duration = Duration::from_secs(10);

/// The memory of surveys from one tick to the next.
#[derive(Debug, Default)]
pub struct Surveyor {
    /// Fleets whose last listing had lost instances.
    suspects: Mutex<BTreeMap<FleetId, Suspect>>,
    /// Base instances as they were believed last, of fleets that have some.
    bases: Mutex<BTreeMap<FleetId, Vec<Member>>>,
    /// Fleets of which it was confirmed that there is nothing yet.
    empty: Mutex<BTreeSet<FleetId>>,
    trusts_first_looks: bool,
}

/// Instances that are missing although nobody ended them.
#[derive(Debug)]
struct Suspect {
    /// In how many looks in a row each was missing.
    missing: BTreeMap<InstanceId, u32>,
    /// When the cloud was asked for the last of them.
    looked_at: Timestamp,
}

/// The verdict on a loss.
pub(super) enum Verdict {
    /// It is as it looks.
    Believed,
    /// These may still be there.
    NotYet(Vec<InstanceId>),
    /// Nothing is done on that.
    Doubted(String),
}

impl Surveyor {
    /// For a cloud that was made a moment ago: that it is empty needs no second look.
    #[must_use]
    pub fn trusting_first_looks() -> Surveyor {
        Surveyor { trusts_first_looks: true, ..Surveyor::default() }
    }

    /// Where instances were missing in the fleet's last listing: when a listing must have been asked
    /// for to be looked at now.
    #[must_use]
    pub fn next_look(&self, fleet: &FleetId, now: Timestamp) -> Option<Timestamp> {
        let suspects = self.suspects();
        let looked_at = suspects.get(fleet)?.looked_at;
        let next = clock::after(looked_at, LOOKS_APART);
        Some(if next <= now { next } else { looked_at.min(now) })
    }

    /// Whether nothing is known of the fleet, in an inventory that shows nothing: its history, the
    /// permission or its tags may be lost, so what follows from it is done only after further looks.
    #[must_use]
    pub fn is_first_look(&self, fleet: &Fleet, history: &History, inventory: &Inventory) -> bool {
        let shows = |ownership: Ownership| {
            inventory.members.iter().any(|member| member.ownership == ownership)
        };
        let is_known = history.last_change.is_some() || !history.instances.is_empty();
        let is_empty = inventory.members.is_empty() && !is_known;
        let lacks_base = fleet.base.is_some()
            && !shows(Ownership::Base)
            && !self.bases().contains_key(&fleet.id);
        let is_confirmed = || self.empty().contains(&fleet.id);
        (is_empty || lacks_base) && !self.trusts_first_looks && !is_confirmed()
    }

    /// Further looks agree that there is nothing.
    pub(crate) fn confirm_empty(&self, fleet: &FleetId) {
        self.empty().insert(fleet.clone());
    }

    /// Whether the loss of instances that nobody ended is believed (yet).
    pub(super) async fn verdict(
        &self,
        region: &Region,
        fleet: &Fleet,
        history: &History,
        survey: &Survey,
        asked_at: Timestamp,
    ) -> Verdict {
        let mut loss = merge::loss(history, survey);
        self.add_base(&mut loss, fleet, &survey.inventory);
        if loss.lost.is_empty() {
            self.suspects().remove(&fleet.id);
            return Verdict::Believed;
        }
        if loss.is_most()
            && let Err(error) = region.may_list().await
        {
            let missing = missing(&loss);
            return Verdict::Doubted(format!("{missing} and the permission probe failed: {error}"));
        }
        self.agreed(&fleet.id, &loss, asked_at)
    }

    /// Whether enough looks agree on a loss, the one that was asked for at `asked_at` included.
    fn agreed(&self, fleet: &FleetId, loss: &Loss, asked_at: Timestamp) -> Verdict {
        let mut suspects = self.suspects();
        let suspect = suspects
            .entry(fleet.clone())
            .or_insert_with(|| Suspect { missing: BTreeMap::new(), looked_at: asked_at });
        suspect.look(&loss.lost, asked_at);
        let looks = |id: &InstanceId| suspect.missing.get(id).copied().unwrap_or(0);
        if loss.is_most() {
            let agreed = loss.lost.iter().map(looks).min().unwrap_or(0);
            if agreed < LOOKS_AT_MANY {
                let look = format!("look {agreed} of {LOOKS_AT_MANY} that must agree");
                return Verdict::Doubted(format!("{} at once; {look}", missing(loss)));
            }
        }
        let not_yet: Vec<InstanceId> =
            loss.lost.iter().filter(|id| looks(id) < LOOKS).cloned().collect();
        // Who acts on a loss looks once more, and must not begin to doubt it: the looks count until what
        // is lost is recorded, or seen again.
        if not_yet.is_empty() { Verdict::Believed } else { Verdict::NotYet(not_yet) }
    }

    /// Remembers the base instances of an inventory that is believed.
    pub(super) fn remember_base(&self, fleet: &Fleet, inventory: &Inventory) {
        if fleet.base.is_none() {
            return;
        }
        let base: Vec<Member> = inventory.members.iter().filter(is_base).cloned().collect();
        let mut bases = self.bases();
        // A selector that has found nothing yet: that it finds nothing says nothing.
        if !base.is_empty() || bases.contains_key(&fleet.id) {
            bases.insert(fleet.id.clone(), base);
        }
    }

    /// Puts base instances back that may still be there.
    pub(super) fn keep_base(&self, inventory: &mut Inventory, fleet: &Fleet, ids: &[InstanceId]) {
        let bases = self.bases();
        let known = bases.get(&fleet.id).map_or(&[][..], Vec::as_slice);
        for id in ids {
            if let Some(member) = known.iter().find(|member| member.instance.id == *id) {
                inventory.members.push(member.clone());
            } else if is_configured(fleet, id) {
                let (id, phase) = (id.clone(), Phase::InService);
                inventory.unlisted.push(Unlisted { id, phase });
            }
        }
        inventory.members.sort_by(|a, b| a.instance.id.cmp(&b.instance.id));
    }

    /// Adds the base instances that should be there, and those that are not.
    fn add_base(&self, loss: &mut Loss, fleet: &Fleet, inventory: &Inventory) {
        let Some(base) = &fleet.base else { return };
        let bases = self.bases();
        let expected: Vec<&InstanceId> = match bases.get(&fleet.id) {
            Some(known) => known.iter().map(|member| &member.instance.id).collect(),
            None => base.ids.iter().collect(),
        };
        let there: BTreeSet<&InstanceId> =
            inventory.members.iter().map(|member| &member.instance.id).collect();
        loss.of += expected.len();
        loss.lost.extend(expected.into_iter().filter(|id| !there.contains(id)).cloned());
    }

    fn suspects(&self) -> MutexGuard<'_, BTreeMap<FleetId, Suspect>> {
        self.suspects.lock().expect("no holder of this lock can panic")
    }

    fn bases(&self) -> MutexGuard<'_, BTreeMap<FleetId, Vec<Member>>> {
        self.bases.lock().expect("no holder of this lock can panic")
    }

    fn empty(&self) -> MutexGuard<'_, BTreeSet<FleetId>> {
        self.empty.lock().expect("no holder of this lock can panic")
    }
}

/// `2 of 3 instances are missing`
fn missing(loss: &Loss) -> String {
    format!("{} of {} instances are missing", loss.lost.len(), loss.of)
}

fn is_base(member: &&Member) -> bool {
    member.ownership == Ownership::Base
}

fn is_configured(fleet: &Fleet, id: &InstanceId) -> bool {
    fleet.base.as_ref().is_some_and(|base| base.ids.contains(id))
}

impl Suspect {
    /// These are missing in a listing that was asked for then. One that follows the last look too soon
    /// is no further look.
    fn look(&mut self, missing: &[InstanceId], asked_at: Timestamp) {
        // By a clock that was set back nobody knows how long ago the last look was.
        self.looked_at = self.looked_at.min(asked_at);
        let is_further =
            self.missing.is_empty() || clock::age(asked_at, self.looked_at) >= LOOKS_APART;
        if is_further {
            self.looked_at = asked_at;
        }
        let before = std::mem::take(&mut self.missing);
        let count = |id: &InstanceId| {
            let before = before.get(id).copied().unwrap_or(0);
            (id.clone(), if is_further { before + 1 } else { before.max(1) })
        };
        self.missing = missing.iter().map(count).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::ago;

    #[test]
    fn a_loss_that_is_believed_is_believed_when_it_is_acted_on() {
        let surveyor = Surveyor::default();
        let loss = Loss { lost: vec!["i-1".into(), "i-2".into()], of: 2 };
        let believed = |secs_ago: u64| {
            matches!(surveyor.agreed(&"web".into(), &loss, ago(secs_ago)), Verdict::Believed)
        };
        // The third look is made on a listing that is too old to act on, so there is one more.
        assert_eq!([90, 60, 30, 5, 0].map(believed), [false, false, true, true, true]);
    }

    #[test]
    fn looks_that_follow_each_other_within_seconds_are_one_look() {
        let id: InstanceId = "i-1".into();
        let missing = [id.clone()];
        let mut suspect = Suspect { missing: BTreeMap::new(), looked_at: ago(60) };
        let mut counted = Vec::new();
        // At an interval of a second; then the clock is set back.
        for at in [60, 59, 55, 51, 50, 49, 40, 300, 295, 290] {
            suspect.look(&missing, ago(at));
            counted.push(suspect.missing[&id]);
        }
        assert_eq!(counted, [1, 1, 1, 1, 2, 2, 3, 3, 3, 4]);
    }
}
