//! Nothing that serves is given up for something that does not.

use std::time::Duration;

use ecs_emulator::{Fault, FaultKind};
use fleetscaler::control::TickReport;
use fleetscaler::model::AlertCode;

use crate::harness::{INTERVAL, Setup, Wish};

const NO_BRAKE: &str = "max_removal_percent = 100";

/// A fleet of `size`, in service.
async fn serving(size: u32) -> Setup {
    let wish = Wish { bounds: Some((size, size)), fleet: NO_BRAKE, ..Wish::default() };
    let setup = Setup::new(wish).await;
    setup.ticks(12, 50.0).await;
    assert_eq!(running(&setup).len(), size as usize);
    setup
}

fn running(setup: &Setup) -> Vec<String> {
    let running = setup.fleet().into_iter().filter(|view| view.status == "Running");
    running.map(|view| view.id).collect()
}

fn launches(setup: &Setup) -> usize {
    setup.emulator.transcript().iter().filter(|entry| entry.action == "RunInstances").count()
}

#[tokio::test]
async fn what_boots_is_waited_for_before_what_serves_goes() {
    let mut setup = serving(6).await;
    setup.emulator.change(|world| world.set_boot(Duration::from_secs(120)));
    setup.reconfigure(|wish| wish.bounds = Some((26, 26))).await;
    setup.ticks(1, 50.0).await;
    assert_eq!((setup.fleet().len(), running(&setup).len()), (26, 6), "20 boot");
    let six = running(&setup);
    setup.reconfigure(|wish| wish.bounds = Some((2, 6))).await;
    let report = setup.ticks(1, 50.0).await.remove(0);
    assert_eq!(running(&setup), six, "all that serve");
    let said = report.plan.shortfalls.join("; ");
    assert!(said.contains("only once others serve"), "{said}");
    for _ in 0..30 {
        setup.ticks(1, 50.0).await;
        assert!(running(&setup).len() >= 6, "at every moment");
    }
    assert_eq!(setup.fleet().len(), 6, "what booted in vain is cleared away");
    assert_eq!(running(&setup), six, "before it served");
}

/// Seven serve, and of three more nobody knows whether they were launched.
async fn in_doubt() -> Setup {
    let mut setup = serving(7).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::CutBefore));
    setup.reconfigure(|wish| wish.bounds = Some((5, 10))).await;
    // Up to 10, of which the answer is lost.
    setup.reconfigure(|wish| wish.bounds = Some((10, 10))).await;
    let report = setup.ticks(1, 50.0).await.remove(0);
    assert!(report.outcomes[0].is_trouble(), "{:?}", report.outcomes);
    setup
}

/// The intents that are still in doubt.
async fn lowered(to: (u32, u32)) -> (Setup, TickReport) {
    let mut setup = in_doubt().await;
    let sent = launches(&setup);
    setup.emulator.clear_faults();
    setup.reconfigure(|wish| wish.bounds = Some(to)).await;
    let report = setup.ticks(1, 50.0).await.remove(0);
    assert_eq!(
        launches(&setup),
        sent,
        "the old launch does not fit any more: it is not sent again"
    );
    (setup, report)
}

#[tokio::test]
async fn a_lower_max_while_a_launch_is_in_doubt_leaves_min_of_what_serves() {
    let (setup, _) = lowered((5, 5)).await;
    // While the three may exist none that serves goes on their account; then two go, and never more.
    for _ in 0..20 {
        assert!(running(&setup).len() >= 5, "the three may not exist");
        setup.ticks(1, 50.0).await;
    }
    assert_eq!(running(&setup).len(), 5);
}

#[tokio::test]
async fn a_max_lowered_to_what_serves_removes_nothing_on_account_of_what_is_in_doubt() {
    let (setup, _) = lowered((5, 7)).await;
    for _ in 0..20 {
        assert_eq!(running(&setup).len(), 7);
        setup.clock.advance(INTERVAL);
        setup.cpu(50.0);
        setup.tick().await;
    }
}

#[tokio::test]
async fn without_a_word_in_the_configuration_half_of_a_fleet_goes_in_an_hour() {
    let setup = Setup::settled(Wish { fewer_by: Some(6), ..Wish::default() }).await;
    setup.ticks(40, 90.0).await;
    assert_eq!(setup.fleet().len(), 8);
    setup.ticks(60, 5.0).await;
    assert_eq!(setup.fleet().len(), 4, "half of it within the hour");
    setup.ticks(240, 5.0).await;
    assert_eq!(setup.fleet().len(), 2, "and then the next half");
}

#[tokio::test]
async fn a_fleet_at_max_that_wants_more_is_an_alert_that_says_how_many() {
    let setup = Setup::settled(Wish { bounds: Some((2, 3)), ..Wish::default() }).await;
    let at_max = |reports: &[TickReport]| {
        let alerts = reports.last().expect("a tick").alerts.iter();
        let mut at_max = alerts.filter(|alert| alert.key.code == AlertCode::AtMax);
        at_max.next().map(|alert| alert.message.clone())
    };
    let reports = setup.ticks(20, 95.0).await;
    assert_eq!(setup.fleet().len(), 3);
    let said = at_max(&reports).expect("it is short");
    assert_eq!(said, "max = 3 is reached, and the rules want 5");
    assert_eq!(at_max(&setup.ticks(2, 50.0).await), None, "it is enough again");
}
