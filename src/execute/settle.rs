//! Settling intents whose outcome is not known: a crash, a lost reply.
//!
//! First a look: a launch is looked up by its `scale-intent` tag, everything else by the ids that it
//! concerns. A launch is then sent again while its token is young, unchanged: the provider answers a
//! repeated token with the first answer, so nothing is bought twice. Once the token may have been
//! forgotten, only looking is safe.
//!
//! A stop or deletion that shows no effect is sent again as well, for the same instances, for as long
//! as looking cannot tell whether it was ever sent: two minutes without it would be two minutes in
//! which the fleet stands still. After that, what did not happen is planned anew from the world as it
//! is.
//!
//! Nothing is concluded from what a listing does not show unless that listing is credible.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{
    BackendChange, BackendGroup, Class, InstanceId, Launch, Mutation, Observe, Status, Timestamp,
    clock,
};

use crate::journal::JournalError;
use crate::model::{
    Direction, History, Inputs, Intent, OpenIntent, Phase, Refusal, Settlement, VISIBILITY_GRACE,
    instruction, tags,
};

use super::dispatch::{ActionContext, Live};
use super::{Settled, Stop};

/// A client token younger than this may be sent again. The vendor states no validity; tokens older
/// than 30 minutes count as unsafe, so 20 leave a margin.
const TOKEN_YOUNG: Duration = Duration::from_secs(20 * 60);

/// The cloud's state, read before settling.
#[derive(Debug, Clone, Copy)]
pub struct CloudView<'a> {
    /// The fleet's instances by tag, read in this tick.
    pub listed: &'a [cloud::Instance],
    /// The operator's own instances that count as the fleet's.
    pub base: &'a [cloud::Instance],
    pub cloud: &'a dyn Observe,
}

/// The conclusion about an open intent, and how it was reached.
enum Conclusion {
    /// By a look: to be recorded.
    Seen(Settlement),
    /// By sending it again: recorded with it.
    Resent(Settlement),
}

/// Settles what is open in the history of the context's fleet, and returns what became of it. What cannot be
/// settled now stays open and is looked at again in the next tick; meanwhile it counts as capacity.
/// After `stop` nothing further is settled: it may have to be sent again.
pub async fn settle(
    live: &Live,
    look: CloudView<'_>,
    context: ActionContext<'_>,
    stop: &Stop,
    now: Timestamp,
) -> Result<Vec<Settled>, JournalError> {
    let mut settled = Vec::new();
    for open in context.inputs.history.open.values() {
        if stop.is_asked() {
            break;
        }
        let OpenIntent { intent, .. } = open;
        let age = clock::age(now, intent.at);
        tracing::info!(
            fleet.id = %context.lease.fleet, intent.id = %intent.action.intent,
            age_secs = age.as_secs(),
            "{}: settling what is not known: {}", context.about(intent.action.intent), intent.action,
        );
        let found = match &intent.action.mutation {
            Mutation::Launch(launch) => {
                settle_launch(live, look, context, open, launch, now).await?
            }
            // Tagging again does no harm: it is planned from what the tags are then.
            Mutation::Tag { .. } => Some(Conclusion::Seen(Settlement::failed(
                Class::Transient,
                "the tags are looked at again",
            ))),
            Mutation::Start { ids } => {
                settle_batch(live, look, context, open, ids, now, |status| {
                    matches!(status, Some(Status::Pending | Status::Starting | Status::Running))
                })
                .await?
            }
            Mutation::Stop { ids } => {
                settle_batch(live, look, context, open, ids, now, |status| {
                    matches!(status, None | Some(Status::Stopping | Status::Stopped))
                })
                .await?
            }
            Mutation::Delete { ids, .. } => {
                settle_batch(live, look, context, open, ids, now, |status| {
                    matches!(status, None | Some(Status::Stopping))
                })
                .await?
            }
            Mutation::Route { group, ids, change } => settle_route(look, group, ids, *change).await,
        };
        let settlement = match found {
            None => continue,
            Some(Conclusion::Resent(settlement)) => settlement,
            Some(Conclusion::Seen(settlement)) => live.record(context, intent, settlement).await?,
        };
        settled.push(Settled { action: intent.action.clone(), settlement });
    }
    Ok(settled)
}

