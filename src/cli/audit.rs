//! `fleetscaler audit`: the three-way audit, now. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use cloud::{Clock, Observe, SystemClock};
use serde_json::{Value, json};

use super::args::AuditArgs;
use super::output::wrap;
use super::{Exit, output};
use crate::config::{Config, Provider};
use crate::control::{AuditError, Audited, Finding, Findings, What, audit, clouds, up_source};
use crate::inventory::Region;
use crate::journal::Reader;
use crate::model::{AccountId, Owner, plural};
use crate::signals::Clients;

pub(super) async fn run(args: AuditArgs) -> anyhow::Result<Exit> {
    let config = match output::load(&args.config, Some("audit")) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let reader = Reader::open(&config.daemon.state).await;
    let reader = reader.context("the journal cannot be read, and an audit compares with it")?;
    let exit = all(&args, &config, &reader).await;
    reader.close().await;
    exit
}

/// Audits every account: one that cannot be audited does not keep the others from it.
async fn all(args: &AuditArgs, config: &Config, reader: &Reader) -> anyhow::Result<Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let shared = Arc::new(Clients::new(clock.clone(), config.daemon.interval.get() / 2));
    let orders = reader.orders().await.context("the journal cannot be read")?;
    let owner = Owner::of(config.daemon.installation.clone(), orders.journal);
    let (mut failed, mut found) = (false, false);
    for (name, cloud) in clouds(&config.providers, &clock, None)? {
        let account = AccountId(name.clone());
        let mut fleets = Vec::new();
        for fleet in config.fleets.iter().filter(|fleet| fleet.fleet.account == account) {
            fleets.push((&fleet.fleet, up_source(fleet, &shared)?));
        }
        let region = Region::new(cloud as Arc<dyn Observe>, clock.clone());
        let audited = Audited {
            account,
            region: &region,
            fleets,
            configured: config.fleets.iter().map(|fleet| fleet.fleet.id.clone()).collect(),
            owner: owner.clone(),
        };
        match audit(&audited, reader, clock.now()).await {
            Ok(findings) => {
                let Provider::Aliyun(provider) = &config.providers[&name];
                let lines = match args.json {
                    true => vec![as_json(&name, &findings).to_string()],
                    false => report(&name, &findings, provider.deletes_strays),
                };
                lines.iter().for_each(|line| output::line(line));
                found |= !findings.findings.is_empty();
            }
            Err(error) => {
                output::error(&format!("account `{name}` cannot be audited: {error}"));
                if let AuditError::Cloud(error) = &error
                    && matches!(error.kind, cloud::ErrorKind::NoCredentials { .. })
                {
                    output::by_hand("audit", &config.path, &output::KEY_PAIR);
                }
                failed = true;
            }
        }
    }
    Ok(match (failed, found) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Check,
        (false, false) => Exit::Ok,
    })
}

fn as_json(account: &str, findings: &Findings) -> Value {
    let Findings { at, listed, findings: list } = findings;
    let cost = findings.cost_per_hour();
    json!({
        "account": account, "at": at, "listed": listed, "findings": list, "cost_per_hour": cost,
    })
}

/// The findings of one account for 80 columns, by kind.
fn report(account: &str, findings: &Findings, deletes_strays: bool) -> Vec<String> {
    let listed = plural(findings.listed, "managed instance");
    let count = u32::try_from(findings.findings.len()).unwrap_or(u32::MAX);
    if count == 0 {
        return vec![format!("account {account}: {listed} listed, nothing found")];
    }
    let mut lines =
        vec![format!("account {account}: {listed} listed, {}", plural(count, "finding"))];
    for kind in What::KINDS {
        let of_kind: Vec<&Finding> =
            findings.findings.iter().filter(|finding| finding.what.kind() == kind).collect();
        let Some(first) = of_kind.first() else { continue };
        let (title, todo) = explain(&first.what, deletes_strays);
        lines.push(String::new());
        let title = format!("{title} ({}{})", of_kind.len(), cost_of(&of_kind));
        lines.extend(indented(&title, 0));
        for finding in of_kind {
            lines.extend(indented(&text(finding), 2));
        }
        lines.extend(indented(&format!("→ {todo}"), 2));
    }
    let cost = money(&findings.cost_per_hour());
    if !cost.is_empty() {
        lines.push(String::new());
        lines.push(format!("in all {cost} an hour"));
    }
    lines
}

