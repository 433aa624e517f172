//! Backtest: a policy is run over recorded load, before it runs over a fleet.
//!
//! The policy is the one that a tick calls, with the same situation made of other numbers. What is
//! simulated is small: instances boot for a fixed time, the signal is a mean that lags, an end is
//! immediate, and nothing is sold out. What comes out is compared with an ideal that knows the
//! load beforehand and only pays for boots.
//!
//! Nothing here touches a cloud, a journal or a clock.

mod cluster;
mod ideal;
mod load;
mod reference;
mod replay;
mod run;
mod score;
#[cfg(test)]
mod tests;
mod trace;

pub use cluster::{Cluster, Curve};
pub use ideal::Ideal;
pub use load::{GRID_SECS, Load, LoadError};
pub use reference::Reference;
pub use replay::{Meaning, Note, Policy, Terms, bare_fleet};
pub use run::{Decider, Outcome, Setup, run};
pub use score::{Score, score};
pub use trace::{Trace, TraceError};
