//! One policy over one load.

use super::cluster::{Cluster, Curve};
use super::load::Load;
use super::reference::Reference;
use super::replay::{Note, Policy};

/// The world of a backtest, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// From a launch until the instance serves.
    pub boot_secs: u64,
    /// How old the newest value of the signal is.
    pub lag_secs: u64,
    /// How long the signal is the mean of.
    pub window_secs: u64,
    /// The signal shows no more than the instances in service carry, as a CPU signal does.
    pub saturates: bool,
}

/// The result of a policy on a load.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub ready: Curve,
    /// Ready and booting.
    pub billed: Curve,
    pub actions: u32,
    /// The decisions that changed something, with their reasons.
    pub notes: Vec<Note>,
}

/// The decider.
#[derive(Debug, Clone)]
pub enum Decider {
    /// An algorithm that others use.
    Reference(Reference),
    /// The policy of a fleet, as the daemon runs it.
    Policy(Box<Policy>),
}

/// Runs `decider` from the beginning of `load` to its end.
#[must_use]
pub fn run(load: &Load, setup: Setup, decider: Decider) -> Outcome {
    let start = load.demand().first().copied().unwrap_or(1);
    let mut cluster = Cluster::new(start, setup.boot_secs, load.demand().len());
    let mut notes = Vec::new();
    match decider {
        Decider::Reference(mut reference) => {
            for now in (0..load.secs()).step_by(reference.interval_secs()) {
                cluster.advance(now);
                let signal = seen(load, setup, &cluster, now);
                let carried = load.capacity() * f64::from(cluster.ready().max(1));
                if let Some(want) = reference.want(now, signal, signal / carried, &cluster) {
                    let acted = cluster.scale_to(want, now);
                    reference.acted(now, acted);
                }
            }
        }
        Decider::Policy(mut policy) => {
            for now in (0..load.secs()).step_by(policy.interval_secs()) {
                cluster.advance(now);
                let signal = seen(load, setup, &cluster, now);
                policy.tick(now, signal, &mut cluster, &mut notes);
            }
        }
    }
    let actions = cluster.actions();
    let (ready, billed) = cluster.into_curves();
    Outcome { ready, billed, actions, notes }
}

/// The signal as the policy sees it.
fn seen(load: &Load, setup: Setup, cluster: &Cluster, now: u64) -> f64 {
    let signal = load.signal(now, setup.window_secs, setup.lag_secs);
    if !setup.saturates {
        return signal;
    }
    signal.min(load.capacity() * f64::from(cluster.ready().max(1)))
}
