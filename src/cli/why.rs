//! `fleetscaler why`: what was seen, which rule wanted what, what blocked it, what would change it.

mod told;

use anyhow::Context;
use cloud::{Clock, SystemClock, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::args::WhyArgs;
use super::daemon::{Daemon, NoAnswer};
use super::{Exit, output, paint};
use crate::api::explained;
use crate::api::shape::{DecisionView, DecisionsView, FleetView};
use crate::config::{self, CommandConfig};
use crate::journal::Reader;
use crate::model::FleetId;

/// The explanation: the decision in force, and the one before it.
struct Explanation {
    /// The newest first.
    decisions: Vec<DecisionView>,
    /// The fleet now, where the daemon was asked for the newest decision.
    now: Option<FleetView>,
    /// Why it is from the journal, if so.
    absent: Option<String>,
}

pub(super) async fn run(args: WhyArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "why") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let now = SystemClock.now();
    let until = args.at.as_ref().map(|at| at.last_moment(now));
    let daemon = Daemon::of(&config.daemon);
    let found = match live(&daemon, &args.fleet, until).await {
        Ok(found) => found,
        Err(NoAnswer::Refused(error)) if error.code == "unknown_fleet" => {
            output::error(&format!("{}: {}", error.message, error.hint));
            return Ok(Exit::Usage);
        }
        Err(NoAnswer::Refused(error)) => anyhow::bail!("{}; {}", error.message, error.hint),
        Err(NoAnswer::Absent(why)) => {
            let recorded = from_journal(&config, &args.fleet, until).await;
            let Some(decisions) = recorded.with_context(|| why.clone())? else {
                return Ok(Exit::Usage);
            };
            Explanation { decisions, now: None, absent: Some(why) }
        }
    };
    if args.json {
        let source = if found.absent.is_some() { "journal" } else { "daemon" };
        let (decision, before) = (found.decisions.first(), found.decisions.get(1));
        let now = &found.now;
        let value = json!({ "source": source, "decision": decision, "before": before, "now": now });
        output::line(&value.to_string());
        return Ok(Exit::Ok);
    }
    if let Some(why) = &found.absent {
        output::note(&format!("{why}; this is from the journal"));
    }
    let Some(decision) = found.decisions.first() else {
        output::line(&format!(
            "nothing was decided for `{}` by then, as far as is kept",
            args.fleet
        ));
        // The daemon may know why.
        if let Some(trouble) = found.now.as_ref().and_then(|now| now.trouble.as_ref()) {
            let since = trouble.since.format("%H:%M:%SZ");
            let text = format!("no tick succeeds since {since}: {}", trouble.message);
            output::wrap(&text, output::columns()).iter().for_each(|line| output::line(line));
        }
        return Ok(Exit::Ok);
    };
    let columns = output::columns();
    let lines = told::page(decision, found.decisions.get(1), found.now.as_ref(), columns);
    let colours = paint::has_colours();
    lines.iter().for_each(|line| paint::line(line, colours));
    Ok(Exit::Ok)
}

async fn live(
    daemon: &Daemon,
    fleet: &str,
    until: Option<Timestamp>,
) -> Result<Explanation, NoAnswer> {
    let fleet = utf8_percent_encode(fleet, NON_ALPHANUMERIC);
    let at = until.map_or_else(String::new, |until| {
        format!("&at={}", until.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    });
    let page = format!("/v1/fleets/{fleet}/decisions?limit=2{at}");
    let DecisionsView { decisions } = daemon.get(&page).await?;
    let now = match until {
        None => Some(daemon.get(&format!("/v1/fleets/{fleet}")).await?),
        Some(_) => None,
    };
    Ok(Explanation { decisions, now, absent: None })
}

/// `None`: no such fleet, which has been said.
async fn from_journal(
    config: &CommandConfig,
    name: &str,
    until: Option<Timestamp>,
) -> anyhow::Result<Option<Vec<DecisionView>>> {
    let reader = Reader::open(&config.daemon.state).await;
    let reader = reader.context("the journal cannot be read either")?;
    let found = async {
        let fleet = FleetId(name.to_owned());
        let mut known = config.fleets.clone();
        known.extend(reader.fleets().await?);
        if !known.contains(&fleet) {
            let names = config.fleets.iter().map(|fleet| fleet.0.as_str());
            let hint = config::hint(name, names, "there are");
            output::error(&format!("no fleet is called `{name}`: {hint}"));
            return Ok(None);
        }
        explained(&reader, &fleet, until, 2).await.map(Some)
    };
    let found = found.await;
    reader.close().await;
    let newest_first = |mut decisions: Vec<DecisionView>| {
        decisions.reverse();
        decisions
    };
    Ok(found.context("the journal cannot be read either")?.map(newest_first))
}
