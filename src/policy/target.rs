//! Target: the size at which each instance carries what it should.
//!
//! A value speaks of the instances that were in service when it was measured: value × those ÷ target
//! is the size. What boots is no data but counts as coming, so one shortage is answered once. The
//! rule acts at once; what keeps it from swinging is the tolerance, and the fleet's window for
//! scale-ins.

use crate::model::{Direction, Reason, Situation, Target, TargetOf};

use super::coverage::{completed, partial};
use super::{Counterfactual, Opinion, Pull, missing};

/// What `rule` wants now.
pub(super) fn opinion(rule: &Target, situation: &Situation<'_>) -> Opinion {
    let signal = rule.signal.clone();
    let Some(measured) = situation.measured(&signal) else { return missing(signal, situation) };
    let current = situation.census.capacity;
    let then = measured.in_service.unwrap_or(current);
    let (value, total) = match rule.of {
        TargetOf::Average => (measured.value, measured.value * f64::from(then)),
        TargetOf::Total => {
            let total = completed(&signal, &measured, situation);
            (total / f64::from(then.max(1)), total)
        }
    };
    let (above, below) = (1.0 + rule.tolerance.out, 1.0 - rule.tolerance.in_);
    let ratio = value / rule.target;
    // Without instances in service there is no average to keep.
    let on_target = then > 0 && (below..=above).contains(&ratio);
    let size = if on_target { then } else { instances(total / rule.target) };
    let mut opinion = Opinion {
        pull: match size.cmp(&current) {
            std::cmp::Ordering::Greater => Pull::Out(size),
            std::cmp::Ordering::Less if !on_target => Pull::In(size),
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
        counterfactuals: vec![
            bound(rule, Direction::Out, above * rule.target, then),
            bound(rule, Direction::In, below * rule.target, then),
        ],
    };
    if on_target && size > current {
        // What was in service then and is not there now is not missed by this rule.
        opinion.pull = Pull::Stay;
    }
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

/// The value beyond which it would act.
fn bound(rule: &Target, direction: Direction, average: f64, then: u32) -> Counterfactual {
    let bound = match rule.of {
        TargetOf::Average => average,
        TargetOf::Total => average * f64::from(then.max(1)),
    };
    Counterfactual::Samples { signal: rule.signal.clone(), direction, bound, more: 1 }
}

/// Rounded up, but for rounding errors.
fn instances(size: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and a negative load needs nothing"
    )]
    let whole = (size - 1e-9).ceil() as u32;
    whole
}
