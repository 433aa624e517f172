//! The questions of `check --online`, and what it says of the answers.

mod permissions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cloud::{Class, ClientToken, Clock, Error, ErrorKind, InstanceId, Observe, SystemClock};

use crate::cli::output;
use crate::config::{Config, FleetConfig, StateUrl};
use crate::control::{clouds, sources};
use crate::journal::{Examined, examine};
use crate::model::{Gap, IntentId, Place, Span, number, plural};
use crate::{plan, signals};

/// A fleet may have many types and zones; the first 12 places tell enough, and each costs a call.
const PLACES_ASKED: usize = 12;

/// The results of all checks.
pub(super) struct CheckResults {
    pub(super) rows: Vec<CheckRow>,
    /// Whether a provider has no credentials at all.
    pub(super) lacks_credentials: bool,
}

/// One check: what was asked, and what was found.
pub(super) struct CheckRow {
    pub(super) what: String,
    pub(super) found: CheckFinding,
}

pub(super) enum CheckFinding {
    Fine(String),
    /// The problem, and the way to mend it where the first does not say it.
    Wrong {
        wrong: String,
        todo: Option<String>,
    },
    /// It works, and is allowed more than it needs.
    More(String),
    /// Not asked, since it would only fail as an earlier one did.
    Skipped(String),
}

impl CheckRow {
    fn new(what: String, found: CheckFinding) -> CheckRow {
        CheckRow { what, found }
    }

    /// For 80 columns.
    pub(super) fn lines(&self) -> Vec<String> {
        let (label, texts) = match &self.found {
            CheckFinding::Fine(found) => ("ok", vec![format!("{}: {found}", self.what)]),
            CheckFinding::More(found) => ("more", vec![format!("{}: {found}", self.what)]),
            CheckFinding::Skipped(why) => ("skip", vec![format!("{}: {why}", self.what)]),
            CheckFinding::Wrong { wrong, todo } => {
                let todo = todo.as_ref().map(|todo| format!("→ {todo}"));
                ("FAIL", [self.what.clone(), wrong.clone()].into_iter().chain(todo).collect())
            }
        };
        let lines = texts.iter().flat_map(|text| output::wrap(text, 70)).enumerate();
        lines.map(|(n, line)| format!("  {:<5} {line}", if n == 0 { label } else { "" })).collect()
    }
}

