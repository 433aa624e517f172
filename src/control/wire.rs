//! From a configuration to live objects. What cannot work is refused here, before the first tick.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aliyun::credentials::{Chain, KeyFiles};
use cloud::credentials::{CredentialSource, CredentialsError};
use cloud::{Clock, Meter, Mutate, Observe, Preview};

use super::Steps;
use super::care::{Care, CareError, CareShared};
use super::fleets::{FleetInWorld, Fleets, sources_hash};
use super::prices::PriceBoard;
use super::pulse::Pulse;
use super::world::{self, LiveAccount, OsRandom, World};
use crate::balancers::Watcher;
use crate::config::{AliyunConfig, Config, Credentials, FleetConfig, Provider, Signature};
use crate::execute::{Executor, Live, Stop};
use crate::inventory::{Region, Surveyor};
use crate::journal::{Journal, JournalError, Keep, LeaseTime};
use crate::model::{AccountId, SignalName, Span};
use crate::signals::{self, Clients, Source, SourceError, Up, UpSource};

/// Whether the daemon may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Live,
    /// A journal that is only read, no provider that can write, no permit.
    DryRun,
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("provider `{name}`")]
    Provider { name: String, source: aliyun::SettingsError },
    #[error("provider `{name}`")]
    Credentials { name: String, source: CredentialsError },
    #[error("fleet `{fleet}`, signal `{signal}`")]
    Source { fleet: String, signal: SignalName, source: SourceError },
    #[error("fleet `{fleet}`")]
    Care { fleet: String, source: CareError },
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
    let clouds = clouds(&config.providers, &clock, keys.as_ref())?;
    let lease = LeaseTime(config.daemon.lease.get());
    let keep = Keep::from(&config.daemon);
    let state = &config.daemon.state;
    let journal = match mode {
        Mode::Live => Journal::open(state, clock.clone(), lease, keep).await?,
        // It can run beside the daemon, and what it does not do must not become history.
        Mode::DryRun => Journal::dry(state, clock.clone(), lease, keep).await,
    };
    let journal = journal.owned_by(config.daemon.installation.clone());
    let window = sharing_window(config.daemon.interval);
    let shared = Arc::new(Clients::new(clock.clone(), window));
    let mut live = BTreeMap::new();
    for (name, cloud) in clouds {
        live.insert(name, LiveCloud::of(cloud));
    }
    let care = CareShared::new(clock.clone());
    let mut sourced = Vec::new();
    for fleet in &config.fleets {
        let cloud = &live[&fleet.provider].observe;
        sourced.push(sourced_by(fleet, &shared, &care, cloud)?);
    }
    Ok(wire_over(config, mode, clock, Arc::new(journal), live, sourced))
}

/// One account as the daemon uses it: three sides of the same object.
#[derive(Debug, Clone)]
pub struct LiveCloud {
    pub observe: Arc<dyn Observe>,
    pub mutate: Arc<dyn Mutate>,
    pub preview: Arc<dyn Preview>,
    pub meter: Arc<dyn Meter>,
}

impl LiveCloud {
    /// All sides of `cloud`.
    #[must_use]
    pub fn of<T: Observe + Mutate + Preview + Meter + 'static>(cloud: Arc<T>) -> LiveCloud {
        LiveCloud {
            observe: cloud.clone(),
            mutate: cloud.clone(),
            preview: cloud.clone(),
            meter: cloud,
        }
    }
}

/// The sources of one fleet: its signals, the query for the hosts that are up, and what looks after its
/// instances.
pub type Sourced = (BTreeMap<SignalName, Arc<dyn Source>>, Option<Arc<dyn UpSource>>, Care);

/// Everything that `fleet` is asked about.
pub(super) fn sourced_by(
    fleet: &FleetConfig,
    clients: &Arc<Clients>,
    care: &CareShared,
    cloud: &Arc<dyn Observe>,
) -> Result<Sourced, WireError> {
    let cared = Care::of(fleet, clients, care)
        .map_err(|source| WireError::Care { fleet: fleet.fleet.id.0.clone(), source })?;
    Ok((sources(fleet, clients, cloud)?, up_source(fleet, clients)?, cared))
}

