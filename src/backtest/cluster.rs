//! Instances as a backtest simulates them: they boot for a fixed time and end at once.

use std::collections::VecDeque;

use super::load::GRID_SECS;

/// A number that changes now and then: the grid point of each change, and the value from there on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// In order; the first is at grid point 0.
    changes: Vec<(usize, u32)>,
}

impl Curve {
    fn new(value: u32) -> Curve {
        Curve { changes: vec![(0, value)] }
    }

    fn set(&mut self, point: usize, value: u32) {
        let newest = self.changes.len() - 1;
        if self.changes[newest].0 == point {
            self.changes[newest].1 = value;
            // Where it is what it was before, nothing changed.
            if newest > 0 && self.changes[newest - 1].1 == value {
                self.changes.pop();
            }
        } else if self.changes[newest].1 != value {
            self.changes.push((point, value));
        }
    }

    /// The grid point of each change, and the value from there on.
    #[must_use]
    pub fn changes(&self) -> &[(usize, u32)] {
        &self.changes
    }
}

/// Ready and booting instances.
#[derive(Debug, Clone)]
pub struct Cluster {
    ready: u32,
    /// When each batch will be ready, in seconds from the beginning; oldest first.
    booting: VecDeque<(u64, u32)>,
    boot_secs: u64,
    points: usize,
    ready_curve: Curve,
    billed_curve: Curve,
    actions: u32,
}

impl Cluster {
    /// `start` instances are ready; what is recorded ends at grid point `points`.
    #[must_use]
    pub fn new(start: u32, boot_secs: u64, points: usize) -> Cluster {
        Cluster {
            ready: start,
            booting: VecDeque::new(),
            boot_secs,
            points,
            ready_curve: Curve::new(start),
            billed_curve: Curve::new(start),
            actions: 0,
        }
    }

    /// Instances that carry load.
    #[must_use]
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// Instances that boot.
    #[must_use]
    pub fn booting(&self) -> u32 {
        self.booting.iter().map(|(_, count)| count).sum()
    }

    /// Instances that exist.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.ready + self.booting()
    }

    /// Lets the time come to `now`, in seconds from the beginning.
    pub fn advance(&mut self, now: u64) {
        while let Some((at, count)) = self.booting.front().copied().filter(|(at, _)| *at <= now) {
            self.booting.pop_front();
            self.ready += count;
            let point = usize::try_from(at.div_ceil(GRID_SECS)).unwrap_or(usize::MAX);
            if point < self.points {
                self.ready_curve.set(point, self.ready);
            }
        }
    }

    /// Launches or ends instances until there are `want`, one at least; booting ones end first, the
    /// newest of them first. Returns whether that changed anything.
    pub fn scale_to(&mut self, want: u32, now: u64) -> bool {
        let (want, have) = (want.max(1), self.size());
        if want == have {
            return false;
        }
        self.actions += 1;
        let point = usize::try_from(now / GRID_SECS).unwrap_or(usize::MAX);
        if want > have {
            self.booting.push_back((now + self.boot_secs, want - have));
            self.advance(now);
        } else {
            let mut left = have - want;
            while left > 0
                && let Some((at, count)) = self.booting.pop_back()
            {
                let ended = left.min(count);
                left -= ended;
                if count > ended {
                    self.booting.push_back((at, count - ended));
                }
            }
            self.ready -= left;
        }
        if point < self.points {
            self.billed_curve.set(point, want);
            self.ready_curve.set(point, self.ready);
        }
        true
    }

    /// How often the size was changed.
    #[must_use]
    pub fn actions(&self) -> u32 {
        self.actions
    }

    /// The instances ready and those billed, to the end.
    #[must_use]
    pub fn into_curves(mut self) -> (Curve, Curve) {
        self.advance(self.points as u64 * GRID_SECS);
        (self.ready_curve, self.billed_curve)
    }
}
