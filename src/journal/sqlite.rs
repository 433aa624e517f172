//! The store on SQLite: one file on the ops host.
//!
//! One connection does everything: SQLite has one writer anyway, and with one connection nothing
//! ever waits for a lock. WAL keeps a commit to one append; `synchronous` is FULL for intents and
//! settlements (the commit is on the disk when it returns) and NORMAL for ticks (a power cut may
//! lose the newest, which the next tick observes again).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use cloud::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::sync::Mutex;

use super::{Durability, JournalError, Record, Snapshot, Store, lock_path};
use crate::model::{Event, FleetId};

/// The version of records and tables that this program writes.
const VERSION: i64 = 1;
/// The lock of `.lock` keeps other daemons out; somebody may still look with the sqlite3 shell.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS records (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet TEXT NOT NULL,
    at    INTEGER NOT NULL,
    v     INTEGER NOT NULL,
    body  TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS records_by_fleet ON records (fleet, seq);
CREATE INDEX IF NOT EXISTS records_by_time ON records (at);
CREATE TABLE IF NOT EXISTS snapshots (
    fleet TEXT PRIMARY KEY,
    seq   INTEGER NOT NULL,
    v     INTEGER NOT NULL,
    body  TEXT NOT NULL
) STRICT;
";

#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    /// `None` once closed.
    connection: Mutex<Option<SqliteConnection>>,
    /// Held for as long as this value lives.
    _lock: File,
}

impl Sqlite {
    pub(super) async fn open(path: &Path) -> Result<Sqlite, JournalError> {
        prepare_directory(path)?;
        let lock = lock(path)?;
        private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let failed = |error: sqlx::Error| failure(path, &error);
        let mut connection = options.connect().await.map_err(failed)?;
        sqlx::raw_sql(TABLES).execute(&mut connection).await.map_err(failed)?;
        sqlx::query("INSERT OR IGNORE INTO meta VALUES ('version', ?)")
            .bind(VERSION.to_string())
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        readable(path, &mut connection).await?;
        sqlx::query("INSERT OR REPLACE INTO meta VALUES ('writer', ?)")
            .bind(env!("CARGO_PKG_VERSION"))
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        Ok(Sqlite { path: path.to_owned(), connection: Mutex::new(Some(connection)), _lock: lock })
    }

    fn failed(&self, error: &sqlx::Error) -> JournalError {
        failure(&self.path, error)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn append(
        &self,
        fleet: &FleetId,
        at: Timestamp,
        events: &[Event],
        durability: Durability,
    ) -> Result<i64, JournalError> {
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().ok_or(JournalError::Closed)?;
        let synchronous = match durability {
            Durability::Durable => "PRAGMA synchronous = FULL",
            Durability::Lazy => "PRAGMA synchronous = NORMAL",
        };
        let write = async {
            // It takes effect with the next transaction, which is the one below.
            sqlx::raw_sql(synchronous).execute(&mut *connection).await?;
            let mut transaction = connection.begin().await?;
            let mut seq = 0;
            for event in events {
                let body = serde_json::to_string(event)
                    .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
                let inserted =
                    sqlx::query("INSERT INTO records (fleet, at, v, body) VALUES (?, ?, ?, ?)")
                        .bind(&fleet.0)
                        .bind(at.timestamp_millis())
                        .bind(VERSION)
                        .bind(body)
                        .execute(&mut *transaction)
                        .await?;
                seq = inserted.last_insert_rowid();
            }
            transaction.commit().await?;
            Ok(seq)
        };
        write.await.map_err(|error: sqlx::Error| self.failed(&error))
    }

    async fn load(&self, fleet: &FleetId) -> Result<(Option<Snapshot>, Vec<Record>), JournalError> {
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().ok_or(JournalError::Closed)?;
        let failed = |error: sqlx::Error| self.failed(&error);
        let row = sqlx::query("SELECT seq, v, body FROM snapshots WHERE fleet = ?")
            .bind(&fleet.0)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        // A snapshot of another form is no loss where all records are still there.
        let snapshot: Option<Snapshot> =
            row.filter(|row| row.get::<i64, _>("v") == VERSION).and_then(|row| {
                let history = serde_json::from_str(row.get("body")).ok()?;
                Some(Snapshot { seq: row.get("seq"), history })
            });
        let rows =
            sqlx::query("SELECT seq, body FROM records WHERE fleet = ? AND seq > ? ORDER BY seq")
                .bind(&fleet.0)
                .bind(snapshot.as_ref().map_or(0, |snapshot| snapshot.seq))
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let seq: i64 = row.get("seq");
            let event =
                serde_json::from_str(row.get("body")).map_err(|error| JournalError::Corrupt {
                    path: self.path.clone(),
                    why: format!("record {seq}: {error}"),
                })?;
            records.push(Record { seq, event });
        }
        Ok((snapshot, records))
    }

