//! Signals: asking the sources, and telling a number from a gap.

mod prometheus;
mod spec;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{Reading, SignalName, Signals};

pub use prometheus::{Prometheus, Shared, SourceError};
pub use spec::{Access, Auth, PrometheusSpec, SourceSpec};

/// Where one signal comes from.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// Asks once. A gap is an answer, not an error.
    async fn read(&self) -> Reading;
}

/// Reads all signals of a fleet at once; one that is slow or missing does not hold up the others
/// longer than its own time-out.
pub async fn observe(sources: &BTreeMap<SignalName, Arc<dyn Source>>) -> Signals {
    let mut reading = tokio::task::JoinSet::new();
    for (name, source) in sources {
        let (name, source) = (name.clone(), source.clone());
        reading.spawn(async move { (name, source.read().await) });
    }
    reading.join_all().await.into_iter().collect()
}
