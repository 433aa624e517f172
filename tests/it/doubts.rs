//! Decisions that were right a moment ago and are not any more when they are about to be carried out.

use std::time::Duration;

use cloud::{Clock, clock};
use ecs_emulator::{Fault, FaultKind};
use fleetscaler::execute::Outcome;
use fleetscaler::journal;
use fleetscaler::model::{Direction, Hold, OperatorEvent};

use crate::harness::{INTERVAL, Setup, Wish};

/// A fleet of four that is about to lose one: the next low sample is the third. Its next listing
/// waits for a second attempt.
async fn about_to_remove() -> Setup {
    let setup = Setup::settled(Wish::default()).await;
    setup.ticks(2, 90.0).await;
    setup.ticks(12, 50.0).await;
    assert_eq!(setup.fleet().len(), 4);
    setup.ticks(2, 10.0).await;
    setup.clock.advance(INTERVAL);
    setup.cpu(10.0);
    setup.emulator.inject(Fault::on("DescribeInstances", FaultKind::ErrorBefore).times(1));
    setup
}

/// Why the one action of the tick was not sent.
fn not_sent(outcomes: &[Outcome]) -> &str {
    match outcomes {
        [Outcome::NotSent { why, .. }] => why,
        other => panic!("one that is not sent: {other:?}"),
    }
}

#[tokio::test]
async fn what_was_decided_long_ago_is_decided_anew() {
    let wish = Wish {
        launch: "spread = \"balanced\"",
        provider: "write_timeout = \"5m\"",
        ..Wish::default()
    };
    let setup = Setup::settled(wish).await;
    setup.ticks(1, 90.0).await;
    setup.clock.advance(INTERVAL);
    setup.cpu(90.0);
    // Two launches, one in each zone; the answer to the first takes a minute.
    let delay = Duration::from_secs(61).into();
    let slow = Fault { delay, ..Fault::on("RunInstances", FaultKind::Slow) };
    setup.emulator.inject(slow.times(1));
    let report = setup.tick_with(async |setup| setup.clock.advance(Duration::from_secs(61))).await;
    assert_eq!(report.decision.desired, 4, "{:?}", report.decision);
    match report.outcomes.as_slice() {
        [Outcome::Sent { .. }, Outcome::NotSent { why, .. }] => {
            assert!(why.contains("decided anew"), "{why}");
        }
        other => panic!("one that is sent and one that is not: {other:?}"),
    }
    assert_eq!(setup.fleet().len(), 3);
}

#[tokio::test]
async fn a_listing_that_takes_long_is_not_held_against_the_decision_that_follows() {
    let setup = about_to_remove().await;
    let report = setup.tick_with(async |setup| setup.clock.advance(Duration::from_secs(61))).await;
    assert_eq!(report.decision.desired, 3, "{:?}", report.decision);
    assert!(matches!(report.outcomes[..], [Outcome::Sent { .. }]), "{:?}", report.outcomes);
}

#[tokio::test]
async fn a_hold_that_is_placed_while_a_tick_is_under_way_is_kept() {
    let setup = about_to_remove().await;
    let report = setup
        .tick_with(async |setup| {
            let now = setup.clock.now();
            let hold = Hold {
                id: uuid::Uuid::from_u128(7),
                fleet: None,
                direction: Some(Direction::In),
                author: "ann".to_owned(),
                reason: "the fair".to_owned(),
                placed: now,
                until: clock::after(now, Duration::from_secs(3_600)),
            };
            let said = OperatorEvent::Held { at: now, hold };
            journal::say(&setup.state(), &said).await.expect("said");
            setup.tend().await;
        })
        .await;
    assert_eq!(report.decision.desired, 3, "{:?}", report.decision);
    assert!(not_sent(&report.outcomes).contains("held by ann"), "{:?}", report.outcomes);
    setup.ticks(4, 10.0).await;
    assert_eq!(setup.fleet().len(), 4);
}

#[tokio::test]
async fn answers_that_leave_some_out_buy_nothing() {
    for half in [2, 4] {
        let setup = Setup::settled(Wish::default()).await;
        if half == 4 {
            setup.ticks(2, 90.0).await;
            setup.ticks(12, 50.0).await;
        }
        // A listing, and the question for what it did not show.
        setup.emulator.inject(Fault::on("DescribeInstances", FaultKind::PartialListing).times(2));
        // A fleet in which nothing changes is listed every minute.
        setup.ticks(8, 50.0).await;
        assert_eq!(setup.emulator.instances().len(), half);
    }
}