/// The meaning of a kind of finding, and what becomes of it.
fn explain(what: &What, deletes_strays: bool) -> (&'static str, &'static str) {
    match what {
        What::Stray { .. } if deletes_strays => (
            "strays: launched for a fleet that is not configured any more",
            "the daemon deletes those that are running, unprotected, older than 15 minutes and \
             known as strays for 15 minutes (strays = \"delete\"); configure the fleet again to \
             keep them",
        ),
        What::Stray { .. } => (
            "strays: launched for a fleet that is not configured any more",
            "the daemon reports them and leaves them (strays = \"report\"): release them, \
             configure the fleet again, or set strays = \"delete\"",
        ),
        What::Elsewhere => (
            "elsewhere: of fleets that are configured for another account",
            "nobody looks after them here: release them once the fleet serves elsewhere, or configure \
             it for this account again",
        ),
        What::Foreign => (
            "foreign: they carry our tags, and nobody whom this journal knows launched them",
            "the daemon leaves them: perhaps they are another installation's, or its journal was \
             lost",
        ),
        What::OtherInstallation { .. } => (
            "another installation's: fleets of the same name, from another journal",
            "the daemon neither counts nor ends them; if they are yours after all, \
             `fleetscaler adopt` takes them over",
        ),
        What::Stranger => (
            "strangers: they carry a fleet's tags, and the fleet did not launch them",
            "the daemon neither counts nor ends them: remove their tags, or take them over with \
             `fleetscaler adopt`",
        ),
        What::Ghost { .. } => (
            "ghosts: the journal knows them, the cloud does not",
            "nothing: the next tick of their fleet finds them gone and replaces them, if the daemon \
             runs",
        ),
        What::TagDrift { .. } => (
            "drifted tags: somebody changed them",
            "the daemon repairs the tags of instances that it launched; until then it does not \
             remove them",
        ),
        What::Silent { .. } => (
            "silent: they serve, and the fleet's `up` query does not hear of them",
            "the daemon leaves them: look whether they serve, and release them if not",
        ),
    }
}

fn text(finding: &Finding) -> String {
    let mut text = format!("{} of fleet `{}`", finding.id, finding.fleet);
    match &finding.what {
        What::Stray { age, ripe, .. } => {
            text.push_str(&format!(", {age} old"));
            if *ripe {
                text.push_str(", known as a stray for long enough");
            }
        }
        What::Elsewhere | What::Foreign | What::Stranger => {}
        What::OtherInstallation { owner } => text.push_str(&format!(", of `{owner}`")),
        What::Ghost { phase } => text.push_str(&format!(", {phase} by the journal")),
        What::TagDrift { missing } => text.push_str(&format!(", lacks {}", missing.join(", "))),
        What::Silent { since } => {
            if let Some(since) = since {
                text.push_str(&format!(", since {}", since.format("%Y-%m-%d %H:%M:%SZ")));
            }
        }
    }
    if let Some(instance) = &finding.instance {
        text.push_str(&format!(", {} in {}", instance.instance_type, instance.zone));
    }
    if let Some(price) = &finding.price_per_hour {
        text.push_str(&format!(", {:.3} {} an hour", price.amount, price.currency));
    }
    text
}

/// `, 1.200 CNY an hour`, where something is known of it.
fn cost_of(findings: &[&Finding]) -> String {
    let mut costs: BTreeMap<String, f64> = BTreeMap::new();
    for price in findings.iter().filter_map(|finding| finding.price_per_hour.as_ref()) {
        *costs.entry(price.currency.clone()).or_default() += price.amount;
    }
    if costs.is_empty() { String::new() } else { format!(", {} an hour", money(&costs)) }
}

fn money(costs: &BTreeMap<String, f64>) -> String {
    let costs = costs.iter().map(|(currency, amount)| format!("{amount:.3} {currency}"));
    costs.collect::<Vec<_>>().join(" and ")
}

/// `text` in lines of 80 columns: the first by `indent`, the others by two more.
fn indented(text: &str, indent: usize) -> Vec<String> {
    let lines = wrap(text, 78 - indent).into_iter().enumerate();
    lines
        .map(|(n, line)| format!("{:1$}{line}", "", if n == 0 { indent } else { indent + 2 }))
        .collect()
}

#[cfg(test)]
mod tests;
