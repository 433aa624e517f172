//! Threshold with hysteresis: out after a run of new samples above one bound, in after a run below
//! a lower one.

use crate::model::{Counterfactual, Direction, Reason, SampleWindow, Threshold};

use super::{Opinion, Pull, Situation};

/// One side of the rule, seen from its own direction.
struct Side {
    direction: Direction,
    bound: f64,
    samples: u32,
    by: crate::model::Step,
    cooldown: std::time::Duration,
}

/// What `rule` wants now.
pub(super) fn opinion(rule: &Threshold, situation: &Situation<'_>) -> Opinion {
    let signal = rule.signal.clone();
    let blank = Opinion {
        signal: signal.clone(),
        pull: Pull::Abstain,
        reasons: Vec::new(),
        blocked_by: None,
        counterfactuals: Vec::new(),
    };
    let value = match situation.signals.get(&signal) {
        Some(Ok(sample)) => sample.value,
        gap => {
            let gap = match gap {
                Some(Err(gap)) => gap.clone(),
                // The tick reads every configured signal; one that is absent was not read.
                _ => crate::model::Gap::Empty,
            };
            let reason = Reason::Missing { signal: signal.clone(), gap };
            return Opinion {
                reasons: vec![reason.clone()],
                blocked_by: Some(reason),
                counterfactuals: vec![Counterfactual::SignalReturns { signal }],
                ..blank
            };
        }
    };
    let window = situation.window(&signal);
    let crossed = rule.sides().into_iter().find(|side| side.is_past(value));
    match crossed {
        Some(side) => side.opinion(&window, value, situation, blank),
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
            samples: out.samples,
            by: out.by,
            cooldown: self.cooldown.out.get(),
        });
        let in_ = self.scale_in.map(|in_| Side {
            direction: Direction::In,
            bound: in_.below,
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
    fn opinion(
        &self,
        window: &SampleWindow,
        value: f64,
        situation: &Situation<'_>,
        blank: Opinion,
    ) -> Opinion {
        let signal = blank.signal.clone();
        let run = window.newest_first().take_while(|sample| self.is_past(sample.value)).count();
        let have = u32::try_from(run).unwrap_or(u32::MAX);
        if have < self.samples {
            let reason = Reason::RunIncomplete {
                signal: signal.clone(),
                direction: self.direction,
                value,
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
        let step = self.by.of(situation.current);
        let reason = Reason::Crossed {
            signal,
            direction: self.direction,
            value,
            bound: self.bound,
            samples: self.samples,
            by: self.by,
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
                Direction::Out => Pull::Out(situation.current.saturating_add(step)),
                Direction::In => Pull::In(situation.current.saturating_sub(step)),
            },
            reasons: std::iter::once(reason).chain(cooling.clone()).collect(),
            blocked_by: cooling,
            counterfactuals,
            ..blank
        }
    }

    fn if_it_stayed_past(&self, signal: crate::model::SignalName, more: u32) -> Counterfactual {
        Counterfactual::Samples { signal, direction: self.direction, bound: self.bound, more }
    }
}
