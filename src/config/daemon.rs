//! `[daemon]`: what concerns all fleets.

use std::path::PathBuf;

use super::table::Table;
use super::value::{Value, duration, word};
use super::{Daemon, StateUrl};
use crate::model::Span;

/// 15 s: four looks a minute, the rhythm at which Prometheus usually scrapes.
const INTERVAL: Span = Span::secs(15);
/// Below 1 s a tick would outrun the provider's rate limits; above 1 h nothing is scaled in time.
pub(super) const INTERVAL_RANGE: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(3600);
/// Where the packaged service keeps its state.
const STATE: &str = "/var/lib/fleetscaler/state.db";

pub(super) fn read(table: &Table<'_>) -> Option<Daemon> {
    Some(Daemon {
        interval: table.or("interval", INTERVAL, duration(INTERVAL_RANGE)),
        state: table.or("state", default_state(table), state),
    })
}

/// Without a `[daemon]`.
pub(super) fn default(table: &Table<'_>) -> Daemon {
    Daemon { interval: INTERVAL, state: default_state(table) }
}

/// In systemd's state directory when there is one (the first, if there are several).
fn default_state(table: &Table<'_>) -> StateUrl {
    let directory = table.cx.env.var("STATE_DIRECTORY");
    let first = directory.as_deref().and_then(|list| list.split(':').next());
    StateUrl::Sqlite {
        path: first.map_or(PathBuf::from(STATE), |first| PathBuf::from(first).join("state.db")),
    }
}

/// `sqlite:PATH` or `memory:`. The value is never repeated: that of a server holds a password.
fn state(value: &Value<'_>) -> Option<StateUrl> {
    let url = word(value)?;
    if url == "memory:" {
        return Some(StateUrl::Memory);
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return value.problem(
            "a PostgreSQL `state` is not supported by this version".to_owned(),
            format!("write state = \"sqlite:{STATE}\""),
        );
    }
    match url.strip_prefix("sqlite:").map(file_of) {
        Some(path) if !path.is_empty() && !path.starts_with("//") && !path.contains([':', '?']) => {
            Some(StateUrl::Sqlite { path: value.cx.resolve(path) })
        }
        _ => value.problem(
            "`state` is no place to keep state in".to_owned(),
            format!("write \"sqlite:{STATE}\", or \"memory:\" to forget everything at the end"),
        ),
    }
}

/// `sqlite:///var/x` means the same as `sqlite:/var/x`.
fn file_of(path: &str) -> &str {
    match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        _ => path,
    }
}