/// Puts a world together from its parts. `sourced` has one entry for each fleet of `config`.
#[must_use]
pub fn wire_over(
    config: Config,
    mode: Mode,
    clock: Arc<dyn Clock>,
    journal: Arc<Journal>,
    clouds: BTreeMap<String, LiveCloud>,
    sourced: Vec<Sourced>,
) -> World {
    let mut accounts = BTreeMap::new();
    for (name, cloud) in clouds {
        let executor = match mode {
            Mode::DryRun => Executor::Dry(cloud.preview),
            Mode::Live => Executor::Live(Live {
                cloud: cloud.mutate,
                journal: journal.clone(),
                clock: clock.clone(),
            }),
        };
        let Provider::Aliyun(provider) = &config.providers[&name];
        accounts.insert(
            AccountId(name),
            LiveAccount {
                region: Arc::new(Region::new(cloud.observe, clock.clone())),
                meter: cloud.meter,
                executor,
                prices: PriceBoard::default(),
                key: Mutex::default(),
                deletes_strays: provider.deletes_strays,
            },
        );
    }
    let fleets = config.fleets.into_iter().zip(sourced).map(|(fleet, sourced)| {
        let account = &accounts[&fleet.fleet.account];
        member(fleet, config.daemon.interval, account, sourced, &clock)
    });
    World {
        fleets: Fleets::new(fleets.collect()),
        clock,
        journal,
        surveyor: Surveyor::default(),
        steps: Steps::default(),
        accounts,
        entropy: Arc::new(OsRandom) as Arc<dyn world::Draw>,
        stop: Stop::default(),
        pulse: Pulse::default(),
    }
}

/// One fleet, ready to tick. `interval` is the one of fleets that do not set their own.
pub(super) fn member(
    fleet: FleetConfig,
    interval: Span,
    account: &LiveAccount,
    (sources, up_source, mut care): Sourced,
    clock: &Arc<dyn Clock>,
) -> FleetInWorld {
    let interval = fleet.interval.unwrap_or(interval);
    let sources_hash = sources_hash(&fleet);
    let balancers = &fleet.fleet.lifecycle.balancers;
    if !balancers.is_empty() {
        let (cloud, clock) = (account.region.observe(), clock.clone());
        care.balancers = Some(Arc::new(Watcher::new(&fleet.fleet.id, balancers, cloud, clock)));
    }
    let member = FleetInWorld::of(fleet.fleet, interval, account.executor.clone());
    FleetInWorld { sources, up_source, care, sources_hash, ..member }
}

/// How long an answer of a source is shared between fleets: half an interval. A fleet never gets the
/// answer of its own previous tick, and fleets that tick at different moments of one interval still share
/// one.
pub(super) fn sharing_window(interval: Span) -> Duration {
    interval.get() / 2
}

/// The sources of one fleet's signals.
pub fn sources(
    fleet: &FleetConfig,
    shared: &Arc<Clients>,
    cloud: &Arc<dyn Observe>,
) -> Result<BTreeMap<SignalName, Arc<dyn Source>>, WireError> {
    let mut sources = BTreeMap::new();
    for (signal, spec) in &fleet.sources {
        let source = signals::source(spec, shared, cloud).map_err(|source| WireError::Source {
            fleet: fleet.fleet.id.0.clone(),
            signal: signal.clone(),
            source,
        })?;
        sources.insert(signal.clone(), source);
    }
    Ok(sources)
}

/// The source that names the fleet's hosts that are up, if one is configured.
pub fn up_source(
    fleet: &FleetConfig,
    shared: &Arc<Clients>,
) -> Result<Option<Arc<dyn UpSource>>, WireError> {
    let Some(spec) = &fleet.up else { return Ok(None) };
    let up = Up::new(spec, shared).map_err(|source| WireError::Source {
        fleet: fleet.fleet.id.0.clone(),
        signal: "up".into(),
        source,
    })?;
    Ok(Some(Arc::new(up)))
}

/// One live provider account per `[provider.…]` table.
pub fn clouds(
    providers: &BTreeMap<String, Provider>,
    clock: &Arc<dyn Clock>,
    keys: Option<&Arc<dyn CredentialSource>>,
) -> Result<BTreeMap<String, Arc<aliyun::Ecs>>, WireError> {
    clouds_that_retry(providers, clock, keys, cloud::retry::Policy::default())
}

/// The same, with failed calls repeated as `retry` says.
pub fn clouds_that_retry(
    providers: &BTreeMap<String, Provider>,
    clock: &Arc<dyn Clock>,
    keys: Option<&Arc<dyn CredentialSource>>,
    retry: cloud::retry::Policy,
) -> Result<BTreeMap<String, Arc<aliyun::Ecs>>, WireError> {
    let mut clouds = BTreeMap::new();
    for (name, provider) in providers {
        let Provider::Aliyun(config) = provider;
        let credentials = match keys {
            Some(keys) => keys.clone(),
            None => credentials(&config.credentials, clock)
                .map_err(|source| WireError::Credentials { name: name.clone(), source })?,
        };
        let settings = aliyun::Settings { retry, ..settings(config, credentials) };
        let ecs = aliyun::Ecs::new(settings, clock.clone())
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

/// How an account is reached, as configured.
#[must_use]
pub fn settings(config: &AliyunConfig, credentials: Arc<dyn CredentialSource>) -> aliyun::Settings {
    let limits = &config.rate_limits;
    let rates = cloud::limit::Rates::default().with(&limits.by_action, limits.account);
    aliyun::Settings {
        region: config.region.clone(),
        endpoint: config.endpoint.clone(),
        sts_endpoint: config.sts_endpoint.clone(),
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
