//! From a signal's readings to an opinion: which steps are due, and what the rule says of them.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Timestamp, clock};

use super::super::coverage::{completed, partial};
use super::super::{Opinion, Pull, missing};
use super::experts;
use crate::model::{
    Adaptive, AdaptiveState, Counterfactual, Direction, Outlook, Reason, Series, Shape, Situation,
    Span,
};

/// After six hours without a tick the load is another one: the rule begins anew.
const PAUSE_MOST: Duration = Duration::from_secs(6 * 60 * 60);

/// The opinion of `rule` now. `memory` is what it returned last, and becomes what it returns now.
pub(in crate::policy) fn opinion(
    rule: &Adaptive,
    situation: &Situation<'_>,
    memory: &mut Option<Arc<AdaptiveState>>,
) -> Opinion {
    let signal = rule.signal.clone();
    let measured = situation.measured(&signal);
    let partial = measured.and_then(|measured| partial(&signal, &measured, situation));
    let load = measured.map(|measured| {
        let value = completed(&signal, &measured, situation);
        rule.load(value, measured.in_service)
    });
    // A total of which much is missing teaches nothing.
    advance(rule, situation, memory, load.filter(|_| partial.is_none()));
    let (Some(measured), Some(load), Some(state)) = (measured, load, memory) else {
        return missing(signal, situation);
    };
    let now = count(experts::instances(load));
    let size = state.want.max(now);
    let current = situation.census.capacity;
    let (expected, spread) = state.outlook();
    let shape = state.shape;
    let reasons = vec![Reason::Expected(Box::new(Outlook {
        signal: signal.clone(),
        value: measured.value,
        load,
        expected,
        spread,
        ahead: Span::secs(u64::from((shape.boot + shape.peak()) * shape.tick)),
        price: rule.price,
        size,
        reacts: now > state.want,
    }))];
    let mut opinion = Opinion {
        pull: match size.cmp(&current) {
            std::cmp::Ordering::Greater => Pull::Out(size),
            std::cmp::Ordering::Less => Pull::In(size),
            std::cmp::Ordering::Equal => Pull::Stay,
        },
        signal,
        reasons,
        blocked_by: None,
        counterfactuals: Vec::new(),
    };
    if let Some(reason) = partial.filter(|_| !matches!(opinion.pull, Pull::Out(_))) {
        opinion.pull = Pull::Abstain;
        opinion.reasons = vec![reason.clone()];
        opinion.blocked_by = Some(reason);
        let signal = opinion.signal.clone();
        opinion.counterfactuals = vec![Counterfactual::SignalReturns { signal }];
        return opinion;
    }
    // A few minutes after a gap, and after the very first value, it cannot tell yet where the load
    // goes: nothing is removed on that.
    let wait = state.gap.max(unlearned(state));
    if wait > 0 && size <= current && experts::instances(state.target) < f64::from(current) {
        let wait = Duration::from_secs(u64::from(wait) * u64::from(shape.tick));
        let until = clock::after(situation.now, wait);
        let reason = Reason::Relearning { signal: opinion.signal.clone(), until };
        opinion.pull = Pull::Stay;
        opinion.reasons.push(reason.clone());
        opinion.blocked_by = Some(reason);
        let direction = Direction::In;
        opinion.counterfactuals.push(Counterfactual::After { direction, until });
    }
    opinion
}

/// Steps until the first forecast can be compared with what came.
fn unlearned(state: &AdaptiveState) -> u32 {
    let made = u32::try_from(state.steps).unwrap_or(u32::MAX);
    (state.shape.horizon() + 1).saturating_sub(made)
}

/// A saturated signal counts as so many times what it shows: more would be a guess, and the next
/// reading, when the answer serves, shows whether it was enough. Of 1.2 to 2 this was the cheapest on
/// recorded loads.
const HIDDEN: f64 = 1.2;
/// From here on a signal that saturates is full.
const FULL: f64 = 0.995;

impl Adaptive {
    /// The load in instances that `value` shows, of a moment at which `in_service` instances served.
    fn load(&self, value: f64, in_service: Option<u32>) -> f64 {
        let load = (value / self.capacity).max(0.0);
        let full = in_service.filter(|_| self.saturates).map(f64::from);
        match full {
            Some(full) if full > 0.0 && load >= FULL * full => load * HIDDEN,
            _ => load,
        }
    }

