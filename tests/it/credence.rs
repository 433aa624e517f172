//! Listings that lost something, and how often they must be looked at before they are believed.

use std::time::Duration;

use ecs_emulator::{Fault, FaultKind, World as Cloud};
use fleetscaler::model::AlertCode;

use crate::harness::{Setup, Wish};

/// The operator's own instances, two of them.
const BASE: &str = "base = { tags = { pool = \"base\", team = \"ops\" } }";

fn launched(setup: &Setup) -> usize {
    let transcript = setup.emulator.transcript();
    transcript.iter().map(|entry| entry.created.len()).sum()
}

#[tokio::test]
async fn an_account_that_may_not_list_buys_nothing() {
    let cloud = Cloud { lists_nothing: true, ..Cloud::default() };
    let setup = Setup::new(Wish { cloud, ..Wish::default() }).await;
    let reports = setup.ticks(20, 90.0).await;
    assert_eq!(launched(&setup), 0);
    let last = reports.last().expect("a report");
    let doubt = last.alerts.iter().find(|alert| alert.key.code == AlertCode::InventoryDoubt);
    let doubt = &doubt.expect("it is said").message;
    assert!(doubt.contains("permission probe failed"), "{doubt}");
    setup.emulator.change(|world| world.lists_nothing = false);
    setup.ticks(2, 50.0).await;
    assert_eq!(launched(&setup), 2);
}

#[tokio::test]
async fn a_lost_journal_and_a_listing_that_is_empty_for_a_moment_buy_no_second_fleet() {
    for answers in [1, 2, 3] {
        let daemon = "installation = \"shop\"";
        let mut setup = Setup::settled(Wish { daemon, ..Wish::default() }).await;
        setup.lose_state().await;
        setup
            .emulator
            .inject(Fault::on("DescribeInstances", FaultKind::EmptyListing).times(answers));
        setup.ticks(10, 50.0).await;
        assert_eq!(launched(&setup), 2, "{answers} empty answers");
    }
}

#[tokio::test]
async fn a_new_fleet_is_looked_at_for_twenty_seconds_before_its_first_launch() {
    let setup = Setup::new(Wish::default()).await;
    let began = cloud::Clock::now(&setup.clock);
    setup.tick().await;
    let transcript = setup.emulator.transcript();
    let launch = transcript.iter().find(|entry| entry.action == "RunInstances");
    let launch = launch.expect("in the first tick");
    assert!(launch.at - began >= chrono::TimeDelta::seconds(20), "{began} {}", launch.at);
    let looks = transcript.iter().filter(|entry| entry.action == "DescribeInstances");
    assert!(looks.count() >= 3 + 3, "three looks, and a probe with each");
}

#[tokio::test]
async fn base_instances_that_are_missing_for_a_moment_are_not_replaced() {
    let setup = Setup::new(Wish { fleet: BASE, ..Wish::default() }).await;
    for _ in 0..2 {
        setup.emulator.place(&[("pool", "base"), ("team", "ops")]);
    }
    setup.ticks(30, 50.0).await;
    assert_eq!(launched(&setup), 0, "the two of them are the minimum");
    // Nothing changes, so it is looked at once a minute: the listing, and the base instances.
    setup.emulator.inject(Fault::on("DescribeInstances", FaultKind::EmptyListing).times(4));
    let reports = setup.ticks(12, 50.0).await;
    assert_eq!(launched(&setup), 0);
    let doubted = reports.iter().filter(|report| !report.alerts.is_empty()).count();
    assert!((1..=2).contains(&doubted), "{doubted}");
    // The account may not list any more.
    setup.emulator.change(|world| world.lists_nothing = true);
    setup.ticks(20, 50.0).await;
    assert_eq!(launched(&setup), 0);
}

#[tokio::test]
async fn base_instances_that_are_really_gone_are_replaced() {
    let setup = Setup::new(Wish { fleet: BASE, ..Wish::default() }).await;
    let base: Vec<String> =
        (0..2).map(|_| setup.emulator.place(&[("pool", "base"), ("team", "ops")])).collect();
    setup.ticks(30, 50.0).await;
    setup.emulator.vanish(&base[0]);
    setup.emulator.vanish(&base[1]);
    setup.ticks(12, 50.0).await;
    assert_eq!(launched(&setup), 2);
}

#[tokio::test]
async fn a_hiccup_of_seconds_buys_nothing_at_an_interval_of_one_second() {
    let setup = Setup::settled(Wish { fleet: "interval = \"1s\"", ..Wish::default() }).await;
    // Long enough that the shared listing is read anew in between.
    setup.emulator.inject(Fault::on("DescribeInstances", FaultKind::EmptyListing));
    let mut doubted = 0;
    for second in 0..90 {
        setup.clock.advance(Duration::from_secs(1));
        setup.cpu(50.0);
        let report = setup.tick().await;
        doubted += u32::from(!report.alerts.is_empty());
        if doubted == 5 {
            setup.emulator.clear_faults();
        }
        assert_eq!(launched(&setup), 2, "after {second} s");
    }
    assert!(doubted >= 5, "the hiccup was seen: {doubted}");
}
