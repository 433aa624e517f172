//! Backtest: a policy is run over recorded load, before it runs over a fleet.
//!
//! The policy is the one that a tick calls, with the same situation made of other numbers. What is
//! simulated is small: instances boot for a fixed time, the signal is a mean that lags, an end is
//! immediate, and nothing is sold out. What comes out is compared with an ideal that knows the
//! load beforehand and only pays for boots.
//!
//! A scenario (`scenario`) is the other way round: no load and no figures, but signals as somebody wrote
//! them down, and what is expected of each decision.
//!
//! Nothing here touches a cloud, a journal or a clock.

mod cluster;
mod ideal;
mod load;
mod reference;
mod replay;
mod run;
pub mod scenario;
mod score;
#[cfg(test)]
mod tests;
mod trace;

pub use crate::model::bare_fleet;
pub use cluster::{Cluster, Curve};
pub use ideal::Ideal;
pub use load::{GRID_SECS, Load, LoadError};
pub use reference::Reference;
pub use replay::{Meaning, Note, Policy, Terms};
pub use run::{Decider, Outcome, Setup, run};
pub use score::{Score, score};
pub use trace::{Trace, TraceError};
