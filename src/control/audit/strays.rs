//! Deleting strays, where the configuration says so: under the lease of the fleet that launched
//! them, through the same door as every other deletion.

use cloud::{InstanceId, Mutation, Status, Terminate, Timestamp};

use super::judge::{Finding, Findings, What};
use crate::control::world::{Account, World};
use crate::execute::{self, Errand};
use crate::model::{
    AccountId, Action, Bounds, Entropy, Fleet, FleetId, History, Inputs, IntentId, LaunchTemplate,
    tags,
};

/// DeleteInstances takes 1 to 100 ids per call.
const BATCH: usize = 100;

/// Deletes the strays that are ripe.
pub(super) async fn delete(
    world: &World,
    id: &AccountId,
    account: &Account,
    findings: &Findings,
    now: Timestamp,
) {
    let mut fleets: Vec<&FleetId> =
        findings.findings.iter().filter(|f| may_go(f)).map(|finding| &finding.fleet).collect();
    fleets.dedup();
    for fleet in fleets {
        if world.stop.is_asked() {
            return;
        }
        let ids: Vec<InstanceId> = findings
            .findings
            .iter()
            .filter(|finding| finding.fleet == *fleet && may_go(finding))
            .map(|finding| finding.id.clone())
            .collect();
        if let Err(error) = delete_of(world, id, account, fleet, &ids, now).await {
            tracing::warn!(account.id = %id, "strays of `{fleet}` were not deleted: {error}");
        }
    }
}

async fn delete_of(
    world: &World,
    id: &AccountId,
    account: &Account,
    fleet: &FleetId,
    ids: &[InstanceId],
    now: Timestamp,
) -> Result<(), crate::journal::JournalError> {
    let Some(lease) = world.journal.borrow(fleet).await? else { return Ok(()) };
    let known = world.journal.known(&lease, id).await?;
    let Some(like) = world.fleets.iter().find(|member| member.fleet.account == *id) else {
        return Ok(());
    };
    let unwanted = unwanted(fleet, &like.fleet);
    let (history, holds) = (History::clone(&known.history), known.holds);
    let inputs = Inputs::to_settle(now, &unwanted, history, known.account, holds, known.spent);
    let entropy = Entropy(world.entropy.draw());
    let batches = ids.chunks(BATCH).zip(0..);
    let actions: Vec<Action> = batches
        .map(|(ids, n)| Action {
            intent: IntentId(entropy.uuid(n)),
            mutation: Mutation::Delete { ids: ids.to_vec(), how: Terminate::Graceful },
        })
        .collect();
    let errand = Errand { lease: &lease, inputs: &inputs };
    for outcome in execute::run(&account.hands, errand, &actions, &world.stop).await? {
        tracing::warn!(account.id = %id, fleet.id = %fleet, "strays: {}", outcome.line());
    }
    Ok(())
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
            && instance.status == Status::Running
    })
}

/// A fleet that wants no instances: what is left of one that is not configured.
fn unwanted(id: &FleetId, like: &Fleet) -> Fleet {
    let launch =
        LaunchTemplate { instance_types: Vec::new(), vswitches: Vec::new(), ..like.launch.clone() };
    Fleet {
        id: id.clone(),
        bounds: Bounds { min: 0, max: 0 },
        launch,
        signals: std::collections::BTreeMap::new(),
        rules: Vec::new(),
        base: None,
        ..like.clone()
    }
}
