//! How much may happen in an hour, of a fleet or of an account.

use super::size::instances;
use super::table::Table;
use super::value::{Value, number, word};
use crate::model::{Brakes, RateLimit};

/// Half of a fleet an hour, unless the operator says otherwise. A load that really falls seldom falls
/// by more than half within an hour, and whatever is wrong (a signal, a rule, a bound), half of the
/// fleet still serves when a person looks. One may always go, so a small fleet shrinks as well.
const REMOVAL_PERCENT: f64 = 50.0;

/// Of a fleet: a limit on removals is always in force. One that is given takes the place of the default.
pub(super) fn of_fleet(table: &Table<'_>) -> Brakes {
    let mut brakes = read(table);
    if !table.has("max_removals_per_hour") && !table.has("max_removal_percent") {
        brakes.removal_percent = Some(REMOVAL_PERCENT);
    }
    brakes
}

pub(super) fn read(table: &Table<'_>) -> Brakes {
    Brakes {
        launches_per_hour: table.optional("max_launches_per_hour", instances(0)),
        removals_per_hour: table.optional("max_removals_per_hour", instances(0)),
        removal_percent: table.optional("max_removal_percent", number(0.1..=100.0)),
    }
}

/// More limits in one direction than anybody can follow are a slip.
const RATES_MAX: usize = 8;

/// `scale_out_limits` or `scale_in_limits`: how fast a fleet may change.
pub(super) fn rates(table: &Table<'_>, key: &'static str, example: &str) -> Vec<RateLimit> {
    let limits = table.optional(key, |value| {
        let items = value.items(&format!("{example:?}"))?;
        if items.len() > RATES_MAX {
            return value.problem(
                format!("`{key}` has {} limits", items.len()),
                format!("{RATES_MAX} are the most; the narrowest counts anyway"),
            );
        }
        Some(items.iter().filter_map(|item| rate(item, example)).collect())
    });
    limits.unwrap_or_default()
}

fn rate(value: &Value<'_>, example: &str) -> Option<RateLimit> {
    let text = word(value)?;
    match text.parse() {
        Ok(limit) => Some(limit),
        Err(why) => value.problem(
            format!("{text:?} is no limit over time: {why}"),
            format!("write a number, a percentage or both, and the time: {example:?}"),
        ),
    }
}
