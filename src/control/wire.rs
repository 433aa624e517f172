//! From a configuration to live objects. What cannot work is refused here, before the first tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use aliyun::credentials::{Chain, KeyFiles};
use cloud::credentials::{CredentialSource, CredentialsError};
use cloud::{Clock, Observe};

use super::world::{Member, World};
use crate::config::{
    AliyunConfig, Config, Credentials, FleetConfig, Provider, Signature, StateUrl,
};
use crate::execute::{Hands, Live};
use crate::inventory::Surveyor;
use crate::journal::{Journal, JournalError};
use crate::model::SignalName;
use crate::signals::{Prometheus, Shared, Source, SourceError, SourceSpec};

/// Whether the daemon may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Live,
    /// No journal on disk, no provider that can write, no permit.
    DryRun,
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("provider `{name}`: {source}")]
    Provider { name: String, source: aliyun::SettingsError },
    #[error("provider `{name}`: {source}")]
    Credentials { name: String, source: CredentialsError },
    #[error("fleet `{fleet}`, signal `{signal}`: {source}")]
    Source { fleet: String, signal: SignalName, source: SourceError },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Makes everything that the ticks of `config` need. Asks nothing of the network. `keys` stand in
/// for what the configuration says of credentials (the demo and tests have their own).
pub async fn wire(
    config: Config,
    mode: Mode,
    clock: Arc<dyn Clock>,
    keys: Option<Arc<dyn CredentialSource>>,
) -> Result<World, WireError> {
    // A dry run reads and writes no journal: it can run beside the daemon, and what it does not do
    // must not become history.
    let state = match mode {
        Mode::Live => config.daemon.state.clone(),
        Mode::DryRun => StateUrl::Memory,
    };
    let clouds = clouds(&config.providers, &clock, keys.as_ref())?;
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
pub fn sources(
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
pub fn clouds(
    providers: &BTreeMap<String, Provider>,
    clock: &Arc<dyn Clock>,
    keys: Option<&Arc<dyn CredentialSource>>,
) -> Result<BTreeMap<String, Arc<aliyun::Ecs>>, WireError> {
    let mut clouds = BTreeMap::new();
    for (name, provider) in providers {
        let Provider::Aliyun(config) = provider;
        let credentials = match keys {
            Some(keys) => keys.clone(),
            None => credentials(&config.credentials, clock)
                .map_err(|source| WireError::Credentials { name: name.clone(), source })?,
        };
        let ecs = aliyun::Ecs::new(settings(config, credentials), clock.clone())
            .map_err(|source| WireError::Provider { name: name.clone(), source })?;
        clouds.insert(name.clone(), Arc::new(ecs));
    }
    Ok(clouds)
}

fn credentials(
    configured: &Credentials,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn CredentialSource>, CredentialsError> {
    Ok(match configured {
        Credentials::VendorChain => Arc::new(Chain::new(clock.clone())?),
        Credentials::Files { id_file, secret_file } => {
            Arc::new(KeyFiles { id: id_file.clone(), secret: secret_file.clone() })
        }
    })
}

fn settings(config: &AliyunConfig, credentials: Arc<dyn CredentialSource>) -> aliyun::Settings {
    let mut rates = cloud::limit::Rates::default();
    rates.by_action.extend(config.rate_limits.clone());
    aliyun::Settings {
        region: config.region.clone(),
        endpoint: config.endpoint.clone(),
        vpc_endpoint: config.vpc_endpoint,
        allow_plain_http: config.allow_plain_http,
        signature: match config.signature {
            Signature::V1 => aliyun::Signature::V1,
            Signature::Acs3 => aliyun::Signature::Acs3,
        },
        timeouts: aliyun::Timeouts {
            read: config.read_timeout.get(),
            write: config.write_timeout.get(),
        },
        retry: cloud::retry::Policy::default(),
        rates,
        credentials,
    }
}
