//! `fleetscaler status`: a line a fleet, from the running daemon or, without one, from the journal.

mod table;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use cloud::{Clock, SystemClock, Timestamp};
use serde::Serialize;

use self::table::Source;
use super::args::{StatusArgs, config_flag};
use super::daemon::{Daemon, NoAnswer};
use super::{Exit, output, paint};
use crate::api::recorded;
use crate::api::shape::{BudgetView, BudgetsView, DaemonView, FleetView, FleetsView};
use crate::config::CommandConfig;
use crate::journal::Reader;

/// From one picture to the next: a person reads it, and the daemon's newest tick is seconds old.
const EVERY: Duration = Duration::from_secs(2);

/// Everything that is shown.
#[derive(Debug, Clone, Serialize)]
struct Status {
    /// `daemon` or `journal`.
    source: Source,
    daemon: Option<DaemonView>,
    fleets: Vec<FleetView>,
    accounts: Vec<BudgetView>,
}

pub(super) async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "status") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let daemon = Daemon::of(&config.daemon);
    let colours = paint::has_colours();
    loop {
        let now = SystemClock.now();
        let status = status(&daemon, &config, now).await?;
        if args.watch && colours {
            paint::clear();
        }
        if args.json {
            output::line(&serde_json::to_string(&status).context("it cannot be written")?);
        } else {
            show(&status, &args.config, now, colours);
        }
        if !args.watch {
            return Ok(Exit::Ok);
        }
        SystemClock.sleep(EVERY).await;
    }
}

fn show(status: &Status, config: &Path, now: Timestamp, colours: bool) {
    let columns = output::columns();
    // The commands below are typed as this one was.
    let flags = config_flag(config);
    for line in table::page(status, now, columns, &flags) {
        paint::line(&line, colours);
    }
}

/// From the daemon, else from the journal; where neither answers, both are said.
async fn status(daemon: &Daemon, config: &CommandConfig, now: Timestamp) -> anyhow::Result<Status> {
    match live(daemon).await {
        Ok(status) => Ok(status),
        Err(NoAnswer::Absent(why)) => {
            from_journal(config, why.clone(), now).await.with_context(|| why)
        }
        Err(refused) => anyhow::bail!("the daemon refuses: {refused}"),
    }
}

async fn live(daemon: &Daemon) -> Result<Status, NoAnswer> {
    let about: DaemonView = daemon.get("/v1/daemon").await?;
    let fleets: FleetsView = daemon.get("/v1/fleets").await?;
    let budgets: BudgetsView = daemon.get("/v1/budget").await?;
    Ok(Status {
        source: Source::Daemon,
        daemon: Some(about),
        fleets: fleets.fleets,
        accounts: budgets.accounts,
    })
}

async fn from_journal(
    config: &CommandConfig,
    why: String,
    now: Timestamp,
) -> anyhow::Result<Status> {
    let reader = Reader::open(&config.daemon.state).await;
    let reader = reader.context("the journal cannot be read either")?;
    let mut fleets = Vec::new();
    for fleet in &config.fleets {
        match recorded(&reader, fleet, now).await {
            Ok(view) => fleets.push(view),
            Err(error) => {
                reader.close().await;
                return Err(error).context("the journal cannot be read either");
            }
        }
    }
    reader.close().await;
    fleets.sort_by(|a, b| a.fleet.cmp(&b.fleet));
    Ok(Status { source: Source::Journal { why }, daemon: None, fleets, accounts: Vec::new() })
}
