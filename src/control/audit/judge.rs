//! The findings of an audit, from a listing and the journal. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use cloud::{Instance, InstanceId, Price, Timestamp, clock};
use serde::Serialize;

use super::{Audited, Histories};
use crate::inventory::{AccountListing, ReportingHosts};
use crate::model::{
    Account, Alert, AlertCode, FleetId, History, IntentId, Phase, Span, VISIBILITY_GRACE, tags,
};

/// Nothing younger than this is ever deleted as a stray, and nothing that has been known as one for
/// less: a fleet that was renamed by mistake is named right again within that.
pub(super) const STRAY_GRACE: Duration = Duration::from_secs(15 * 60);

/// The findings in one account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    pub at: Timestamp,
    /// Managed instances in all.
    pub listed: u32,
    /// By kind, then by id.
    pub findings: Vec<Finding>,
}

/// One instance that is not as it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub id: InstanceId,
    pub fleet: FleetId,
    pub what: What,
    /// As it is listed, where it is.
    pub instance: Option<Instance>,
    pub price_per_hour: Option<Price>,
}

/// The kind of a finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum What {
    /// We launched it, for a fleet that is not configured.
    Stray {
        age: Span,
        /// Since when it has been known as one.
        since: Option<Timestamp>,
        /// It is old enough, and known for long enough, to be deleted.
        ripe: bool,
    },
    /// It carries our tags for a fleet that is neither configured nor known.
    Foreign,
    /// It carries the tags of a fleet of ours, and belongs to another installation.
    OtherInstallation { owner: String },
    /// It carries the tags of a fleet that is configured, and the fleet neither launched it nor took it
    /// over.
    Stranger,
    /// It carries our tags for a fleet that is configured, for another account: nobody looks after
    /// it.
    Elsewhere,
    /// The journal knows it and the cloud does not.
    Ghost { phase: Phase },
    /// Its tags are not what they should be.
    TagDrift { missing: Vec<String> },
    /// It serves, and is not heard of.
    Silent { since: Option<Timestamp> },
}

impl What {
    /// The kinds of findings, in the order in which they are reported.
    pub const KINDS: [&str; 8] = [
        "stray",
        "elsewhere",
        "foreign",
        "ghost",
        "tag_drift",
        "silent",
        "other_installation",
        "stranger",
    ];

    /// Its kind, as JSON and metrics name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        What::KINDS[self.rank()]
    }

    fn rank(&self) -> usize {
        match self {
            What::Stray { .. } => 0,
            What::Elsewhere => 1,
            What::Foreign => 2,
            What::Ghost { .. } => 3,
            What::TagDrift { .. } => 4,
            What::Silent { .. } => 5,
            What::OtherInstallation { .. } => 6,
            What::Stranger => 7,
        }
    }
}

/// The instances as the cloud and the monitoring system show them.
pub(super) struct AuditView<'a> {
    pub(super) listing: &'a AccountListing,
    /// Those of the missing that exist all the same.
    pub(super) by_id: &'a [Instance],
    pub(super) reporting: &'a BTreeMap<FleetId, ReportingHosts>,
}

/// The instances as the journal knows them.
pub(super) struct Known<'a> {
    pub(super) histories: &'a Histories,
    pub(super) account: &'a Account,
}

/// Instances that the journal knows and the listing does not show.
pub(super) fn not_listed(
    audited: &Audited<'_>,
    listing: &AccountListing,
    histories: &Histories,
) -> Vec<InstanceId> {
    let shown: BTreeSet<&InstanceId> =
        listing.fleets().flat_map(|(_, instances)| instances).map(|i| &i.id).collect();
    // Those of a fleet of another account are there, if anywhere.
    let here = histories.iter().filter(|(fleet, _)| !audited.is_elsewhere(fleet));
    let known = here.flat_map(|(_, history)| history.instances.keys());
    known.filter(|id| !shown.contains(id)).cloned().collect()
}

pub(super) fn judge(
    audited: &Audited<'_>,
    seen: &AuditView<'_>,
    known: &Known<'_>,
    now: Timestamp,
) -> Findings {
    let mut findings = Vec::new();
    for (fleet, instances) in seen.listing.fleets() {
        let fleet = FleetId(fleet.to_owned());
        let history = known.histories.get(&fleet);
        if audited.is_elsewhere(&fleet) {
            findings.extend(left_behind(&fleet, instances, history));
        } else if !audited.configured.contains(&fleet) {
            findings.extend(unwanted(audited, &fleet, instances, history, known.account, now));
        } else if let Some(history) = history.filter(|history| !history.is_new()) {
            findings.extend(strangers(audited, &fleet, instances, history, now));
        }
    }
    for (fleet, _) in &audited.fleets {
        if let Some(history) = known.histories.get(&fleet.id) {
            let listed = seen.listing.of_fleet(&fleet.id);
            findings.extend(drifted(audited, &fleet.id, listed.iter().chain(seen.by_id), history));
            if let Some(reporting) = seen.reporting.get(&fleet.id) {
                findings.extend(silent(&fleet.id, listed, history, reporting));
            }
        }
    }
    findings.extend(ghosts(audited, seen, known.histories, now));
    let rank = |finding: &Finding| finding.what.rank();
    findings.sort_by(|a, b| (rank(a), &a.fleet, &a.id).cmp(&(rank(b), &b.fleet, &b.id)));
    Findings { at: now, listed: seen.listing.total(), findings }
}

