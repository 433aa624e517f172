//! Deleting strays, where the configuration says so: under the lease of the fleet that launched
//! them, through the same door as every other deletion.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{InstanceId, Mutation, Status, Terminate, Timestamp};

use super::Audited;
use super::judge::{Finding, Findings, What};
use crate::control::world::{LiveAccount, World};
use crate::execute::{self, ActionContext, CloudView, Executor};
use crate::journal::{JournalError, Known, Lease, Reader};
use crate::model::{
    AccountId, Action, Bounds, Brakes, Entropy, Fleet, FleetId, History, Inputs, IntentId,
    LaunchTemplate, Owner, Phase, tags,
};

/// DeleteInstances takes 1 to 100 ids per call.
const BATCH: usize = 100;

/// Deletes the strays that are ripe, as many as the account's hourly limits allow now: the others go
/// after a later audit. What became of earlier deletions is found out first.
pub(super) async fn delete(
    world: &World,
    audited: &Audited<'_>,
    account: &LiveAccount,
    found: &Found,
) {
    let mut fleets: BTreeSet<FleetId> = found.left_open.clone();
    let ripe = found.findings.findings.iter().filter(|finding| may_go(finding));
    fleets.extend(ripe.map(|finding| finding.fleet.clone()));
    for fleet in fleets {
        if world.stop.is_asked() {
            return;
        }
        if let Err(error) = delete_of(world, audited, account, found, &fleet).await {
            let id = &audited.account;
            tracing::warn!(account.id = %id, "strays of `{fleet}` were not deleted: {error}");
        }
    }
}

/// The findings of an audit, and its time.
pub(super) struct Found {
    pub(super) findings: Findings,
    /// Fleets that are not configured, and of which the outcome of an end is not known.
    pub(super) left_open: BTreeSet<FleetId>,
    pub(super) now: Timestamp,
}

/// Fleets that are not configured and have an open intent to end one of `strays`: nobody else settles
/// it.
pub(super) async fn left_open(
    reader: &Reader,
    configured: &BTreeSet<FleetId>,
    strays: &BTreeMap<InstanceId, Timestamp>,
) -> Result<BTreeSet<FleetId>, JournalError> {
    let mut fleets = BTreeSet::new();
    if strays.is_empty() {
        return Ok(fleets);
    }
    for fleet in reader.fleets().await?.into_iter().filter(|fleet| !configured.contains(fleet)) {
        let history = reader.history(&fleet).await?;
        if strays.keys().any(|id| history.is_in_flight(id)) {
            fleets.insert(fleet);
        }
    }
    Ok(fleets)
}

async fn delete_of(
    world: &World,
    audited: &Audited<'_>,
    account: &LiveAccount,
    found: &Found,
    fleet: &FleetId,
) -> Result<(), JournalError> {
    let id = &audited.account;
    let Some(lease) = world.journal.borrow(fleet).await? else { return Ok(()) };
    let fleets = world.fleets.all();
    let Some(like) = fleets.iter().find(|member| member.fleet.account == *id) else {
        return Ok(());
    };
    let unwanted = unwanted(fleet, &like.fleet, &audited.owner);
    let mut inputs = inputs(world, &lease, id, &unwanted, found).await?;
    if let (Executor::Live(live), false) = (&account.executor, inputs.history.open.is_empty()) {
        match audited.region.account(found.now).await {
            Ok(listing) => {
                let cloud = audited.region.cloud();
                let look = CloudView { listed: listing.of_fleet(fleet), base: &[], cloud };
                let context = ActionContext { lease: &lease, inputs: &inputs };
                for settled in execute::settle(live, look, context, &world.stop, found.now).await? {
                    tracing::warn!(account.id = %id, fleet.id = %fleet, "{}", settled.line());
                }
            }
            Err(error) => {
                tracing::warn!("what became of deletions of `{fleet}` cannot be seen: {error}");
                return Ok(());
            }
        }
        inputs = self::inputs(world, &lease, id, &unwanted, found).await?;
    }
    let ripe = found.findings.findings.iter().filter(|finding| {
        finding.fleet == *fleet
            && may_go(finding)
            && !inputs.history.is_in_flight(&finding.id)
            && !somebody_stopped(finding, &inputs)
    });
    let ids: Vec<InstanceId> =
        ripe.take(allowed(&inputs)).map(|finding| finding.id.clone()).collect();
    let entropy = Entropy(world.entropy.draw());
    let batches = ids.chunks(BATCH).zip(0..);
    let actions: Vec<Action> = batches
        .map(|(ids, n)| Action {
            intent: IntentId(entropy.uuid(n)),
            mutation: Mutation::Delete { ids: ids.to_vec(), how: Terminate::Graceful },
        })
        .collect();
    let context = ActionContext { lease: &lease, inputs: &inputs };
    for outcome in execute::run(&account.executor, context, &actions, &world.stop).await? {
        tracing::warn!(account.id = %id, fleet.id = %fleet, "strays: {}", outcome.line());
    }
    Ok(())
}

/// The state of the fleet `unwanted` now.
async fn inputs(
    world: &World,
    lease: &Lease,
    account: &AccountId,
    unwanted: &Fleet,
    found: &Found,
) -> Result<Inputs, JournalError> {
    let Known { history, account, holds, spent, .. } = world.journal.known(lease, account).await?;
    let history = History::clone(&history);
    let mut inputs = Inputs::to_settle(found.now, unwanted, history, account, holds, spent);
    // The base of limits on removals.
    inputs.inventory.account_size = found.findings.listed;
    Ok(inputs)
}

/// How many may go within the account's hourly limits.
fn allowed(inputs: &Inputs) -> usize {
    let used = inputs.spent.account;
    let size = inputs.inventory.account_size;
    let limit = inputs.fleet.account_brakes.removals_allowed(size, used);
    limit.map_or(usize::MAX, |limit| limit.saturating_sub(used.removals) as usize)
}

/// A second look at what the audit says, at the instance itself.
fn may_go(finding: &Finding) -> bool {
    let What::Stray { ripe: true, .. } = finding.what else { return false };
    finding.instance.as_ref().is_some_and(|instance| {
        let tag = |key: &str| instance.tags.get(key).map(String::as_str);
        tag(tags::SOURCE) == Some(tags::SOURCE_AUTO)
            && tag(tags::FLEET) == Some(finding.fleet.0.as_str())
            && tag(tags::PROTECT).is_none_or(|value| value == "false")
            && !instance.deletion_protection
            && matches!(instance.status, Status::Running | Status::Stopped)
    })
}

/// What somebody stopped may be wanted as it is; what we stopped was to be deleted.
fn somebody_stopped(finding: &Finding, inputs: &Inputs) -> bool {
    let is_stopped = |i: &cloud::Instance| i.status == Status::Stopped;
    let tracked = inputs.history.instances.get(&finding.id);
    finding.instance.as_ref().is_some_and(is_stopped)
        && tracked.is_none_or(|tracked| tracked.phase != Phase::Stopping)
}

/// A fleet that wants no instances: what is left of one that is not configured.
fn unwanted(id: &FleetId, like: &Fleet, owner: &Owner) -> Fleet {
    let launch =
        LaunchTemplate { instance_types: Vec::new(), vswitches: Vec::new(), ..like.launch.clone() };
    Fleet {
        id: id.clone(),
        owner: owner.clone(),
        // Those of another fleet are none of its own; the account's hold.
        brakes: Brakes::default(),
        bounds: Bounds { min: 0, max: 0 },
        launch,
        signals: std::collections::BTreeMap::new(),
        rules: Vec::new(),
        base: None,
        ..like.clone()
    }
}
