//! What can go wrong with the journal, and what to do about it.

use std::path::PathBuf;

/// The journal cannot be used. As long as that is so, nothing is changed in the cloud.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    #[error(
        "the state directory {dir} cannot be used: {why}; create it and let the service write there"
    )]
    Directory { dir: PathBuf, why: String },
    #[error(
        "{path} is used by another fleetscaler{holder}: two processes must not control the same \
         fleets; stop the other one, or give this one a state of its own"
    )]
    InUse { path: PathBuf, holder: String },
    #[error(
        "{path} is damaged or not a journal: {why}; move it away and start again (managed instances \
         are found by their tags, cool-downs begin anew)"
    )]
    Corrupt { path: PathBuf, why: String },
    #[error("the disk is full, {path} cannot be written: free some space")]
    Full { path: PathBuf },
    #[error("{path} cannot be read or written: {why}")]
    Io { path: PathBuf, why: String },
    #[error(
        "{path} was written by fleetscaler {writer}, which records in version {found}; this program \
         reads up to version {known}: use that version or a newer one"
    )]
    Newer { path: PathBuf, writer: String, found: i64, known: i64 },
    #[error("the journal is closed: the process is stopping")]
    Closed,
}
