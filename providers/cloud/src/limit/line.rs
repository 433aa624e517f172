//! The calls that wait for an action, in the order in which they pass.

use std::collections::VecDeque;

use super::Limits;
use crate::Urgency;

/// The calls of one action that wait: those that somebody acts on first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    next: u64,
    acting: VecDeque<u64>,
    looking: VecDeque<u64>,
}

/// One call's number in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    urgency: Urgency,
}

impl Queue {
    pub(super) fn join(&mut self, urgency: Urgency) -> Ticket {
        let number = self.next;
        self.next += 1;
        self.of(urgency).push_back(number);
        Ticket { number, urgency }
    }

    /// How many pass before it.
    pub(super) fn ahead_of(&self, ticket: Ticket) -> u32 {
        let before = |line: &VecDeque<u64>| line.partition_point(|other| *other < ticket.number);
        let ahead = match ticket.urgency {
            Urgency::Act => before(&self.acting),
            Urgency::Look => self.acting.len() + before(&self.looking),
        };
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }

    pub(super) fn leave(&mut self, ticket: Ticket) {
        let line = self.of(ticket.urgency);
        // Numbers grow from front to back.
        if let Ok(at) = line.binary_search(&ticket.number) {
            line.remove(at);
        }
    }

    fn of(&mut self, urgency: Urgency) -> &mut VecDeque<u64> {
        match urgency {
            Urgency::Act => &mut self.acting,
            Urgency::Look => &mut self.looking,
        }
    }
}

/// A place in the line of an action, given up when the call has passed or is not wanted any more.
#[derive(Debug)]
pub(super) struct QueuePlace<'a> {
    pub(super) limits: &'a Limits,
    pub(super) action: String,
    pub(super) ticket: Ticket,
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        let mut gates = self.limits.gates.lock().expect("no holder of this lock can panic");
        if let Some(action) = gates.actions.get_mut(&self.action) {
            action.line.leave(self.ticket);
        }
    }
}
