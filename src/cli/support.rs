//! `fleetscaler support`: one archive with what somebody needs who helps from afar, and no secret in it.
//!
//! Every part is asked for on its own: what cannot be had is named in `contents.txt` with the reason, and
//! the rest is there. Nothing is changed, and nothing is sent anywhere.

mod archive;
mod host;

use std::path::PathBuf;

use anyhow::Context;
use cloud::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use self::archive::Part;
use super::args::SupportArgs;
use super::daemon::{Daemon, NoAnswer};
use super::{Exit, journal, output};
use crate::config::{self, CommandConfig};
use crate::journal::{Look, Reader};

/// Pages of the API, and the names of their parts.
const PAGES: [(&str, &str); 8] = [
    ("/v1/daemon", "daemon.json"),
    ("/v1/fleets", "fleets.json"),
    ("/v1/holds", "holds.json"),
    ("/v1/instructions", "instructions.json"),
    ("/v1/places", "places.json"),
    ("/v1/budget", "budget.json"),
    ("/v1/audit", "audit.json"),
    ("/readyz", "ready.txt"),
];
/// A day of fifty busy fleets is some 20,000 records; more would not be read, and not be sent by mail.
const RECORDS_MAX: usize = 20_000;

pub(super) async fn run(args: SupportArgs) -> anyhow::Result<Exit> {
    let now = SystemClock.now();
    let file = args.out.clone().unwrap_or_else(|| {
        PathBuf::from(format!("fleetscaler-support-{}.tar.gz", now.format("%Y%m%dT%H%M%SZ")))
    });
    // Before anything is asked: a place that cannot be written to is known at once.
    let archive = archive::create(&file).with_context(|| {
        format!("{} cannot be written: name another file with --out", file.display())
    })?;
    let parts = parts(&args, now).await;
    let missing: Vec<String> = parts.iter().filter_map(Part::missing).collect();
    let kept = parts.len() - missing.len();
    archive.write(parts, now).with_context(|| format!("{} cannot be written", file.display()))?;
    output::line(&format!("{}: {kept} parts", file.display()));
    let missing = missing.iter().map(|why| format!("  not there: {why}"));
    let advice = "Secrets are left out; names, addresses and ids are not. Look through it before \
                  you send it.";
    for text in missing.chain([advice.to_owned()]) {
        output::filled(&text, output::COLUMNS).iter().for_each(|line| output::line(line));
    }
    Ok(Exit::Ok)
}

/// Everything, in the order in which somebody reads it.
async fn parts(args: &SupportArgs, now: Timestamp) -> Vec<Part> {
    let mut parts = vec![Part::found("about.txt", host::about(now))];
    let printed = config::whole(&args.config).map_err(|problems| problems.to_string());
    parts.push(Part::new("config.toml", printed));
    let beside = config::load_for_command(&args.config).map_err(|problems| problems.to_string());
    match beside {
        Ok(config) => {
            parts.extend(asked(&config).await);
            parts.push(Part::new("journal.jsonl", records(&config, args, now).await));
        }
        Err(why) => {
            let why = why.lines().next().unwrap_or_default().to_owned();
            parts.push(Part::new(
                "daemon.json",
                Err(format!("the configuration does not say where: {why}")),
            ));
        }
    }
    if args.no_logs {
        return parts;
    }
    let since = args.since.before(now).unwrap_or(Timestamp::UNIX_EPOCH);
    parts.extend(host::unit(since).await);
    parts
}

/// What the daemon answers; where nobody is there, that is said once.
async fn asked(config: &CommandConfig) -> Vec<Part> {
    let daemon = Daemon::of(&config.daemon);
    let mut parts = Vec::new();
    for (page, name) in PAGES {
        let answer = match page.starts_with("/v1/") {
            true => daemon.get::<Value>(page).await.map(|value| format!("{value:#}")),
            // Not being ready is an answer, too.
            false => daemon.page(page).await.map(|(_, text)| text),
        };
        if let Err(NoAnswer::Absent(why)) = &answer {
            parts.push(Part::new(name, Err(why.clone())));
            return parts;
        }
        parts.push(Part::new(name, answer.map_err(|why| why.to_string())));
    }
    let metrics = daemon.page("/metrics").await.map(|(_, text)| text);
    parts.push(Part::new("metrics.txt", metrics.map_err(|why| why.to_string())));
    parts
}

/// The newest records, as `fleetscaler journal --json` prints them.
async fn records(
    config: &CommandConfig,
    args: &SupportArgs,
    now: Timestamp,
) -> Result<String, String> {
    let read = async {
        let reader = Reader::open(&config.daemon.state).await?;
        let look = Look { since: args.since.before(now), ..Look::default() };
        let looked = reader.look(&look).await.map(|entries| {
            let mut lines = std::collections::VecDeque::new();
            for entry in entries {
                lines.push_back(journal::json_of(&entry));
                if lines.len() > RECORDS_MAX {
                    lines.pop_front();
                }
            }
            lines.into_iter().map(|line| line + "\n").collect::<String>()
        });
        reader.close().await;
        looked
    };
    read.await.map_err(|error| format!("the journal cannot be read: {error}"))
}