/// The outcome of a launch, if anything is known; sends it again where that is safe.
async fn settle_launch(
    live: &Live,
    look: CloudView<'_>,
    context: ActionContext<'_>,
    open: &OpenIntent,
    launch: &Launch,
    now: Timestamp,
) -> Result<Option<Conclusion>, JournalError> {
    let id = open.intent.action.intent;
    let carries = |instance: &&cloud::Instance| {
        instance.tags.get(tags::INTENT).is_some_and(|tag| *tag == id.to_string())
    };
    let found: Vec<InstanceId> =
        look.listed.iter().filter(carries).map(|instance| instance.id.clone()).collect();
    if found.len() >= launch.amount as usize {
        return Ok(Some(Conclusion::Seen(Settlement::Launched { ids: found })));
    }
    // Some of it is there: the others will be, or they were not to be had.
    if found.is_empty()
        && let Some(launch) = repeatable(open, launch, context.inputs, look, now)
    {
        let mutation = Mutation::Launch(Box::new(launch));
        let action = crate::model::Action { intent: id, mutation };
        let intent = Intent { at: open.intent.at, action };
        return Ok(Some(Conclusion::Resent(live.repeat(context, &intent).await?)));
    }
    // The effect of the last attempt is listed after the grace.
    let settled_by = clock::age(now, open.sent_at) >= VISIBILITY_GRACE;
    if !settled_by || !is_credible(look, context.inputs).await {
        return Ok(None);
    }
    Ok(Some(Conclusion::Seen(if found.is_empty() {
        Settlement::failed(Class::Transient, "no instance carries its intent")
    } else {
        Settlement::Launched { ids: found }
    })))
}

/// The launch as it may be sent again, if it may: while its token is young, unless it was refused,
/// and unless a person or the bounds say otherwise by now.
fn repeatable(
    open: &OpenIntent,
    launch: &Launch,
    inputs: &Inputs,
    look: CloudView<'_>,
    now: Timestamp,
) -> Option<Launch> {
    // By a clock that was set back nobody knows how old it is.
    let young = open.intent.at <= now && clock::age(now, open.intent.at) < TOKEN_YOUNG;
    let fleet = &inputs.fleet;
    let held = inputs.holds.iter().any(|hold| hold.keeps(&fleet.id, Direction::Out, now));
    let fits = others(open, inputs, look) + launch.amount <= fleet.bounds.max;
    if !open.repeat || !young || held || !fits {
        return None;
    }
    let today = &fleet.launch;
    launch.sendable(&today.spec, &today.instance_types, &today.vswitches, tags::PREFIX)
}

/// What exists or may exist beside the launch `open`: what is listed, what is known and not listed
/// yet, and what other launches of unknown outcome may have made.
fn others(open: &OpenIntent, inputs: &Inputs, look: CloudView<'_>) -> u32 {
    let id = open.intent.action.intent;
    let of_it = |instance: &&cloud::Instance| {
        instance.tags.get(tags::INTENT).is_some_and(|tag| *tag == id.to_string())
    };
    // Instances of others do not count.
    let ours = |instance: &&cloud::Instance| inputs.history.instances.contains_key(&instance.id);
    let listed = look.listed.iter().filter(|i| ours(i) && !of_it(i)).count() + look.base.len();
    let unlisted = inputs.history.instances.iter().filter(|(id, tracked)| {
        tracked.phase.is_capacity() && look.listed.iter().all(|instance| instance.id != **id)
    });
    let launches = inputs.history.open.values().filter(|other| other.intent.action.intent != id);
    let in_doubt: u32 = launches
        .map(|other| match &other.intent.action.mutation {
            Mutation::Launch(launch) => launch.amount,
            _ => 0,
        })
        .sum();
    u32::try_from(listed + unlisted.count()).unwrap_or(u32::MAX).saturating_add(in_doubt)
}

/// Whether what the listing does not show may be taken as not there: listing is permitted, and it
/// shows at least one of the instances that must be there.
async fn is_credible(look: CloudView<'_>, inputs: &Inputs) -> bool {
    shows_some_of(&inputs.history, look.listed) && look.cloud.probe_list().await.is_ok()
}

/// Whether at least one instance is listed that must be there, if any must.
fn shows_some_of(history: &History, listed: &[cloud::Instance]) -> bool {
    let serving = |phase: Phase| matches!(phase, Phase::Warming | Phase::InService);
    let mut known = history.instances.iter().filter(|(_, t)| serving(t.phase)).peekable();
    known.peek().is_none() || known.any(|(id, _)| listed.iter().any(|instance| instance.id == *id))
}

