//! The memory of a rule from one tick to the next.
//!
//! A decision returns it, the journal keeps it with the tick, and the next decision gets it back:
//! a restart forgets nothing, and a replay has what the decision had.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{AdaptiveState, RuleName};

/// The memory of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleMemory {
    /// The size that the rule asked for; `None` while it has no opinion.
    pub wants: Option<u32>,
    /// Since when it has asked for that.
    pub since: Timestamp,
    /// The adaptive rule's knowledge of its load. It is large, so it is recorded every ten minutes;
    /// the steps since then are made again from the signal's series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive: Option<Arc<AdaptiveState>>,
}

/// How old the recorded state of an adaptive rule may become: 12 KB each ten minutes are nothing,
/// and forty steps to make again are done in 40 µs.
const STATE_KEPT_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The memory of each rule of a fleet.
pub type Memories = BTreeMap<RuleName, RuleMemory>;

/// The changes of a tick in the memory of rules: the new one, or `None` for a rule that is gone.
pub type MemoryChanges = BTreeMap<RuleName, Option<RuleMemory>>;

impl RuleMemory {
    /// The memory of a rule that asks for `wants` since `now`.
    #[must_use]
    pub fn new(wants: Option<u32>, now: Timestamp) -> RuleMemory {
        RuleMemory { wants, since: now, adaptive: None }
    }

    /// The rule asks for `wants` at `now`.
    pub fn ask(&mut self, wants: Option<u32>, now: Timestamp) {
        if self.wants != wants {
            self.wants = wants;
            self.since = now;
        }
    }
}

impl RuleMemory {
    /// Whether `after` is to be recorded, when this is what the records know.
    fn is_outdated_by(&self, after: &RuleMemory) -> bool {
        let state_is_due = match (&self.adaptive, &after.adaptive) {
            (Some(before), Some(after)) => clock::age(after.at, before.at) >= STATE_KEPT_AGAIN,
            (before, after) => before.is_some() != after.is_some(),
        };
        state_is_due || (self.wants, self.since) != (after.wants, after.since)
    }
}

/// The changes to record so that `before` becomes `after`.
#[must_use]
pub fn memory_changes(before: &Memories, after: &Memories) -> MemoryChanges {
    let gone = before.keys().filter(|name| !after.contains_key(name));
    let changed = after.iter().filter(|(name, memory)| {
        before.get(name).is_none_or(|before| before.is_outdated_by(memory))
    });
    gone.map(|name| (name.clone(), None))
        .chain(changed.map(|(name, memory)| (name.clone(), Some(memory.clone()))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{ago, now};

    #[test]
    fn only_what_changed_is_recorded_and_a_rule_that_is_gone_is_forgotten() {
        let memory = |wants, since| RuleMemory { wants, since, adaptive: None };
        let before: Memories = [
            ("same".into(), memory(Some(4), ago(60))),
            ("other".into(), memory(Some(4), ago(60))),
            ("gone".into(), memory(None, ago(60))),
        ]
        .into();
        let mut after = before.clone();
        after.remove(&"gone".into());
        after.insert("new".into(), RuleMemory::new(Some(6), now()));
        for (name, memory) in &mut after {
            memory.ask(if name.0 == "same" { Some(4) } else { Some(6) }, now());
        }
        let changes = memory_changes(&before, &after);
        let expected: MemoryChanges = [
            ("other".into(), Some(memory(Some(6), now()))),
            ("new".into(), Some(memory(Some(6), now()))),
            ("gone".into(), None),
        ]
        .into();
        assert_eq!(changes, expected);
        assert_eq!(after[&"same".into()].since, ago(60), "since when it has asked for that");
    }
}
