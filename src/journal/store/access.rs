//! The rights that a store is opened with: a command beside the daemon changes nothing of its.

use std::fmt::Display;

use super::{Scope, Write};
use crate::journal::JournalError;

/// The rights that a store is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAccess {
    /// As the daemon.
    Everything,
    Look,
    /// To look, and to add what an operator says.
    OperatorsWord,
}

impl StoreAccess {
    /// Refuses what only a daemon does to the store at `place`.
    pub(super) fn as_daemon(self, place: impl Display) -> Result<(), JournalError> {
        match self {
            StoreAccess::Everything => Ok(()),
            StoreAccess::Look => Err(JournalError::LookOnly { place: place.to_string() }),
            StoreAccess::OperatorsWord => {
                Err(JournalError::OperatorOnly { place: place.to_string() })
            }
        }
    }

    /// Refuses to record `writes`, unless they are what this access is for.
    pub(super) fn to_record(
        self,
        writes: &[Write],
        place: impl Display,
    ) -> Result<(), JournalError> {
        let operators = |write: &Write| {
            let bare = write.lease.is_none() && write.spend.is_none() && write.inputs.is_none();
            bare && write.records.iter().all(|record| record.scope == Scope::Operator)
        };
        match self {
            StoreAccess::OperatorsWord if writes.iter().all(operators) => Ok(()),
            _ => self.as_daemon(place),
        }
    }
}
