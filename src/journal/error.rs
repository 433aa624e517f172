//! The failures of the journal, and the way to mend each.

use std::path::PathBuf;

/// The journal cannot be used. As long as that is so, nothing is changed in the cloud.
///
/// A database is named by its name, host and port. Its address and password never appear.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    #[error(
        "the state directory {dir} cannot be used: {why}; create it and make it writable for the \
         service's user"
    )]
    Directory { dir: PathBuf, why: String },
    #[error(
        "{path} is used by another fleetscaler{holder}, and two must not control the same fleets: \
         stop the other one (only for other fleets does this one need a state of its own)"
    )]
    InUse { path: PathBuf, holder: String },
    #[error(
        "{path} is damaged or not a journal: {why}; move it away and start again (managed instances \
         are found by their tags, holds must be placed again)"
    )]
    Corrupt { path: PathBuf, why: String },
    #[error(
        "the database {database} is damaged, or its schema fleetscaler is not a journal: {why}; \
         restore it, or drop that schema and start again (managed instances are found by their \
         tags, holds must be placed again)"
    )]
    CorruptDatabase { database: String, why: String },
    #[error(
        "{path} is not the file that this daemon opened: it was moved away or replaced; put it back, \
         or stop the daemon before such a change and start it after"
    )]
    Moved { path: PathBuf },
    #[error("the disk is full, {path} cannot be written: free some space")]
    Full { path: PathBuf },
    #[error(
        "{path} is locked by another program for {secs} s and longer: end what holds it, such as \
         an sqlite3 shell in a transaction"
    )]
    Locked { path: PathBuf, secs: u64 },
    #[error(
        "{path} can be read only: make the file and its directory writable for the service's user"
    )]
    Protected { path: PathBuf },
    #[error("{path} is not safe to use: {why}")]
    Unsafe { path: PathBuf, why: String },
    #[error("{path} cannot be opened: {why}; run this as root or as the service's user")]
    Denied { path: PathBuf, why: String },
    #[error(
        "{path} does not exist: the daemon has not run yet with this state; start it once, or \
         correct [daemon] state"
    )]
    Missing { path: PathBuf },
    #[error("{path} cannot be read or written: {why}")]
    Io { path: PathBuf, why: String },
    #[error(
        "{place} was written by fleetscaler {writer}, whose {what} have version {found}; this \
         program knows them up to version {known}: use that version or a newer one"
    )]
    Newer {
        /// The file or the database.
        place: String,
        writer: String,
        /// Tables or records.
        what: &'static str,
        found: i64,
        known: i64,
    },
    #[error(
        "the tables of {place} have version {found}, this command reads version {known}: start the \
         daemon of this version once, it carries them over"
    )]
    Older { place: String, found: i64, known: i64 },
    #[error("{place} has no journal yet: start the daemon once, it makes the tables")]
    Absent { place: String },
    #[error("{place} was opened to look at it: nothing can be recorded through that")]
    LookOnly { place: String },
    #[error(
        "{place} was opened for an operator's command: only what an operator says can be recorded \
         through that"
    )]
    OperatorOnly { place: String },
    #[error("the address of the database is wrong: {why}")]
    Address { why: String },
    #[error(
        "the database {database} cannot be reached: {why}; nothing is changed in the cloud until \
         it is back"
    )]
    Unreachable { database: String, why: String },
    #[error(
        "the database {database} refuses: {why}; nothing is changed in the cloud until it accepts"
    )]
    Refused { database: String, why: String },
    #[error("{what} cannot be read: {why}")]
    Unreadable { what: String, why: String },
    #[error("the lease of the fleet was not renewed in time")]
    Expired,
    #[error("`state = \"memory:\"` keeps nothing: there is nothing to read")]
    Forgetful,
    #[error("{count} decisions begin with {id}: give more of the id, such as of {ids}")]
    Several { id: String, count: usize, ids: String },
    #[error("the journal is closed: the process is stopping")]
    Closed,
}