/// Asks everything, and changes nothing.
pub(super) async fn ask(config: &Config) -> anyhow::Result<CheckResults> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let clouds = clouds(&config.providers, &clock, None)?;
    let shared = Arc::new(signals::Clients::new(clock.clone(), config.daemon.interval.get() / 2));
    let mut rows = vec![state(&config.daemon.state).await];
    let mut refused = BTreeMap::new();
    let mut lacks_credentials = false;
    for (name, cloud) in &clouds {
        let answer = cloud.probe_list().await;
        if let Err(error) = &answer
            && error.class == Class::Auth
        {
            lacks_credentials |= matches!(error.kind, ErrorKind::NoCredentials { .. });
            refused.insert(name.clone(), 0);
        }
        let what = format!("provider {name}: credentials, and permission to list");
        rows.push(CheckRow::new(what, found(answer, "accepted")));
    }
    // Providers that refuse launches for a reason that is the same for each.
    let mut refuses_launches = BTreeSet::new();
    for fleet in &config.fleets {
        let places = places(fleet);
        let base = fleet.fleet.base.as_ref().map(|base| &base.ids).filter(|ids| !ids.is_empty());
        if let Some(skipped) = refused.get_mut(&fleet.provider) {
            *skipped += places.len() + usize::from(base.is_some());
        } else {
            let cloud = clouds.get(&fleet.provider).expect("fleets name known providers");
            if let Some(ids) = base {
                rows.push(self::base(fleet, &**cloud, ids).await);
            }
            let mut skipped = 0;
            for place in &places {
                if refuses_launches.contains(&fleet.provider) {
                    skipped += 1;
                    continue;
                }
                let answer = launch(fleet, &**cloud, place, &*clock).await;
                if answer.as_ref().is_err_and(|error| error.class == Class::Auth) {
                    refuses_launches.insert(fleet.provider.clone());
                }
                let what = format!("fleet {}: launch {place}", fleet.fleet.id);
                rows.push(CheckRow::new(
                    what,
                    found(answer, "would be accepted (asked with DryRun)"),
                ));
            }
            if skipped > 0 {
                let what = format!("fleet {}: {} more", fleet.fleet.id, launches(skipped));
                rows.push(CheckRow::new(
                    what,
                    CheckFinding::Skipped(
                        "not asked, they would be refused as the first one".to_owned(),
                    ),
                ));
            }
        }
        if !refused.contains_key(&fleet.provider) {
            rows.push(permissions::end(fleet, &*clouds[&fleet.provider]).await);
        }
        for (name, reading) in signals::observe(&sources(fleet, &shared)?).await {
            let what = format!("fleet {}: signal {name}", fleet.fleet.id);
            rows.push(CheckRow::new(what, signal(reading)));
        }
    }
    for (name, cloud) in clouds.iter().filter(|(name, _)| !refused.contains_key(*name)) {
        let fleet = config.fleets.iter().find(|fleet| fleet.provider == *name);
        let asks = fleet.filter(|_| !refuses_launches.contains(name));
        rows.push(permissions::excess(name, &**cloud, asks, &*clock).await);
    }
    for (name, skipped) in refused.into_iter().filter(|(_, skipped)| *skipped > 0) {
        let what = format!("provider {name}: {skipped} more checks");
        let why = "not asked, they would be refused as the first one".to_owned();
        rows.push(CheckRow::new(what, CheckFinding::Skipped(why)));
    }
    Ok(CheckResults { rows, lacks_credentials })
}

fn launches(count: u32) -> String {
    if count == 1 { "1 launch".to_owned() } else { format!("{count} launches") }
}

fn places(fleet: &FleetConfig) -> Vec<Place> {
    let launch = &fleet.fleet.launch;
    let places = launch.instance_types.iter().flat_map(|instance_type| {
        launch.vswitches.iter().map(move |vswitch| Place {
            instance_type: instance_type.clone(),
            vswitch: vswitch.clone(),
        })
    });
    places.take(PLACES_ASKED).collect()
}

/// Whether the journal can be used, or will be.
async fn state(url: &StateUrl) -> CheckRow {
    let what = match url {
        StateUrl::Sqlite { path } => format!("state {}", path.display()),
        StateUrl::Postgres { .. } => "state in the database".to_owned(),
        StateUrl::Memory => "state in memory".to_owned(),
    };
    let found = match examine(url).await {
        Ok(Examined::Usable) => CheckFinding::Fine("can be read".to_owned()),
        Ok(Examined::InUse { holder }) => {
            CheckFinding::Fine(format!("can be read, a daemon uses it{holder}"))
        }
        Ok(Examined::NotYet) => {
            CheckFinding::Fine("not there yet, the daemon makes it when it starts".to_owned())
        }
        Ok(Examined::Older) => CheckFinding::Fine(
            "of an older version, the daemon adapts it when it starts".to_owned(),
        ),
        Ok(Examined::Forgotten) => {
            CheckFinding::Fine("everything is forgotten at the end".to_owned())
        }
        Err(error) => CheckFinding::Wrong { wrong: error.to_string(), todo: None },
    };
    CheckRow::new(what, found)
}

/// Whether the base instances that are named exist.
async fn base(fleet: &FleetConfig, cloud: &dyn Observe, ids: &BTreeSet<InstanceId>) -> CheckRow {
    let named: Vec<InstanceId> = ids.iter().cloned().collect();
    let found = match cloud.instances_by_ids(&named).await {
        Ok(listed) => {
            let missing: Vec<&str> = named
                .iter()
                .filter(|id| !listed.iter().any(|instance| instance.id == **id))
                .map(|id| id.0.as_str())
                .collect();
            if missing.is_empty() {
                let count = u32::try_from(named.len()).unwrap_or(u32::MAX);
                CheckFinding::Fine(format!("{} found", plural(count, "instance")))
            } else {
                CheckFinding::Wrong {
                    wrong: format!("not found: {}", missing.join(", ")),
                    todo: Some(
                        "correct `ids` in [fleet.….base], and see whether `region` and the account \
                         are the instances' own"
                            .to_owned(),
                    ),
                }
            }
        }
        Err(error) => self::found(Err(error), ""),
    };
    CheckRow::new(format!("fleet {}: base instances", fleet.fleet.id), found)
}

