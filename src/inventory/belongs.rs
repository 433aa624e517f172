//! Which of the instances that carry a fleet's tags are the fleet's. Pure.
//!
//! Tags are not proof: anybody can set them. An instance is the fleet's when the fleet's journal
//! launched it or took it over, and its owner's tag does not name another installation. It is taken
//! over in the fleet's very first listing, when it carries an intent of this journal, or when a person
//! asks for it; never for its tags alone.

use std::collections::BTreeMap;

use cloud::{Instance, InstanceId, Timestamp};

use crate::model::{
    Adopted, Adoption, Fleet, History, IntentId, Phase, Stranger, TakenBecause, Takeover, tags,
};

/// The fleet's instances, and the others.
#[derive(Debug, Default)]
pub(super) struct Sorted<'a> {
    pub(super) ours: Vec<&'a Instance>,
    /// Among `ours`, those that are so from now on.
    pub(super) taken: BTreeMap<InstanceId, Taken>,
    pub(super) strangers: Vec<Stranger>,
}

/// One that is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    why: TakenBecause,
    owner: Option<String>,
    intent: Option<IntentId>,
}

pub(super) fn sort<'a>(
    instances: Vec<&'a Instance>,
    fleet: &Fleet,
    history: &History,
    adoptions: &[Adoption],
    now: Timestamp,
) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    // In one order, whatever the listing's is.
    let mut instances = instances;
    instances.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let mut of_launch: BTreeMap<IntentId, u32> = BTreeMap::new();
    for instance in instances {
        let owner = instance.tags.get(tags::OWNER);
        let other = owner.filter(|owner| !fleet.owner.is(owner));
        let tracked = history.instances.get(&instance.id);
        let is_ours =
            tracked.is_some_and(|tracked| other.is_none_or(|other| tracked.explains(other, now)));
        if is_ours {
            sorted.ours.push(instance);
            continue;
        }
        match taken(instance, other, history, adoptions, &of_launch) {
            Some((why, intent)) => {
                if let Some(intent) = intent {
                    *of_launch.entry(intent).or_default() += 1;
                }
                let taken = Taken { why, owner: owner.cloned(), intent };
                sorted.taken.insert(instance.id.clone(), taken);
                sorted.ours.push(instance);
            }
            None => {
                sorted.strangers.push(Stranger { id: instance.id.clone(), owner: other.cloned() })
            }
        }
    }
    sorted
}

/// Why an instance is taken over, if it is. `other`: the installation that it belongs to.
fn taken(
    instance: &Instance,
    other: Option<&String>,
    history: &History,
    adoptions: &[Adoption],
    of_launch: &BTreeMap<IntentId, u32>,
) -> Option<(TakenBecause, Option<IntentId>)> {
    let intent = instance.tags.get(tags::INTENT).and_then(|tag| tag.parse().ok()).map(IntentId);
    let intent = intent.filter(|intent| {
        let others = of_launch.get(intent).copied().unwrap_or_default();
        history.may_be_of(intent, &instance.id, others)
    });
    if other.is_none() && intent.is_some() {
        return Some((TakenBecause::Intent, intent));
    }
    if other.is_none() && history.is_new() {
        return Some((TakenBecause::FirstListing, None));
    }
    let wish = adoptions.iter().find(|wish| wish.covers(&instance.id))?;
    Some((asked(wish), intent))
}

fn asked(wish: &Adoption) -> TakenBecause {
    let Adoption { id, author, reason, .. } = wish;
    TakenBecause::Asked { request: *id, author: author.clone(), reason: reason.clone() }
}

