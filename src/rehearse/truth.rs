//! What is true in a rehearsal: the load, who carries it, and what the signals make of that.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cloud::{Clock, ManualClock};

use crate::model::{Gap, Reading, Sample, Span};
use crate::signals::Source;

/// The load, and how many instances carry it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Now {
    pub(super) load: f64,
    pub(super) serving: u32,
    /// The signals are away.
    pub(super) is_away: bool,
}

/// Shared between the course of events and the signals.
#[derive(Debug, Default)]
pub(super) struct Truth(Mutex<Now>);

impl Truth {
    pub(super) fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// The load in total.
    Load,
    /// How much of an instance is used, of which a full one has so much.
    Used { full: f64 },
    /// What an instance carries on average.
    Each,
    /// Nothing that the load tells.
    Idle,
}

/// One signal of the fleet.
#[derive(Debug)]
pub(super) struct Simulated {
    pub(super) meaning: Meaning,
    /// The load that one instance carries.
    pub(super) capacity: f64,
    pub(super) truth: Arc<Truth>,
    pub(super) clock: ManualClock,
}

#[async_trait]
impl Source for Simulated {
    async fn read(&self) -> Reading {
        let Now { load, serving, is_away } = *self.truth.now();
        if is_away {
            return Err(Gap::Unreachable { why: "it is away in this rehearsal".to_owned() });
        }
        let each = load / f64::from(serving);
        let value = match self.meaning {
            Meaning::Load => load,
            Meaning::Idle => 0.0,
            // Nobody reports.
            Meaning::Used { .. } | Meaning::Each if serving == 0 => return Err(Gap::Empty),
            // An instance is never more than full.
            Meaning::Used { full } => (each / self.capacity).min(1.0) * full,
            Meaning::Each => each,
        };
        let age = Span::secs(0);
        Ok(Sample { value, measured_at: self.clock.now(), age, reporting: Some(serving) })
    }
}
