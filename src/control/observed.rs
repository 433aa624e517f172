//! Asking the sources of one fleet: beside the listing, and no longer than the decision needs.

use std::pin::Pin;
use std::time::Duration;

use futures::FutureExt;

use super::{FleetInWorld, TickError};
use crate::inventory::Heard;
use crate::model::{Gap, Signals, Span};
use crate::signals;

/// A source in the same region answers in milliseconds. Who lacks instances waits for it no longer
/// than this: a launch costs a minute of booting anyway, and each second of it counts.
const AWAITED: Duration = Duration::from_secs(1);

/// What was asked of the sources of signals.
pub(super) struct Observed {
    pub(super) signals: Signals,
    pub(super) heard: Option<Heard>,
}

impl Observed {
    /// Nothing is known, since the sources had no time to answer.
    pub(super) fn not_awaited(member: &FleetInWorld) -> Observed {
        let gap = |_| Err(Gap::NotAwaited { after: Span(AWAITED) });
        let signals = member.sources.iter().map(|(name, source)| (name.clone(), gap(source)));
        Observed { signals: signals.collect(), heard: None }
    }
}

/// Asks for the signals, and for who is up.
pub(super) async fn observe(member: &FleetInWorld) -> Observed {
    let roll = async {
        let names = member.roll.as_ref()?.call().await;
        match names {
            Ok(names) => Some(Heard::of(names.iter().map(String::as_str))),
            Err(gap) => {
                let id = &member.fleet.id;
                tracing::debug!(fleet.id = %id, "fleet `{id}`: who is up is not known: {gap}");
                None
            }
        }
    };
    let (signals, heard) = futures::future::join(signals::observe(&member.sources), roll).await;
    Observed { signals, heard }
}

/// What the sources say, where they say it within a second.
pub(super) async fn promptly(member: &FleetInWorld) -> Option<Observed> {
    within(&mut std::pin::pin!(observe(member))).await
}

/// What `observing` leads to while the fleet is listed; `None` when it takes longer than that and
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
