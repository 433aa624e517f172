//! How many instances a configuration may speak of, in a fleet, an hour or a step.

use super::value::{Value, count};

/// 10,000: ten times what one listing by tags can show, and far above any quota by default.
pub(super) const INSTANCES_MAX: u32 = 10_000;

/// Reads a number of instances, `least` or more.
pub(super) fn instances(least: u32) -> impl Fn(&Value<'_>) -> Option<u32> {
    count(least..=INSTANCES_MAX)
}
