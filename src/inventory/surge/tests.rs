use super::*;
use crate::model::fixtures::{fleet, member, tracked};

/// Members `i-0` (the oldest) to `i-9`, all asked to go.
fn asked(count: usize) -> BTreeMap<InstanceId, Member> {
    let asked = (0..count).map(|n| {
        let age = 1_440 - i64::try_from(n).expect("few");
        let mut member = member(&format!("i-{n}"), age);
        member.outgoing = true;
        (member.instance.id.clone(), member)
    });
    asked.collect()
}

fn ids(range: std::ops::Range<usize>) -> BTreeSet<InstanceId> {
    range.map(|n| InstanceId(format!("i-{n}"))).collect()
}

/// Those that go after the bound.
fn going(
    surge: Option<Step>,
    refreshed: &BTreeSet<InstanceId>,
    under_way: &BTreeSet<InstanceId>,
    mut members: BTreeMap<InstanceId, Member>,
) -> BTreeSet<InstanceId> {
    let mut fleet = fleet(2, 20);
    fleet.lifecycle.max_surge = surge;
    let mut history = History::default();
    for id in members.keys() {
        let mut known = tracked(Phase::InService, ("c7", "vsw-h"));
        known.outgoing = under_way.contains(id);
        history.instances.insert(id.clone(), known);
    }
    bound(&fleet, refreshed, &history, &mut members);
    members.into_values().filter(|m| m.outgoing).map(|m| m.instance.id).collect()
}

#[test]
fn a_refresh_takes_a_quarter_at_a_time_and_what_is_named_goes_at_once() {
    let none = BTreeSet::new();
    assert_eq!(going(None, &ids(0..8), &none, asked(8)), ids(0..2), "the oldest first");
    assert_eq!(going(None, &ids(0..2), &none, asked(2)), ids(0..1), "one at least");
    assert_eq!(going(None, &none, &none, asked(8)), ids(0..8), "named one by one");
    // What is named fills the room of the refresh.
    let both = [ids(0..1), ids(7..8)].concat_sets();
    assert_eq!(going(None, &ids(0..7), &none, asked(8)), both);
}

#[test]
fn max_surge_bounds_every_replacement() {
    let none = BTreeSet::new();
    assert_eq!(going(Some(Step::Count(3)), &none, &none, asked(8)), ids(0..3));
    assert_eq!(going(Some(Step::Percent(50.0)), &ids(0..8), &none, asked(8)), ids(0..4));
}

#[test]
fn what_is_under_way_goes_on_and_fills_the_room() {
    let under_way = ids(5..7);
    assert_eq!(going(None, &ids(0..8), &under_way, asked(8)), under_way);
    // A smaller limit takes nothing back.
    assert_eq!(going(Some(Step::Count(1)), &ids(0..8), &under_way, asked(8)), under_way);
    // What drains still costs; what stops does not.
    let mut members = asked(8);
    members.get_mut(&InstanceId("i-5".into())).expect("there").phase = Phase::Draining;
    assert_eq!(going(None, &ids(0..8), &ids(5..6), members.clone()), ids(5..6));
    members.get_mut(&InstanceId("i-5".into())).expect("there").phase = Phase::Stopping;
    let next = [ids(0..1), ids(5..6)].concat_sets();
    assert_eq!(going(None, &ids(0..8), &ids(5..6), members), next);
}

#[test]
fn what_the_vendor_takes_back_waits_for_nobody() {
    let mut members = asked(8);
    members.get_mut(&InstanceId("i-7".into())).expect("there").instance.locks =
        vec!["Recycling".to_owned()];
    let going = going(Some(Step::Count(1)), &ids(0..7), &BTreeSet::new(), members);
    assert_eq!(going, [ids(0..1), ids(7..8)].concat_sets());
}

#[test]
fn only_what_is_known_to_be_of_another_template_is_outdated() {
    let mut known = tracked(Phase::InService, ("c7", "vsw-h"));
    let today = known.spec.clone().expect("a spec");
    assert!(!is_outdated(Some(&known), Phase::InService, &today));
    assert!(is_outdated(Some(&known), Phase::InService, "another"));
    assert!(!is_outdated(Some(&known), Phase::Draining, "another"), "it goes anyway");
    known.outgoing = true;
    assert!(is_outdated(Some(&known), Phase::Draining, "another"), "under way");
    known.spec = None;
    assert!(!is_outdated(Some(&known), Phase::InService, "another"));
    assert!(!is_outdated(None, Phase::InService, "another"));
}

trait Sets {
    fn concat_sets(self) -> BTreeSet<InstanceId>;
}

impl<const N: usize> Sets for [BTreeSet<InstanceId>; N] {
    fn concat_sets(self) -> BTreeSet<InstanceId> {
        self.into_iter().flatten().collect()
    }
}
