//! How good a run was: what was missing, what was too much, and what it cost beside the ideal.

use serde::Serialize;

use super::load::{GRID_SECS, Load};
use super::run::Outcome;
use super::{Curve, Ideal};

const HOUR: f64 = 3_600.0;

/// The figures of one run. Shares are in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Mean shortage, relative to the demand.
    pub theta_u: f64,
    /// Mean surplus, relative to the demand.
    pub theta_o: f64,
    /// Time with a shortage.
    pub tau_u: f64,
    /// Time with a surplus.
    pub tau_o: f64,
    /// Load that found no instance.
    pub unserved: f64,
    /// The longest unbroken shortage, in seconds.
    pub longest_shortage_secs: u64,
    pub instance_hours: f64,
    pub missing_hours: f64,
    pub ideal_hours: f64,
    /// Instance-hours beside the ideal's.
    pub cost: f64,
    /// The same, a missing instance-hour counted as ten billed ones.
    pub j10: f64,
    /// As a hundred.
    pub j100: f64,
    pub actions: u32,
    pub actions_a_day: f64,
}

/// The figures of `outcome` on `load`.
#[must_use]
pub fn score(load: &Load, outcome: &Outcome, ideal: &Ideal) -> Score {
    let mut sums = Sums::default();
    let points = load.demand().len();
    for (from, until, ready) in stretches(&outcome.ready, points) {
        sums.add(&load.demand()[from..until], &load.values()[from..until], ready, load.capacity());
    }
    sums.end_shortage();
    let billed: u64 = stretches(&outcome.billed, points)
        .map(|(from, until, count)| (until - from) as u64 * u64::from(count))
        .sum();
    let grid_hours = GRID_SECS as f64 / HOUR;
    let instance_hours = billed as f64 * grid_hours;
    let missing_hours = sums.missing as f64 * grid_hours;
    let share = |sum: f64| 100.0 * sum / points as f64;
    let priced = |price: f64| (instance_hours + price * missing_hours) / ideal.instance_hours;
    let days = load.secs() as f64 / 86_400.0;
    Score {
        theta_u: share(sums.shortage),
        theta_o: share(sums.surplus),
        tau_u: share(sums.short as f64),
        tau_o: share(sums.over as f64),
        unserved: 100.0 * sums.unserved / sums.load.max(f64::MIN_POSITIVE),
        longest_shortage_secs: sums.longest * GRID_SECS,
        instance_hours,
        missing_hours,
        ideal_hours: ideal.instance_hours,
        cost: priced(0.0),
        j10: priced(10.0),
        j100: priced(100.0),
        actions: outcome.actions,
        actions_a_day: f64::from(outcome.actions) / days,
    }
}

/// From, until and value of each unchanged stretch of a curve.
fn stretches(curve: &Curve, points: usize) -> impl Iterator<Item = (usize, usize, u32)> {
    let changes = curve.changes();
    let ends = changes.iter().skip(1).map(|(point, _)| *point).chain([points]);
    changes.iter().zip(ends).map(|((from, value), until)| (*from, until, *value))
}

#[derive(Debug, Default)]
struct Sums {
    shortage: f64,
    surplus: f64,
    short: u64,
    over: u64,
    missing: u64,
    unserved: f64,
    load: f64,
    /// Of the shortage that is under way, in grid points.
    running: u64,
    longest: u64,
}

impl Sums {
    /// A stretch during which `ready` instances served.
    fn add(&mut self, demand: &[u32], load: &[f64], ready: u32, capacity: f64) {
        let carried = capacity * f64::from(ready);
        for (demand, load) in demand.iter().zip(load) {
            self.load += load;
            if ready < *demand {
                let missing = demand - ready;
                self.short += 1;
                self.running += 1;
                self.missing += u64::from(missing);
                self.shortage += f64::from(missing) / f64::from(*demand);
                self.unserved += load - carried;
                continue;
            }
            self.end_shortage();
            if ready > *demand {
                self.over += 1;
                self.surplus += f64::from(ready - demand) / f64::from(*demand);
            }
        }
    }

    fn end_shortage(&mut self) {
        self.longest = self.longest.max(self.running);
        self.running = 0;
    }
}
