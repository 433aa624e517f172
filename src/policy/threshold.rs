//! Threshold with hysteresis: out after a run of new samples above one bound, in after a run below
//! a lower one.
//!
//! A value speaks of the instances that were in service when it was measured, not of those that
//! there are now: a step is counted from there, so that one shortage is not answered twice while
//! its answer boots.

use crate::model::{
    Counterfactual, Direction, Measured, Reason, SignalName, Situation, Step, Threshold,
};

use super::coverage::{is_per_instance, partial};
use super::target::instances;
use super::{Opinion, Pull, missing};

/// One side of the rule, seen from its own direction.
struct Side {
    direction: Direction,
    bound: f64,
    /// The bound of the other side, if there is one.
    opposite: Option<f64>,
    samples: u32,
    by: Step,
    cooldown: std::time::Duration,
}

/// The opinion of `rule` now.
pub(super) fn opinion(rule: &Threshold, situation: &Situation<'_>) -> Opinion {
    let signal = rule.signal.clone();
    let blank = Opinion {
        signal: signal.clone(),
        pull: Pull::Abstain,
        reasons: Vec::new(),
        blocked_by: None,
        counterfactuals: Vec::new(),
    };
    let Some(measured) = situation.measured(&signal) else {
        return missing(signal, situation);
    };
    let value = measured.value;
    match rule.sides().into_iter().find(|side| side.is_past(value)) {
        Some(side) => side.opinion(&measured, situation, blank),
        None => Opinion {
            pull: if rule.scale_in.is_some() { Pull::Stay } else { Pull::Neutral },
            reasons: vec![Reason::WithinBand { signal: signal.clone(), value }],
            counterfactuals: rule
                .sides()
                .into_iter()
                .map(|side| side.if_it_stayed_past(signal.clone(), side.samples))
                .collect(),
            ..blank
        },
    }
}

impl Threshold {
    /// Out first: when in doubt, capacity wins.
    fn sides(&self) -> Vec<Side> {
        let out = self.scale_out.map(|out| Side {
            direction: Direction::Out,
            bound: out.above,
            opposite: self.scale_in.map(|in_| in_.below),
            samples: out.samples,
            by: out.by,
            cooldown: self.cooldown.out.get(),
        });
        let in_ = self.scale_in.map(|in_| Side {
            direction: Direction::In,
            bound: in_.below,
            opposite: self.scale_out.map(|out| out.above),
            samples: in_.samples,
            by: in_.by,
            cooldown: self.cooldown.in_.get(),
        });
        out.into_iter().chain(in_).collect()
    }
}

impl Side {
    fn is_past(&self, value: f64) -> bool {
        match self.direction {
            Direction::Out => value > self.bound,
            Direction::In => value < self.bound,
        }
    }

