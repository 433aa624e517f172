//! The newest few measurements of one thing, and their quantiles.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// 50: enough for a 95th percentile that one odd value does not move, few enough to follow a
/// change within a day of scaling.
const KEPT: usize = 50;
/// Below this many a quantile says nothing.
const ENOUGH: usize = 10;

/// The newest measurements, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ring(VecDeque<f64>);

impl Ring {
    pub(crate) fn push(&mut self, secs: f64) {
        self.0.push_back(secs);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value below which `part` (0 to 1) of the measurements lie, in seconds (nearest rank);
    /// `None` with fewer than 10 of them.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        if self.0.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let rank = (part.clamp(0.0, 1.0) * sorted.len() as f64).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of measurements"
        )]
        let index = (rank as usize).saturating_sub(1).min(sorted.len() - 1);
        Some(sorted[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_newest_and_need_enough_of_them() {
        let mut ring = Ring::default();
        for n in 1..=9 {
            ring.push(f64::from(n));
        }
        assert_eq!(ring.quantile(0.5), None);
        for n in 10..=150 {
            ring.push(f64::from(n));
        }
        assert_eq!(ring.len(), 50);
        assert_eq!((ring.quantile(0.5), ring.quantile(0.95)), (Some(125.0), Some(148.0)));
        assert_eq!((ring.quantile(0.0), ring.quantile(1.0)), (Some(101.0), Some(150.0)));
    }
}
