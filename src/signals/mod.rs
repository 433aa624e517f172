//! Signals: asking the sources, and telling a number from a gap.

mod cloudmonitor;
mod command;
mod document;
mod json;
mod pointer;
mod prometheus;
mod push;
mod server;
mod spec;
mod take;
mod time;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use cloud::{InstanceId, Observe};

use crate::model::{Gap, Reading, SignalName, Signals};

pub use cloudmonitor::CloudMonitor;
pub use command::Program;
pub use document::HttpJson;
pub use pointer::Pointer;
#[doc(hidden)]
pub use prometheus::read_answer;
pub use prometheus::{Busy, Clients, Prometheus, Up};
pub(crate) use prometheus::{CannotPick, cannot_pick, promql};
pub use push::{NotTaken, Push, Pushed};
pub use server::SourceError;
pub use spec::{
    Auth, CommandSpec, JsonSpec, MonitorSpec, PrometheusSpec, PushSpec, ServerAccess, SourceSpec,
    UpSpec,
};

/// Where one signal comes from.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// Asks once. A gap is an answer, not an error.
    async fn read(&self) -> Reading;

    /// Who serves, where its number is of instances. It is told at each tick.
    fn serving(&self, _ids: &[InstanceId]) {}

    /// Itself, where its number is sent to the daemon.
    fn pushed(&self) -> Option<&Push> {
        None
    }
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

/// The source that `spec` describes, of a fleet in the account `cloud`. Asks nothing of the network.
///
/// # Errors
/// When a file of certificates cannot be used, say.
pub fn source(
    spec: &SourceSpec,
    shared: &Arc<Clients>,
    cloud: &Arc<dyn Observe>,
) -> Result<Arc<dyn Source>, SourceError> {
    Ok(match spec {
        SourceSpec::Prometheus(spec) => Arc::new(Prometheus::new(spec, shared)?),
        SourceSpec::CloudMonitor(spec) => Arc::new(CloudMonitor::new(spec, shared, cloud)),
        SourceSpec::HttpJson(spec) => Arc::new(HttpJson::new(spec, shared)?),
        SourceSpec::Command(spec) => Arc::new(Program::new(spec, shared)),
        SourceSpec::Push(spec) => Arc::new(Push::new(spec, shared)),
    })
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
