//! Faults that a launch may meet.

use std::time::Duration;

use ecs_emulator::{Fault, FaultKind, World as Cloud};
use fleetscaler::control::TickReport;
use fleetscaler::model::{AlertCode, Reason};

use super::{MOST, calls, on, stays, tick, ticks_to, ticks_until};
use crate::harness::{Setup, Wish};

pub(super) async fn no_fault() -> usize {
    let setup = Setup::settled(Wish::default()).await;
    let ticks = ticks_to(&setup, 4, 90.0).await;
    stays(&setup, 4, 4).await;
    ticks
}

pub(super) async fn sold_out() -> usize {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.change(|world| {
        for zone in ["cn-hangzhou-h", "cn-hangzhou-i"] {
            world.stock.insert(format!("{zone}/ecs.c7.large"), 0);
        }
        // The first place is known to be sold out before the load rises.
        world.stock.remove("cn-hangzhou-i/ecs.c7.large");
    });
    let ticks = ticks_to(&setup, 4, 90.0).await;
    assert_eq!(on(&setup)[3].zone, "cn-hangzhou-i");
    stays(&setup, 4, 4).await;
    ticks
}

pub(super) async fn partial() -> usize {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::PartialLaunch).times(1));
    let ticks = ticks_to(&setup, 4, 90.0).await;
    stays(&setup, 4, 4).await;
    ticks
}

/// Two launches at once, of which one falls short: the rest is asked for at once, too.
pub(super) async fn partial_balanced() -> usize {
    let launch = "spread = \"balanced\"";
    let more = "[[fleet.web.rule]]\nkind = \"threshold\"\nsignal = \"cpu\"\n\
                scale_out = { above = 80, samples = 2, by = 4 }";
    let setup = Setup::settled(Wish { launch, more, ..Wish::default() }).await;
    drop(tick(&setup, 90.0).await);
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::PartialLaunch).times(1));
    let report = tick(&setup, 90.0).await.expect("a tick");
    assert_eq!((report.plan.actions.len(), on(&setup).len()), (2, 5), "three of four");
    assert!(report.wants_another_tick());
    let report = tick(&setup, 90.0).await.expect("a tick");
    assert_eq!(on(&setup).len(), 6);
    assert!(!report.wants_another_tick());
    stays(&setup, 6, 6).await;
    3
}

pub(super) async fn answers_lost() -> usize {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::CutAfter).times(3));
    let ticks = ticks_to(&setup, 4, 90.0).await;
    stays(&setup, 4, 4).await;
    ticks
}

/// The launch never arrives either: only a later tick can find that out, and send it again.
pub(super) async fn never_answered() -> usize {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::CutBefore));
    drop(tick(&setup, 90.0).await);
    drop(tick(&setup, 90.0).await);
    assert!(calls(&setup, "RunInstances") > 2, "it was tried, again and again");
    setup.emulator.clear_faults();
    let ticks = 2 + ticks_to(&setup, 4, 90.0).await;
    stays(&setup, 4, 4).await;
    ticks
}

pub(super) async fn lagging() -> usize {
    let lag = Duration::from_secs(120).into();
    let cloud = Cloud { listing_lag: lag, tag_lag: lag, ..Cloud::default() };
    let setup = Setup::new(Wish { cloud, ..Wish::default() }).await;
    setup.ticks(24, 50.0).await;
    let ticks = ticks_to(&setup, 4, 90.0).await;
    // The load stays high for as long as the new ones are not to be seen.
    for _ in 0..8 {
        drop(tick(&setup, 90.0).await);
        assert_eq!(setup.emulator.instances().len(), 4);
    }
    stays(&setup, 4, 4).await;
    ticks
}

/// Asked once, then one instance after 5 minutes: no walk through the zones.
pub(super) async fn quota() -> usize {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.change(|world| world.instance_quota = 2);
    let before = calls(&setup, "RunInstances");
    let mut said = 0;
    for _ in 0..2 + 24 {
        let report = tick(&setup, 90.0).await.expect("a tick");
        said += usize::from(is_stopped(&report));
    }
    assert_eq!(calls(&setup, "RunInstances") - before, 2);
    assert!(said >= 23, "it is said: {said}");

    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.change(|world| world.instance_quota = 2);
    drop(tick(&setup, 90.0).await);
    drop(tick(&setup, 90.0).await);
    setup.emulator.change(|world| world.instance_quota = 100);
    let ticks = ticks_until(&setup, 90.0, |setup| on(setup).len() >= 4).await;
    let launches = setup.emulator.transcript().into_iter().filter(|e| e.action == "RunInstances");
    let amounts: Vec<String> = launches.map(|e| e.parameters["Amount"].clone()).collect();
    assert_eq!(amounts, ["2", "2", "1", "2"], "what was refused, the probe, the next step");
    let size = on(&setup).len();
    stays(&setup, size, size).await;
    ticks
}

fn is_stopped(report: &TickReport) -> bool {
    let alert = report.alerts.iter().any(|alert| alert.key.code == AlertCode::AccountStopped);
    alert && matches!(report.decision.blocked_by, Some(Reason::AccountStopped { .. }))
}

/// Two failures that are noticed in ticks far apart. The load falls to where it asks for nothing: the
/// size that was decided is reached all the same.
pub(super) async fn failures() -> usize {
    let fleet = "boot_timeout = \"2m\"";
    let setup = Setup::settled(Wish { fleet, ..Wish::default() }).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::NeverBoots).times(1));
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::Vanishes).times(1));
    let mut ticks = 0;
    let serving = || on(&setup).iter().filter(|view| view.status == "Running").count();
    while serving() < 4 {
        ticks += 1;
        assert!(ticks < MOST);
        let failed_twice = calls(&setup, "RunInstances") == 3;
        drop(tick(&setup, if failed_twice { 50.0 } else { 90.0 }).await);
        assert!(setup.fleet().len() <= 8);
    }
    // Two that never booted, and one that was gone at once.
    stays(&setup, 4, 4 + 3).await;
    ticks
}
