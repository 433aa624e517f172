//! Clocks that are set, and times from the future.

use std::time::Duration;

use cloud::{Clock, clock};
use ecs_emulator::{Fault, FaultKind};
use fleetscaler::model::{Event, Reason};

use crate::harness::{Setup, Wish};

#[tokio::test]
async fn a_clock_that_goes_an_hour_ahead_fails_nothing_that_boots() {
    let fleet = "boot_timeout = \"5m\"";
    let setup = Setup::settled(Wish { fleet, ..Wish::default() }).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::NeverBoots));
    setup.ticks(3, 90.0).await;
    let before = setup.fleet();
    assert_eq!(before.iter().filter(|view| view.status != "Running").count(), 2, "two boot");
    setup.clock.set(clock::after(setup.clock.now(), Duration::from_secs(60 * 60)));
    let reports = setup.ticks(2, 50.0).await;
    assert_eq!(setup.fleet(), before, "they have booted for half a minute, not for an hour");
    assert_eq!(reports[1].decision.current, 4);
    let steps = setup.events().await.into_iter().filter_map(|event| match event {
        Event::Stepped { millis, .. } => Some(millis),
        _ => None,
    });
    assert_eq!(steps.collect::<Vec<_>>(), [3_600_000], "told once");
    // The rest of their time passes as always.
    setup.ticks(12, 50.0).await;
    assert_eq!(setup.fleet(), before);
    setup.ticks(12, 50.0).await;
    assert_ne!(setup.fleet(), before, "five minutes are over, by the clock that nobody sets");
}

#[tokio::test]
async fn a_clock_that_goes_back_and_forth_ends_nothing() {
    let setup = Setup::settled(Wish::default()).await;
    // The emulator's instances boot by the same clock: they are to be older than any step.
    setup.clock.advance(Duration::from_secs(4 * 60 * 60));
    setup.ticks(4, 50.0).await;
    let before = setup.fleet();
    for millis in [-7_200_000i64, 7_200_000, 3_600_000, -3_600_000] {
        setup.clock.set(setup.clock.now() + chrono::TimeDelta::milliseconds(millis));
        let reports = setup.ticks(4, 50.0).await;
        let sizes: Vec<u32> = reports.iter().map(|report| report.decision.current).collect();
        assert_eq!(sizes, [2; 4], "{millis}");
        assert_eq!(setup.fleet(), before);
    }
}

#[tokio::test]
async fn a_time_stamp_from_the_future_holds_the_fleet_for_one_cool_down_at_most() {
    let future = ("scale-timestamp", "2027-11-25T12:00:00Z");
    // Of the fleet's own: its journal knows better.
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.retag(&setup.fleet()[0].id, &[future]);
    let reports = setup.ticks(2, 90.0).await;
    assert_eq!(setup.fleet().len(), 4, "{:?}", reports[1].decision.blocked_by);
    // Of one that was taken over: from when it was first seen.
    let setup = Setup::new(Wish::default()).await;
    for _ in 0..2 {
        let tags = [("scale-source", "auto"), ("scale-fleet", "web"), future];
        setup.emulator.place(&tags);
    }
    let reports = setup.ticks(2, 90.0).await;
    let held = reports[1].decision.blocked_by.clone();
    assert!(matches!(held, Some(Reason::CoolingDown { .. })), "{held:?}");
    setup.ticks(8, 90.0).await;
    assert!(setup.fleet().len() >= 2, "launched: {:?}", setup.fleet().len());
}
