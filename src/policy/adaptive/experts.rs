//! Forty experts, each a headroom and a hold, and what each would have cost.
//!
//! The load does not depend on what the fleet does. So the cost of every expert can be told
//! afterwards from the load alone: an idle instance costs 1, a missing one `price`. The answer is
//! the mean of the experts, weighted by how close each is to the cheapest.

use crate::model::adaptive::{AdaptiveState, EXPERTS, HOLD_SECS_MOST, HOLDS, KAPPAS, Shape};

/// Headroom in spreads.
const KAPPA: [f64; KAPPAS] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.0, 10.0];
/// For how long an expert keeps what it wanted, in seconds: smooth loads prefer short holds, noisy
/// ones long holds, since each dip would cost a second boot.
const HOLD: [u32; HOLDS] = [15, 60, 180, HOLD_SECS_MOST];
/// How fast old costs are forgotten: half of them in three days.
pub(super) const COST_HALF_HOURS: f64 = 72.0;
/// An expert 1 % dearer than the cheapest weighs 1/e.
const STRICTNESS: f64 = 100.0;
/// Beyond this exponent a weight is nothing.
const EXPONENT_MOST: f64 = 40.0;
/// The cost that the first two hours are taken to have had, so that the first hours do not decide alone.
const PRIOR_SECS: f64 = 7_200.0;
/// Away from the best guess of the headroom, ln(price), the prior is 10 % dearer per factor e.
const PRIOR_SLOPE: f64 = 0.1;

/// The costs before anything is known, for a load of `load` instances.
pub(super) fn first_costs(shape: Shape, price: f64, load: f64) -> [f64; EXPERTS] {
    let guess = price.ln() + 0.5;
    std::array::from_fn(|expert| {
        let away = ((KAPPA[expert % KAPPAS] + 0.5) / guess).ln().abs();
        PRIOR_SECS / f64::from(shape.tick) * load.max(1.0) * (1.0 + PRIOR_SLOPE * away)
    })
}

/// The size that each expert wants now: the highest of `forecast + kappa × spread` within its hold.
pub(super) fn wishes(state: &AdaptiveState) -> [f64; EXPERTS] {
    let ring = &state.outlooks;
    let len = ring.len();
    let known = usize::try_from(state.steps + 1).unwrap_or(len).min(len);
    let newest = usize::try_from(state.steps % len as u64).unwrap_or(0);
    let mut wishes = [0.0; EXPERTS];
    let mut highest = [0.0f64; KAPPAS];
    let mut seen = 0;
    for (hold, of_hold) in HOLD.iter().zip(wishes.chunks_exact_mut(KAPPAS)) {
        let until = (state.shape.steps(*hold) as usize).min(known);
        while seen < until {
            let (forecast, spread) = ring[(newest + len - seen) % len];
            for (highest, kappa) in highest.iter_mut().zip(KAPPA) {
                let wish = forecast + kappa * spread;
                *highest = if wish > *highest { wish } else { *highest };
            }
            seen += 1;
        }
        of_hold.copy_from_slice(&highest);
    }
    wishes
}

/// Charges each expert for the moment that the newest load speaks of, `age` steps ago. `needed` is
/// the load then, in whole instances.
pub(super) fn charge(state: &mut AdaptiveState, needed: f64, price: f64, keep: f64) {
    let len = state.wanted.len();
    let age = state.shape.age as usize;
    let known = usize::try_from(state.steps + 1).unwrap_or(len).min(len);
    if known <= age {
        return;
    }
    let newest = usize::try_from(state.steps % len as u64).unwrap_or(0);
    let then = &state.wanted[(newest + len - age) % len];
    // An instance serves if it was wanted for a whole boot.
    let mut ready = *then;
    for back in age + 1..known {
        for (ready, wanted) in ready.iter_mut().zip(&state.wanted[(newest + len - back) % len]) {
            *ready = if *wanted < *ready { *wanted } else { *ready };
        }
    }
    for ((cost, then), ready) in state.costs.iter_mut().zip(then).zip(ready) {
        let missing = (needed - f64::from(ready)).max(0.0);
        *cost = keep * *cost + f64::from(*then) + price * missing;
    }
}

/// The mean of the wishes, each weighted by how little its expert has cost.
pub(super) fn agree(costs: &[f64; EXPERTS], wishes: &[f64; EXPERTS]) -> f64 {
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let per_least = STRICTNESS / least;
    let mut weights = [0.0; EXPERTS];
    for (weight, cost) in weights.iter_mut().zip(costs) {
        *weight = decay((cost * per_least - STRICTNESS).clamp(0.0, EXPONENT_MOST));
    }
    let total: f64 = weights.iter().sum();
    let sum: f64 = weights.iter().zip(wishes).map(|(weight, wish)| weight * wish).sum();
    sum / total
}

/// e^-y for 0 ≤ y ≤ 40, as (1 - y/2^16)^(2^16): the same bits on every machine, which the exp of a
/// C library does not promise, and a replay has to come out the same.
fn decay(y: f64) -> f64 {
    let mut power = 1.0 - y / 65_536.0;
    for _ in 0..16 {
        power *= power;
    }
    power
}

/// Whole instances for a load: rounded up, one at least.
pub(super) fn instances(load: f64) -> f64 {
    /// The most that rounding errors may add to a whole number.
    const EPSILON: f64 = 1e-9;
    /// Adding and taking away 2^52 rounds to the nearest whole number, four lanes at a time.
    const ROUND: f64 = 4_503_599_627_370_496.0;
    let load = load - EPSILON;
    let nearest = (load + ROUND) - ROUND;
    let up = if nearest < load { nearest + 1.0 } else { nearest };
    if up > 1.0 { up } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_rounded_up_to_whole_instances() {
        for (load, whole) in [
            (0.0, 1.0),
            (0.5, 1.0),
            (1.0, 1.0),
            (1.000_001, 2.0),
            (2.5, 3.0),
            (7.0, 7.0),
            (7.000_000_000_1, 7.0),
            (12_345.6, 12_346.0),
        ] {
            assert!((instances(load) - whole).abs() < 1e-12, "{load}: {}", instances(load));
        }
    }

    #[test]
    fn an_expert_one_percent_dearer_weighs_a_third() {
        for y in [0.0, 0.1, 1.0, 5.0, 20.0] {
            let exact = f64::exp(-y);
            assert!((decay(y) - exact).abs() <= exact * 0.01, "{y}: {} {exact}", decay(y));
        }
        let mut costs = [1e9; EXPERTS];
        costs[0] = 100.0;
        costs[1] = 101.0;
        let mut wishes = [0.0; EXPERTS];
        wishes[1] = 1.0;
        let share = agree(&costs, &wishes);
        assert!((share - 1.0 / (1.0 + std::f64::consts::E)).abs() < 1e-3, "{share}");
    }
}
