//! Opening the file, in three ways: as the daemon, to look, to add an operator's word.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Mutex;

use super::{JournalError, Link, Opened, Sqlite, StoreAccess, failure, private, versions};
use crate::journal::Examined;
use crate::journal::store::Store;

/// A command that only looks at the lock has it for microseconds: a daemon that starts just then waits.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);

impl Sqlite {
    /// Opens `path` as the daemon, the only one, and makes it when there is none. Tables of older
    /// versions are carried over. `known_v` is the newest version of records that the caller reads.
    pub async fn open(path: &Path, known_v: i64) -> Result<Sqlite, JournalError> {
        prepare_directory(path)?;
        refuse_directory(path)?;
        private::refuse_unsafe(path, directory(path))?;
        let lock = lock(path)?;
        if std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            // Not with the daemon's options, which would change it.
            let mut connection = connect(path, options(StoreAccess::OperatorsWord)).await?;
            let refused = versions::refuse_foreign(path, &mut connection).await;
            connection.close().await.map_err(|error| failure::of(path, &error))?;
            refused?;
        }
        for_owner_only(path)?;
        let mut connection = connect(path, options(StoreAccess::Everything)).await?;
        // Nothing is changed in a file that is refused.
        versions::refuse_damaged(path, &mut connection).await?;
        versions::refuse_newer(path, &mut connection, known_v).await?;
        versions::carry_over(path, &mut connection).await?;
        // The lock says that nobody else lives: a restart need not wait until the life of the
        // process before it runs out, nor for a clock that was wrong while it lived.
        sqlx::raw_sql(
            "DELETE FROM replicas; UPDATE leases SET free_since = NULL WHERE holder IS NULL",
        )
        .execute(&mut connection)
        .await
        .map_err(|error| failure::of(path, &error))?;
        Sqlite::over(path, StoreAccess::Everything, connection, Some(lock))
    }

    /// Opens `path` to look at it, also while a daemon has it.
    pub async fn open_read_only(path: &Path, known_v: i64) -> Result<Sqlite, JournalError> {
        Sqlite::open_beside(path, StoreAccess::Look, known_v).await
    }

    /// Opens `path` to record what an operator says, and nothing else, also while a daemon has it.
    pub async fn open_for_operator(path: &Path, known_v: i64) -> Result<Sqlite, JournalError> {
        Sqlite::open_beside(path, StoreAccess::OperatorsWord, known_v).await
    }

    /// Makes the file that the daemon's first start would make, for what an operator says before that.
    /// Made by root, it is the directory's owner's, as if the daemon had made it.
    pub async fn make(path: &Path, known_v: i64) -> Result<(), JournalError> {
        let made = Sqlite::open(path, known_v).await?;
        Store::close(&made).await;
        private::hand_over(path, directory(path)).map_err(|error| as_daemon(path, &error))
    }

    /// Looks whether a daemon can use `path`, or does; makes nothing.
    pub async fn examine(path: &Path, known_v: i64) -> Result<Examined, JournalError> {
        if !path.exists() {
            refuse_protected_directory(path)?;
            return Ok(Examined::NotYet);
        }
        refuse_directory(path)?;
        private::refuse_unsafe(path, directory(path))?;
        let holder = holder(path);
        private::options()
            .read(true)
            .open(path)
            .map(drop)
            .map_err(|error| beside_error(path, &error))?;
        let mut connection = connect(path, SqliteConnectOptions::new().read_only(true)).await?;
        versions::refuse_damaged(path, &mut connection).await?;
        versions::refuse_newer(path, &mut connection, known_v).await?;
        versions::refuse_older(path, &mut connection).await?;
        let closed = connection.close().await;
        closed.map_err(|error| failure::of(path, &error))?;
        Ok(holder.map_or(Examined::Usable, |holder| Examined::InUse { holder }))
    }

    async fn open_beside(
        path: &Path,
        access: StoreAccess,
        known_v: i64,
    ) -> Result<Sqlite, JournalError> {
        refuse_directory(path)?;
        private::refuse_unsafe(path, directory(path))?;
        // SQLite says of any file that it cannot open it; the system says why.
        let opened = private::options().read(true).write(access != StoreAccess::Look).open(path);
        opened.map(drop).map_err(|error| beside_error(path, &error))?;
        let mut connection = connect(path, options(access)).await?;
        versions::refuse_newer(path, &mut connection, known_v).await?;
        versions::refuse_older(path, &mut connection).await?;
        Sqlite::over(path, access, connection, None)
    }

    fn over(
        path: &Path,
        access: StoreAccess,
        connection: SqliteConnection,
        lock: Option<File>,
    ) -> Result<Sqlite, JournalError> {
        let file = number(path)?;
        let connection = Link::Ready(connection);
        let opened = Mutex::new(Some(Opened { connection, _lock: lock }));
        Ok(Sqlite { path: path.to_owned(), access, file, opened })
    }
}

/// Opens a file that was open before.
pub(super) async fn again(
    path: &Path,
    access: StoreAccess,
) -> Result<SqliteConnection, JournalError> {
    connect(path, options(access)).await
}

/// Refuses to go on with another file, or none, in the place of the one that was opened: what is
/// recorded there would be lost, or was never known.
pub(super) fn same_file(path: &Path, file: (u64, u64)) -> Result<(), JournalError> {
    if number(path).is_ok_and(|found| found == file) {
        Ok(())
    } else {
        Err(JournalError::Moved { path: path.to_owned() })
    }
}

