//! `fleetscaler state`: back-up, proof and restore of the journal.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cloud::{Clock, SystemClock};

use super::args::{StateArgs, StateCommand};
use super::{Exit, output};
use crate::config::StateUrl;
use crate::journal::{self, Copied};

pub(super) async fn run(args: StateArgs) -> anyhow::Result<Exit> {
    let config = match output::load_for_command(&args.config, "state") {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    match args.command {
        StateCommand::Backup { file } => {
            let path = sqlite(&config.daemon.state)?;
            if file.exists() {
                bail!("{} is there already: name a new file", file.display());
            }
            let copied = journal::back_up(path, &file).await.context("there is no back-up")?;
            output::line(&format!("{}: {}", file.display(), told(&copied)));
        }
        StateCommand::Verify { file } => {
            let file = match file {
                Some(file) => file,
                None => sqlite(&config.daemon.state)?.clone(),
            };
            let copied = journal::verify(&file).await.context("it is not whole")?;
            output::line(&format!("{}: {}", file.display(), told(&copied)));
            if copied.unreadable > 0 {
                return Ok(Exit::Failed);
            }
        }
        StateCommand::Restore { file } => {
            let path = sqlite(&config.daemon.state)?;
            if is_same(&file, path) {
                bail!("{} is the state itself: name a back-up", file.display());
            }
            let restored = journal::restore(&file, path, SystemClock.now()).await;
            let (copied, old) = restored.context("nothing was restored")?;
            output::line(&format!("{}: {}", path.display(), told(&copied)));
            if let Some(old) = old {
                output::line(&format!("what was there is {} now", old.display()));
            }
            output::line(
                "start the daemon; what was launched since the back-up is told as `stranger`, and \
                 `fleetscaler adopt` takes it over",
            );
        }
    }
    Ok(Exit::Ok)
}

fn sqlite(state: &StateUrl) -> anyhow::Result<&PathBuf> {
    match state {
        StateUrl::Sqlite { path } => Ok(path),
        StateUrl::Memory => bail!("[daemon] state is memory:, of which nothing is kept"),
        StateUrl::Postgres { .. } => bail!(
            "[daemon] state is a PostgreSQL database: back it up with `pg_dump -n fleetscaler`, and \
             restore it with `pg_restore` or `psql` while no daemon runs"
        ),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some() && whole(one) == whole(other)
}

/// `1,204 records, the newest of 2026-11-26 12:00:00Z; 1.2 MiB`
fn told(copied: &Copied) -> String {
    let Copied { records, unreadable, newest, bytes } = copied;
    let of = newest
        .map_or(String::new(), |at| format!(", the newest of {}", at.format("%Y-%m-%d %H:%M:%SZ")));
    let bad = match unreadable {
        0 => String::new(),
        n => format!("; {n} of them cannot be read by this version"),
    };
    format!("whole, {records} records{of}; {:.1} MiB{bad}", *bytes as f64 / (1024.0 * 1024.0))
}
