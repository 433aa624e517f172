//! Copies of the file: one that is made beside a running daemon, one that is put in its place.
//!
//! A copy by the file system may lack the newest records, which are in the log beside the file; SQLite makes
//! a whole one. In the place of a state it is put only while no daemon has that, and what was there is
//! moved aside, never removed.

use std::path::{Path, PathBuf};

use sqlx::Connection;

use super::open::{beside_error, connect_to_look, directory, for_owner_only, io, lock};
use super::{JournalError, Sqlite, failure, private, versions};

/// The files of a state beside the lock.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

impl Sqlite {
    /// Writes a whole copy of the state at `path` into the new file `into`, also beside a daemon.
    pub async fn back_up(path: &Path, into: &Path) -> Result<(), JournalError> {
        private::refuse_unsafe(path, directory(path))?;
        // An empty file is taken; this way nobody else can read it from its first byte on.
        let made = private::options().write(true).create_new(true).open(into);
        made.map_err(|error| io(into, &error))?;
        let mut connection = connect_to_look(path).await?;
        let copied = sqlx::query("VACUUM INTO ?1")
            .bind(into.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await
            .map_err(|error| failure::of(into, &error));
        let closed = connection.close().await.map_err(|error| failure::of(path, &error));
        let copied = copied.and(closed);
        if copied.is_err() {
            // Half a copy must not be taken for one.
            drop(std::fs::remove_file(into));
        }
        copied
    }

    /// Looks through every page of the copy at `path`: is it whole, and of a version that is known?
    pub async fn verify(path: &Path, known_v: i64) -> Result<(), JournalError> {
        let opened = private::options().read(true).open(path);
        opened.map(drop).map_err(|error| beside_error(path, &error))?;
        let mut connection = connect_to_look(path).await?;
        let whole = async {
            versions::refuse_broken(path, &mut connection).await?;
            versions::refuse_foreign(path, &mut connection).await?;
            versions::refuse_newer(path, &mut connection, known_v).await
        };
        let whole = whole.await;
        connection.close().await.map_err(|error| failure::of(path, &error))?;
        whole
    }

    /// Puts the copy `from` in the place of the state at `path`, which no daemon may have. Returns where the
    /// old state is now, if there was one. Done by root, it is the directory's owner's.
    pub async fn restore(
        from: &Path,
        path: &Path,
        aside: &str,
    ) -> Result<Option<PathBuf>, JournalError> {
        private::refuse_unsafe(path, directory(path))?;
        let _lock = lock(path)?;
        let new = private::beside(path, ".restored");
        std::fs::copy(from, &new).map_err(|error| io(&new, &error))?;
        let durable = std::fs::File::open(&new).and_then(|file| file.sync_all());
        durable.map_err(|error| io(&new, &error))?;
        let old = private::beside(path, aside);
        let had = path.exists();
        for end in FILES {
            let (here, there) = (private::beside(path, end), private::beside(&old, end));
            match std::fs::rename(&here, &there) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(&here, &error));
                }
                _ => {}
            }
        }
        std::fs::rename(&new, path).map_err(|error| io(path, &error))?;
        for_owner_only(path)?;
        private::hand_over(path, directory(path)).map_err(|error| io(path, &error))?;
        Ok(had.then_some(old))
    }
}
