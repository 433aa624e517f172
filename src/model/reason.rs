//! Why a decision is as it is: one reason each, for people, for records and for counting.

mod text;

use cloud::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Direction, Gap, RateLimit, SignalName, Step};

/// One reason, with the numbers that it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The run of samples that a rule waits for is complete.
    Crossed {
        signal: SignalName,
        direction: Direction,
        value: f64,
        bound: f64,
        samples: u32,
        by: Step,
        /// The instances that the step is counted from, where those are not what there is now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u32>,
    },
    /// The newest value is past the bound, but the run is not complete.
    RunIncomplete {
        signal: SignalName,
        direction: Direction,
        value: f64,
        bound: f64,
        have: u32,
        need: u32,
    },
    /// The newest value is between the bounds.
    WithinBand {
        signal: SignalName,
        value: f64,
    },
    /// The expected load, and the size for it.
    Expected(Box<super::Outlook>),
    /// The load that the instances carry, the load that they should, and the size at which they would.
    AgainstTarget {
        signal: SignalName,
        value: f64,
        target: f64,
        measured_with: u32,
        size: u32,
    },
    /// The value lies in a band that has a size.
    InBand {
        signal: SignalName,
        value: f64,
        /// Where the band begins; `None`: the lowest.
        from: Option<f64>,
        size: u32,
    },
    /// The jobs that wait and run, and the size that finishes them in time.
    Backlog {
        signal: SignalName,
        waiting: f64,
        running: f64,
        within: super::Span,
        size: u32,
    },
    /// The signal is the size.
    Recommended {
        signal: SignalName,
        size: u32,
    },
    /// The signal should be a size and cannot be one.
    NoSize {
        signal: SignalName,
        value: f64,
    },
    /// Fewer instances would each carry so much that the rule would add some at once.
    WouldSwing {
        signal: SignalName,
        /// The value with the fewer instances, and the bound that it would pass.
        projected: f64,
        bound: f64,
        size: u32,
    },
    /// A schedule sets the size, or the bounds.
    Scheduled {
        rule: super::RuleName,
        min: Option<u32>,
        max: Option<u32>,
        /// `None`: while none of its entries is in force.
        until: Option<Timestamp>,
    },
    /// A person set the size, or the bounds, for a while.
    Instructed {
        author: String,
        min: Option<u32>,
        max: Option<u32>,
        until: Timestamp,
    },
    /// A signal fell within moments while as many instances served.
    Cliff {
        signal: SignalName,
        from: f64,
        to: f64,
        until: Timestamp,
    },
    /// Users are served badly since the last scale-in.
    Regretted {
        signal: SignalName,
        value: f64,
        above: f64,
        floor: u32,
    },
    /// A scale-in was regretted a while ago.
    Regretting {
        floor: u32,
        until: Timestamp,
    },
    /// A schedule forbids a direction.
    Forbidden {
        rule: super::RuleName,
        direction: Direction,
        until: Timestamp,
    },
    /// The size needs no signal.
    Fixed {
        size: u32,
    },
    /// The course of the signal is not known, at first and after a gap: nothing is removed on it.
    Relearning {
        signal: SignalName,
        until: Timestamp,
    },
    /// The signal cannot be read: no opinion, hold.
    Missing {
        signal: SignalName,
        gap: Gap,
    },
    /// A cool-down runs.
    CoolingDown {
        direction: Direction,
        until: Timestamp,
    },
    /// Since when the records begin, no scale-in is known; one may have happened just before.
    NoRecordYet {
        until: Timestamp,
    },
    /// An earlier scale-out got only a part of its instances: the rest is looked for elsewhere.
    Unfinished {
        target: u32,
    },
    /// Instances were lost: they are replaced.
    Replacing {
        target: u32,
    },
    /// Instances did not boot in time: others take their place.
    NeverBooted {
        target: u32,
    },
    /// The shortage that the newest value shows has been answered already.
    Answered {
        signal: SignalName,
        /// Instances in service when it was measured.
        measured_with: u32,
        capacity: u32,
    },
    /// Too few instances report the signal: no opinion on fewer instances.
    Partial {
        signal: SignalName,
        reporting: u32,
        in_service: u32,
        min_coverage: f64,
    },
    /// A signal is missing and its fallback asks for more.
    FellBack {
        signal: SignalName,
        to: u32,
    },
    /// A higher size was recommended a short while ago.
    Stabilizing {
        highest: u32,
        until: Timestamp,
    },
    /// An operator's hold.
    Held {
        hold: super::Hold,
    },
    /// An hourly limit.
    Braked {
        direction: Direction,
        scope: BrakeScope,
        limit: u32,
        used: u32,
    },
    /// A limit of the fleet's on how fast it changes.
    Paced {
        direction: Direction,
        limit: RateLimit,
        used: u32,
        until: Timestamp,
    },
    /// Launches of this spec failed in a row.
    LaunchesFailed {
        in_a_row: u32,
        stopped: bool,
        until: Timestamp,
        why: String,
    },
    /// Launches stopped for the whole account.
    AccountStopped {
        class: cloud::Class,
        until: Timestamp,
        why: String,
    },
    /// After a pause, one instance is tried.
    Probing,
    /// A zone's instances are all silent.
    ZoneLost {
        zone: String,
        instances: u32,
    },
    /// Scale-in waits because another rule asks for more instances, or cannot say.
    Outvoted {
        signal: SignalName,
    },
    RaisedToMin {
        min: u32,
    },
    LoweredToMax {
        max: u32,
    },
    CappedAtMax {
        max: u32,
    },
    FlooredAtMin {
        min: u32,
    },
    /// Failed instances exist and count against `max` until they are gone.
    FailedCountAgainstMax {
        failed: u32,
        max: u32,
    },
    /// Instances on their way out exist and count against `max` until they are gone.
    LeavingCountAgainstMax {
        leaving: u32,
        max: u32,
    },
    /// The inventory is not to be trusted.
    Doubt {
        why: String,
    },
    /// A mutation whose outcome is not known is settled first.
    OutcomeOpen {
        instances: u32,
    },
    /// Nobody knows yet whether these were ended.
    EndOpen {
        instances: u32,
    },
}

