//! `fleetscaler check`: offline, every problem of the configuration; online, whether the cloud and
//! the signal sources would play along. Nothing is changed: launches are asked with DryRun.

use std::sync::Arc;

use cloud::{Class, ClientToken, Clock, Error, Observe, SystemClock};

use super::args::CheckArgs;
use super::{Exit, output};
use crate::config::{self, Config, FleetConfig};
use crate::control::{clouds, sources};
use crate::model::{IntentId, Place, Span};
use crate::{plan, signals};

/// A fleet may have many types and zones; the first 12 places tell enough, and each costs a call.
const PLACES_ASKED: usize = 12;

pub(super) async fn run(args: CheckArgs) -> anyhow::Result<Exit> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(problems) => {
            let text = problems.to_string();
            output::filled(&text, output::COLUMNS).iter().for_each(|line| output::line(line));
            let n = problems.len();
            output::line(&format!("\n{n} {}", if n == 1 { "problem" } else { "problems" }));
            output::credentials_by_hand(&problems, args.as_command());
            return Ok(Exit::Config);
        }
    };
    output::line(&format!("{}: ok", args.config.display()));
    for fleet in &config.fleets {
        output::filled(&summary(fleet), output::COLUMNS).iter().for_each(|line| output::line(line));
    }
    if !args.online {
        return Ok(Exit::Ok);
    }
    let rows = online(&config).await?;
    output::line("");
    for row in &rows {
        output::line(&row.text());
    }
    let failed = rows.iter().filter(|row| row.result.is_err()).count();
    if failed == 0 {
        output::line("\nready: `fleetscaler run --dry-run` shows what it would do");
        return Ok(Exit::Ok);
    }
    output::line(&format!("\n{failed} of {} checks failed", rows.len()));
    Ok(Exit::Check)
}

impl CheckArgs {
    fn as_command(&self) -> &'static str {
        if self.online { "check --online" } else { "check" }
    }
}

/// `fleet web: 2 to 20 instances on aliyun, 2 types × 2 vSwitches, signals cpu`.
fn summary(fleet: &FleetConfig) -> String {
    let names: Vec<&str> = fleet.sources.keys().map(|name| name.0.as_str()).collect();
    let (bounds, launch) = (fleet.fleet.bounds, &fleet.fleet.launch);
    format!(
        "  fleet {}: {} to {} instances on {}, types × vSwitches: {} × {}, signals: {}",
        fleet.fleet.id,
        bounds.min,
        bounds.max,
        fleet.provider,
        launch.instance_types.len(),
        launch.vswitches.len(),
        names.join(", "),
    )
}

/// One check: what was asked, and either what was found or what is wrong and what to do.
struct Row {
    what: String,
    result: Result<String, (String, String)>,
}

impl Row {
    fn text(&self) -> String {
        match &self.result {
            Ok(found) => {
                let lines = output::wrap(&format!("{}: {found}", self.what), 70);
                format!("  ok    {}", lines.join("\n        "))
            }
            Err((wrong, todo)) => {
                let mut out = format!("  FAIL  {}", self.what);
                for line in output::wrap(wrong, 70) {
                    out.push_str(&format!("\n        {line}"));
                }
                for line in output::wrap(&format!("→ {todo}"), 70) {
                    out.push_str(&format!("\n        {line}"));
                }
                out
            }
        }
    }
}

async fn online(config: &Config) -> anyhow::Result<Vec<Row>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let clouds = clouds(&config.providers, &clock, None)?;
    let shared = Arc::new(signals::Shared::new(clock.clone(), config.daemon.interval.get() / 2));
    let mut rows = Vec::new();
    for (name, cloud) in &clouds {
        rows.push(Row {
            what: format!("provider {name}: credentials, and permission to list"),
            result: answer(cloud.probe_list().await, "accepted"),
        });
    }
    for fleet in &config.fleets {
        let cloud = clouds.get(&fleet.provider).expect("the configuration names known providers");
        let places = fleet.fleet.launch.instance_types.iter().flat_map(|instance_type| {
            fleet.fleet.launch.vswitches.iter().map(move |vswitch| Place {
                instance_type: instance_type.clone(),
                vswitch: vswitch.clone(),
            })
        });
        for place in places.take(PLACES_ASKED) {
            rows.push(launch(fleet, &**cloud, &place, &*clock).await);
        }
        let sources = sources(fleet, &shared)?;
        for (name, reading) in signals::observe(&sources).await {
            rows.push(Row {
                what: format!("fleet {}: signal {name}", fleet.fleet.id),
                result: match reading {
                    Ok(sample) => Ok(format!(
                        "{}, {} old{}",
                        crate::model::number(sample.value),
                        Span::secs(sample.age.get().as_secs()),
                        match sample.reporting {
                            Some(1) => ", reported by 1 instance".to_owned(),
                            Some(count) => format!(", reported by {count} instances"),
                            None => String::new(),
                        },
                    )),
                    Err(gap) => Err((
                        gap.to_string(),
                        "try the query in the source's own console; until it answers, the fleet \
                         keeps its size"
                            .to_owned(),
                    )),
                },
            });
        }
    }
    Ok(rows)
}

/// Asks for one instance at `place`, with every parameter and tag that a real launch would have.
async fn launch(fleet: &FleetConfig, cloud: &dyn Observe, place: &Place, clock: &dyn Clock) -> Row {
    let intent = IntentId(uuid::Uuid::new_v4());
    let token: ClientToken = uuid::Uuid::new_v4().into();
    let launch = plan::launch_of(&fleet.fleet, place, 1, intent, token, clock.now());
    let found = "would be accepted (asked with DryRun)";
    Row {
        what: format!("fleet {}: launch {place}", fleet.fleet.id),
        result: answer(cloud.probe_launch(&launch).await, found),
    }
}

fn answer(result: Result<(), Error>, found: &str) -> Result<String, (String, String)> {
    result.map(|()| found.to_owned()).map_err(|error| (error.to_string(), todo(&error).to_owned()))
}

/// What a person does about a failed probe.
fn todo(error: &Error) -> &'static str {
    match error.class {
        Class::Auth => "check the key pair and the RAM policy (docs/operating.md has one to copy)",
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
