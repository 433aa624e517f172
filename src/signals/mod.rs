//! Signals: asking the sources, and telling a number from a gap.

mod prometheus;
mod spec;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{Gap, Reading, SignalName, Signals};

#[doc(hidden)]
pub use prometheus::read_answer;
pub use prometheus::{Busy, Clients, Prometheus, SourceError, Up};
pub(crate) use prometheus::{CannotPick, cannot_pick, promql};
pub use spec::{Auth, PrometheusSpec, ServerAccess, SourceSpec, UpSpec};

/// Where one signal comes from.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// Asks once. A gap is an answer, not an error.
    async fn read(&self) -> Reading;
}

/// The instances that are up.
#[async_trait]
pub trait UpSource: Debug + Send + Sync {
    /// The names (`host:port` or `host`) of all that answer their scrapes.
    async fn names_up(&self) -> Result<Vec<String>, Gap>;
}

/// The work of each instance.
#[async_trait]
pub trait WorkSource: Debug + Send + Sync {
    /// The names (`host:port` or `host`) of all that tell, each with how much work it has.
    async fn work(&self) -> Result<Vec<(String, f64)>, Gap>;
}

/// Reads all signals of a fleet at once; one that is slow or missing does not hold up the others
/// longer than its own time-out.
pub async fn observe(sources: &BTreeMap<SignalName, Arc<dyn Source>>) -> Signals {
    let reading = sources.iter().map(|(name, source)| {
        let (name, source) = (name.clone(), source.clone());
        async move { (name, source.read().await) }
    });
    futures::future::join_all(reading).await.into_iter().collect()
}
