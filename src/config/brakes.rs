//! How much may happen in an hour, of a fleet or of an account.

use super::size::instances;
use super::table::Table;
use super::value::number;
use crate::model::Brakes;

pub(super) fn read(table: &Table<'_>) -> Brakes {
    Brakes {
        launches_per_hour: table.optional("max_launches_per_hour", instances(0)),
        removals_per_hour: table.optional("max_removals_per_hour", instances(0)),
        removal_percent: table.optional("max_removal_percent", number(0.1..=100.0)),
    }
}
