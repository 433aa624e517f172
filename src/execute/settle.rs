//! Settling intents whose outcome is not known: a crash, a lost reply.
//!
//! A launch is looked up by its `scale-intent` tag first. While its token is young it is then sent
//! again, unchanged: the provider answers a repeated token with the first answer, so nothing is
//! bought twice. Once the token may have been forgotten, only looking is safe.
//! All other mutations are idempotent and are simply sent again.

use std::time::Duration;

use cloud::{Class, Mutation, Observe, TagFilter, Timestamp, clock};

use crate::journal::JournalError;
use crate::model::{Fleet, History, Intent, IntentId, Settlement, tags};

use super::dispatch::Live;

/// A client token younger than this may be sent again. The vendor states no validity; tokens older
/// than 30 minutes count as unsafe, so 20 leave a margin.
const TOKEN_YOUNG: Duration = Duration::from_secs(20 * 60);
/// Listings lag: a launch that left no trace is given up this long after its token grew old.
const LOOK_FOR: Duration = Duration::from_secs(2 * 60);

/// Settles what is open in `history`. What cannot be settled now stays open and is looked at again
/// in the next tick; meanwhile it counts as capacity.
pub async fn settle(
    live: &Live,
    cloud: &dyn Observe,
    fleet: &Fleet,
    history: &History,
    now: Timestamp,
) -> Result<(), JournalError> {
    for (id, intent) in &history.open {
        let age = clock::age(now, intent.at);
        tracing::warn!(
            fleet.id = %fleet.id, intent.id = %id, age_secs = age.as_secs(),
            "fleet `{}`: settling an action of unknown outcome: {}", fleet.id, intent.action,
        );
        match &intent.action.mutation {
            Mutation::Launch(launch) => {
                settle_launch(live, cloud, fleet, *id, intent, launch, age).await?;
            }
            _ if age < TOKEN_YOUNG => {
                live.send(&fleet.id, *id, &intent.action.mutation).await?;
            }
            // Planned anew from the world as it is.
            _ => give_up(live, fleet, *id, "too old to be sent again").await?,
        }
    }
    Ok(())
}

async fn settle_launch(
    live: &Live,
    cloud: &dyn Observe,
    fleet: &Fleet,
    id: IntentId,
    intent: &Intent,
    launch: &cloud::Launch,
    age: Duration,
) -> Result<(), JournalError> {
    let filter = TagFilter::of((tags::FLEET, &fleet.id.0), (tags::INTENT, &id.to_string()), &[]);
    let listed = match cloud.instances_by_tags(&filter).await {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(fleet.id = %fleet.id, intent.id = %id, "cannot look for it: {error}");
            return Ok(());
        }
    };
    let found: Vec<_> = listed.into_iter().map(|instance| instance.id).collect();
    if found.len() >= launch.amount as usize {
        return live.found_out(&fleet.id, id, Settlement::Launched { ids: found }).await;
    }
    if age < TOKEN_YOUNG
        && let Some(launch) = launch.sendable(&fleet.launch.spec)
    {
        let mutation = Mutation::Launch(Box::new(launch));
        live.send(&fleet.id, id, &mutation).await?;
        return Ok(());
    }
    if age < TOKEN_YOUNG + LOOK_FOR {
        return Ok(());
    }
    if found.is_empty() {
        give_up(live, fleet, id, "no instance carries its intent").await
    } else {
        tracing::info!(intent.id = %id, "found {} of {}", found.len(), intent.action);
        live.found_out(&fleet.id, id, Settlement::Launched { ids: found }).await
    }
}

async fn give_up(live: &Live, fleet: &Fleet, id: IntentId, why: &str) -> Result<(), JournalError> {
    let settlement = Settlement::Failed { class: Class::Permanent, message: why.to_owned() };
    live.found_out(&fleet.id, id, settlement).await
}
