//! From a configuration to live objects. What cannot work is refused here, before the first tick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Observe};

use super::world::{Member, World};
use crate::config::{AliyunConfig, Config, FleetConfig, Provider, StateUrl};
use crate::execute::{Hands, Live};
use crate::inventory::Surveyor;
use crate::journal::{Journal, JournalError};
use crate::model::SignalName;
use crate::signals::{Prometheus, Shared, Source, SourceError, SourceSpec};

/// Whether the daemon may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Live,
    /// No journal on disk, no provider that can write, no permit.
    DryRun,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("provider `{name}`: {source}")]
    Provider { name: String, source: aliyun::SettingsError },
    #[error("fleet `{fleet}`, signal `{signal}`: {source}")]
    Source { fleet: String, signal: SignalName, source: SourceError },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Makes everything that the ticks of `config` need. Asks nothing of the network.
pub(crate) async fn wire(
    config: Config,
    mode: Mode,
    clock: Arc<dyn Clock>,
) -> Result<World, WireError> {
    // A dry run reads and writes no journal: it can run beside the daemon, and what it does not do
    // must not become history.
    let state = match mode {
        Mode::Live => config.daemon.state.clone(),
        Mode::DryRun => StateUrl::Memory,
    };
    let clouds = clouds(&config.providers, &clock)?;
    let journal = Arc::new(Journal::open(&state, clock.clone()).await?);
    // Half an interval: a fleet never gets the answer of its own previous tick, and fleets that
    // tick at different moments of one interval still share one.
    let window = config.daemon.interval.get() / 2;
    let shared = Arc::new(Shared::new(clock.clone(), window));
    let mut fleets = Vec::new();
    for fleet in config.fleets {
        let cloud = clouds.get(&fleet.provider).expect("the configuration names known providers");
        let sources = sources(&fleet, &shared)?;
        let hands = match mode {
            Mode::DryRun => Hands::Dry(cloud.clone()),
            Mode::Live => Hands::Live(Live {
                cloud: cloud.clone(),
                journal: journal.clone(),
                clock: clock.clone(),
            }),
        };
        fleets.push(Member {
            interval: fleet.interval.unwrap_or(config.daemon.interval),
            sources,
            cloud: cloud.clone() as Arc<dyn Observe>,
            hands,
            nudge: Arc::default(),
            fleet: fleet.fleet,
        });
    }
    Ok(World { clock, journal, surveyor: Surveyor::default(), fleets })
}

/// The sources of one fleet's signals.
pub(crate) fn sources(
    fleet: &FleetConfig,
    shared: &Arc<Shared>,
) -> Result<BTreeMap<SignalName, Arc<dyn Source>>, WireError> {
    let mut sources = BTreeMap::new();
    for (signal, spec) in &fleet.sources {
        let SourceSpec::Prometheus(spec) = spec;
        let source = Prometheus::new(spec, shared).map_err(|source| WireError::Source {
            fleet: fleet.fleet.id.0.clone(),
            signal: signal.clone(),
            source,
        })?;
        sources.insert(signal.clone(), Arc::new(source) as Arc<dyn Source>);
    }
    Ok(sources)
}

/// One live provider account per `[provider.…]` table.
pub(crate) fn clouds(
    providers: &BTreeMap<String, Provider>,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<String, Arc<aliyun::Ecs>>, WireError> {
    let mut clouds = BTreeMap::new();
    for (name, provider) in providers {
        let Provider::Aliyun(config) = provider;
        let ecs = aliyun::Ecs::new(settings(config, clock), clock.clone())
            .map_err(|source| WireError::Provider { name: name.clone(), source })?;
        clouds.insert(name.clone(), Arc::new(ecs));
    }
    Ok(clouds)
}
