//! People's instructions: the size for a while, and what becomes of single instances and vSwitches.

use std::collections::BTreeSet;
use std::time::Duration;

use cloud::{Clock, InstanceId, clock};
use ecs_emulator::Fault;
use fleetscaler::journal;
use fleetscaler::model::{FleetId, Instructed, Instruction, OperatorEvent, Phase};
use uuid::Uuid;

use crate::harness::{Setup, Wish};

const NO_BRAKE: &str = "max_removal_percent = 100";
const DRAINS: &str = "max_removal_percent = 100\n[fleet.web.drain]\nwait = \"30s\"";

pub(crate) async fn instruct(setup: &Setup, what: Instructed, lasts: Duration) -> Uuid {
    let placed = setup.clock.now();
    let fleet = matches!(what, Instructed::Size { .. } | Instructed::Refresh)
        .then(|| FleetId("web".to_owned()));
    let id = Uuid::new_v4();
    let (author, reason) = ("mei".to_owned(), "a look".to_owned());
    let until = clock::after(placed, lasts);
    let instruction = Instruction { id, fleet, what, author, reason, placed, until };
    let event = OperatorEvent::Instructed { at: placed, instruction };
    journal::say(&setup.state(), &event).await.expect("said");
    id
}

fn ids(setup: &Setup) -> BTreeSet<String> {
    setup.fleet().into_iter().map(|instance| instance.id).collect()
}

fn oldest(setup: &Setup) -> String {
    setup.fleet().first().expect("some").id.clone()
}

