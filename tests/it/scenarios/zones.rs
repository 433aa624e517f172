//! Zones and instances that go, or fall silent.

use fleetscaler::model::{AlertCode, Reason};

use super::{MOST, four, on, stays, tick, ticks_to};
use crate::harness::{INTERVAL, Setup, Wish};

const H: &str = "cn-hangzhou-h";
const BALANCED: &str = "spread = \"balanced\"";
/// A fleet at rest is listed once a minute: what happens just after a listing is seen last, so each
/// moment of that minute is tried, and the worst one counts.
const OFFSETS: std::ops::Range<usize> = 0..4;

pub(super) async fn half_is_lost() -> usize {
    let mut worst = 0;
    for offset in OFFSETS {
        let setup = four(Wish { launch: BALANCED, ..Wish::default() }).await;
        setup.ticks(offset, 50.0).await;
        assert_eq!(on(&setup).iter().filter(|view| view.zone == H).count(), 2);
        setup.emulator.lose_zone(H);
        worst = worst.max(ticks_to(&setup, 4, 50.0).await);
        assert!(on(&setup).iter().all(|view| view.zone != H));
        stays(&setup, 4, 6).await;
    }
    worst
}

/// A listing that lost everything is believed at the third look only.
pub(super) async fn all_is_lost() -> usize {
    let mut worst = 0;
    for offset in OFFSETS {
        let setup = four(Wish::default()).await;
        setup.ticks(offset, 50.0).await;
        assert!(on(&setup).iter().all(|view| view.zone == H));
        setup.emulator.lose_zone(H);
        worst = worst.max(ticks_to(&setup, 4, 50.0).await);
        assert!(on(&setup).iter().all(|view| view.zone != H));
        stays(&setup, 4, 8).await;
    }
    worst
}

/// Listings go on as if nothing had happened; only the monitoring system knows better.
pub(super) async fn silent() -> usize {
    let fleet = "up.query = 'up'\nup.url = \"METRICS\"";
    let setup = four(Wish { launch: BALANCED, fleet, ..Wish::default() }).await;
    hear(&setup);
    drop(tick(&setup, 50.0).await);
    setup.emulator.hang_zone(H);
    let answering = || on(&setup).iter().filter(|view| view.reachable).count();
    let mut ticks = 0;
    while answering() < 4 {
        ticks += 1;
        assert!(ticks < MOST);
        setup.clock.advance(INTERVAL);
        setup.cpu(50.0);
        hear(&setup);
        let report = setup.tick().await;
        let lost = report.alerts.iter().any(|alert| alert.key.code == AlertCode::ZoneLost);
        assert_eq!(lost, report.counts.unreachable > 0);
        if !lost {
            assert_eq!(on(&setup).len(), 4, "a short silence is no loss");
        }
    }
    assert_eq!(on(&setup).len(), 6, "who is silent is not removed: it may be heard again");
    // The zone is back: two more than are needed, and nobody goes while the signals ask for nothing.
    setup.emulator.restore_zone(H);
    for _ in 0..20 {
        setup.clock.advance(INTERVAL);
        setup.cpu(50.0);
        hear(&setup);
        let report = setup.tick().await;
        let lost = |reason: &Reason| matches!(reason, Reason::ZoneLost { .. });
        assert!(!report.decision.reasons.iter().any(lost));
        assert_eq!(on(&setup).len(), 6);
    }
    assert_eq!(setup.emulator.instances().len(), 6);
    ticks
}

pub(super) async fn one_vanishes() -> usize {
    let mut worst = 0;
    for offset in OFFSETS {
        let setup = four(Wish::default()).await;
        setup.ticks(offset, 50.0).await;
        let id = on(&setup)[1].id.clone();
        setup.emulator.vanish(&id);
        worst = worst.max(ticks_to(&setup, 4, 50.0).await);
        stays(&setup, 4, 5).await;
    }
    worst
}

/// The monitoring system scrapes what runs.
fn hear(setup: &Setup) {
    let running = on(setup).into_iter().filter(|view| view.status == "Running");
    let heard = running.map(|view| (view.id, view.reachable)).collect();
    setup.metrics.hear(heard, cloud::Clock::now(&setup.clock));
}
