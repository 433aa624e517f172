//! Everything that a decision is made from, as plain values: no instance, no tag, no provider.
//!
//! A tick makes it of what it saw, a backtest of what it simulates; both call the same policy.

use std::collections::{BTreeMap, VecDeque};

use cloud::Timestamp;

use super::{
    Account, Census, Failures, Fleet, History, Hold, Inputs, Instruction, Moves, SignalMemory,
    SignalName, Signals, Spent, StandingTarget,
};

/// One fleet at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub now: Timestamp,
    pub fleet: &'a Fleet,
    pub census: &'a Census,
    pub signals: &'a Signals,
    pub past: Past<'a>,
    pub account: &'a Account,
    /// Those that concern the fleet.
    pub holds: &'a [Hold],
    /// Those that concern the fleet and are in force.
    pub instructions: &'a [Instruction],
    pub spent: Spent,
}

/// The part of a fleet's history that the policy looks at. It ends before this tick.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// When the records began.
    pub began: Option<Timestamp>,
    /// The end of the last action in each direction.
    pub last_out: Option<Timestamp>,
    pub last_in: Option<Timestamp>,
    /// The size that the newest decision wanted.
    pub last_desired: u32,
    /// A size that was decided and is not reached through no decision of ours.
    pub standing: Option<StandingTarget>,
    /// How many instances served, from each of these times on.
    pub in_service: &'a VecDeque<(Timestamp, u32)>,
    /// The recommended sizes, from each of these times on.
    pub recommended: &'a VecDeque<(Timestamp, u32)>,
    /// The changes of size of the last hour.
    pub moves: &'a Moves,
    pub failures: Option<&'a Failures>,
    pub signals: &'a BTreeMap<SignalName, SignalMemory>,
}

impl Past<'_> {
    /// The part of `history` that the policy looks at.
    #[must_use]
    pub fn of(history: &History) -> Past<'_> {
        Past {
            began: history.began,
            last_out: history.last_out,
            last_in: history.last_in,
            last_desired: history.last_desired,
            standing: history.standing,
            in_service: &history.in_service,
            recommended: &history.recommended,
            moves: &history.moves,
            failures: history.failures.as_ref(),
            signals: &history.signals,
        }
    }

    /// How many instances served at `at`; `None` before the records reach.
    #[must_use]
    pub fn in_service_at(&self, at: Timestamp) -> Option<u32> {
        self.in_service.iter().rev().find(|(from, _)| *from <= at).map(|(_, count)| *count)
    }

    /// When the last action in either direction ended.
    #[must_use]
    pub fn last_action(&self) -> Option<Timestamp> {
        self.last_out.max(self.last_in)
    }
}

impl Inputs {
    /// The fleet in numbers.
    #[must_use]
    pub fn census(&self) -> Census {
        Census::of(&self.inventory, &self.history, self.now)
    }

    /// These inputs as the policy takes them, with the `census` of them. What rules remember is in
    /// `history.memory`.
    #[must_use]
    pub fn situation<'a>(&'a self, census: &'a Census) -> Situation<'a> {
        Situation {
            now: self.now,
            fleet: &self.fleet,
            census,
            signals: &self.signals,
            past: Past::of(&self.history),
            account: &self.account,
            holds: &self.holds,
            instructions: &self.instructions,
            spent: self.spent,
        }
    }
}