    async fn save_snapshot(
        &self,
        fleet: &FleetId,
        snapshot: &Snapshot,
    ) -> Result<(), JournalError> {
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().ok_or(JournalError::Closed)?;
        let body = serde_json::to_string(&snapshot.history).map_err(|error| JournalError::Io {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        sqlx::query("INSERT OR REPLACE INTO snapshots (fleet, seq, v, body) VALUES (?, ?, ?, ?)")
            .bind(&fleet.0)
            .bind(snapshot.seq)
            .bind(VERSION)
            .bind(body)
            .execute(connection)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(())
    }

    async fn prune(&self, before: Timestamp, bytes: u64) -> Result<(), JournalError> {
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().ok_or(JournalError::Closed)?;
        let covered =
            "seq <= COALESCE((SELECT s.seq FROM snapshots s WHERE s.fleet = records.fleet), 0)";
        let prune = async {
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "DELETE FROM records WHERE at < ? AND {covered}"
            )))
            .bind(before.timestamp_millis())
            .execute(&mut *connection)
            .await?;
            // From the newest back: the record at which the sum passes the limit, and all before it.
            let limit = i64::try_from(bytes).unwrap_or(i64::MAX);
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "DELETE FROM records WHERE {covered} AND seq <= COALESCE((SELECT seq FROM (
                    SELECT seq, SUM(LENGTH(body)) OVER (ORDER BY seq DESC) AS total FROM records
                 ) WHERE total > ? ORDER BY seq DESC LIMIT 1), 0)"
            )))
            .bind(limit)
            .execute(&mut *connection)
            .await
        };
        prune.await.map(drop).map_err(|error: sqlx::Error| self.failed(&error))
    }

    async fn close(&self) {
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!("the journal was not closed cleanly, which loses nothing: {error}");
        }
    }
}

/// Makes the directory of the file where only that one is missing.
fn prepare_directory(path: &Path) -> Result<(), JournalError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wrong = |why: String| JournalError::Directory { dir: dir.to_owned(), why };
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir(dir).map_err(|error| wrong(error.to_string()))
}

/// Takes the lock of `path`, or says who holds it.
fn lock(path: &Path) -> Result<File, JournalError> {
    let lock_path = lock_path(path);
    let io = |error: std::io::Error| JournalError::Io {
        path: lock_path.clone(),
        why: error.to_string(),
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let holder = if read { format!(" (process {})", pid.trim()) } else { String::new() };
            return Err(JournalError::InUse { path: path.to_owned(), holder });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(io(error)),
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

/// The file with mode 0600: it names every instance and the operator's tags.
fn private(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened
        .map(drop)
        .map_err(|error| JournalError::Io { path: path.to_owned(), why: error.to_string() })
}

/// Refuses what a newer program wrote, and a file that is not whole.
async fn readable(path: &Path, connection: &mut SqliteConnection) -> Result<(), JournalError> {
    let failed = |error: sqlx::Error| failure(path, &error);
    let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(v) FROM records")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let version: String = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'version'")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let found = newest.unwrap_or(0).max(version.parse().unwrap_or(i64::MAX));
    if found > VERSION {
        let writer: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'writer'")
                .fetch_optional(&mut *connection)
                .await
                .map_err(failed)?;
        let writer = writer.unwrap_or_else(|| "of an unknown version".to_owned());
        return Err(JournalError::Newer {
            place: path.display().to_string(),
            writer,
            what: "records",
            found,
            known: VERSION,
        });
    }
    let check: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if check == "ok" {
        Ok(())
    } else {
        Err(JournalError::Corrupt { path: path.to_owned(), why: check })
    }
}

/// SQLite's primary result codes (<https://www.sqlite.org/rescode.html>).
fn failure(path: &Path, error: &sqlx::Error) -> JournalError {
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const NOT_A_DB: i32 = 26;
    let path = path.to_owned();
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<i32>().ok())
        // The low byte is the primary code.
        .map(|code| code & 0xff);
    match code {
        Some(CORRUPT | NOT_A_DB) => JournalError::Corrupt { path, why: error.to_string() },
        Some(FULL) => JournalError::Full { path },
        _ => JournalError::Io { path, why: error.to_string() },
    }
}

#[cfg(test)]
impl Sqlite {
    /// Lets the file grow to `pages` pages only, as a full disk would.
    pub(super) async fn limit_pages(&self, pages: u32) {
        let mut held = self.connection.lock().await;
        let connection = held.as_mut().expect("open");
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(sql).execute(connection).await.expect("a limit");
    }
}
