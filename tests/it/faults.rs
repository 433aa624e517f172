//! Sessions with faults: what the cloud may answer instead of an answer.

use cloud::Status;
use ecs_emulator::{Fault, FaultKind, World as Cloud};
use fleetscaler::control::TickReport;
use fleetscaler::execute::Outcome;
use fleetscaler::model::{AlertCode, Phase, Settlement};

use crate::harness::{Setup, Wish};

const EVERYTHING_BUT_LOST_LISTINGS: &[FaultKind] = &[
    FaultKind::Throttle,
    FaultKind::ErrorBefore,
    FaultKind::ErrorAfter,
    FaultKind::CutBefore,
    FaultKind::CutAfter,
    FaultKind::Html,
    FaultKind::EmptyBody,
    FaultKind::Truncated,
    FaultKind::Huge,
    FaultKind::FailingOk,
];

/// Four ticks, and as many more as it takes until the fleet has `size` instances (a throttled
/// action waits for its next minute), up to three minutes of them.
async fn ticks_until(setup: &Setup, size: usize, percent: f64) {
    setup.ticks(4, percent).await;
    for _ in 0..12 {
        if setup.fleet().len() == size {
            return;
        }
        setup.ticks(1, percent).await;
    }
}

#[tokio::test]
async fn a_launch_whose_answer_is_lost_happens_exactly_once() {
    for kind in EVERYTHING_BUT_LOST_LISTINGS {
        let setup = Setup::settled(Wish::default()).await;
        setup.emulator.inject(Fault::on("RunInstances", *kind).times(2));
        ticks_until(&setup, 4, 90.0).await;
        assert_eq!(setup.fleet().len(), 4, "{kind:?}");
        let created = setup.emulator.instances().len();
        assert_eq!(created, 4, "{kind:?}: nothing was bought twice");
    }
}

#[tokio::test]
async fn a_launch_that_never_gets_an_answer_is_settled_by_a_later_tick() {
    for kind in [FaultKind::CutAfter, FaultKind::ErrorAfter, FaultKind::Truncated] {
        let setup = Setup::settled(Wish::default()).await;
        // The token makes the repeats harmless, but no answer ever arrives.
        setup.emulator.inject(Fault::on("RunInstances", kind));
        let reports = setup.ticks(2, 90.0).await;
        let open = |outcome: &Outcome| {
            matches!(outcome, Outcome::Sent { settlement: Settlement::Open { .. }, .. })
        };
        assert!(reports[1].outcomes.iter().any(open), "{kind:?}: {:?}", reports[1].outcomes);
        assert_eq!(setup.fleet().len(), 4, "{kind:?}");
        // The next tick looks by the intent's tag, although launches still get no answer.
        let next = setup.ticks(1, 90.0).await.remove(0);
        assert_eq!(next.decision.current, 4, "{kind:?}");
        let found: u32 = next.settled.iter().map(|settled| settled.settlement.launched()).sum();
        assert_eq!(found, 2, "{kind:?}: what became of it is told: {:?}", next.settled);
        setup.emulator.clear_faults();
        setup.ticks(3, 50.0).await;
        assert_eq!(setup.emulator.instances().len(), 4, "{kind:?}");
    }
}

#[tokio::test]
async fn a_crash_between_launch_and_answer_costs_nothing_even_when_listings_lag() {
    let cloud =
        Cloud { listing_lag: std::time::Duration::from_secs(60).into(), ..Cloud::default() };
    let mut setup = Setup::settled(Wish { cloud, ..Wish::default() }).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::CutAfter));
    setup.ticks(2, 90.0).await;
    setup.crash().await;
    setup.emulator.clear_faults();
    setup.ticks(8, 60.0).await;
    assert_eq!(setup.emulator.instances().len(), 4);
    assert_eq!(setup.fleet().len(), 4);
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_ends_one_instance_only() {
    for kind in EVERYTHING_BUT_LOST_LISTINGS {
        let setup = Setup::settled(Wish::default()).await;
        setup.ticks(9, 90.0).await;
        let before = setup.fleet();
        setup.emulator.inject(Fault::on("DeleteInstances", *kind).times(2));
        // One step: three samples, then less than a cool-down.
        setup.ticks(8, 50.0).await;
        ticks_until(&setup, before.len() - 1, 10.0).await;
        let left = setup.fleet();
        assert_eq!(left.len(), before.len() - 1, "{kind:?}");
        assert_eq!(left[0].id, before[1].id, "{kind:?}: the oldest went");
    }
}

