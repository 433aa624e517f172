//! Everything that a provider is written with, and nothing of any one provider.
//!
//! A provider reads through [`Observe`], writes through [`Mutate`] (every method of which needs a
//! [`Permit`]) and says beforehand what it would send through [`Preview`]. Failures are one
//! [`Error`] with exactly one [`Class`]: the class says what a caller may do about it.
//!
//! Time is a value here: everything that waits or expires asks a [`Clock`].

mod balancer;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod credentials;
pub mod dice;
mod error;
pub mod http;
mod instance;
mod launch;
pub mod limit;
mod metric;
mod permit;
mod provider;
mod redact;
pub mod retry;
mod secret;
pub mod text;

pub use balancer::{Backend, BackendChange, BackendGroup, BackendHealth, Backends, BalancerKind};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use dice::Dice;
pub use error::{Class, Concerns, Error, ErrorKind};
pub use instance::{Instance, InstanceId, Status, TagFilter, Tags};
pub use launch::{
    ClientToken, InvalidToken, Launch, LaunchSpec, Spot, SystemDisk, Terminate, UserData,
};
pub use metric::{FreeCalls, MetricPoint, MetricQuery, Statistic};
pub use permit::{Deadline, Permit};
pub use provider::{
    InstanceResult, Meter, Mutate, Mutation, Observe, Offer, Pages, PlannedCall, Preview, Price,
    Signer, Stock, Urgency,
};
pub use redact::Redactor;
pub use secret::Secret;
