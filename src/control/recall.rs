//! A rule that learns, and is new: what the journal knows of its load is gone through first, so that
//! an edit of the configuration does not begin at nothing.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Timestamp, clock};

use super::FleetInWorld;
use crate::journal::{Entry, Known, Look, Said};
use crate::model::{Event, History, RuleMemory, RuleName, SignalName, Ticked};
use crate::{journal::Journal, policy};

/// A day: what the rule knows of the hours before yesterday, it would have forgotten half of.
const RECALLED: Duration = Duration::from_secs(24 * 60 * 60);

/// The known facts, with the memory of rules that have none made from recorded ticks.
pub(super) async fn recalled(
    journal: &Journal,
    member: &FleetInWorld,
    mut known: Known,
    now: Timestamp,
) -> Known {
    let fleet = member.fleet.tuned(&known.account, &known.history);
    let new: Vec<_> = policy::learners(&fleet)
        .filter(|(name, rule)| is_new(&known.history, name, &rule.signal))
        .collect();
    if new.is_empty() {
        return known;
    }
    let look = Look {
        fleet: Some(member.fleet.id.clone()),
        since: Some(clock::before(now, RECALLED)),
        kinds: vec!["tick".to_owned()],
        ..Look::default()
    };
    let entries: Vec<Entry> = match journal.reader().look(&look).await {
        Ok(entries) => entries.collect(),
        Err(error) => {
            let id = &member.fleet.id;
            tracing::warn!(fleet.id = %id, "fleet `{id}`: its earlier load is not known: {error}");
            return known;
        }
    };
    let ticks: Vec<&Ticked> = entries.iter().filter_map(tick).collect();
    for (name, rule) in new {
        let readings = ticks.iter().map(|tick| {
            let value = tick.samples.get(&rule.signal).map(|sample| sample.value);
            (tick.at, value, tick.in_service)
        });
        let Some(state) = policy::recall(rule, readings) else { continue };
        let memory = &mut Arc::make_mut(&mut known.history).memory;
        let begun = || RuleMemory::new(None, now);
        memory.entry(name.clone()).or_insert_with(begun).adaptive = Some(Arc::new(state));
    }
    known
}

/// Whether nothing is remembered of a signal that was read before.
fn is_new(history: &History, name: &RuleName, signal: &SignalName) -> bool {
    let remembers = history.memory.get(name).is_some_and(|memory| memory.adaptive.is_some());
    let was_read = history
        .signals
        .get(signal)
        .is_some_and(|memory| memory.series.points().any(|point| point.value.is_some()));
    !remembers && was_read
}

fn tick(entry: &Entry) -> Option<&Ticked> {
    match &entry.said {
        Ok(Said::Fleet(Event::Ticked(ticked))) => Some(ticked),
        _ => None,
    }
}
