//! One inventory from the listings and the history. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloud::{Instance, InstanceId, Status, Tags, Timestamp, clock};

use crate::model::instruction;
use crate::model::{
    self, AccountEvent, Adoption, Evidence, Fleet, GroupsSeen, History, Instruction, IntentId,
    Inventory, Limits, Member, Ownership, Phase, Readiness, Tracked, TrafficGate, Unlisted,
    VISIBILITY_GRACE, fingerprint, rfc3339, tags,
};

use super::belongs::{self, Sorted};
use super::facts::{booted, never_came, reclaimed, timed_out};
use super::fitness::{gate, give_up_unhealthy};
use super::routing::routing;
use super::{News, ReportingHosts, Survey, Verdicts, WorkByHost, surge};

/// A zone is lost when all its instances have been silent for 2 minutes: eight scrapes at 15 s, so
/// that a restart of the monitoring system is no lost zone.
const ZONE_SILENT: Duration = Duration::from_secs(120);

/// The cloud's answers to one survey.
pub(super) struct Answers<'a> {
    pub(super) listed: &'a [Instance],
    /// These ids were asked for …
    pub(super) asked: &'a [InstanceId],
    /// … and these were found.
    pub(super) by_id: &'a [Instance],
    pub(super) base: &'a [Instance],
    pub(super) reporting: Option<&'a ReportingHosts>,
    pub(super) verdicts: Option<&'a Verdicts>,
    pub(super) busy: Option<&'a WorkByHost>,
    pub(super) adoptions: &'a [Adoption],
    pub(super) groups: &'a GroupsSeen,
    pub(super) instructions: &'a [Instruction],
}

/// Instances that must be asked for by id: those that we know of and `listed` does not show, and,
/// when the listing is not new, those that are changing, and those that it shows as they were before they
/// came into service.
pub(super) fn to_be_asked(listed: &[Instance], history: &History, is_new: bool) -> Vec<InstanceId> {
    let shown: BTreeMap<&InstanceId, Status> =
        listed.iter().map(|instance| (&instance.id, instance.status)).collect();
    let asked = |(id, tracked): &(&InstanceId, &Tracked)| match shown.get(id) {
        None => true,
        Some(Status::Running) => !is_new && tracked.phase != Phase::InService,
        Some(_) => !is_new,
    };
    history.instances.iter().filter(asked).map(|(id, _)| id.clone()).collect()
}

/// Instances that a survey takes for gone although nobody ended them, of those that it says
/// anything about.
pub(super) struct Loss {
    pub(super) lost: Vec<InstanceId>,
    pub(super) of: usize,
}

impl Loss {
    pub(super) fn is_most(&self) -> bool {
        self.lost.len() * 2 > self.of
    }
}

/// Of what is not listed and may not be listed yet, nothing is known. That an accepted instance
/// "never appeared" may also mean that it appeared while the journal was away.
pub(super) fn loss(history: &History, survey: &Survey) -> Loss {
    let unknown: BTreeSet<&InstanceId> = survey.inventory.unlisted.iter().map(|u| &u.id).collect();
    let mut loss = Loss { lost: Vec::new(), of: 0 };
    for (id, tracked) in history.instances.iter().filter(|(id, _)| !unknown.contains(id)) {
        let is_gone = survey.news.phases.get(id) == Some(&Phase::Gone);
        let listed = matches!(tracked.phase, Phase::Booting | Phase::Warming | Phase::InService);
        if listed || (tracked.phase == Phase::Requested && is_gone) {
            loss.of += 1;
            loss.lost.extend(is_gone.then(|| id.clone()));
        }
    }
    loss
}

/// Takes back that these are gone: they count as they did, and nothing is recorded of them.
pub(super) fn keep(survey: &mut Survey, ids: &[InstanceId], history: &History) {
    for id in ids {
        survey.news.phases.remove(id);
        let Some(tracked) = history.instances.get(id) else { continue };
        survey.inventory.unlisted.push(Unlisted { id: id.clone(), phase: tracked.phase });
        survey.news.facts.retain(|fact| match fact {
            AccountEvent::SoldOut { place, .. } => Some(place) != tracked.place.as_ref(),
            _ => true,
        });
    }
}

