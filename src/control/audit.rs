//! The three-way audit: what the cloud lists × what the journal knows × what answers its scrapes.
//!
//! It reports. Strays, instances that we launched for a fleet that is not configured any more, are
//! deleted only where the configuration says so, never before they are 15 minutes old and have been
//! known as strays for 15 minutes, and through the same door as everything else. An instance that
//! the journal does not know as ours is somebody else's.

mod judge;
mod strays;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloud::{InstanceId, Observe, Timestamp, clock};

use crate::inventory::{Region, ReportingHosts};
use crate::journal::{JournalError, Reader};
use crate::model::{AccountEvent, AccountId, Fleet, FleetId, History, Owner};
use crate::signals::UpSource;

use super::World;

pub use judge::{Finding, Findings, What};

/// An account is audited this often.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// The subject of an audit.
#[derive(Debug)]
pub struct Audited<'a> {
    pub account: AccountId,
    pub region: &'a Region,
    /// The account's fleets, with who says which of their instances are up.
    pub fleets: Vec<(&'a Fleet, Option<Arc<dyn UpSource>>)>,
    /// Every fleet that is configured, whatever its account.
    pub configured: BTreeSet<FleetId>,
    /// Whose the instances of this installation are.
    pub owner: Owner,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the cloud cannot be read: {0}")]
    Cloud(#[from] cloud::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Audited<'_> {
    /// Whether `fleet` is configured, for another account than this one.
    fn is_elsewhere(&self, fleet: &FleetId) -> bool {
        self.configured.contains(fleet) && self.fleets.iter().all(|(ours, _)| ours.id != *fleet)
    }
}

/// Audits one account; changes nothing.
pub async fn audit(
    audited: &Audited<'_>,
    journal: &Reader,
    now: Timestamp,
) -> Result<Findings, AuditError> {
    let mut histories = BTreeMap::new();
    for fleet in journal.fleets().await? {
        // Of ten thousand fleets only what is judged is kept.
        let History { instances, open, .. } = journal.history(&fleet).await?;
        histories.insert(fleet, History { instances, open, ..History::default() });
    }
    let account = journal.account(&audited.account).await?;
    let mut reporting = BTreeMap::new();
    for (fleet, up_source) in &audited.fleets {
        let Some(up_source) = up_source else { continue };
        if let Ok(names) = up_source.names_up().await {
            reporting
                .insert(fleet.id.clone(), ReportingHosts::of(names.iter().map(String::as_str)));
        }
    }
    let listing = audited.region.account(now).await?;
    // An instance that the listing does not show may only lag: it is asked for by its id.
    let missing = judge::not_listed(audited, &listing, &histories);
    let by_id = audited.region.cloud().instances_by_ids(&missing).await?;
    let seen = judge::AuditView { listing: &listing, by_id: &by_id, reporting: &reporting };
    let known = judge::Known { histories: &histories, account: &account };
    let mut findings = judge::judge(audited, &seen, &known, now);
    price(audited.region.cloud(), &mut findings).await;
    Ok(findings)
}

/// The cost of each finding; where the vendor does not say, nothing is said.
async fn price(cloud: &dyn Observe, findings: &mut Findings) {
    let mut prices: BTreeMap<(String, String), Option<cloud::Price>> = BTreeMap::new();
    for finding in &mut findings.findings {
        let Some(instance) = &finding.instance else { continue };
        let key = (instance.instance_type.clone(), instance.zone.clone());
        if !prices.contains_key(&key) {
            let price = match cloud.price_per_hour(&key.0, &key.1).await {
                Ok(price) => Some(price),
                Err(error) => {
                    tracing::debug!("no price of {} in {}: {error}", key.0, key.1);
                    None
                }
            };
            prices.insert(key.clone(), price);
        }
        finding.price_per_hour = prices[&key].clone();
    }
}

/// Audits every account whose hour has come, records and reports what was found, and deletes the
/// strays that may be deleted. Returns what was found, by account. Ends early when the process is told
/// to stop.
pub async fn hourly(world: &World) -> BTreeMap<AccountId, Findings> {
    let mut found = BTreeMap::new();
    for (id, account) in &world.accounts {
        if world.stop.is_asked() {
            break;
        }
        let now = world.clock.now();
        let owner = match world.journal.owner_read().await {
            Ok(owner) => owner,
            Err(error) => {
                tracing::warn!("`{id}` cannot be audited: {error}");
                continue;
            }
        };
        let compared = match world.journal.identity_read(id).await {
            Ok((known, identity)) => super::identity::compared(world, id, &known, &identity).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = compared {
            tracing::warn!("`{id}` cannot be audited: {error}");
            continue;
        }
        let reader = world.journal.reader();
        let fleets = world.fleets.all();
        let audited = Audited {
            account: id.clone(),
            region: &account.region,
            fleets: fleets
                .iter()
                .filter(|member| member.fleet.account == *id)
                .map(|member| (&member.fleet, member.up_source.clone()))
                .collect(),
            configured: fleets.iter().map(|member| member.fleet.id.clone()).collect(),
            owner,
        };
        let before = reader.account(id).await;
        if let Ok(before) = &before
            && before.audited.is_some_and(|at| at <= now && clock::age(now, at) < EVERY)
        {
            continue;
        }
        match audit(&audited, &reader, now).await {
            Ok(findings) => {
                let before = before.unwrap_or_default();
                let facts = facts(&findings, &before, now);
                let strays = before.strays;
                if let Err(error) = world.journal.note(id, &facts).await {
                    tracing::warn!("the audit of `{id}` was not recorded: {error}");
                }
                for finding in &findings.findings {
                    // A finding that a person should see to is an alert, and said as one.
                    tracing::debug!(account.id = %id, "audit of `{id}`: {finding}");
                }
                let findings = match account.deletes_strays {
                    true => delete(world, &audited, account, findings, &strays, now).await,
                    false => findings,
                };
                found.insert(id.clone(), findings);
            }
            Err(error) => tracing::warn!("`{id}` cannot be audited: {error}"),
        }
    }
    found
}

/// Deletes the strays that may be deleted; returns what was found before.
async fn delete(
    world: &World,
    audited: &Audited<'_>,
    account: &super::world::LiveAccount,
    findings: Findings,
    strays: &BTreeMap<InstanceId, Timestamp>,
    now: Timestamp,
) -> Findings {
    let reader = world.journal.reader();
    let left_open = match strays::left_open(&reader, &audited.configured, strays).await {
        Ok(fleets) => fleets,
        Err(error) => {
            tracing::warn!("what is open of fleets that are no more cannot be read: {error}");
            return findings;
        }
    };
    let found = strays::Found { findings, left_open, now };
    strays::delete(world, audited, account, &found).await;
    found.findings
}

/// The facts of an audit that the account should remember.
fn facts(findings: &Findings, before: &crate::model::Account, at: Timestamp) -> Vec<AccountEvent> {
    let mut facts = Vec::new();
    let strays: BTreeMap<_, _> = findings
        .findings
        .iter()
        .filter(|finding| matches!(finding.what, What::Stray { .. }))
        .map(|finding| (&finding.id, &finding.fleet))
        .collect();
    for (id, fleet) in &strays {
        if !before.strays.contains_key(*id) {
            let fleet = fleet.0.clone();
            facts.push(AccountEvent::StrayFound { at, id: (*id).clone(), fleet });
        }
    }
    for id in before.strays.keys().filter(|id| !strays.contains_key(id)) {
        facts.push(AccountEvent::StrayGone { at, id: id.clone() });
    }
    let count = u32::try_from(findings.findings.len()).unwrap_or(u32::MAX);
    facts.push(AccountEvent::Audited { at, findings: count });
    facts
}

/// The histories that an audit looks at.
type Histories = BTreeMap<FleetId, History>;
