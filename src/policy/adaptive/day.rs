//! The load of the last day: how it changed at this time yesterday says how it may change now.

use crate::model::adaptive::{Day, Shape};

/// Beside nothing, a little load is not an infinite growth.
const FLOOR: f64 = 0.2;
/// Yesterday's load is believed up to a factor of three either way.
const FACTOR_MOST: f64 = 3.0;

impl Day {
    /// The load of step `t` was `load`.
    pub(super) fn add(&mut self, shape: Shape, t: u64, load: f64) {
        let width = u64::from(shape.bin());
        self.sum += load;
        if (t + 1).is_multiple_of(width) {
            let bin = self.index(self.filled);
            #[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty")]
            let mean = (self.sum / width as f64) as f32;
            self.bins[bin] = mean;
            self.filled += 1;
            self.sum = 0.0;
        }
    }

    /// `load` times the relative change that a day before step `t` came within the next `ahead`
    /// steps; 0 before there is a day to look back at.
    pub(super) fn change(&self, shape: Shape, t: u64, ahead: u32, load: f64) -> f64 {
        let Some(then) = t.checked_sub(u64::from(shape.day())) else { return 0.0 };
        if self.filled == 0 {
            return 0.0;
        }
        let before = self.at(shape, then as f64);
        let after = self.at(shape, then as f64 + f64::from(ahead));
        let factor = (after + FLOOR) / (before + FLOOR);
        load * (factor.clamp(1.0 / FACTOR_MOST, FACTOR_MOST) - 1.0)
    }

    /// Linear between the middles of the bins.
    fn at(&self, shape: Shape, t: f64) -> f64 {
        let width = f64::from(shape.bin());
        let newest = self.filled - 1;
        let place = ((t - (width - 1.0) / 2.0) / width).clamp(0.0, newest as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of bins"
        )]
        let left = place as u64;
        let right = (left + 1).min(newest);
        let a = f64::from(self.bins[self.index(left)]);
        let b = f64::from(self.bins[self.index(right)]);
        a + (place - left as f64) * (b - a)
    }

    fn index(&self, bin: u64) -> usize {
        usize::try_from(bin % self.bins.len() as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::adaptive::AdaptiveState;

    #[test]
    fn yesterdays_change_is_known_after_a_day_and_not_before() {
        let shape = Shape { tick: 15, boot: 4, age: 4 };
        let mut day = AdaptiveState::blank(shape).day;
        let load = |t: u64| if (t % 5_760) < 2_880 { 10.0 } else { 20.0 };
        for t in 0..5_760 {
            assert!(day.change(shape, t, 11, load(t)).abs() < 1e-9);
            day.add(shape, t, load(t));
        }
        for t in 5_760..11_520 {
            let change = day.change(shape, t, 11, load(t));
            match t - 5_760 {
                2_874..2_878 => assert!(change > 5.0, "{t}: {change}"),
                100..2_800 | 3_000..5_700 => assert!(change.abs() < 0.1, "{t}: {change}"),
                _ => {}
            }
            day.add(shape, t, load(t));
        }
    }
}