    /// The steps in which its state advances. With long boots they are longer, so that the state
    /// stays small: what takes ten minutes need not be known to 15 seconds.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let boot = secs(self.boot.span).min(BOOT_SECS_MOST);
        let tick = match boot {
            0..=240 => 15,
            241..=480 => 30,
            _ => 60,
        };
        let tick = tick.max(whole_tick(secs(self.interval)));
        // The middle of the time that the signal is a mean of.
        let age = secs(self.lag) + secs(self.window) / 2;
        Shape {
            tick,
            boot: boot.div_ceil(tick),
            age: ((age + tick / 2) / tick).clamp(1, AGE_STEPS_MOST),
        }
    }
}

/// An instance that takes longer cannot follow any load, and the state would outgrow 20 KB.
const BOOT_SECS_MOST: u32 = 20 * 60;
/// A signal that is older than so many steps tells nothing of now.
const AGE_STEPS_MOST: u32 = 20;

fn secs(span: Span) -> u32 {
    u32::try_from(span.get().as_secs()).unwrap_or(u32::MAX)
}

/// Steps of 15 s, 30 s or a minute: what divides a minute bin, and is as long as the interval at
/// which the signal is read.
fn whole_tick(interval: u32) -> u32 {
    match interval {
        0..=22 => 15,
        23..=45 => 30,
        _ => 60,
    }
}

/// The memory that `rule` would have, had it been there while these readings were made: when, the value, and
/// how many instances served; oldest first. `None` where there is no value.
pub(in crate::policy) fn recall(
    rule: &Adaptive,
    readings: impl Iterator<Item = (Timestamp, Option<f64>, u32)>,
) -> Option<AdaptiveState> {
    let (shape, tick) = (rule.shape(), tick(rule.shape()));
    let mut known: Option<AdaptiveState> = None;
    for (at, value, in_service) in readings {
        let load = value.map(|value| rule.load(value, Some(in_service)));
        match &mut known {
            Some(state) if clock::age(at, state.at) <= PAUSE_MOST => {
                let due = steps_due(state, tick, at);
                // While nobody looked, nothing is known.
                (1..due).for_each(|_| state.step(None));
                if due > 0 {
                    state.step(load);
                    state.at = clock::after(state.at, tick * due);
                }
            }
            _ => known = load.map(|load| first(rule, shape, load, at)).or(known.take()),
        }
    }
    known
}

fn first(rule: &Adaptive, shape: Shape, load: f64, at: Timestamp) -> AdaptiveState {
    let mut state = AdaptiveState::begin(shape, rule.price, load, at);
    state.step(Some(load));
    state
}

fn tick(shape: Shape) -> Duration {
    Duration::from_secs(u64::from(shape.tick))
}

/// How many steps there are from the newest one to `now`, to the nearest.
fn steps_due(state: &AdaptiveState, tick: Duration, now: Timestamp) -> u32 {
    let due = (clock::age(now, state.at) + tick / 2).as_millis() / tick.as_millis();
    u32::try_from(due).unwrap_or(0)
}

/// Makes the steps that are due.
fn advance(
    rule: &Adaptive,
    situation: &Situation<'_>,
    memory: &mut Option<Arc<AdaptiveState>>,
    load: Option<f64>,
) {
    let (shape, now) = (rule.shape(), situation.now);
    let usable = |state: &AdaptiveState| {
        state.shape.tick == shape.tick && clock::age(now, state.at) <= PAUSE_MOST
    };
    let Some(state) = memory.as_mut().filter(|state| usable(state)) else {
        *memory = load.map(|load| Arc::new(first(rule, shape, load, now)));
        return;
    };
    let state = Arc::make_mut(state);
    state.fit(shape, rule.price);
    let tick = tick(shape);
    let Some(before) = steps_due(state, tick, now).checked_sub(1) else { return };
    let series = situation.past.signals.get(&rule.signal).map(|memory| &memory.series);
    let max_age = situation.fleet.signals.get(&rule.signal).map(|spec| spec.max_age.get());
    for _ in 0..before {
        state.at = clock::after(state.at, tick);
        let moment = clock::after(state.at, tick / 2);
        let point = series.and_then(|series| series.value_at(moment, max_age));
        let load = point.map(|(value, at)| rule.load(value, situation.past.in_service_at(at)));
        state.step(load);
    }
    state.at = clock::after(state.at, tick);
    state.step(load);
}

impl Series {
    /// The value known at `at`, and when it was measured: nothing after a gap, nor where the newest
    /// value was older than `max_age`.
    fn value_at(&self, at: Timestamp, max_age: Option<Duration>) -> Option<(f64, Timestamp)> {
        let point = self.points().rev().find(|point| point.seen <= at)?;
        let fresh = max_age.is_none_or(|max_age| clock::age(at, point.seen) <= max_age);
        point.value.filter(|_| fresh).map(|value| (value, point.measured_at))
    }
}

fn count(instances: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number of at least 1, and `as` saturates"
    )]
    let count = instances as u32;
    count
}
