//! Asking the sources of one fleet: beside the listing, and no longer than the decision needs.

use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt;

use super::{FleetInWorld, TickError};
use crate::inventory::{ReportingHosts, WorkByHost};
use crate::model::{Gap, Signals, Span};

/// A source in the same region answers in milliseconds. Who lacks instances waits for it no longer
/// than this: a launch costs a minute of booting anyway, and each second of it counts.
const AWAITED: Duration = Duration::from_secs(1);

/// The questions to the sources of signals.
pub(super) struct Observed {
    pub(super) signals: Signals,
    pub(super) reporting: Option<ReportingHosts>,
    pub(super) busy: Option<WorkByHost>,
}

/// The answers so far.
#[derive(Default)]
pub(super) struct SoFar(Mutex<Signals>);

impl SoFar {
    fn signals(&self) -> std::sync::MutexGuard<'_, Signals> {
        self.0.lock().expect("no holder of this lock can panic")
    }

    /// The answers when nobody waits any longer.
    pub(super) fn not_awaited(&self, member: &FleetInWorld) -> Observed {
        let mut signals = self.signals().clone();
        for name in member.sources.keys() {
            let gap = || Err(Gap::NotAwaited { after: Span(AWAITED) });
            signals.entry(name.clone()).or_insert_with(gap);
        }
        Observed { signals, reporting: None, busy: None }
    }
}

/// Asks for the signals, for who is up, and for how much work each has. Each answer is in `so_far` as soon as it is there.
pub(super) async fn observe(member: &FleetInWorld, so_far: &SoFar) -> Observed {
    let up_source = async {
        let names = member.up_source.as_ref()?.names_up().await;
        match names {
            Ok(names) => Some(ReportingHosts::of(names.iter().map(String::as_str))),
            Err(gap) => {
                let id = &member.fleet.id;
                tracing::debug!(fleet.id = %id, "fleet `{id}`: who is up is not known: {gap}");
                None
            }
        }
    };
    let busy = async {
        match member.care.busy.as_ref()?.work().await {
            Ok(series) => {
                Some(WorkByHost::of(series.iter().map(|(host, work)| (host.as_str(), *work))))
            }
            Err(gap) => {
                let id = &member.fleet.id;
                tracing::debug!(fleet.id = %id, "fleet `{id}`: who has work is not known: {gap}");
                None
            }
        }
    };
    let reading = member.sources.iter().map(|(name, source)| async move {
        let reading = source.read().await;
        so_far.signals().insert(name.clone(), reading);
    });
    let reading = futures::future::join_all(reading);
    let (_, reporting, busy) = futures::future::join3(reading, up_source, busy).await;
    Observed { signals: so_far.signals().clone(), reporting, busy }
}

/// The answers of the sources that come within a second.
pub(super) async fn promptly(member: &FleetInWorld) -> Option<Observed> {
    let so_far = SoFar::default();
    within(&mut std::pin::pin!(observe(member, &so_far))).await
}

/// The answers that come within a second; the others are gaps.
pub(super) async fn soon(member: &FleetInWorld) -> Observed {
    let so_far = SoFar::default();
    let observed = within(&mut std::pin::pin!(observe(member, &so_far))).await;
    observed.unwrap_or_else(|| so_far.not_awaited(member))
}

/// The result of `observing` while the fleet is listed; `None` when it takes longer than that and
/// longer than a second.
pub(super) async fn beside_listing<T>(
    observing: &mut Pin<&mut impl Future<Output = Observed>>,
    listing: impl Future<Output = Result<T, TickError>>,
) -> Result<(Option<Observed>, T), TickError> {
    let (observed, listing) = futures::future::join(within(observing), listing).await;
    Ok((observed, listing?))
}

async fn within(observing: &mut Pin<&mut impl Future<Output = Observed>>) -> Option<Observed> {
    if let Some(observed) = observing.now_or_never() {
        return Some(observed);
    }
    // A source is asked over the network, which takes real time whatever the clock says.
    tokio::time::timeout(AWAITED, observing).await.ok()
}