pub(super) fn merge(
    fleet: &Fleet,
    seen: &Answers<'_>,
    history: &History,
    now: Timestamp,
) -> Survey {
    let limits = Limits {
        warmup: fleet.warmup.get(),
        boot_timeout: fleet.boot_timeout.span.get(),
        ready_timeout: fleet.ready_timeout.map(model::Span::get),
    };
    let adoptions = seen.adoptions;
    let current = current(seen, history);
    let Sorted { ours, taken, strangers } = belongs::sort(current, fleet, history, adoptions, now);
    let reporting = useful(seen.reporting, &ours);

    let mut members: BTreeMap<InstanceId, Member> = BTreeMap::new();
    let mut survey = Survey { inventory: empty(now, history), news: News::default() };
    let mut taken_in = BTreeMap::new();
    let is_refreshed = instruction::is_refreshed(seen.instructions);
    let template = fingerprint(&fleet.launch.spec);
    let mut refreshed = BTreeSet::new();
    for instance in ours {
        let up = reporting.map(|reporting| reporting.includes(instance));
        let of_type = fleet.boot_timeouts.get(&instance.instance_type);
        let limits = Limits {
            boot_timeout: of_type.map_or(limits.boot_timeout, |timeout| timeout.get()),
            ..limits
        };
        let tracked = history.instances.get(&instance.id);
        let verdict = seen.verdicts.and_then(|verdicts| verdicts.of(&instance.id));
        let routing = routing(&fleet.lifecycle.balancers, seen.groups, &instance.id, tracked);
        let reported = instruction::reported(seen.instructions, &instance.id);
        let health = match (routing.health, reported) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            // A good report lets nothing into service that the fleet's own checks have not seen.
            _ if fleet.lifecycle.has_checks => verdict,
            _ => reported,
        };
        let evidence = Evidence {
            status: instance.status,
            readiness: Readiness::of(up, health, fleet.lifecycle.has_checks),
            hooks: gate(fleet, tracked),
            traffic: routing.gate,
        };
        let phase = phase_of(instance, evidence, history, limits, now);
        let let_in = Evidence { traffic: TrafficGate::Open, ..evidence };
        let is_fit = routing.gate != TrafficGate::Open
            && phase_of(instance, let_in, history, limits, now) == Phase::InService;
        let is_taken = taken.contains_key(&instance.id);
        if is_taken {
            taken_in.insert(instance.id.clone(), phase);
        } else if tracked.map(|tracked| tracked.phase) != Some(phase) {
            survey.news.phases.insert(instance.id.clone(), phase);
            survey.news.facts.extend(booted(instance, tracked, phase, now));
            survey.news.facts.extend(timed_out(instance, tracked, phase, now));
        }
        let silent = tracked.is_some_and(|tracked| tracked.silent_since.is_some());
        if let Some(up) = up.filter(|up| *up == silent) {
            survey.news.up.insert(instance.id.clone(), up);
        }
        let is_to_go =
            instruction::is_to_go(seen.instructions, &instance.id, instance.vswitch.as_deref());
        let is_asked = is_to_go || instance.is_reclaimed();
        let is_outdated =
            !is_asked && is_refreshed && surge::is_outdated(tracked, phase, &template);
        if is_outdated {
            refreshed.insert(instance.id.clone());
        }
        let outgoing = tracked.is_some() && (is_asked || is_outdated);
        survey.news.facts.extend(reclaimed(instance, tracked, now));
        let member = Member {
            instance: instance.clone(),
            ownership: Ownership::Managed,
            phase,
            missing_tags: missing_tags(fleet, instance, tracked),
            up,
            health,
            busy: seen.busy.and_then(|busy| busy.of_instance(instance)),
            traffic: routing.traffic,
            is_fit,
            outgoing,
            kept: instruction::is_kept(seen.instructions, &instance.id),
        };
        members.insert(instance.id.clone(), member);
    }
    surge::bound(fleet, &refreshed, history, &mut members);
    survey.news.outgoing = surge::changed(history, &members);
    for instance in seen.base {
        // An instance that carries our tags is ours, whatever selector finds it as well.
        members.entry(instance.id.clone()).or_insert_with(|| Member {
            instance: instance.clone(),
            ownership: Ownership::Base,
            phase: base_phase(instance.status),
            missing_tags: Tags::new(),
            up: reporting.map(|reporting| reporting.includes(instance)),
            health: None,
            busy: None,
            traffic: None,
            is_fit: false,
            outgoing: false,
            kept: false,
        });
    }
    give_up_unhealthy(fleet, &mut members, &mut survey.news, history);
    survey.news.takeovers = belongs::takeovers(taken, &taken_in, history, adoptions);
    // Instances that an operator's selector finds are counted, whoever tagged them.
    let strangers = strangers.into_iter().filter(|stranger| !members.contains_key(&stranger.id));
    survey.inventory.strangers = strangers.collect();
    for (id, tracked) in history.instances.iter().filter(|(id, _)| !members.contains_key(id)) {
        let phase = match tracked.phase {
            // Listings may not show it yet, and one answer to a question by id is not enough.
            Phase::Booting | Phase::Warming | Phase::InService if is_young(tracked, now) => {
                tracked.phase
            }
            before => before.next(None, clock::age(now, tracked.since), limits),
        };
        // An id that no listing shows costs nothing: failed here means that it never came to be.
        if !matches!(phase, Phase::Gone | Phase::Failed) {
            if phase != tracked.phase {
                survey.news.phases.insert(id.clone(), phase);
            }
            survey.inventory.unlisted.push(Unlisted { id: id.clone(), phase });
        } else {
            survey.news.phases.insert(id.clone(), Phase::Gone);
            survey.news.facts.extend(never_came(tracked, id, now));
        }
    }
    survey.inventory.members = members.into_values().collect();
    survey.inventory.lost_zones = lost_zones(&survey.inventory, history, now);
    survey
}

