//! A changed configuration, taken while the daemon runs: as a whole, or not at all.
//!
//! Fleets are added, changed and removed; the others tick on. A changed fleet keeps its history, its
//! cool-downs and its lease: they are in the journal. The instances of a fleet that is removed stay, as
//! strays. What the process was built on (the journal, the addresses, the accounts) is refused by name.

mod difference;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fmt::{self, Debug};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cloud::text::one_line;

use super::care::CareShared;
use super::fleets::FleetInWorld;
use super::wire::{member, sharing_window, sourced_by};
use super::{WireError, World};
use crate::config::{self, AliyunConfig, Config, Daemon, Problem, Problems, Provider};
use crate::model::{Brakes, FleetId, OperatorEvent, Span};
use crate::notify::NotifySpec;
use crate::signals::Clients;

pub use difference::Difference;

/// The changes of a reload, fleet by fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    pub added: Vec<FleetId>,
    /// With every difference.
    pub changed: Vec<(FleetId, Vec<Difference>)>,
    pub removed: Vec<FleetId>,
    /// How many stay as they are.
    pub unchanged: usize,
    /// Differences of the daemon's own settings that need no restart.
    pub daemon: Vec<Difference>,
    /// Remarks about the new configuration that are no problems.
    pub warnings: Vec<String>,
}

/// `adds api; changes web (max 20 → 30); removes old; 7 unchanged`
impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |ids: &[FleetId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let settings = |differences: &[Difference]| {
            differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        if !self.daemon.is_empty() {
            parts.push(format!("daemon: {}", settings(&self.daemon)));
        }
        if !self.added.is_empty() {
            parts.push(format!("adds {}", names(&self.added)));
        }
        for (id, differences) in &self.changed {
            parts.push(format!("changes {id} ({})", settings(differences)));
        }
        if !self.removed.is_empty() {
            parts.push(format!("removes {}", names(&self.removed)));
        }
        match (parts.is_empty(), self.unchanged) {
            (true, _) => parts.push("nothing differs".to_owned()),
            (false, 0) => {}
            (false, n) => parts.push(format!("{n} unchanged")),
        }
        f.write_str(&parts.join("; "))
    }
}

/// Why a configuration was not taken. The old one goes on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Problems(#[from] Problems),
    /// A part of it cannot be made: a file of certificates that holds none, say.
    #[error("{}", with_causes(.0))]
    Wire(#[from] WireError),
    #[error("{} changed, which needs a restart", .0.join(", "))]
    NeedsRestart(Vec<String>),
}

/// Hears how each reload ended.
pub trait ReloadSink: Debug + Send + Sync {
    fn reloaded(&self, author: &str, ended: Result<&Reloaded, &ReloadError>);
}

/// Takes changed configurations.
#[derive(Debug)]
pub struct Reloader {
    sink: Arc<dyn ReloadSink>,
    world: Arc<World>,
    path: PathBuf,
    /// The settings that run. Held during a reload: there is one at a time.
    running: Mutex<Running>,
}

/// The parts of the running configuration that the world does not have.
#[derive(Debug, Clone)]
pub struct Running {
    daemon: Daemon,
    providers: BTreeMap<String, Provider>,
    notify: Vec<NotifySpec>,
}

impl From<&Config> for Running {
    fn from(config: &Config) -> Running {
        Running {
            daemon: config.daemon.clone(),
            providers: config.providers.clone(),
            notify: config.notify.clone(),
        }
    }
}

impl Reloader {
    /// For the world that was made from the configuration at `path`, with these parts.
    #[must_use]
    pub fn new(
        world: Arc<World>,
        path: PathBuf,
        running: Running,
        sink: Arc<dyn ReloadSink>,
    ) -> Reloader {
        Reloader { sink, world, path, running: Mutex::new(running) }
    }

    /// The file that is read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the configuration and says what it would change.
    ///
    /// # Errors
    /// Every problem of the file, or the settings that need a restart.
    pub async fn preview(self: &Arc<Self>) -> Result<Reloaded, ReloadError> {
        self.beside_the_ticks(true).await
    }

    /// Reads the configuration and takes it, by the word of `author`, which is recorded.
    ///
    /// # Errors
    /// As in [`Reloader::preview`]; nothing has changed then.
    pub async fn reload(self: &Arc<Self>, author: &str) -> Result<Reloaded, ReloadError> {
        let ended = self.beside_the_ticks(false).await;
        self.sink.reloaded(author, ended.as_ref());
        if let Ok(reloaded) = &ended {
            let event = OperatorEvent::Reloaded {
                at: self.world.clock.now(),
                author: one_line(author),
                changes: one_line(&reloaded.to_string()),
                ignorable: true,
            };
            if let Err(error) = self.world.journal.say(&event).await {
                tracing::warn!("the reload is not recorded: {error}");
            }
        }
        ended
    }

    /// On a thread of its own: ten thousand fleets take seconds to read, and ticks must not wait.
    async fn beside_the_ticks(self: &Arc<Self>, dry: bool) -> Result<Reloaded, ReloadError> {
        let reloader = self.clone();
        match tokio::task::spawn_blocking(move || reloader.take(dry)).await {
            Ok(ended) => ended,
            Err(bug) => std::panic::resume_unwind(bug.into_panic()),
        }
    }

