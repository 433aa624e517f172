//! Every call that arrived, and what came of it.

use std::collections::BTreeMap;

use cloud::Timestamp;
use serde::Serialize;

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    pub seq: u64,
    pub at: Timestamp,
    pub action: String,
    /// `V1` or `ACS3`.
    pub signature: String,
    /// Business parameters; start scripts and everything about the signature left out.
    pub parameters: BTreeMap<String, String>,
    /// HTTP status of the answer, also where the answer was then cut off.
    pub status: u16,
    /// Error code, if it was refused.
    pub code: Option<String>,
    pub request_id: String,
    /// Instances that the call created.
    pub created: Vec<String>,
    /// Instances that the call began to delete.
    pub deleted: Vec<String>,
    /// The fault that hit it.
    pub fault: Option<crate::FaultKind>,
    /// A repeated client token was answered with the first answer.
    pub repeated: bool,
}

/// Old entries are dropped beyond this many: a server that runs for weeks must not grow.
const KEPT: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Transcript {
    entries: Vec<Entry>,
    seq: u64,
}

impl Transcript {
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Changes the entry of a call whose effect came later than its answer.
    pub(crate) fn amend(&mut self, seq: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.seq == seq) {
            change(entry);
        }
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() >= KEPT {
            self.entries.drain(..KEPT / 10);
        }
        self.entries.push(entry);
    }
}