/// What is to be recorded of those that are taken over, each in the phase in which it was found; and
/// of the first listing and every wish, even if they came to nothing.
pub(super) fn takeovers(
    taken: BTreeMap<InstanceId, Taken>,
    phases: &BTreeMap<InstanceId, Phase>,
    history: &History,
    adoptions: &[Adoption],
) -> Vec<Takeover> {
    let mut takeovers: Vec<Takeover> = Vec::new();
    let empty = |why| Takeover { adopted: BTreeMap::new(), why };
    if history.is_new() {
        takeovers.push(empty(TakenBecause::FirstListing));
    }
    takeovers.extend(adoptions.iter().map(|wish| empty(asked(wish))));
    for (id, Taken { why, owner, intent }) in taken {
        let Some(phase) = phases.get(&id).copied() else { continue };
        let adopted = Adopted { phase, owner, intent };
        match takeovers.iter_mut().find(|takeover| takeover.why == why) {
            Some(takeover) => drop(takeover.adopted.insert(id, adopted)),
            None => takeovers.push(Takeover { adopted: [(id, adopted)].into(), why }),
        }
    }
    takeovers
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::fixtures::{ago, fleet, member, now, tracked};
    use crate::model::{Owner, PastLaunch, Place, Tracked};

    const INTENT: IntentId = IntentId(Uuid::from_u128(5));

    fn ours() -> Fleet {
        let owner = Owner { name: Some("prod".into()), journal: Some(Uuid::nil()), unknown: false };
        Fleet { owner, ..fleet(0, 9) }
    }

    /// A fleet with a past.
    fn past() -> History {
        let place = Place { instance_type: "c7".into(), vswitch: "vsw-h".into() };
        let launch =
            PastLaunch { at: ago(600), place, spec: "spec".into(), amount: 1, ids: [].into() };
        let past_launches = [(INTENT, launch)].into();
        History { began: Some(ago(9_000)), past_launches, ..History::default() }
    }

    fn knowing(owner: Option<&str>, owned_secs_ago: u64) -> History {
        let known = Tracked {
            owner: owner.map(str::to_owned),
            owned_at: Some(ago(owned_secs_ago)),
            ..tracked(Phase::InService, ("c7", "vsw-h"))
        };
        History { instances: [("i-1".into(), known)].into(), ..past() }
    }

    #[test]
    fn tags_alone_make_no_instance_the_fleets() {
        let wish = Adoption {
            id: Uuid::from_u128(9),
            fleet: "web".into(),
            ids: ["i-1".into()].into(),
            author: "ann".into(),
            reason: "moved".into(),
            asked: ago(5),
        };
        let elsewhere = Adoption { ids: ["i-2".into()].into(), ..wish.clone() };
        let everything = Adoption { ids: [].into(), ..wish.clone() };
        let new = History::default;
        let nil = Uuid::nil().to_string();
        let none: &[Adoption] = &[];
        for (name, owner, history, wishes, expected) in [
            ("a stranger with our tags", None, past(), none, "stranger"),
            ("a stranger with our owner as well", Some("prod"), past(), none, "stranger"),
            ("another installation's", Some("test"), past(), none, "other"),
            ("another's in the first listing", Some("test"), new(), none, "other"),
            ("the first listing, of an older version", None, new(), none, "taken"),
            ("the first listing after a lost journal", Some("prod"), new(), none, "taken"),
            ("launched before there was a name", Some(nil.as_str()), new(), none, "taken"),
            ("known, launched by an older version", None, knowing(None, 9_999), none, "ours"),
            ("known, with our owner", Some("prod"), knowing(None, 9_999), none, "ours"),
            ("known by a former name", Some("old"), knowing(Some("old"), 9_999), none, "ours"),
            ("known, its new tag not shown yet", Some("test"), knowing(None, 60), none, "ours"),
            ("known, taken by another", Some("test"), knowing(Some("prod"), 9_999), none, "other"),
            ("asked for by id", Some("test"), past(), std::slice::from_ref(&wish), "taken"),
            ("asked for with all", None, past(), std::slice::from_ref(&everything), "taken"),
            (
                "another one is asked for",
                None,
                past(),
                std::slice::from_ref(&elsewhere),
                "stranger",
            ),
        ] {
            let mut instance = member("i-1", 60).instance;
            instance.tags.extend(owner.map(|o| (tags::OWNER.to_owned(), o.to_owned())));
            let sorted = sort(vec![&instance], &ours(), &history, wishes, now());
            let got = match (sorted.strangers.first(), sorted.taken.is_empty()) {
                (Some(Stranger { owner: Some(_), .. }), _) => "other",
                (Some(_), _) => "stranger",
                (None, true) => "ours",
                (None, false) => "taken",
            };
            assert_eq!(got, expected, "{name}");
            assert_eq!(sorted.ours.len(), usize::from(sorted.strangers.is_empty()), "{name}");
        }
    }

    #[test]
    fn what_a_lost_answer_launched_is_known_by_its_intent_but_not_with_anothers_owner() {
        let mut instance = member("i-1", 60).instance;
        instance.tags.insert(tags::INTENT.to_owned(), INTENT.to_string());
        let sorted = sort(vec![&instance], &ours(), &past(), &[], now());
        let phases = [("i-1".into(), Phase::Warming)].into();
        let takeovers = takeovers(sorted.taken, &phases, &past(), &[]);
        let mut history = past();
        for takeover in &takeovers {
            history.take_over(takeover, now());
        }
        let tracked = &history.instances[&"i-1".into()];
        assert_eq!(tracked.launched_by, Some(INTENT));
        assert_eq!(tracked.spec.as_deref(), Some("spec"), "a failure counts against its spec");
        let copy = Instance { id: "i-2".into(), ..instance.clone() };
        let sorted = sort(vec![&copy], &ours(), &history, &[], now());
        assert_eq!(sorted.strangers.len(), 1, "it asked for one, and that one is known");
        let sorted = sort(vec![&copy, &instance], &ours(), &past(), &[], now());
        assert_eq!(sorted.ours.len(), 1, "nor two at once");
        instance.tags.insert(tags::OWNER.to_owned(), "test".to_owned());
        assert_eq!(sort(vec![&instance], &ours(), &past(), &[], now()).strangers.len(), 1);
    }

    #[test]
    fn a_first_listing_and_a_wish_are_over_even_if_they_came_to_nothing() {
        let wish = Adoption {
            id: Uuid::from_u128(9),
            fleet: "web".into(),
            ids: [].into(),
            author: "ann".into(),
            reason: "moved".into(),
            asked: ago(5),
        };
        let mut history = History::default();
        let asked = std::slice::from_ref(&wish);
        let takeovers = takeovers(BTreeMap::new(), &BTreeMap::new(), &history, asked);
        assert_eq!(takeovers.len(), 2);
        takeovers.iter().for_each(|takeover| history.take_over(takeover, now()));
        assert!(history.still_asked(asked, now()).is_empty());
    }
}