/// The owner of an hourly limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrakeScope {
    Fleet,
    Account,
}

impl Reason {
    /// One word, as records and metrics name it: `cooling_down`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Reason::Crossed { .. } => "crossed",
            Reason::RunIncomplete { .. } => "run_incomplete",
            Reason::WithinBand { .. } => "within_band",
            Reason::Expected(_) => "expected",
            Reason::AgainstTarget { .. } => "against_target",
            Reason::InBand { .. } => "in_band",
            Reason::Backlog { .. } => "backlog",
            Reason::Recommended { .. } => "recommended",
            Reason::NoSize { .. } => "no_size",
            Reason::WouldSwing { .. } => "would_swing",
            Reason::Scheduled { .. } => "scheduled",
            Reason::Instructed { .. } => "instructed",
            Reason::Cliff { .. } => "cliff",
            Reason::Regretted { .. } => "regretted",
            Reason::Regretting { .. } => "regretting",
            Reason::Forbidden { .. } => "forbidden",
            Reason::Fixed { .. } => "fixed",
            Reason::Relearning { .. } => "relearning",
            Reason::Missing { .. } => "missing",
            Reason::CoolingDown { .. } => "cooling_down",
            Reason::NoRecordYet { .. } => "no_record_yet",
            Reason::Unfinished { .. } => "unfinished",
            Reason::Replacing { .. } => "replacing",
            Reason::NeverBooted { .. } => "never_booted",
            Reason::Answered { .. } => "answered",
            Reason::Partial { .. } => "partial",
            Reason::FellBack { .. } => "fell_back",
            Reason::Stabilizing { .. } => "stabilizing",
            Reason::Held { .. } => "held",
            Reason::Braked { .. } => "braked",
            Reason::Paced { .. } => "paced",
            Reason::LaunchesFailed { .. } => "launches_failed",
            Reason::AccountStopped { .. } => "account_stopped",
            Reason::Probing => "probing",
            Reason::ZoneLost { .. } => "zone_lost",
            Reason::Outvoted { .. } => "outvoted",
            Reason::RaisedToMin { .. } => "raised_to_min",
            Reason::LoweredToMax { .. } => "lowered_to_max",
            Reason::CappedAtMax { .. } => "capped_at_max",
            Reason::FlooredAtMin { .. } => "floored_at_min",
            Reason::FailedCountAgainstMax { .. } => "failed_count_against_max",
            Reason::LeavingCountAgainstMax { .. } => "leaving_count_against_max",
            Reason::Doubt { .. } => "doubt",
            Reason::OutcomeOpen { .. } => "outcome_open",
            Reason::EndOpen { .. } => "end_open",
        }
    }

    /// The subject of it: its kind, and the signal, direction and gap where it has them. Compared with
    /// what is recorded: its form stays as it is.
    pub(super) fn gist(&self) -> String {
        let (signal, direction) = self.about();
        let direction = match direction {
            Some(Direction::Out) => "out",
            Some(Direction::In) => "in",
            None => "",
        };
        let gap = if let Reason::Missing { gap, .. } = self { gap.name() } else { "" };
        format!("{} {} {direction} {gap}", self.kind(), signal.map_or("", |signal| &signal.0))
    }

    /// The signal that it speaks of, where it speaks of one.
    #[must_use]
    pub fn signal(&self) -> Option<&SignalName> {
        self.about().0
    }

    fn about(&self) -> (Option<&SignalName>, Option<Direction>) {
        match self {
            Reason::Crossed { signal, direction, .. }
            | Reason::RunIncomplete { signal, direction, .. } => (Some(signal), Some(*direction)),
            Reason::WithinBand { signal, .. }
            | Reason::Missing { signal, .. }
            | Reason::Relearning { signal, .. }
            | Reason::Cliff { signal, .. }
            | Reason::Regretted { signal, .. }
            | Reason::AgainstTarget { signal, .. }
            | Reason::InBand { signal, .. }
            | Reason::Backlog { signal, .. }
            | Reason::Recommended { signal, .. }
            | Reason::NoSize { signal, .. }
            | Reason::WouldSwing { signal, .. }
            | Reason::Answered { signal, .. }
            | Reason::Partial { signal, .. }
            | Reason::FellBack { signal, .. }
            | Reason::Outvoted { signal, .. } => (Some(signal), None),
            Reason::Expected(outlook) => (Some(&outlook.signal), None),
            Reason::CoolingDown { direction, .. }
            | Reason::Braked { direction, .. }
            | Reason::Paced { direction, .. }
            | Reason::Forbidden { direction, .. } => (None, Some(*direction)),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::fixtures::now;
    use crate::model::{Hold, Span};

    /// One of each kind.
    fn all() -> Vec<Reason> {
        let signal = || SignalName::from("cpu");
        let (direction, until, why) = (Direction::In, now(), "why".to_owned());
        let hold = Hold {
            id: uuid::Uuid::nil(),
            fleet: None,
            direction: Some(direction),
            author: "ops".to_owned(),
            reason: String::new(),
            placed: now(),
            until,
        };
        let gap = Gap::Stale { age: Span::secs(9), max_age: Span::secs(8) };
        let (value, bound) = (88.0, 75.0);
        vec![
            Reason::Crossed {
                signal: signal(),
                direction: Direction::Out,
                value,
                bound,
                samples: 2,
                by: Step::Count(1),
                from: Some(3),
            },
            Reason::RunIncomplete { signal: signal(), direction, value, bound, have: 1, need: 2 },
            Reason::WithinBand { signal: signal(), value },
            Reason::Expected(Box::new(super::super::Outlook {
                signal: signal(),
                value,
                load: 4.4,
                expected: 5.0,
                spread: 0.5,
                ahead: Span::secs(120),
                price: 10.0,
                size: 6,
                reacts: false,
            })),
            Reason::AgainstTarget {
                signal: signal(),
                value,
                target: 70.0,
                measured_with: 3,
                size: 4,
            },
            Reason::InBand { signal: signal(), value: 12.0, from: Some(10.0), size: 4 },
            Reason::Backlog {
                signal: signal(),
                waiting: 120.0,
                running: 4.0,
                within: crate::model::Span::secs(600),
                size: 7,
            },
            Reason::Recommended { signal: signal(), size: 4 },
            Reason::NoSize { signal: signal(), value: -1.0 },
            Reason::WouldSwing { signal: signal(), projected: 88.0, bound: 75.0, size: 2 },
            Reason::Scheduled {
                rule: "schedule".into(),
                min: Some(6),
                max: None,
                until: Some(now()),
            },
            Reason::Cliff { signal: signal(), from: 72.0, to: 9.0, until },
            Reason::Regretted { signal: signal(), value: 0.9, above: 0.5, floor: 6 },
            Reason::Regretting { floor: 6, until },
            Reason::Instructed {
                author: "mei".to_owned(),
                min: Some(6),
                max: Some(6),
                until: now(),
            },
            Reason::Forbidden { rule: "schedule".into(), direction: Direction::In, until: now() },
            Reason::Fixed { size: 3 },
            Reason::Relearning { signal: signal(), until },
            Reason::Missing { signal: signal(), gap },
            Reason::CoolingDown { direction, until },
            Reason::NoRecordYet { until },
            Reason::Unfinished { target: 3 },
            Reason::Replacing { target: 3 },
            Reason::Answered { signal: signal(), measured_with: 2, capacity: 3 },
            Reason::Partial { signal: signal(), reporting: 1, in_service: 3, min_coverage: 0.6 },
            Reason::FellBack { signal: signal(), to: 3 },
            Reason::Stabilizing { highest: 3, until },
            Reason::Held { hold },
            Reason::Braked { direction, scope: BrakeScope::Fleet, limit: 1, used: 1 },
            Reason::Paced {
                direction,
                limit: RateLimit { count: Some(1), percent: None, per: Span::secs(60) },
                used: 1,
                until,
            },
            Reason::LaunchesFailed { in_a_row: 1, stopped: false, until, why: why.clone() },
            Reason::AccountStopped { class: cloud::Class::Quota, until, why: why.clone() },
            Reason::Probing,
            Reason::ZoneLost { zone: "h".to_owned(), instances: 1 },
            Reason::Outvoted { signal: signal() },
            Reason::NeverBooted { target: 1 },
            Reason::RaisedToMin { min: 1 },
            Reason::LoweredToMax { max: 1 },
            Reason::CappedAtMax { max: 1 },
            Reason::FlooredAtMin { min: 1 },
            Reason::FailedCountAgainstMax { failed: 1, max: 1 },
            Reason::LeavingCountAgainstMax { leaving: 1, max: 1 },
            Reason::Doubt { why },
            Reason::OutcomeOpen { instances: 1 },
            Reason::EndOpen { instances: 1 },
        ]
    }

    #[test]
    fn a_kind_is_what_records_call_it_and_a_gist_is_made_of_what_they_hold() {
        for reason in all() {
            let value = serde_json::to_value(&reason).expect("JSON");
            let word = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
            assert_eq!(Some(reason.kind()), word("/reason"));
            let words = ["/reason", "/signal", "/direction", "/gap/gap"];
            let words = words.map(|pointer| word(pointer).unwrap_or_default());
            assert_eq!(reason.gist(), words.join(" "));
        }
        // Who meets an unknown kind names all that there are.
        let error = serde_json::from_value::<Reason>(json!({ "reason": "none" }));
        let error = error.expect_err("there is no such kind").to_string();
        let known: BTreeSet<&str> = error.split('`').skip(1).step_by(2).skip(1).collect();
        let reasons = all();
        assert_eq!(reasons.iter().map(Reason::kind).collect::<BTreeSet<_>>(), known);
    }
}