fn number(path: &Path) -> Result<(u64, u64), JournalError> {
    let metadata = std::fs::metadata(path).map_err(|error| io(path, &error))?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The file is there before it is opened ([`for_owner_only`]), so SQLite makes none.
fn options(access: StoreAccess) -> SqliteConnectOptions {
    match access {
        StoreAccess::Everything => SqliteConnectOptions::new().journal_mode(SqliteJournalMode::Wal),
        StoreAccess::Look => SqliteConnectOptions::new().read_only(true),
        StoreAccess::OperatorsWord => SqliteConnectOptions::new(),
    }
}

/// A connection through which nothing is changed.
pub(super) async fn connect_to_look(path: &Path) -> Result<SqliteConnection, JournalError> {
    connect(path, options(StoreAccess::Look)).await
}

async fn connect(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<SqliteConnection, JournalError> {
    let options = options.filename(path).busy_timeout(failure::BUSY).disable_statement_logging();
    options.connect().await.map_err(|error| failure::of(path, &error))
}

pub(super) fn io(path: &Path, error: &std::io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), why: error.to_string() }
}

/// Why a command cannot open what the daemon made, or would have made.
pub(super) fn beside_error(path: &Path, error: &std::io::Error) -> JournalError {
    match error.kind() {
        ErrorKind::NotFound => JournalError::Missing { path: path.to_owned() },
        ErrorKind::PermissionDenied => {
            JournalError::Denied { path: path.to_owned(), why: error.to_string() }
        }
        _ => io(path, error),
    }
}

/// Why the daemon cannot make or open a file in its directory.
fn as_daemon(path: &Path, error: &std::io::Error) -> JournalError {
    match error.kind() {
        ErrorKind::PermissionDenied if path.exists() => {
            JournalError::Protected { path: path.to_owned() }
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound => {
            JournalError::Directory { dir: directory(path).to_owned(), why: error.to_string() }
        }
        _ => io(path, error),
    }
}

pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the directory of the file where only that one is missing.
fn prepare_directory(path: &Path) -> Result<(), JournalError> {
    let dir = directory(path);
    let wrong = |why: String| JournalError::Directory { dir: dir.to_owned(), why };
    if dir.is_dir() {
        return Ok(());
    }
    private::make_directory(dir).map_err(|error| wrong(error.to_string()))
}

fn refuse_directory(path: &Path) -> Result<(), JournalError> {
    if path.is_dir() {
        let why = "it is a directory; name a file in it".to_owned();
        return Err(JournalError::Io { path: path.to_owned(), why });
    }
    Ok(())
}

/// Takes the lock of `path`, or says who holds it.
#[expect(clippy::disallowed_methods, reason = "another process has the lock, on the real clock")]
pub(super) fn lock(path: &Path) -> Result<File, JournalError> {
    let lock_path = lock_path(path);
    let io = |error: std::io::Error| as_daemon(&lock_path, &error);
    let mut options = private::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&lock_path).map_err(io)?;
    private::refuse_second_name(&lock_path, &file)?;
    // A user who may open it may lock it, and keep the daemon from starting.
    private::close(&file).map_err(io)?;
    let mut locked = file.try_lock();
    for _ in 0..LOOKS {
        if !matches!(locked, Err(std::fs::TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(LOOK);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(JournalError::InUse { path: path.to_owned(), holder: named(&mut file) });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(io(error)),
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

/// ` (process 7)`: who wrote itself into the file.
fn named(file: &mut File) -> String {
    let mut pid = String::new();
    let read = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
    if read { format!(" (process {})", pid.trim()) } else { String::new() }
}

/// The process that uses `path`, if any. The lock is shared and given back at once.
fn holder(path: &Path) -> Option<String> {
    let mut file = private::options().read(true).open(lock_path(path)).ok()?;
    match file.try_lock_shared() {
        Err(std::fs::TryLockError::WouldBlock) => Some(named(&mut file)),
        _ => None,
    }
}

/// Refuses a directory in which the daemon could not make the file, by this process's rights.
fn refuse_protected_directory(path: &Path) -> Result<(), JournalError> {
    let dir = directory(path);
    // The daemon makes the last one.
    let there = if dir.is_dir() { dir } else { directory(dir) };
    // Only an attempt tells: modes, read-only mounts and name spaces all have a say.
    let probe = there.join(format!(".fleetscaler-check-{}", std::process::id()));
    let made = private::options().write(true).create_new(true).open(&probe);
    made.and_then(|_| std::fs::remove_file(&probe))
        .map_err(|error| JournalError::Directory { dir: dir.to_owned(), why: error.to_string() })
}

/// The file beside the database that says which process uses it.
fn lock_path(path: &Path) -> PathBuf {
    private::beside(path, ".lock")
}

/// The file with mode 0600: it names every instance and the operator's tags.
pub(super) fn for_owner_only(path: &Path) -> Result<(), JournalError> {
    let opened = private::options().append(true).create(true).open(path);
    // One that was copied here may have come with another mode.
    let made = opened.and_then(|file| private::close(&file));
    made.map_err(|error| as_daemon(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_refuses_is_told_with_what_to_do() {
        let path = Path::new("/nowhere/state.db");
        let of = |kind: ErrorKind| std::io::Error::from(kind);
        for (said, wanted) in [
            (
                beside_error(path, &of(ErrorKind::NotFound)),
                "the daemon has not run yet with this state",
            ),
            (
                beside_error(path, &of(ErrorKind::PermissionDenied)),
                "as root or as the service's user",
            ),
            (as_daemon(path, &of(ErrorKind::PermissionDenied)), "writable for the service's user"),
            (as_daemon(Path::new("/"), &of(ErrorKind::PermissionDenied)), "can be read only"),
            (beside_error(path, &of(ErrorKind::IsADirectory)), "/nowhere/state.db cannot be read"),
        ] {
            assert!(said.to_string().contains(wanted), "{said}");
        }
    }
}