/// The newest that is known of each instance.
///
/// What was asked for by id is newer than the listing, but an instance that only one of the two
/// shows is there: nothing is gone before both miss it. Except what we ended ourselves: there it is
/// the end that is expected.
fn current<'a>(seen: &Answers<'a>, history: &History) -> Vec<&'a Instance> {
    let found: BTreeSet<&InstanceId> = seen.by_id.iter().map(|instance| &instance.id).collect();
    let asked: BTreeSet<&InstanceId> = seen.asked.iter().collect();
    let ended = |id: &InstanceId| {
        history.instances.get(id).is_some_and(|tracked| tracked.phase == Phase::Terminating)
    };
    let is_outdated = |id: &InstanceId| found.contains(id) || (asked.contains(id) && ended(id));
    let listed = seen.listed.iter().filter(|instance| !is_outdated(&instance.id));
    listed.chain(seen.by_id).collect()
}

/// Whether a listing may not show it yet.
fn is_young(tracked: &Tracked, now: Timestamp) -> bool {
    tracked.launched_at.is_some_and(|at| clock::age(now, at) < VISIBILITY_GRACE)
}

fn empty(now: Timestamp, history: &History) -> Inventory {
    Inventory {
        at: now,
        members: Vec::new(),
        unlisted: Vec::new(),
        in_doubt: history.launches_in_doubt(),
        doubts: Vec::new(),
        lost_zones: BTreeSet::new(),
        strangers: Vec::new(),
        listed_at: now,
        account_size: 0,
        groups: Vec::new(),
    }
}

/// An answer that names none of the fleet says nothing about the fleet: the names do not match, or
/// the monitoring system has lost its targets.
fn useful<'a>(
    reporting: Option<&'a ReportingHosts>,
    instances: &[&Instance],
) -> Option<&'a ReportingHosts> {
    reporting.filter(|reporting| instances.iter().any(|instance| reporting.includes(instance)))
}

fn phase_of(
    instance: &Instance,
    seen: Evidence,
    history: &History,
    limits: Limits,
    now: Timestamp,
) -> Phase {
    if let Some(tracked) = history.instances.get(&instance.id) {
        return tracked.phase.next(Some(seen), clock::age(now, tracked.since), limits);
    }
    // Not in our records (they were lost, or another host launched it): its own tag says when.
    let launched = instance.tags.get(tags::TIMESTAMP).and_then(|at| at.parse().ok());
    // A time to come is a mistake of whoever wrote it.
    let launched = launched.filter(|at: &Timestamp| *at <= now);
    let age = clock::age(now, launched.unwrap_or(instance.created_at));
    let may_serve = !matches!(seen.readiness, Readiness::NotReady | Readiness::Awaited);
    if instance.status == Status::Running && age >= limits.warmup && may_serve {
        return Phase::InService;
    }
    Phase::Requested.next(Some(seen), age, limits)
}

