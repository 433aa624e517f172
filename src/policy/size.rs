//! The rules that turn a value straight into a size: `step`, `queue` and `external`.
//!
//! They act at once: what they ask for is a size, not a step, so one shortage is answered once. The
//! fleet's window keeps them from swinging, since a scale-in takes the highest size of it.

use crate::model::{
    Band, Bands, Counterfactual, Direction, External, Measured, Queue, Reason, SignalName,
    Situation,
};

use super::coverage::{completed, partial};
use super::target::instances;
use super::{Opinion, Pull, missing};

/// The opinion of a rule with a size for each band.
pub(super) fn step(rule: &Bands, situation: &Situation<'_>) -> Opinion {
    let signal = &rule.signal;
    let Some(measured) = situation.measured(signal) else {
        return missing(signal.clone(), situation);
    };
    let value = measured.value;
    let above = rule.bands.iter().find(|band| band.from > value);
    let band = rule.bands.iter().rev().find(|band| band.from <= value);
    let size = band.map_or(rule.lowest, |band| band.size);
    let reason =
        Reason::InBand { signal: signal.clone(), value, from: band.map(|band| band.from), size };
    let at = |direction, band: &Band| Counterfactual::Samples {
        signal: signal.clone(),
        direction,
        bound: band.from,
        more: 1,
    };
    let counterfactuals = above.map(|band| at(Direction::Out, band)).into_iter();
    let counterfactuals = counterfactuals.chain(band.map(|band| at(Direction::In, band)));
    let opinion = aims_at(signal, size, reason, situation);
    careful(Opinion { counterfactuals: counterfactuals.collect(), ..opinion }, &measured, situation)
}

/// The opinion of a rule that works a backlog off.
pub(super) fn queue(rule: &Queue, situation: &Situation<'_>) -> Opinion {
    let signal = &rule.signal;
    let Some(measured) = situation.measured(signal) else {
        return missing(signal.clone(), situation);
    };
    let waiting = completed(signal, &measured, situation).max(0.0);
    let running = match &rule.running {
        None => Ok(0.0),
        Some(signal) => match situation.measured(signal) {
            Some(measured) => Ok(completed(signal, &measured, situation).max(0.0)),
            None => Err(missing(signal.clone(), situation)),
        },
    };
    // Nobody knows how many run: those that wait may be a reason for more, and none for fewer.
    let known = running.as_ref().copied().unwrap_or(0.0);
    let in_time = instances((waiting + known) / rule.per_instance());
    // An instance that works is not taken from its work, however much time there is.
    let at_work = match rule.slots {
        Some(slots) => instances(known / f64::from(slots)),
        None => 0,
    };
    let some = u32::from(waiting + known > 0.0);
    let size = in_time.max(at_work).max(some);
    let reason = Reason::Backlog {
        signal: signal.clone(),
        waiting,
        running: known,
        within: rule.within,
        size,
    };
    let opinion = aims_at(signal, size, reason, situation);
    match (opinion.pull, running) {
        (Pull::In(_) | Pull::Stay, Err(unknown)) => unknown,
        _ => careful(opinion, &measured, situation),
    }
}

/// The opinion of a rule whose signal is the size.
pub(super) fn external(rule: &External, situation: &Situation<'_>) -> Opinion {
    let signal = &rule.signal;
    let Some(measured) = situation.measured(signal) else {
        return missing(signal.clone(), situation);
    };
    let value = measured.value;
    if !(0.0..=f64::from(u32::MAX)).contains(&value) {
        let reason = Reason::NoSize { signal: signal.clone(), value };
        return Opinion {
            signal: signal.clone(),
            pull: Pull::Abstain,
            reasons: vec![reason.clone()],
            blocked_by: Some(reason),
            counterfactuals: vec![Counterfactual::SignalReturns { signal: signal.clone() }],
        };
    }
    let size = instances(value);
    let reason = Reason::Recommended { signal: signal.clone(), size };
    aims_at(signal, size, reason, situation)
}

fn aims_at(signal: &SignalName, size: u32, reason: Reason, situation: &Situation<'_>) -> Opinion {
    let current = situation.census.capacity;
    Opinion {
        signal: signal.clone(),
        pull: match size.cmp(&current) {
            std::cmp::Ordering::Greater => Pull::Out(size),
            std::cmp::Ordering::Less => Pull::In(size),
            std::cmp::Ordering::Equal => Pull::Stay,
        },
        reasons: vec![reason],
        blocked_by: None,
        counterfactuals: Vec::new(),
    }
}

/// Fewer instances on the word of a part of the fleet: no opinion.
fn careful(opinion: Opinion, measured: &Measured, situation: &Situation<'_>) -> Opinion {
    if !matches!(opinion.pull, Pull::In(_)) {
        return opinion;
    }
    let Some(reason) = partial(&opinion.signal, measured, situation) else { return opinion };
    Opinion {
        pull: Pull::Abstain,
        blocked_by: Some(reason.clone()),
        reasons: vec![reason],
        counterfactuals: vec![Counterfactual::SignalReturns { signal: opinion.signal.clone() }],
        signal: opinion.signal,
    }
}
