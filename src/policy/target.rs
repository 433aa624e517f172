//! Target: the size at which each instance carries what it should.
//!
//! A value speaks of the instances that were in service when it was measured: value × those ÷ target
//! is the size. What boots is no data but counts as coming, so one shortage is answered once. The
//! rule acts at once; what keeps it from swinging is the tolerance, and the fleet's window for
//! scale-ins.

use crate::model::{Direction, Reason, Situation, Target, TargetOf};

use super::coverage::{completed, partial};
use super::{Counterfactual, Opinion, Pull, missing};

/// The opinion of `rule` now.
pub(super) fn opinion(rule: &Target, situation: &Situation<'_>) -> Opinion {
    let signal = rule.signal.clone();
    let Some(measured) = situation.measured(&signal) else { return missing(signal, situation) };
    let current = situation.census.capacity;
    let then = measured.in_service.unwrap_or(current);
    let (size, direction) = match rule.of {
        TargetOf::Average => of_average(rule, measured.value, then, situation),
        TargetOf::Total => of_total(rule, completed(&signal, &measured, situation), current),
    };
    let (above, below) = (1.0 + rule.tolerance.out, 1.0 - rule.tolerance.in_);
    let mut opinion = Opinion {
        pull: match direction {
            Some(Direction::Out) if size > current => Pull::Out(size),
            Some(Direction::In) if size < current => Pull::In(size),
            _ => Pull::Stay,
        },
        signal: signal.clone(),
        reasons: vec![Reason::AgainstTarget {
            signal: signal.clone(),
            value: measured.value,
            target: rule.target,
            measured_with: then,
            size,
        }],
        blocked_by: None,
        counterfactuals: match (rule.of, current) {
            // At 0 any load is too much, and there is nobody to remove.
            (TargetOf::Total, 0) => vec![bound(rule, Direction::Out, 0.0, current)],
            _ => vec![
                bound(rule, Direction::Out, above * rule.target, current),
                bound(rule, Direction::In, below * rule.target, current),
            ],
        },
    };
    if matches!(opinion.pull, Pull::In(_))
        && let Some(reason) = partial(&signal, &measured, situation)
    {
        opinion.pull = Pull::Abstain;
        opinion.blocked_by = Some(reason.clone());
        opinion.reasons = vec![reason];
        opinion.counterfactuals = vec![Counterfactual::SignalReturns { signal }];
    }
    opinion
}

/// The size for an average, and the side of the target on which it lies.
///
/// How many served when it was measured is known to a tick, and instances come and go between ticks.
/// So a scale-out is counted from the fewer of then and now, a scale-in from the more: counted from
/// the wrong side, each error would be answered by a larger one.
fn of_average(
    rule: &Target,
    value: f64,
    then: u32,
    situation: &Situation<'_>,
) -> (u32, Option<Direction>) {
    let now = situation.census.in_service;
    let size = |served: u32| instances(value * f64::from(served) / rule.target);
    match side(rule, value / rule.target) {
        Some(Direction::Out) => (size(then.min(now)), Some(Direction::Out)),
        Some(Direction::In) => (size(then.max(now)), Some(Direction::In)),
        None => (then, None),
    }
}

/// The size for a total, and the side of the target on which it lies for `current` instances.
///
/// With none at all the tolerance has nothing to be a share of: whatever load there is, somebody has to carry it.
fn of_total(rule: &Target, total: f64, current: u32) -> (u32, Option<Direction>) {
    if current == 0 {
        let size = instances(total / rule.target);
        return (size, (size > 0).then_some(Direction::Out));
    }
    let ratio = total / (rule.target * f64::from(current));
    match side(rule, ratio) {
        None => (current, None),
        side => (instances(total / rule.target), side),
    }
}

/// On which side of the target a ratio lies, if it is beyond the tolerance.
fn side(rule: &Target, ratio: f64) -> Option<Direction> {
    if ratio > 1.0 + rule.tolerance.out {
        Some(Direction::Out)
    } else if ratio < 1.0 - rule.tolerance.in_ {
        Some(Direction::In)
    } else {
        None
    }
}

/// The value beyond which it would act.
fn bound(rule: &Target, direction: Direction, average: f64, current: u32) -> Counterfactual {
    let bound = match rule.of {
        TargetOf::Average => average,
        TargetOf::Total => average * f64::from(current),
    };
    Counterfactual::Samples { signal: rule.signal.clone(), direction, bound, more: 1 }
}

/// Rounded up, but for rounding errors.
pub(super) fn instances(size: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and a negative load needs nothing"
    )]
    let whole = (size - 1e-9).ceil() as u32;
    whole
}
