//! The meaning of an error of the database for the one who runs the daemon.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. The server's messages
//! name users and tables, never a password; what a value was is only in details, which are left out.

use std::time::Duration;

use sqlx::migrate::MigrateError;

use super::{ACQUIRE, JournalError};

/// Names the failure.
pub(super) fn of(database: &str, error: &sqlx::Error) -> JournalError {
    let database = database.to_owned();
    match error {
        sqlx::Error::PoolClosed => JournalError::Closed,
        sqlx::Error::PoolTimedOut => {
            let why = format!("no connection within {} s", ACQUIRE.as_secs());
            JournalError::Unreachable { database, why }
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            JournalError::Unreachable { database, why: error.to_string() }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            JournalError::CorruptDatabase { database, why: error.to_string() }
        }
        sqlx::Error::Migrate(error) => match &**error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                of(&database, error)
            }
            // The tables were made by something that calls itself the same version.
            other => JournalError::CorruptDatabase { database, why: other.to_string() },
        },
        sqlx::Error::Database(answer) => {
            let why = answer.message().to_owned();
            match answer.code().as_deref().unwrap_or_default() {
                "XX001" | "XX002" => JournalError::CorruptDatabase { database, why },
                code if is_away(code) => JournalError::Unreachable { database, why },
                _ => JournalError::Refused { database, why },
            }
        }
        other => JournalError::Refused { database, why: other.to_string() },
    }
}

/// Codes that say: not now, later.
fn is_away(code: &str) -> bool {
    matches!(
        code,
        // Shut down, crashed, starting, closed while idle in a transaction.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03"
        // Too many connections; a replica of the database that may not be written yet.
        | "53300" | "25006"
        // Too slow: a statement, a lock.
        | "57014" | "55P03"
    ) || code.starts_with("08")
}

/// The time of a whole method has run out.
pub(super) fn too_slow(database: &str, bound: Duration) -> JournalError {
    let why = format!("no answer within {} s", bound.as_secs());
    JournalError::Unreachable { database: database.to_owned(), why }
}

/// Whether nothing happened because another transaction came first.
pub(super) fn lost_a_race(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
