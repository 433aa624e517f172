//! Faults that a deletion may meet.

use ecs_emulator::{Fault, FaultKind};
use fleetscaler::model::AlertCode;

use super::{calls, four, on, stays, tick, ticks_to};
use crate::harness::Wish;

pub(super) async fn no_fault() -> usize {
    let setup = four(Wish::default()).await;
    let ticks = ticks_to(&setup, 3, 10.0).await;
    stays(&setup, 3, 4).await;
    ticks
}

/// Then each of the two is deleted by itself, in the same tick.
pub(super) async fn bad_batch() -> usize {
    let setup = four(Wish { fewer_by: Some(2), ..Wish::default() }).await;
    setup.emulator.inject(Fault::on("DeleteInstances", FaultKind::BadBatch));
    let ticks = ticks_to(&setup, 2, 10.0).await;
    assert_eq!(calls(&setup, "DeleteInstances"), 1 + 2);
    stays(&setup, 2, 4).await;
    ticks
}

/// The next oldest goes instead, and the protected one is not knocked at without end.
pub(super) async fn protected() -> usize {
    let setup = four(Wish::default()).await;
    let before = on(&setup);
    setup.emulator.inject(Fault::on("DeleteInstances", FaultKind::Protected).times(1));
    let mut ticks = 0;
    while calls(&setup, "DeleteInstances") == 0 {
        ticks += 1;
        drop(tick(&setup, 10.0).await);
    }
    setup.emulator.protect(&before[0].id, true);
    ticks += ticks_to(&setup, 3, 10.0).await;
    let ids: Vec<String> = on(&setup).into_iter().map(|view| view.id).collect();
    assert_eq!(ids, [0, 2, 3].map(|n: usize| before[n].id.clone()));
    assert_eq!(calls(&setup, "DeleteInstances"), 2);
    stays(&setup, 3, 4).await;
    ticks
}

/// Nobody knows whether it happened. It did not, and one tick more is not one instance less.
pub(super) async fn never_answered() -> usize {
    let setup = four(Wish::default()).await;
    let before = on(&setup);
    setup.emulator.inject(Fault::on("DeleteInstances", FaultKind::CutBefore));
    let mut ticks = 0;
    while calls(&setup, "DeleteInstances") == 0 {
        ticks += 1;
        drop(tick(&setup, 10.0).await);
    }
    setup.emulator.clear_faults();
    ticks += ticks_to(&setup, 3, 10.0).await;
    assert_eq!(on(&setup)[0].id, before[1].id, "the oldest went");
    let report = tick(&setup, 50.0).await.expect("a tick");
    assert!(report.alerts.iter().all(|a| a.key.code != AlertCode::DeletionRefused));
    stays(&setup, 3, 4).await;
    ticks
}
