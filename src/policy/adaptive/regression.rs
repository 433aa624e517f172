//! Recursive least squares with forgetting.
//!
//! Three bounds keep it sane for years: the error is clipped, so that one spike does not rewrite the
//! model; the covariance has a ceiling, so that a flat load does not wind it up; and it is kept
//! symmetric to the last bit, since rounding errors that differ on both sides of the diagonal grow
//! until the weights run away.

use crate::model::adaptive::Regression;

/// The parts that do not change while it learns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schooling {
    /// The share that each step leaves of the weight of earlier ones.
    pub(super) forgetting: f64,
    /// The largest error that counts, in usual errors.
    pub(super) clip: f64,
    /// The largest trace of the covariance.
    pub(super) ceiling: f64,
}

/// 0.1: the first few errors of a normalised load are of about that size.
const FIRST_DEVIATION: f64 = 0.1;
/// The usual error never counts as less than 1 %, else a flat stretch would clip all that follows.
const LEAST_DEVIATION: f64 = 0.01;
/// The usual error is followed five times faster than the weights.
const DEVIATION_PACE: f64 = 5.0;
/// The standard deviation of a normal error is 1.25 times its mean absolute value.
const NORMAL: f64 = 1.25;

impl<const N: usize> Regression<N> {
    /// Predicts what its first feature says, for now. `used` features are live, each with the
    /// variance `start`.
    pub(super) fn new(used: [bool; N], start: f64) -> Regression<N> {
        let mut covariance = [[0.0; N]; N];
        for (lane, used) in used.into_iter().enumerate() {
            covariance[lane][lane] = if used { start } else { 0.0 };
        }
        let mut weights = [0.0; N];
        weights[0] = 1.0;
        Regression { weights, covariance, deviation: FIRST_DEVIATION }
    }

    pub(super) fn predict(&self, features: &[f64; N]) -> f64 {
        dot(&self.weights, features)
    }

    /// Learns that `features` led to `outcome`. Errors count relative to `scale`.
    pub(super) fn learn(
        &mut self,
        features: &[f64; N],
        outcome: f64,
        scale: f64,
        schooling: &Schooling,
    ) {
        let mut f = *features;
        f.iter_mut().for_each(|feature| *feature /= scale);
        let bound = schooling.clip * self.deviation;
        let error = (outcome / scale - dot(&self.weights, &f)).clamp(-bound, bound);
        let pace = DEVIATION_PACE * (1.0 - schooling.forgetting);
        self.deviation += pace * (NORMAL * error.abs() - self.deviation);
        self.deviation = self.deviation.max(LEAST_DEVIATION);

        let mut gain = [0.0; N];
        for (row, weight) in self.covariance.iter().zip(f) {
            // The covariance is symmetric: its rows are its columns.
            for (sum, element) in gain.iter_mut().zip(row) {
                *sum += element * weight;
            }
        }
        let quadratic = dot(&f, &gain);
        if quadratic.is_nan() || quadratic < 0.0 {
            // Only rounding errors make it negative: what was learned stays, how surely is forgotten.
            self.spread_out(schooling);
            return;
        }
        let share = 1.0 / (schooling.forgetting + quadratic);
        let step = error * share;
        for (weight, gain) in self.weights.iter_mut().zip(gain) {
            *weight += gain * step;
        }
        let widen = 1.0 / schooling.forgetting;
        let mut trace = 0.0;
        // The same product on both sides of the diagonal, to the last bit.
        let root = share.sqrt();
        gain.iter_mut().for_each(|gain| *gain *= root);
        for lane in 0..N {
            for (element, other) in self.covariance[lane].iter_mut().zip(gain) {
                *element = (*element - gain[lane] * other) * widen;
            }
            trace += self.covariance[lane][lane];
        }
        if trace > schooling.ceiling {
            let shrink = schooling.ceiling / trace;
            self.covariance.iter_mut().flatten().for_each(|element| *element *= shrink);
        }
    }

    /// Gives each live feature the same variance, as at the beginning.
    fn spread_out(&mut self, schooling: &Schooling) {
        let live = (0..N).filter(|lane| self.covariance[*lane][*lane] != 0.0).count().max(1);
        for lane in 0..N {
            let alive = self.covariance[lane][lane] != 0.0;
            self.covariance[lane] = [0.0; N];
            if alive {
                self.covariance[lane][lane] = schooling.ceiling / live as f64;
            }
        }
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    // Two sums side by side: one would wait for itself at each step.
    let mut sums = [0.0; 2];
    for (a, b) in a.chunks_exact(2).zip(b.chunks_exact(2)) {
        sums[0] += a[0] * b[0];
        sums[1] += a[1] * b[1];
    }
    sums[0] + sums[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHOOLING: Schooling = Schooling { forgetting: 0.9995, clip: 10.0, ceiling: 20.0 };

    #[test]
    fn it_finds_the_weights_that_made_the_outcomes() {
        let mut regression = Regression::<4>::new([true, true, true, false], 10.0);
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(seed >> 8) / f64::from(1u32 << 24)
        };
        for _ in 0..2_000 {
            let features = [random(), random(), random(), 0.0];
            let outcome = 0.5 * features[0] + 2.0 * features[1] - features[2];
            regression.learn(&features, outcome, 1.0, &SCHOOLING);
        }
        let found = regression.weights;
        for (found, expected) in found.into_iter().zip([0.5, 2.0, -1.0, 0.0]) {
            assert!((found - expected).abs() < 0.01, "{found} instead of {expected}");
        }
    }

    #[test]
    fn features_that_say_nearly_the_same_do_not_make_it_run_away() {
        let mut regression = Regression::<4>::new([true, true, true, false], 10.0);
        let mut worst: f64 = 0.0;
        for n in 0..400_000u32 {
            // Straight lines for minutes, as between samples that are far apart.
            let (piece, within) = (n / 20, f64::from(n % 20) / 20.0);
            let corner = |piece: u32| f64::from(piece.wrapping_mul(2_654_435_761) >> 28);
            let at = |within: f64| corner(piece) + (corner(piece + 1) - corner(piece)) * within;
            let features =
                [at(within), at(within) - at(within - 0.1), at(within) - at(within - 0.2), 0.0];
            let outcome = at(within + 0.5);
            worst = worst.max(regression.predict(&features).abs());
            regression.learn(&features, outcome, 1.0, &SCHOOLING);
        }
        assert!(worst < 200.0, "{worst}");
        for row in 0..4 {
            for column in 0..4 {
                let (a, b) =
                    (regression.covariance[row][column], regression.covariance[column][row]);
                assert_eq!(a.to_bits(), b.to_bits(), "{row} {column}");
            }
        }
    }

    #[test]
    fn a_flat_load_does_not_wind_it_up_and_one_spike_does_not_rewrite_it() {
        let mut regression = Regression::<2>::new([true, true], 10.0);
        for _ in 0..200_000 {
            regression.learn(&[1.0, 0.0], 1.0, 1.0, &SCHOOLING);
        }
        let trace = regression.covariance[0][0] + regression.covariance[1][1];
        assert!(trace <= 20.0 + 1e-9, "{trace}");
        regression.learn(&[1.0, 0.0], 1e6, 1.0, &SCHOOLING);
        assert!(regression.predict(&[1.0, 0.0]) < 1.2, "{:?}", regression.weights);
    }
}
