//! Copies of the journal, for those who keep it safe.

use std::path::{Path, PathBuf};

use cloud::Timestamp;

use super::store;
use super::{JournalError, Look, Reader, codec};
use crate::config::StateUrl;

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub records: u64,
    /// Records that this version cannot read.
    pub unreadable: u64,
    pub newest: Option<Timestamp>,
    pub bytes: u64,
}

/// Records that are read at once.
const AT_ONCE: u32 = 10_000;

/// Writes a whole copy of the state at `path` into the new file `into`, and looks through it.
///
/// # Errors
/// When it cannot be read or written; then there is no copy.
pub async fn back_up(path: &Path, into: &Path) -> Result<Copied, JournalError> {
    store::Sqlite::back_up(path, into).await?;
    verify(into).await
}

/// Looks through every page and every record of the copy at `path`.
///
/// # Errors
/// When it is damaged, something else, or of a newer version.
pub async fn verify(path: &Path) -> Result<Copied, JournalError> {
    store::Sqlite::verify(path, codec::VERSION).await?;
    let reader = Reader::open(&StateUrl::Sqlite { path: path.to_owned() }).await?;
    let mut copied = Copied { records: 0, unreadable: 0, newest: None, bytes: 0 };
    let mut after = None;
    loop {
        let look = Look { after, oldest: Some(AT_ONCE), ..Look::default() };
        let before = copied.records;
        for entry in reader.look(&look).await? {
            copied.records += 1;
            copied.unreadable += u64::from(entry.said.is_err());
            copied.newest = copied.newest.max(Some(entry.at));
            after = Some(entry.seq);
        }
        if copied.records == before {
            break;
        }
    }
    reader.close().await;
    let size = std::fs::metadata(path).map(|file| file.len());
    copied.bytes = size.unwrap_or_default();
    Ok(copied)
}

/// Puts the copy `from` in the place of the state at `path`; see [`store::Sqlite::restore`].
///
/// # Errors
/// When a daemon has the state, or the copy is not whole.
pub async fn restore(
    from: &Path,
    path: &Path,
    now: Timestamp,
) -> Result<(Copied, Option<PathBuf>), JournalError> {
    let copied = verify(from).await?;
    let aside = format!(".before-{}", now.format("%Y%m%dT%H%M%SZ"));
    let old = store::Sqlite::restore(from, path, &aside).await?;
    Ok((copied, old))
}