    fn take(&self, dry: bool) -> Result<Reloaded, ReloadError> {
        let mut running = self.running.lock().expect("no holder of this lock can panic");
        let config = config::load(&self.path)?;
        let refused = needs_restart(&running, &config);
        if !refused.is_empty() {
            return Err(ReloadError::NeedsRestart(refused));
        }
        let members = self.members(&config)?;
        let mut reloaded = self.compared(&members);
        reloaded.warnings = config.warnings.iter().map(Problem::in_a_line).collect();
        if config.daemon.interval != running.daemon.interval {
            let of = |span: Span| span.to_string();
            let (before, after) = (of(running.daemon.interval), of(config.daemon.interval));
            reloaded.daemon.push(Difference::new("interval", Some(before), Some(after)));
        }
        if !dry {
            self.world.fleets.replace(members);
            for (id, _) in &reloaded.changed {
                if let Some(member) = self.world.member(id) {
                    member.nudge.notify_one();
                }
            }
            *running = Running::from(&config);
        }
        Ok(reloaded)
    }

    /// The fleets of `config`, each with sources of its own: certificates and secrets that their tables
    /// name are read anew.
    fn members(&self, config: &Config) -> Result<Vec<FleetInWorld>, WireError> {
        let window = sharing_window(config.daemon.interval);
        let shared = Arc::new(Clients::new(self.world.clock.clone(), window));
        let care = CareShared::new(self.world.clock.clone());
        let mut members = Vec::with_capacity(config.fleets.len());
        for fleet in &config.fleets {
            let account = &self.world.accounts[&fleet.fleet.account];
            let cloud = account.region.observe();
            let sourced = sourced_by(fleet, &shared, &care, &cloud)?;
            let (interval, clock) = (config.daemon.interval, &self.world.clock);
            members.push(member(fleet.clone(), interval, account, sourced, clock));
        }
        Ok(members)
    }

    fn compared(&self, members: &[FleetInWorld]) -> Reloaded {
        let before = self.world.fleets.all();
        let mut reloaded = Reloaded::default();
        for member in members {
            let id = &member.fleet.id;
            match self.world.member(id) {
                None => reloaded.added.push(id.clone()),
                Some(old) => match difference::between(&old, member) {
                    differences if differences.is_empty() => reloaded.unchanged += 1,
                    differences => reloaded.changed.push((id.clone(), differences)),
                },
            }
        }
        let stays: BTreeSet<&FleetId> = members.iter().map(|member| &member.fleet.id).collect();
        let gone = before.iter().filter(|member| !stays.contains(&member.fleet.id));
        reloaded.removed = gone.map(|member| member.fleet.id.clone()).collect();
        reloaded
    }
}

/// An error with everything that led to it.
fn with_causes(error: &WireError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The settings of `config` that a running process cannot take, by name.
fn needs_restart(running: &Running, config: &Config) -> Vec<String> {
    // Every field is named, so that a new one is thought of.
    let Daemon {
        interval: _,
        installation,
        state,
        lease,
        keep,
        keep_mib,
        listen,
        listen_hosts,
        api_socket,
        tls,
        api_tokens,
    } = &running.daemon;
    let now = &config.daemon;
    let daemon = [
        ("installation", *installation == now.installation),
        ("state", *state == now.state),
        ("lease", *lease == now.lease),
        ("keep", *keep == now.keep),
        ("keep_mib", *keep_mib == now.keep_mib),
        ("listen", *listen == now.listen),
        ("listen_hosts", *listen_hosts == now.listen_hosts),
        ("api_socket", *api_socket == now.api_socket),
        ("tls", *tls == now.tls),
        ("api_token", *api_tokens == now.api_tokens),
    ];
    let mut refused: Vec<String> = daemon
        .iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| format!("`{name}` in [daemon]"))
        .collect();
    if running.notify != config.notify {
        refused.push("[notify]".to_owned());
    }
    let names: BTreeSet<&String> =
        running.providers.keys().chain(config.providers.keys()).collect();
    for name in names {
        let account = |providers: &BTreeMap<String, Provider>| providers.get(name).map(reached);
        if account(&running.providers) != account(&config.providers) {
            refused.push(format!("[provider.{name}]"));
        }
    }
    refused
}

/// How an account is reached: its brakes are the fleets' affair.
fn reached(provider: &Provider) -> Provider {
    let Provider::Aliyun(aliyun) = provider;
    Provider::Aliyun(AliyunConfig { brakes: Brakes::default(), ..aliyun.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::SourceError;

    #[test]
    fn a_refusal_tells_its_causes() {
        let source = SourceError::Url { url: "nowhere".to_owned() };
        let wire = WireError::Source { fleet: "web".to_owned(), signal: "cpu".into(), source };
        let said = ReloadError::Wire(wire).to_string();
        assert!(said.starts_with("fleet `web`, signal `cpu`: "), "{said}");
        assert!(said.ends_with("`nowhere` is no URL"), "{said}");
    }
}