    /// The newest sample is past the bound: how long is the run, and may the rule act?
    fn opinion(&self, measured: &Measured, situation: &Situation<'_>, blank: Opinion) -> Opinion {
        let signal = blank.signal.clone();
        // Few instances that report high load are a reason for more; few that report none are no
        // reason for fewer.
        if self.direction == Direction::In
            && let Some(reason) = partial(&signal, measured, situation)
        {
            return Opinion {
                blocked_by: Some(reason.clone()),
                reasons: vec![reason],
                counterfactuals: vec![Counterfactual::SignalReturns { signal }],
                ..blank
            };
        }
        let (from, mut target) = self.target(measured, situation);
        let mut swing = None;
        if let Some((size, reason)) = self.would_swing(&signal, measured, target, situation) {
            if size >= situation.census.capacity {
                return Opinion {
                    pull: Pull::Stay,
                    blocked_by: Some(reason.clone()),
                    reasons: vec![reason],
                    ..blank
                };
            }
            target = size;
            swing = Some(reason);
        }
        let answered = match self.direction {
            Direction::Out => target <= situation.census.capacity,
            Direction::In => target >= situation.census.capacity,
        };
        if answered {
            let (measured_with, capacity) = (from, situation.census.capacity);
            let reason = Reason::Answered { signal, measured_with, capacity };
            return Opinion {
                pull: Pull::Stay,
                blocked_by: Some(reason.clone()),
                reasons: vec![reason],
                ..blank
            };
        }
        let counts = |sample: &&Measured| {
            self.is_past(sample.value)
                && (self.direction == Direction::Out
                    || partial(&signal, sample, situation).is_none())
        };
        let run = situation.run(&signal, measured).take_while(counts).count();
        let have = u32::try_from(run).unwrap_or(u32::MAX);
        if have < self.samples {
            let reason = Reason::RunIncomplete {
                signal: signal.clone(),
                direction: self.direction,
                value: measured.value,
                bound: self.bound,
                have,
                need: self.samples,
            };
            return Opinion {
                // Load that is about to trigger a scale-out must not be answered by a scale-in of
                // another rule meanwhile; a run of idle samples that is too short keeps the size.
                pull: Pull::Stay,
                blocked_by: Some(reason.clone()),
                reasons: vec![reason],
                counterfactuals: vec![self.if_it_stayed_past(signal, self.samples - have)],
                ..blank
            };
        }
        let counted_from = match self.direction {
            Direction::Out => from,
            Direction::In => from.max(situation.census.capacity),
        };
        let reason = Reason::Crossed {
            signal,
            direction: self.direction,
            value: measured.value,
            bound: self.bound,
            samples: self.samples,
            by: self.by,
            from: Some(counted_from).filter(|from| *from != situation.census.capacity),
        };
        let cooling = situation.cooling(self.direction, self.cooldown);
        let counterfactuals = match &cooling {
            Some(Reason::CoolingDown { until, .. } | Reason::NoRecordYet { until }) => {
                vec![Counterfactual::After { direction: self.direction, until: *until }]
            }
            _ => Vec::new(),
        };
        Opinion {
            pull: match self.direction {
                Direction::Out => Pull::Out(target),
                Direction::In => Pull::In(target),
            },
            reasons: [Some(reason), swing, cooling.clone()].into_iter().flatten().collect(),
            blocked_by: cooling,
            counterfactuals,
            ..blank
        }
    }

    /// The size that a step is counted from, and the size that it leads to.
    ///
    /// Out: from the instances that carried the load that was measured. In: likewise, but never
    /// from fewer than there are, since low load on few instances is lower still on more.
    fn target(&self, measured: &Measured, situation: &Situation<'_>) -> (u32, u32) {
        let then = measured.in_service.unwrap_or(situation.census.capacity);
        match self.direction {
            Direction::Out => (then, then.saturating_add(self.by.of(then))),
            Direction::In => {
                let from = then.max(situation.census.capacity);
                (then, from.saturating_sub(self.by.of(from)))
            }
        }
    }

    /// The least size to which the fleet may go without each instance carrying so much that the rule
    /// would scale out again, and why, where that is more than `target`. Only for a value of each
    /// instance: a total is the same on fewer.
    fn would_swing(
        &self,
        signal: &SignalName,
        measured: &Measured,
        target: u32,
        situation: &Situation<'_>,
    ) -> Option<(u32, Reason)> {
        let bound = self.opposite.filter(|bound| *bound > 0.0)?;
        if self.direction == Direction::Out || !is_per_instance(signal, situation) {
            return None;
        }
        let then = measured.in_service.unwrap_or(situation.census.capacity);
        let load = measured.value * f64::from(then);
        let size = instances(load / bound);
        let projected = load / f64::from(size.saturating_sub(1).max(1));
        let signal = signal.clone();
        (size > target).then_some((size, Reason::WouldSwing { signal, projected, bound, size }))
    }

    fn if_it_stayed_past(&self, signal: SignalName, more: u32) -> Counterfactual {
        Counterfactual::Samples { signal, direction: self.direction, bound: self.bound, more }
    }
}
