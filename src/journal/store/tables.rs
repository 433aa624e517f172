//! Parts that the stores with tables share beside their SQL: the tables mean the same in each.

use super::{JournalError, Scope, Spent};
use crate::model::FleetId;

/// The scope of that name.
pub(super) fn scope(name: String) -> Result<Scope, sqlx::Error> {
    let unknown = || sqlx::Error::Decode(format!("`{name}` is no scope").into());
    Scope::of(&name).ok_or_else(unknown)
}

/// The scopes of those names, in their own order: a server's may be another one.
pub(super) fn scopes(names: Vec<String>) -> Result<Vec<Scope>, sqlx::Error> {
    let mut scopes = names.into_iter().map(scope).collect::<Result<Vec<Scope>, sqlx::Error>>()?;
    scopes.sort_unstable();
    Ok(scopes)
}

/// The changes of a fleet, by sums as tables have them.
pub(super) fn spent(fleet: String, launches: i64, removals: i64) -> Spent {
    let count = |sum: i64| u32::try_from(sum).unwrap_or(u32::MAX);
    Spent { fleet: FleetId(fleet), launches: count(launches), removals: count(removals) }
}

/// The newest versions of tables and records: those that a place has, or those that are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Versions {
    pub(super) tables: i64,
    pub(super) records: i64,
}

impl Versions {
    /// Of the part that is newer here than in `known`: what it is, its version, and the known one.
    pub(super) fn beyond(self, known: Versions) -> Option<(&'static str, i64, i64)> {
        let both =
            [("tables", self.tables, known.tables), ("records", self.records, known.records)];
        both.into_iter().find(|(_, found, known)| found > known)
    }
}

/// Why a place that `writer` wrote is refused.
pub(super) fn newer(
    place: String,
    writer: Option<String>,
    (what, found, known): (&'static str, i64, i64),
) -> JournalError {
    let writer = writer.unwrap_or_else(|| "of an unknown version".to_owned());
    JournalError::Newer { place, writer, what, found, known }
}