#[tokio::test]
async fn a_removal_that_is_found_out_later_counts_against_its_hour() {
    let fleet = "max_removals_per_hour = 1";
    let setup = Setup::settled(Wish { fleet, ..Wish::default() }).await;
    setup.ticks(9, 90.0).await;
    let before = setup.fleet().len();
    setup.emulator.inject(Fault::on("DeleteInstances", FaultKind::CutAfter));
    let mut reports = setup.ticks(8, 10.0).await;
    setup.emulator.clear_faults();
    reports.extend(setup.ticks(40, 10.0).await);
    let done = |report: &&TickReport| !report.settled.is_empty();
    assert_eq!(reports.iter().filter(done).count(), 1, "it was found out by looking");
    assert_eq!(setup.fleet().len(), before - 1, "one an hour");
}

#[tokio::test]
async fn bad_answers_to_a_listing_change_nothing() {
    for kind in EVERYTHING_BUT_LOST_LISTINGS.iter().chain(&[FaultKind::BadCredentials]) {
        let setup = Setup::settled(Wish::default()).await;
        setup.ticks(4, 90.0).await;
        let before = setup.fleet();
        setup.emulator.inject(Fault::on("DescribeInstances", *kind));
        let seen = setup.emulator.transcript().len();
        setup.clock.advance(crate::harness::INTERVAL);
        setup.cpu(1.0);
        let error = setup.try_tick().await.expect_err("nothing can be read").to_string();
        assert!(
            error.contains("the cloud cannot be read, nothing is changed"),
            "{kind:?}: {error}"
        );
        setup.rough_ticks(4, 1.0).await;
        let writes = setup.emulator.transcript()[seen..]
            .iter()
            .filter(|entry| !entry.action.starts_with("Describe"))
            .count();
        assert_eq!(writes, 0, "{kind:?}");
        assert_eq!(setup.fleet(), before, "{kind:?}");
    }
}

#[tokio::test]
async fn an_empty_listing_is_not_believed_while_the_permission_is_missing() {
    let setup = Setup::settled(Wish::default()).await;
    // A listing and the question for the two ids that it did not show.
    setup.emulator.inject(Fault::on("DescribeInstances", FaultKind::EmptyListing).times(2));
    // A fleet in which nothing changes is listed every minute.
    let reports = setup.ticks(6, 50.0).await;
    let doubted = |report: &TickReport| {
        let alert = report.alerts.iter().any(|a| a.key.code == AlertCode::InventoryDoubt);
        alert && report.decision.reasons.iter().any(|r| r.to_string().contains("in doubt"))
    };
    assert_eq!(reports.iter().filter(|report| doubted(report)).count(), 1);
    assert!(reports.last().is_some_and(|report| report.alerts.is_empty()));
    assert_eq!(setup.emulator.instances().len(), 2, "no second fleet was bought");
}

#[tokio::test]
async fn instances_that_are_really_gone_are_replaced_after_a_third_look() {
    let setup = Setup::settled(Wish::default()).await;
    for view in setup.fleet() {
        setup.emulator.vanish(&view.id);
    }
    let reports = setup.ticks(8, 50.0).await;
    let doubts = reports.iter().filter(|report| !report.alerts.is_empty()).count();
    assert_eq!(doubts, 2, "the first looks are not believed, the third is");
    assert_eq!(setup.fleet().len(), 2);
}

#[tokio::test]
async fn a_sold_out_zone_is_left_for_the_next_one() {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.change(|world| {
        world.stock.insert("cn-hangzhou-h/ecs.c7.large".to_owned(), 1);
    });
    let reports = setup.ticks(4, 90.0).await;
    let launches: Vec<(String, String, usize)> = setup
        .emulator
        .transcript()
        .into_iter()
        .filter(|entry| entry.action == "RunInstances")
        .map(|e| {
            (
                e.parameters["InstanceType"].clone(),
                e.parameters["VSwitchId"].clone(),
                e.created.len(),
            )
        })
        .skip(1)
        .collect();
    let place = |zone: &str, n| ("ecs.c7.large".to_owned(), zone.to_owned(), n);
    assert_eq!(launches, [place("vsw-zone-h", 1), place("vsw-zone-i", 1)]);
    assert_eq!(setup.fleet().len(), 4);
    let skipped = reports.iter().flat_map(|report| &report.plan.skipped).count();
    assert!(skipped > 0, "the plan says what it passed over");
}

