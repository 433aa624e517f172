//! The algorithms of other autoscalers, as their documentation and sources describe them with
//! default settings: what a policy is compared with.

use std::collections::VecDeque;

use super::cluster::Cluster;

/// An algorithm, with what it remembers.
#[derive(Debug, Clone)]
pub struct Reference {
    kind: Kind,
    /// Sizes that were recommended within a window, decreasing: the first is the highest.
    recommended: VecDeque<(u64, u32)>,
    /// Instances that were added within the rate's period.
    added: VecDeque<(u64, u32)>,
    above: u32,
    below: u32,
    last_action: Option<u64>,
    last_in: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hpa,
    Aws,
    Nomad,
    Gcp,
    Threshold,
    Naive,
}

/// Names on the command line, and what they are.
const KINDS: [(&str, Kind); 6] = [
    ("hpa", Kind::Hpa),
    ("aws", Kind::Aws),
    ("nomad", Kind::Nomad),
    ("gcp", Kind::Gcp),
    ("threshold", Kind::Threshold),
    ("naive", Kind::Naive),
];

/// The usual target of the Kubernetes HPA, AWS and Nomad.
const TARGET: f64 = 0.7;
/// Google's default.
const TARGET_GCP: f64 = 0.6;
/// Five minutes: the cool-down and scale-in window of most.
const FIVE_MINUTES: u64 = 300;
/// Google keeps the highest size of ten minutes.
const TEN_MINUTES: u64 = 600;

impl Reference {
    /// The algorithm `name`, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Reference> {
        let (_, kind) = KINDS.into_iter().find(|(known, _)| *known == name)?;
        Some(Reference {
            kind,
            recommended: VecDeque::new(),
            added: VecDeque::new(),
            above: 0,
            below: 0,
            last_action: None,
            last_in: None,
        })
    }

    /// The names that there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.into_iter().map(|(name, _)| name)
    }

    /// How often it decides.
    pub(super) fn interval_secs(&self) -> usize {
        match self.kind {
            Kind::Hpa => 15,
            Kind::Nomad => 10,
            Kind::Aws | Kind::Gcp | Kind::Threshold | Kind::Naive => 60,
        }
    }

    /// The size that it sets at `now`, if it sets one. `signal` is the load that it sees, `used` the
    /// share of the ready instances that this fills.
    pub(super) fn want(
        &mut self,
        now: u64,
        signal: f64,
        used: f64,
        cluster: &Cluster,
    ) -> Option<u32> {
        match self.kind {
            Kind::Hpa => Some(self.hpa(now, used, cluster)),
            Kind::Aws => self.aws(now, used, cluster),
            Kind::Nomad => self.nomad(now, used, cluster),
            Kind::Gcp => {
                let size = whole(f64::from(cluster.ready()) * used / TARGET_GCP).max(1);
                Some(self.highest(now, size, TEN_MINUTES))
            }
            Kind::Threshold => self.threshold(now, used, cluster),
            Kind::Naive => {
                let per_instance = signal / (used * f64::from(cluster.ready().max(1)));
                // Without load there is nothing to divide.
                Some(if used > 0.0 { whole(signal / per_instance) } else { 1 })
            }
        }
    }

    /// The size was set at `now`, and `changed` says whether it was another one than before.
    pub(super) fn acted(&mut self, now: u64, changed: bool) {
        if changed {
            self.last_action = Some(now);
            (self.above, self.below) =
                if self.kind == Kind::Threshold { (0, 0) } else { (self.above, self.below) };
        }
    }

    /// The highest size of the last `window`, `size` included.
    fn highest(&mut self, now: u64, size: u32, window: u64) -> u32 {
        while self.recommended.back().is_some_and(|(_, last)| *last <= size) {
            self.recommended.pop_back();
        }
        self.recommended.push_back((now, size));
        while self.recommended.front().is_some_and(|(at, _)| at + window <= now) {
            self.recommended.pop_front();
        }
        self.recommended.front().map_or(size, |(_, highest)| *highest)
    }

    /// Kubernetes: one resource-like metric, tolerance 10 %, scale-in to the highest recommendation
    /// of five minutes, scale-out by at most 4 or 100 % in 15 s. Booting instances count as idle
    /// when the rest is too busy.
    fn hpa(&mut self, now: u64, used: f64, cluster: &Cluster) -> u32 {
        const TOLERANCE: f64 = 0.1;
        const PERIOD: u64 = 15;
        const ADDED_MOST: u32 = 4;
        let (ready, current) = (f64::from(cluster.ready()), cluster.size());
        let ratio = used / TARGET;
        let within = |ratio: f64| (ratio - 1.0).abs() <= TOLERANCE;
        let size = if cluster.booting() > 0 && ratio > 1.0 {
            let all = ratio * ready / f64::from(current);
            if within(all) || all < 1.0 { current } else { whole(all * f64::from(current)) }
        } else if within(ratio) {
            current
        } else {
            whole(ratio * ready)
        };
        let size = size.max(1);
        let highest = self.highest(now, size, FIVE_MINUTES);
        let mut want = if size < current { current.min(highest) } else { size };
        while self.added.front().is_some_and(|(at, _)| at + PERIOD <= now) {
            self.added.pop_front();
        }
        if want > current {
            let before = current.saturating_sub(self.added.iter().map(|(_, count)| count).sum());
            want = want.min((before + ADDED_MOST).max(before * 2));
            if want > current {
                self.added.push_back((now, want - current));
            }
        }
        want
    }

    /// AWS target tracking: out after 3 minutes above the target, in after 15 minutes below 90 % of
    /// it, not while instances warm up, five minutes from scale-in to scale-in.
    fn aws(&mut self, now: u64, used: f64, cluster: &Cluster) -> Option<u32> {
        self.above = if used > TARGET { self.above + 1 } else { 0 };
        self.below = if used < 0.9 * TARGET { self.below + 1 } else { 0 };
        let current = cluster.size();
        let want = whole(f64::from(cluster.ready()) * used / TARGET);
        if self.above >= 3 && want > current {
            return Some(want);
        }
        let cooled = self.last_in.is_none_or(|at| now - at >= FIVE_MINUTES);
        if self.below >= 15 && cluster.booting() == 0 && cooled && want < current {
            if want.max(1) != current {
                self.last_in = Some(now);
            }
            return Some(want);
        }
        None
    }

    /// Nomad's target-value strategy: not while instances boot, nor for five minutes after an
    /// action.
    fn nomad(&mut self, now: u64, used: f64, cluster: &Cluster) -> Option<u32> {
        let cooled = self.last_action.is_none_or(|at| now - at >= FIVE_MINUTES);
        let factor = used / TARGET;
        let moves = cooled && cluster.booting() == 0 && (factor - 1.0).abs() >= 0.01;
        moves.then(|| whole(f64::from(cluster.ready()) * factor))
    }

    /// One more after two checks above 75 %, one fewer after three below 30 %, nothing for five
    /// minutes after an action.
    fn threshold(&mut self, now: u64, used: f64, cluster: &Cluster) -> Option<u32> {
        self.above = if used > 0.75 { self.above + 1 } else { 0 };
        self.below = if used < 0.30 { self.below + 1 } else { 0 };
        if self.last_action.is_some_and(|at| now - at < FIVE_MINUTES) {
            return None;
        }
        let current = cluster.size();
        if self.above >= 2 {
            return Some(current + 1);
        }
        (self.below >= 3).then(|| current - 1)
    }
}

/// Rounded up, but for rounding errors.
fn whole(size: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes are small and not negative; `as` saturates"
    )]
    let whole = (size - 1e-9).ceil() as u32;
    whole
}