/// What became of a change of traffic, by looking at the group. What it did not reach is planned anew from
/// who is in the group then: to ask for it once more does no harm.
async fn settle_route(
    look: CloudView<'_>,
    group: &BackendGroup,
    ids: &[InstanceId],
    change: BackendChange,
) -> Option<Conclusion> {
    let found = match look.cloud.backends(group).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!("the backends of {group} cannot be looked at: {error}");
            return None;
        }
    };
    // The change may be the one that is under way.
    let is_changing = |id| found.backends.get(id).is_some_and(|backend| backend.is_changing);
    if found.is_busy || ids.iter().any(is_changing) {
        return None;
    }
    let is_done = |id: &&InstanceId| change.is_done(found.backends.get(*id));
    let (done, left): (Vec<_>, Vec<_>) = ids.iter().partition(is_done);
    let refusal = || Refusal {
        class: Class::Ambiguous,
        message: "its answer was lost, and it shows no effect".to_owned(),
    };
    let failed = left.into_iter().map(|id| (id.clone(), refusal())).collect();
    Some(Conclusion::Seen(Settlement::Done { done: done.into_iter().cloned().collect(), failed }))
}

/// What became of a batch, by looking at its instances: those that are `done`, and after a
/// grace the others as not done. `None` while it is too early to tell, or nobody can look. An end that
/// does not show is asked for once more where that is safe.
async fn settle_batch(
    live: &Live,
    look: CloudView<'_>,
    context: ActionContext<'_>,
    open: &OpenIntent,
    ids: &[InstanceId],
    now: Timestamp,
    done: fn(Option<Status>) -> bool,
) -> Result<Option<Conclusion>, JournalError> {
    let intent = &open.intent;
    let found = match look.cloud.instances_by_ids(ids).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(intent.id = %intent.action.intent, "cannot look for it: {error}");
            return Ok(None);
        }
    };
    let status = |id: &InstanceId| found.iter().find(|i| i.id == *id).map(|i| i.status);
    let (gone, left): (Vec<_>, Vec<_>) = ids.iter().cloned().partition(|id| done(status(id)));
    if !left.is_empty() && clock::age(now, open.sent_at) < VISIBILITY_GRACE {
        let left = found.iter().filter(|instance| left.contains(&instance.id));
        if may_end_again(open, left, look, context.inputs, now) {
            return Ok(Some(Conclusion::Resent(live.repeat(context, intent).await?)));
        }
        return Ok(None);
    }
    // An absence must be credible too: an account without permission sees nothing.
    if gone.iter().any(|id| status(id).is_none()) && look.cloud.probe_list().await.is_err() {
        return Ok(None);
    }
    let failed: BTreeMap<InstanceId, Refusal> = left
        .into_iter()
        .map(|id| {
            let message = "its answer was lost, and it shows no effect".to_owned();
            (id, Refusal { class: Class::Ambiguous, message })
        })
        .collect();
    Ok(Some(Conclusion::Seen(Settlement::Done { done: gone, failed })))
}

/// Whether the end of the instances `left` may be asked for again: soon after the decision, unless it
/// was refused, and unless a person, a tag, a protection or the bounds say otherwise by now.
fn may_end_again<'a>(
    open: &OpenIntent,
    mut left: impl Iterator<Item = &'a cloud::Instance>,
    look: CloudView<'_>,
    inputs: &Inputs,
    now: Timestamp,
) -> bool {
    let (Mutation::Stop { ids } | Mutation::Delete { ids, .. }) = &open.intent.action.mutation
    else {
        return false;
    };
    let fleet = &inputs.fleet;
    // An older decision is made anew: the load may be another one.
    let young = open.intent.at <= now && clock::age(now, open.intent.at) < VISIBILITY_GRACE;
    let held = inputs.holds.iter().any(|hold| hold.keeps(&fleet.id, Direction::In, now));
    let may_end = left.all(|instance| {
        let listed = look.listed.iter().any(|listed| listed.id == instance.id);
        let is_kept = instruction::is_kept(&inputs.instructions, &instance.id);
        let is_known = inputs.history.instances.contains_key(&instance.id);
        listed && is_known && !is_kept && !tags::protect(instance)
    });
    // The instances that certainly serve, by the records and by the listing.
    let others = look.listed.iter().filter(|instance| {
        let tracked = inputs.history.instances.get(&instance.id);
        let serves = tracked.is_some_and(|tracked| tracked.phase == Phase::InService);
        serves && instance.status == Status::Running && !ids.contains(&instance.id)
    });
    let base = look.base.iter().filter(|instance| instance.status == Status::Running);
    let enough = others.count() + base.count() >= fleet.bounds.min as usize;
    open.repeat && young && !held && may_end && enough
}
