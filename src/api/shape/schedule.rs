//! What the schedules of a fleet say, as it is shown.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cloud::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::at;
use crate::model::{Fleet, RuleKind, Scheduled};

/// A week: most schedules are of the days of the week.
const AHEAD: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Of an entry that comes each hour, the next three tell enough.
const TIMES: usize = 3;
/// What a person reads of it.
const SHOWN: usize = 12;

/// One time of an entry of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduledView {
    /// The name of the rule.
    pub rule: String,
    pub is_in_force: bool,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// At least so many while it is in force, if it says so.
    pub min_instances: Option<u32>,
    /// At most so many.
    pub max_instances: Option<u32>,
    /// The direction in which nothing happens meanwhile: `scale_out` or `scale_in`.
    pub forbids: Option<String>,
}

impl ScheduledView {
    /// What the schedules of `fleet` say, now and in the next week.
    pub(in crate::api) fn all(fleet: &Fleet, now: Timestamp) -> Vec<ScheduledView> {
        let mut all = Vec::new();
        for rule in &fleet.rules {
            if let RuleKind::Schedule(schedule) = &rule.kind {
                let ahead = schedule.ahead(now, AHEAD, TIMES);
                all.extend(ahead.iter().map(|one| ScheduledView::of(&rule.name.0, one, now)));
            }
        }
        all.sort_by_key(|one| (one.from, one.until));
        all.truncate(SHOWN);
        all
    }

    fn of(rule: &str, scheduled: &Scheduled<'_>, now: Timestamp) -> ScheduledView {
        let sets = &scheduled.entry.sets;
        ScheduledView {
            rule: rule.to_owned(),
            is_in_force: scheduled.from <= now,
            from: at(scheduled.from),
            until: at(scheduled.until),
            min_instances: sets.min,
            max_instances: sets.max,
            forbids: sets.forbids.map(|direction| direction.to_string().replace('-', "_")),
        }
    }
}