/// Asks for one instance at `place`, with every parameter and tag that a real launch would have.
async fn launch(
    fleet: &FleetConfig,
    cloud: &dyn Observe,
    place: &Place,
    clock: &dyn Clock,
) -> Result<(), Error> {
    let intent = IntentId(uuid::Uuid::new_v4());
    let token: ClientToken = uuid::Uuid::new_v4().into();
    let launch = plan::launch_of(&fleet.fleet, place, 1, intent, token, clock.now());
    cloud.probe_launch(&launch).await
}

fn signal(reading: crate::model::Reading) -> CheckFinding {
    match reading {
        Ok(sample) => CheckFinding::Fine(format!(
            "{}, {} old{}",
            number(sample.value),
            Span::secs(sample.age.get().as_secs()),
            match sample.reporting {
                Some(1) => ", reported by 1 instance".to_owned(),
                Some(count) => format!(", reported by {count} instances"),
                None => String::new(),
            },
        )),
        Err(gap) => {
            let todo = format!("{}; until it answers, the fleet keeps its size", remedy(&gap));
            CheckFinding::Wrong { wrong: gap.to_string(), todo: Some(todo) }
        }
    }
}

/// The way for a person to mend a gap.
fn remedy(gap: &Gap) -> &'static str {
    match gap {
        Gap::Unreachable { .. } | Gap::TimedOut { .. } => {
            "check `url`, the server, and the way there (DNS, proxy, firewall)"
        }
        Gap::Http { .. } => "check `url`, the credentials, and what stands before the server",
        Gap::Partial { .. } | Gap::Warned { .. } => "see to the source, part of which is missing",
        Gap::NoSeries { .. } => "compare `series` with what the query returns",
        Gap::AgeUnknown { .. } | Gap::Stale { .. } => "see whether the data under the query is new",
        _ => "try the query in the source's own console",
    }
}

fn found(result: Result<(), Error>, fine: &str) -> CheckFinding {
    match result {
        Ok(()) => CheckFinding::Fine(fine.to_owned()),
        Err(error) => {
            CheckFinding::Wrong { wrong: error.to_string(), todo: Some(todo(&error).to_owned()) }
        }
    }
}

/// The way for a person to mend a failed probe.
fn todo(error: &Error) -> &'static str {
    let code = error.code().unwrap_or_default();
    match error.class {
        Class::Auth if matches!(error.kind, ErrorKind::NoCredentials { .. }) => {
            "give it credentials: a RAM role, systemd's LoadCredential, or the environment \
             (docs/operating.md, Install)"
        }
        Class::Auth
            if ["Forb", "NoPermission", "RegionUnauth"].iter().any(|s| code.starts_with(s)) =>
        {
            "the key pair is known, but may not do this: `fleetscaler ram-policy` writes the RAM \
             policy that it needs"
        }
        Class::Auth => "check the key pair: whether id and secret belong together and are enabled",
        Class::NoCapacity => {
            "this type is sold out in this zone now; the daemon would try the next place, list \
             more types or vSwitches"
        }
        Class::Quota => "raise the quota or top up the balance in the vendor's console",
        Class::Throttled { .. } => "the account's API quota is used up for this minute; try again",
        Class::Transient | Class::Ambiguous => {
            "check the endpoint and the way there (DNS, proxy, firewall), then try again"
        }
        Class::Permanent | Class::Conflict | Class::Gone => {
            "correct what the message names in [fleet.….launch]"
        }
    }
}
