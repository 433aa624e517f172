//! The meaning of an error of SQLite for the one who runs the daemon.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::MigrateError;

use super::JournalError;

/// How long SQLite waits for another writer. An operator's command or an sqlite3 shell may write
/// beside the daemon. Their writes take milliseconds; five seconds is as long as a person waits,
/// and less than a tick.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Names the failure by SQLite's primary result code (<https://www.sqlite.org/rescode.html>).
pub(super) fn of(path: &Path, error: &sqlx::Error) -> JournalError {
    const BUSY_CODE: i32 = 5;
    const LOCKED: i32 = 6;
    const READ_ONLY: i32 = 8;
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const NOT_A_DB: i32 = 26;
    let owned = || path.to_owned();
    match error {
        sqlx::Error::Migrate(error) => return of_migration(path, error),
        // The tables are strict, so a value of another type was not written by us.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            return JournalError::Corrupt { path: owned(), why: error.to_string() };
        }
        _ => {}
    }
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<i32>().ok())
        // The low byte is the primary code.
        .map(|code| code & 0xff);
    match code {
        Some(BUSY_CODE | LOCKED) => JournalError::Locked { path: owned(), secs: BUSY.as_secs() },
        Some(READ_ONLY) => JournalError::Protected { path: owned() },
        Some(CORRUPT | NOT_A_DB) => JournalError::Corrupt { path: owned(), why: error.to_string() },
        Some(FULL) => JournalError::Full { path: owned() },
        _ => JournalError::Io { path: owned(), why: error.to_string() },
    }
}

fn of_migration(path: &Path, error: &MigrateError) -> JournalError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => of(path, error),
        // The tables were made by something that calls itself the same version.
        other => JournalError::Corrupt { path: path.to_owned(), why: other.to_string() },
    }
}