async fn settled(fleet: &'static str) -> Setup {
    Setup::settled(Wish { fleet, ..Wish::default() }).await
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_size_that_is_set_holds_until_its_time_is_over_whatever_the_load() {
    let setup = settled(NO_BRAKE).await;
    let what = Instructed::Size { min: Some(5), max: Some(5) };
    instruct(&setup, what, Duration::from_secs(600)).await;
    let reports = setup.ticks(8, 10.0).await;
    assert_eq!(setup.fleet().len(), 5, "the load would want fewer");
    let why = format!("{:?}", reports.last().expect("some").decision.reasons);
    assert!(why.contains("mei"), "{why}");
    setup.ticks(8, 95.0).await;
    assert_eq!(setup.fleet().len(), 5, "the load would want more");
    // The ten minutes are over.
    setup.ticks(60, 10.0).await;
    assert_eq!(setup.fleet().len(), 2);
}

#[tokio::test]
async fn a_size_beyond_the_configured_bounds_is_kept_within_them() {
    let setup = settled(NO_BRAKE).await;
    instruct(&setup, Instructed::Size { min: Some(50), max: Some(50) }, HOUR).await;
    setup.ticks(10, 50.0).await;
    assert_eq!(setup.fleet().len(), 8, "max = 8");
    instruct(&setup, Instructed::Size { min: None, max: Some(0) }, HOUR).await;
    setup.ticks(40, 50.0).await;
    assert_eq!(setup.fleet().len(), 2, "min = 2");
}

#[tokio::test]
async fn a_replaced_instance_goes_once_another_one_serves() {
    for fleet in [NO_BRAKE, DRAINS] {
        let setup = settled(fleet).await;
        let old = oldest(&setup);
        instruct(&setup, Instructed::Replace { instance: InstanceId(old.clone()) }, HOUR).await;
        let mut least = u32::MAX;
        for _ in 0..16 {
            let report = setup.ticks(1, 50.0).await.pop().expect("one");
            least = least.min(report.counts.in_service);
            assert!(setup.fleet().len() <= 3, "one more at most");
        }
        assert!(least >= 2, "{least} served");
        assert!(!ids(&setup).contains(&old), "{fleet}");
        assert_eq!(setup.fleet().len(), 2, "{fleet}");
    }
}

#[tokio::test]
async fn a_replacement_survives_a_crash_at_any_tick_and_happens_once() {
    for at in 0..10 {
        let mut setup = settled(DRAINS).await;
        let old = oldest(&setup);
        instruct(&setup, Instructed::Replace { instance: InstanceId(old.clone()) }, HOUR).await;
        setup.ticks(at, 50.0).await;
        setup.crash().await;
        setup.ticks(24, 50.0).await;
        assert!(!ids(&setup).contains(&old), "crash after {at}");
        assert_eq!(setup.fleet().len(), 2, "crash after {at}");
        let launched = setup.emulator.instances().len();
        assert_eq!(launched, 3, "crash after {at}: one was launched for it");
    }
}

#[tokio::test]
async fn at_max_a_replaced_instance_makes_room_first() {
    let wish = Wish { fleet: NO_BRAKE, bounds: Some((2, 3)), ..Wish::default() };
    let setup = Setup::settled(wish).await;
    setup.ticks(8, 95.0).await;
    assert_eq!(setup.fleet().len(), 3);
    let old = oldest(&setup);
    instruct(&setup, Instructed::Replace { instance: InstanceId(old.clone()) }, HOUR).await;
    setup.ticks(12, 50.0).await;
    assert!(!ids(&setup).contains(&old));
    assert_eq!(setup.fleet().len(), 3, "and another one came");
}

#[tokio::test]
async fn a_protected_instance_is_passed_over() {
    let setup = settled(NO_BRAKE).await;
    setup.ticks(12, 95.0).await;
    let kept = oldest(&setup);
    instruct(&setup, Instructed::Protect { instance: InstanceId(kept.clone()) }, HOUR).await;
    instruct(&setup, Instructed::Replace { instance: InstanceId(kept.clone()) }, HOUR).await;
    setup.ticks(60, 10.0).await;
    assert!(ids(&setup).contains(&kept), "protected from a scale-in and from a replacement");
}

#[tokio::test]
async fn an_instance_on_standby_is_kept_replaced_and_comes_back() {
    let setup = settled(NO_BRAKE).await;
    let id = oldest(&setup);
    instruct(&setup, Instructed::Standby { instance: InstanceId(id.clone()) }, HOUR).await;
    let reports = setup.ticks(12, 50.0).await;
    let phase = |report: &fleetscaler::control::TickReport| {
        report.instances.iter().find(|one| one.id.0 == id).map(|one| one.phase)
    };
    let last = reports.last().expect("some");
    assert_eq!(phase(last), Some(Phase::Standby));
    assert_eq!((last.counts.in_service, setup.fleet().len()), (2, 3), "another one serves for it");
    // It stays after the word's hour is over.
    setup.clock.advance(HOUR);
    let reports = setup.ticks(6, 50.0).await;
    assert_eq!(phase(reports.last().expect("some")), Some(Phase::Standby));
    instruct(&setup, Instructed::Return { instance: InstanceId(id.clone()) }, HOUR).await;
    let reports = setup.ticks(3, 50.0).await;
    assert_eq!(phase(reports.last().expect("some")), Some(Phase::InService));
    assert_eq!(setup.fleet().len(), 3);
}

#[tokio::test]
async fn an_evacuated_vswitch_empties_without_a_gap_and_is_used_again_afterwards() {
    let setup = settled(NO_BRAKE).await;
    let zones = |setup: &Setup| {
        setup.fleet().into_iter().map(|instance| instance.zone).collect::<BTreeSet<_>>()
    };
    assert_eq!(zones(&setup), ["cn-hangzhou-h".to_owned()].into(), "in order");
    let what = Instructed::Evacuate { vswitch: "vsw-zone-h".to_owned() };
    instruct(&setup, what, Duration::from_secs(1_200)).await;
    for report in setup.ticks(20, 50.0).await {
        assert!(report.counts.in_service >= 2, "{:?}", report.counts);
    }
    assert_eq!(zones(&setup), ["cn-hangzhou-i".to_owned()].into());
    assert_eq!(setup.fleet().len(), 2);
    setup.clock.advance(Duration::from_secs(1_200));
    setup.ticks(8, 95.0).await;
    assert!(zones(&setup).contains("cn-hangzhou-h"), "it may be used again");
}

#[tokio::test]
async fn a_hold_keeps_a_replacement_from_beginning_and_from_ending() {
    let setup = settled(NO_BRAKE).await;
    let old = oldest(&setup);
    let now = setup.clock.now();
    let hold = fleetscaler::model::Hold {
        id: Uuid::from_u128(1),
        fleet: None,
        direction: None,
        author: "ann".to_owned(),
        reason: "stop".to_owned(),
        placed: now,
        until: clock::after(now, Duration::from_secs(600)),
    };
    let held = OperatorEvent::Held { at: now, hold };
    journal::say(&setup.state(), &held).await.expect("said");
    instruct(&setup, Instructed::Replace { instance: InstanceId(old.clone()) }, HOUR).await;
    setup.ticks(20, 50.0).await;
    assert_eq!((setup.fleet().len(), ids(&setup).contains(&old)), (2, true));
    setup.ticks(40, 50.0).await;
    assert_eq!((setup.fleet().len(), ids(&setup).contains(&old)), (2, false));
}

#[tokio::test]
async fn a_spot_instance_that_is_taken_back_is_replaced_and_drained_before_it_is_gone() {
    let setup = settled(DRAINS).await;
    let old = oldest(&setup);
    setup.emulator.reclaim(&old, Duration::from_secs(300));
    let first = setup.ticks(1, 50.0).await.pop().expect("one");
    let phase = |report: &fleetscaler::control::TickReport| {
        report.instances.iter().find(|one| one.id.0 == old).map(|one| one.phase)
    };
    assert_eq!(setup.fleet().len(), 3, "another one is launched at once: {:?}", first.decision);
    let second = setup.ticks(1, 50.0).await.pop().expect("one");
    assert_eq!(phase(&second), Some(Phase::Draining), "no new work");
    let reports = setup.ticks(24, 50.0).await;
    let last = reports.last().expect("some");
    assert_eq!((last.counts.in_service, setup.fleet().len()), (2, 2), "{:?}", last.alerts);
    assert!(!ids(&setup).contains(&old));
}

/// Another template, as a new image would be.
const NEW_TEMPLATE: &str = "instance_name = \"web-new\"";

async fn refreshed(fleet: &'static str) -> (Setup, BTreeSet<String>, Uuid) {
    let wish = Wish { fleet, bounds: Some((8, 20)), ..Wish::default() };
    let mut setup = Setup::new(wish).await;
    setup.ticks(8, 50.0).await;
    assert_eq!(setup.fleet().len(), 8);
    let old = ids(&setup);
    setup.reconfigure(|wish| wish.launch = NEW_TEMPLATE).await;
    setup.ticks(4, 50.0).await;
    assert_eq!(ids(&setup), old, "a new template by itself replaces nothing");
    let id = instruct(&setup, Instructed::Refresh, 24 * HOUR).await;
    (setup, old, id)
}

#[tokio::test]
async fn a_refresh_replaces_what_an_older_template_launched_a_quarter_at_a_time() {
    for (fleet, most) in [(NO_BRAKE, 2), ("max_removal_percent = 100\nmax_surge = 3", 3)] {
        let (setup, old, _) = refreshed(fleet).await;
        let (mut least, mut largest) = (u32::MAX, 0);
        for _ in 0..60 {
            let report = setup.ticks(1, 50.0).await.pop().expect("one");
            least = least.min(report.counts.in_service);
            largest = largest.max(setup.fleet().len());
        }
        assert!(least >= 8, "{fleet}: {least} served");
        assert_eq!(largest, 8 + most, "{fleet}");
        assert!(ids(&setup).is_disjoint(&old), "{fleet}");
        let all = setup.emulator.instances().len();
        assert_eq!((setup.fleet().len(), all), (8, 16), "{fleet}: each was replaced once");
    }
}

#[tokio::test]
async fn a_refresh_goes_on_after_a_crash_and_stops_when_it_is_withdrawn() {
    let (mut setup, old, _) = refreshed(NO_BRAKE).await;
    for _ in 0..30 {
        setup.crash().await;
        setup.ticks(2, 50.0).await;
    }
    assert!(ids(&setup).is_disjoint(&old));
    assert_eq!(setup.emulator.instances().len(), 16, "each was replaced once");

    let (setup, old, id) = refreshed(NO_BRAKE).await;
    setup.ticks(2, 50.0).await;
    let withdrawn = OperatorEvent::Withdrawn {
        at: setup.clock.now(),
        id,
        author: "mei".to_owned(),
        instruction: None,
    };
    journal::say(&setup.state(), &withdrawn).await.expect("said");
    setup.ticks(30, 50.0).await;
    let left = ids(&setup).intersection(&old).count();
    assert!(left >= 6, "{left} of eight stay");
    // What was launched by then stays: whether it is needed is the rules' affair.
    assert!(setup.fleet().len() <= 10);
}

#[tokio::test]
async fn a_template_that_cannot_be_launched_costs_no_instance() {
    let (setup, old, _) = refreshed(NO_BRAKE).await;
    let refused = Fault::refusal("RunInstances", "InvalidImageId.NotFound");
    setup.emulator.inject(refused.times(1_000));
    let reports = setup.ticks(40, 50.0).await;
    assert_eq!(ids(&setup), old);
    assert!(reports.iter().all(|report| report.counts.in_service == 8));
}