#[tokio::test]
async fn everything_sold_out_is_said_and_nothing_spins() {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::SoldOut));
    let reports = setup.ticks(8, 90.0).await;
    let last = reports.last().expect("a report");
    assert!(
        last.plan.shortfalls.iter().any(|s| s.contains("sold out")),
        "{:?}",
        last.plan.shortfalls
    );
    let asked = setup.emulator.transcript().iter().filter(|e| e.action == "RunInstances").count();
    assert_eq!(asked, 1 + 4, "each of the four places once");
}

#[tokio::test]
async fn an_instance_that_vanishes_after_acceptance_is_replaced() {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::Vanishes).times(1));
    setup.ticks(2, 90.0).await;
    assert_eq!(setup.fleet().len(), 3, "two were accepted, one is gone already");
    setup.ticks(13, 90.0).await;
    assert_eq!(setup.fleet().len(), 8);
}

#[tokio::test]
async fn instances_that_never_boot_are_retired_retried_with_a_bound_and_then_probed_only() {
    let fleet = "boot_timeout = \"2m\"\nlaunch_failures = 3";
    let setup = Setup::settled(Wish { fleet, ..Wish::default() }).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::NeverBoots));
    let mut alerted = None;
    for n in 0..240 {
        let report = setup.ticks(1, 90.0).await.remove(0);
        assert!(setup.fleet().len() <= 8);
        assert_eq!(report.decision.current, 2 + report.counts.booting + report.counts.requested);
        let stopped = report.alerts.iter().any(|a| a.key.code == AlertCode::LaunchFailures);
        alerted = alerted.or(stopped.then_some(n));
    }
    let alerted = alerted.expect("an alert");
    let launches: Vec<(cloud::Timestamp, usize)> = setup
        .emulator
        .transcript()
        .into_iter()
        .filter(|entry| entry.action == "RunInstances")
        .map(|entry| (entry.at, entry.created.len()))
        .skip(1)
        .collect();
    assert!((4..=5).contains(&launches.len()), "an hour has few launches: {launches:?}");
    assert!(alerted < 60, "three failed within a quarter of an hour: {alerted}");
    let (last, before) = (launches[launches.len() - 1], launches[launches.len() - 2]);
    assert_eq!(last.1, 1, "one instance is tried: {launches:?}");
    assert!(last.0 - before.0 >= chrono::TimeDelta::minutes(30), "{launches:?}");
    // The cause is gone: the next probe succeeds, and the fleet grows again.
    setup.emulator.clear_faults();
    setup.ticks(300, 90.0).await;
    assert_eq!(setup.fleet().len(), 8);
    assert!(setup.ticks(1, 50.0).await[0].alerts.is_empty());
}

#[tokio::test]
async fn lost_tags_are_repaired() {
    let setup = Setup::settled(Wish::default()).await;
    let id = setup.fleet()[0].id.clone();
    setup.emulator.untag(&id, &["scale-fleet", "scale-timestamp"]);
    for report in setup.ticks(6, 50.0).await {
        assert_eq!(report.decision.current, 2, "it is known by its id");
    }
    let view = setup.emulator.instances().into_iter().find(|view| view.id == id).expect("there");
    assert_eq!(view.tags["scale-fleet"], "web");
    assert!(view.tags["scale-timestamp"].parse::<cloud::Timestamp>().is_ok());
}

#[tokio::test]
async fn a_throttled_action_resumes_and_reads_go_on() {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::Throttle).times(1));
    setup.ticks(2, 90.0).await;
    assert_eq!(setup.fleet().len(), 2, "a launch that was throttled goes back to the next tick");
    let minute = |at: cloud::Timestamp| at.timestamp().div_euclid(60);
    ticks_until(&setup, 4, 90.0).await;
    let sent = setup.emulator.transcript().into_iter().filter(|e| e.action == "RunInstances");
    let sent: Vec<i64> = sent.skip(1).map(|entry| minute(entry.at)).collect();
    assert_eq!(sent, [sent[0], sent[0] + 1], "nothing knocks before the next minute");
}

#[tokio::test]
async fn a_listing_that_lags_does_not_lead_to_a_second_launch() {
    let cloud =
        Cloud { listing_lag: std::time::Duration::from_secs(100).into(), ..Cloud::default() };
    let setup = Setup::new(Wish { cloud, ..Wish::default() }).await;
    let reports = setup.ticks(12, 50.0).await;
    assert_eq!(setup.emulator.instances().len(), 2);
    assert!(reports[1].counts.requested == 2, "{:?}", reports[1].counts);
    assert!(Phase::Requested.is_capacity() && Status::Running != Status::Pending);
}