/// A base instance is not ours to judge: it serves when it runs.
fn base_phase(status: Status) -> Phase {
    match status {
        Status::Pending | Status::Starting => Phase::Booting,
        Status::Running => Phase::InService,
        Status::Stopping => Phase::Terminating,
        Status::Stopped | Status::Unknown => Phase::Failed,
    }
}

/// Zones in which every serving instance has been silent for long, while one elsewhere reports.
fn lost_zones(inventory: &Inventory, history: &History, now: Timestamp) -> BTreeSet<String> {
    let serving = || inventory.members.iter().filter(|member| member.phase == Phase::InService);
    let silent = |member: &Member| {
        let since = history.instances.get(&member.instance.id).and_then(|t| t.silent_since);
        member.up == Some(false) && since.is_some_and(|at| clock::age(now, at) >= ZONE_SILENT)
    };
    let zones: BTreeSet<&str> = serving().map(|member| member.instance.zone.as_str()).collect();
    let lost = zones.into_iter().filter(|zone| {
        let here = |member: &&Member| member.instance.zone == *zone;
        serving().filter(here).all(silent)
            && serving().any(|member| !here(&member) && member.up == Some(true))
    });
    lost.map(str::to_owned).collect()
}

/// The tags of ours that an instance of ours does not show.
///
/// One that was taken over, or launched by a version that set no owner, gets its owner here.
fn missing_tags(fleet: &Fleet, instance: &Instance, tracked: Option<&Tracked>) -> Tags {
    let intent: Option<IntentId> = tracked.and_then(|tracked| tracked.launched_by);
    let wanted = [
        (tags::SOURCE, Some(tags::SOURCE_AUTO.to_owned())),
        (tags::FLEET, Some(fleet.id.0.clone())),
        (tags::INTENT, intent.map(|id| id.to_string())),
        (tags::OWNER, fleet.owner.name.clone()),
        // One that was taken over needs none: the journal knows since when it has been the fleet's.
        (tags::TIMESTAMP, intent.map(|_| rfc3339(instance.created_at))),
    ];
    let missing = |key: &str, value: &String| match key {
        // Any time stamp will do; the provider's creation time replaces a lost one.
        tags::TIMESTAMP => !instance.tags.contains_key(key),
        _ => instance.tags.get(key) != Some(value),
    };
    wanted
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .filter(|(key, value)| missing(key, value))
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Instructed;
    use crate::model::fixtures::{ago, fleet, member, now, tracked};

    const NO_GROUPS: &GroupsSeen = &Vec::new();

    fn empty_handed<'a>() -> Answers<'a> {
        Answers {
            listed: &[],
            asked: &[],
            by_id: &[],
            base: &[],
            reporting: None,
            verdicts: None,
            busy: None,
            adoptions: &[],
            groups: NO_GROUPS,
            instructions: &[],
        }
    }

    /// The instances that an empty listing loses, of those in these phases for so many seconds.
    fn lost(known: &[(Phase, u64)]) -> (usize, usize) {
        let mut history = History::default();
        for (n, (phase, secs)) in known.iter().enumerate() {
            let launched_at = Some(ago(*secs));
            let known = tracked(*phase, ("c7", "vsw-h"));
            let tracked = Tracked { since: ago(*secs), launched_at, ..known };
            history.instances.insert(format!("i-{n}").as_str().into(), tracked);
        }
        let survey = merge(&fleet(0, 9), &empty_handed(), &history, now());
        let Loss { lost, of } = loss(&history, &survey);
        (lost.len(), of)
    }

    #[test]
    fn an_accepted_instance_is_lost_once_it_should_have_appeared() {
        let serves = (Phase::InService, 3_600);
        assert_eq!(lost(&[serves, serves, (Phase::Booting, 300)]), (3, 3));
        let young = (Phase::Warming, 30);
        assert_eq!(lost(&[serves, young, young]), (1, 1), "of the young ones nothing is known");
        assert_eq!(lost(&[serves, (Phase::Requested, 600), (Phase::Requested, 600)]), (3, 3));
        assert_eq!(lost(&[serves, (Phase::Requested, 10)]), (1, 1), "it may still appear");
        assert_eq!(lost(&[serves, (Phase::Terminating, 600)]), (1, 1), "it was to go");
    }

    #[test]
    fn an_old_listing_does_not_take_an_instance_out_of_service() {
        let of = |status: Status, phase: Phase, is_new: bool| {
            let mut instance = member("i-1", 60).instance;
            instance.status = status;
            let known = tracked(phase, ("c7", "vsw-h"));
            let history =
                History { instances: [("i-1".into(), known)].into(), ..History::default() };
            to_be_asked(&[instance], &history, is_new).len()
        };
        assert_eq!(of(Status::Starting, Phase::InService, false), 1, "it runs by now");
        assert_eq!(of(Status::Running, Phase::InService, false), 0, "nothing changes");
        assert_eq!(of(Status::Running, Phase::Warming, false), 1, "it changes");
        assert_eq!(of(Status::Starting, Phase::InService, true), 0, "it is so now");
    }

    #[test]
    fn nothing_is_gone_that_a_listing_shows_or_may_not_show_yet() {
        let of = |phase: Phase, age: u64, listed: bool| {
            let listed: Vec<Instance> =
                listed.then(|| member("i-1", 60).instance).into_iter().collect();
            let asked = ["i-1".into()];
            let known = Tracked { launched_at: Some(ago(age)), ..tracked(phase, ("c7", "vsw-h")) };
            let history =
                History { instances: [("i-1".into(), known)].into(), ..History::default() };
            let seen = Answers { listed: &listed, asked: &asked, ..empty_handed() };
            let survey = merge(&fleet(0, 9), &seen, &history, now());
            let is_there = !survey.inventory.members.is_empty();
            (
                is_there || !survey.inventory.unlisted.is_empty(),
                survey.news.phases.get(&asked[0]).copied(),
            )
        };
        let gone = (false, Some(Phase::Gone));
        for phase in [Phase::Booting, Phase::Warming, Phase::InService] {
            assert!(of(phase, 600, true).0, "{phase}: an answer by id alone is not believed");
            assert_eq!(of(phase, 600, false), gone, "{phase}: both miss it");
            assert_eq!(of(phase, 60, false), (true, None), "{phase}: listings may lag");
        }
        assert_eq!(of(Phase::Terminating, 600, true), gone, "its end is what was expected");
        assert!(of(Phase::Stopping, 600, true).0, "a drain ends by a deletion");
    }

    #[test]
    fn one_bad_report_is_enough_and_a_good_one_replaces_no_check() {
        let report = |is_good: bool| {
            let instance = "i-1".into();
            let what = if is_good {
                Instructed::ReportHealthy { instance }
            } else {
                Instructed::ReportUnhealthy { instance }
            };
            let (author, reason) = ("mei".to_owned(), "a look".to_owned());
            let (id, placed) = (uuid::Uuid::from_u128(7), ago(10));
            let until = now() + chrono::TimeDelta::hours(1);
            Instruction { id, fleet: None, what, author, reason, placed, until }
        };
        for (name, has_checks, verdict, reported, health) in [
            ("nothing is known", false, None, None, None),
            ("reported well", false, None, Some(true), Some(true)),
            ("reported ill", false, None, Some(false), Some(false)),
            ("reported ill, a check says well", true, Some(true), Some(false), Some(false)),
            ("reported well, a check says ill", true, Some(false), Some(true), Some(false)),
            ("reported well, a check has no verdict", true, None, Some(true), None),
            ("a check says well", true, Some(true), None, Some(true)),
        ] {
            let mut fleet = fleet(0, 9);
            fleet.lifecycle.has_checks = has_checks;
            let listed = [member("i-1", 60).instance];
            let verdicts = Verdicts(verdict.into_iter().map(|is| ("i-1".into(), is)).collect());
            let instructions: Vec<Instruction> = reported.into_iter().map(report).collect();
            let (verdicts, instructions) = (Some(&verdicts), instructions.as_slice());
            let seen = Answers { listed: &listed, verdicts, instructions, ..empty_handed() };
            let survey = merge(&fleet, &seen, &History::default(), now());
            assert_eq!(survey.inventory.members[0].health, health, "{name}");
        }
    }
}