fn finding(fleet: &FleetId, instance: &Instance, what: What) -> Finding {
    Finding {
        id: instance.id.clone(),
        fleet: fleet.clone(),
        what,
        instance: Some(instance.clone()),
        price_per_hour: None,
    }
}

/// Instances of a fleet that is not configured: ours if the journal says so.
fn unwanted(
    audited: &Audited<'_>,
    fleet: &FleetId,
    instances: &[Instance],
    history: Option<&History>,
    account: &Account,
    now: Timestamp,
) -> Vec<Finding> {
    let judged = instances.iter().map(|instance| {
        let intent = instance.tags.get(tags::INTENT);
        let ours = history.is_some_and(|history| {
            history.instances.get(&instance.id).is_some_and(|t| t.launched_by.is_some())
                // Its answer was lost, and the fleet that would have settled it is no more.
                || history.open.keys().any(|open| intent == Some(&open.to_string()))
        });
        if let Some(owner) = other(audited, instance) {
            return finding(fleet, instance, What::OtherInstallation { owner });
        }
        if !ours {
            return finding(fleet, instance, What::Foreign);
        }
        let age = clock::age(now, instance.created_at);
        let since = account.strays.get(&instance.id).copied();
        let ripe = age >= STRAY_GRACE && since.is_some_and(|s| clock::age(now, s) >= STRAY_GRACE);
        let age = Span::secs(age.as_secs());
        finding(fleet, instance, What::Stray { age, since, ripe })
    });
    judged.collect()
}

/// The installation that `instance` belongs to, if that is another one.
fn other(audited: &Audited<'_>, instance: &Instance) -> Option<String> {
    instance.tags.get(tags::OWNER).filter(|owner| !audited.owner.is(owner)).cloned()
}

/// Instances with the tags of a fleet that is configured, and that are not its own.
fn strangers(
    audited: &Audited<'_>,
    fleet: &FleetId,
    instances: &[Instance],
    history: &History,
    now: Timestamp,
) -> Vec<Finding> {
    let judged = instances.iter().filter_map(|instance| {
        let tracked = history.instances.get(&instance.id);
        let what = match (other(audited, instance), tracked) {
            (Some(owner), Some(tracked)) if tracked.explains(&owner, now) => return None,
            (Some(owner), _) => What::OtherInstallation { owner },
            (None, None) => {
                let intent = instance.tags.get(tags::INTENT).and_then(|tag| tag.parse().ok());
                let launched =
                    intent.is_some_and(|id| history.may_be_of(&IntentId(id), &instance.id, 0));
                // The fleet's next tick takes it over.
                (!launched).then_some(What::Stranger)?
            }
            (None, Some(_)) => return None,
        };
        Some(finding(fleet, instance, what))
    });
    judged.collect()
}

/// Instances of a fleet that is configured for another account, as after a move. Two accounts may be
/// one and the same by another name: then the fleet knows them.
fn left_behind(fleet: &FleetId, instances: &[Instance], history: Option<&History>) -> Vec<Finding> {
    let known = |id: &InstanceId| history.is_some_and(|history| history.instances.contains_key(id));
    let left = instances.iter().filter(|instance| !known(&instance.id));
    left.map(|instance| finding(fleet, instance, What::Elsewhere)).collect()
}

fn drifted<'a>(
    audited: &Audited<'_>,
    fleet: &FleetId,
    instances: impl Iterator<Item = &'a Instance>,
    history: &History,
) -> Vec<Finding> {
    let drift = |instance: &Instance| {
        let tracked = history.instances.get(&instance.id)?;
        let intent = tracked.launched_by?.to_string();
        let wanted = [
            (tags::SOURCE, Some(tags::SOURCE_AUTO)),
            (tags::FLEET, Some(fleet.0.as_str())),
            (tags::INTENT, Some(intent.as_str())),
            (tags::TIMESTAMP, None),
        ];
        let owner = audited.owner.name.as_deref().map(|name| (tags::OWNER, Some(name)));
        let wanted = wanted.into_iter().chain(owner);
        let wrong = |(key, value): &(&str, Option<&str>)| match instance.tags.get(*key) {
            None => true,
            Some(got) => value.is_some_and(|value| value != got),
        };
        let missing: Vec<String> = wanted.filter(wrong).map(|(key, _)| key.to_owned()).collect();
        (!missing.is_empty()).then(|| finding(fleet, instance, What::TagDrift { missing }))
    };
    instances.filter_map(drift).collect()
}

