//! Which versions of tables and records a file has, and what is done about it: what is newer is
//! refused, what is older is carried over by the daemon.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;

use super::{JournalError, failure};
use crate::journal::store::tables::{self, Versions};

/// The tables, version by version. The first two are what was before there were versions.
static MIGRATIONS: Migrator = sqlx::migrate!("src/journal/store/migrations/sqlite");

/// The newest version of the tables.
fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Refuses a file that is not whole.
pub(super) async fn refuse_damaged(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<(), JournalError> {
    let check = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await;
    let check: String = check.map_err(|error| failure::of(path, &error))?;
    if check == "ok" {
        Ok(())
    } else {
        Err(JournalError::Corrupt { path: path.to_owned(), why: check })
    }
}

/// Looks through all of it, which takes as long as reading it.
pub(super) async fn refuse_broken(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<(), JournalError> {
    let check = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(connection).await;
    let check: String = check.map_err(|error| failure::of(path, &error))?;
    if check == "ok" {
        Ok(())
    } else {
        Err(JournalError::Corrupt { path: path.to_owned(), why: check })
    }
}

/// Refuses a database of something else: it would be written into.
pub(super) async fn refuse_foreign(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<(), JournalError> {
    let failed = |error: sqlx::Error| failure::of(path, &error);
    if found(connection).await.map_err(failed)? > 0 {
        return Ok(());
    }
    let other = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' LIMIT 1";
    let other: Option<String> =
        sqlx::query_scalar(other).fetch_optional(connection).await.map_err(failed)?;
    match other {
        None => Ok(()),
        Some(name) => {
            let why = format!("it is a database of something else, with `{name}` in it");
            Err(JournalError::Corrupt { path: path.to_owned(), why })
        }
    }
}

/// Refuses what a newer program wrote.
pub(super) async fn refuse_newer(
    path: &Path,
    connection: &mut SqliteConnection,
    known_v: i64,
) -> Result<(), JournalError> {
    let failed = |error: sqlx::Error| failure::of(path, &error);
    let tables = found(connection).await.map_err(failed)?;
    let records = newest_record(connection).await.map_err(failed)?;
    let known = Versions { tables: known(), records: known_v };
    let Some(beyond) = (Versions { tables, records }).beyond(known) else { return Ok(()) };
    let writer = writer(connection).await.map_err(failed)?;
    Err(tables::newer(path.display().to_string(), writer, beyond))
}

/// Refuses tables that [`carry_over`] would change.
pub(super) async fn refuse_older(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<(), JournalError> {
    let found = found(connection).await.map_err(|error| failure::of(path, &error))?;
    let place = path.display().to_string();
    match found {
        0 => Err(JournalError::Absent { place }),
        found if found < known() => Err(JournalError::Older { place, found, known: known() }),
        _ => Ok(()),
    }
}

/// Makes the tables those of this version, and notes who did.
pub(super) async fn carry_over(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<(), JournalError> {
    let failed = |error: sqlx::Error| failure::of(path, &error);
    let migrated = MIGRATIONS.run_direct(None, connection, false).await;
    migrated.map_err(|error| failed(error.into()))?;
    sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ('writer', ?)")
        .bind(env!("CARGO_PKG_VERSION"))
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The version of the tables that are there; 0: none.
async fn found(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    if has_table(connection, "_sqlx_migrations").await? {
        return sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
            .fetch_one(connection)
            .await;
    }
    // The first version kept no note of it.
    Ok(i64::from(has_table(connection, "records").await?))
}

async fn newest_record(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    if !has_table(connection, "records").await? {
        return Ok(0);
    }
    let newest = "SELECT COALESCE(MAX(v), 0) FROM records";
    sqlx::query_scalar(newest).fetch_one(connection).await
}

async fn writer(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    if !has_table(connection, "meta").await? {
        return Ok(None);
    }
    let writer = "SELECT value FROM meta WHERE key = 'writer'";
    sqlx::query_scalar(writer).fetch_optional(connection).await
}

async fn has_table(connection: &mut SqliteConnection, name: &str) -> Result<bool, sqlx::Error> {
    let has = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)";
    sqlx::query_scalar(has).bind(name).fetch_one(connection).await
}