fn silent(
    fleet: &FleetId,
    listed: &[Instance],
    history: &History,
    reporting: &ReportingHosts,
) -> Vec<Finding> {
    // An answer that includes none of them says nothing about them.
    if !listed.iter().any(|instance| reporting.includes(instance)) {
        return Vec::new();
    }
    let unheard = listed.iter().filter_map(|instance| {
        let tracked = history.instances.get(&instance.id)?;
        let serves = tracked.phase == Phase::InService && !reporting.includes(instance);
        let since = tracked.silent_since;
        serves.then(|| finding(fleet, instance, What::Silent { since }))
    });
    unheard.collect()
}

/// Of fleets that are configured: nobody misses the instances of others.
fn ghosts(
    audited: &Audited<'_>,
    seen: &AuditView<'_>,
    histories: &Histories,
    now: Timestamp,
) -> Vec<Finding> {
    let listed: BTreeSet<&InstanceId> =
        seen.listing.fleets().flat_map(|(_, i)| i).chain(seen.by_id).map(|i| &i.id).collect();
    let mut ghosts = Vec::new();
    for (fleet, _) in &audited.fleets {
        let Some(history) = histories.get(&fleet.id) else { continue };
        let gone = history.instances.iter().filter(|(id, tracked)| {
            !listed.contains(id) && clock::age(now, tracked.since) >= VISIBILITY_GRACE
        });
        ghosts.extend(gone.map(|(id, tracked)| Finding {
            id: id.clone(),
            fleet: fleet.id.clone(),
            what: What::Ghost { phase: tracked.phase },
            instance: None,
            price_per_hour: None,
        }));
    }
    ghosts
}

impl Findings {
    /// Their cost in an hour, by currency.
    #[must_use]
    pub fn cost_per_hour(&self) -> BTreeMap<String, f64> {
        let mut costs = BTreeMap::new();
        for price in self.findings.iter().filter_map(|finding| finding.price_per_hour.as_ref()) {
            *costs.entry(price.currency.clone()).or_default() += price.amount;
        }
        costs
    }

    /// One alert per finding that a person should see to.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let alert = |finding: &Finding| {
            let code = match finding.what {
                What::Stray { .. } | What::Elsewhere => AlertCode::Stray,
                What::Ghost { .. } => AlertCode::Ghost,
                What::TagDrift { .. } => AlertCode::TagDrift,
                What::Silent { .. } => AlertCode::Silent,
                // A fleet that is configured says it itself.
                What::Foreign | What::Stranger | What::OtherInstallation { .. } => return None,
            };
            Some(Alert::new(code, finding.id.0.clone(), finding.to_string()))
        };
        self.findings.iter().filter_map(alert).collect()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { id, fleet, what, instance, price_per_hour } = self;
        match what {
            What::Stray { age, .. } => write!(
                f,
                "stray: {id} was launched for fleet `{fleet}`, which is not configured; {age} old"
            )?,
            What::Elsewhere => write!(
                f,
                "elsewhere: {id} carries our tags for `{fleet}`, which is configured for another \
                 account: nobody looks after it here"
            )?,
            What::Foreign => write!(
                f,
                "foreign: {id} carries our tags for `{fleet}`, and nobody whom this journal knows \
                 launched it: perhaps another installation's"
            )?,
            What::OtherInstallation { owner } => write!(
                f,
                "other installation: {id} carries our tags for `{fleet}` and belongs to `{owner}`"
            )?,
            What::Stranger => write!(
                f,
                "stranger: {id} carries our tags for `{fleet}`, which neither launched it nor took \
                 it over"
            )?,
            What::Ghost { phase } => {
                write!(f, "ghost: {id} of `{fleet}` is {phase} by the journal, and gone")?;
            }
            What::TagDrift { missing } => {
                write!(f, "drift: {id} of `{fleet}` lacks {}", missing.join(", "))?;
            }
            What::Silent { since } => {
                write!(f, "silent: {id} of `{fleet}` serves and is not heard of")?;
                if let Some(since) = since {
                    write!(f, " since {}", crate::model::clock_time(*since))?;
                }
            }
        }
        if let Some(instance) = instance {
            write!(f, " ({} in {}", instance.instance_type, instance.zone)?;
            if let Some(price) = price_per_hour {
                write!(f, ", {:.3} {} an hour", price.amount, price.currency)?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}
