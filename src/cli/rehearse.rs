//! `fleetscaler rehearse`: what would happen to this configuration if that went wrong.

use std::path::PathBuf;

use cloud::{Clock, SystemClock, Timestamp};

use super::args::CONFIG;
use super::{Exit, backtest, output};
use crate::config::{self, Config};
use crate::model::Span;
use crate::rehearse::{Course, Rehearsal, RehearseError, Terms, rehearse};

/// 60 s: between a small image and a large one.
const BOOT: Span = Span::secs(60);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon's own ticks run your configuration in simulated time on a cloud in
this process; nothing is called and nothing is bought. Each vSwitch is a zone.

Faults, each from 10m on for 20m unless you say otherwise (@BEGIN+DURATION):
  no-stock:VSWITCH    nothing can be launched there
  zone-down:VSWITCH   its instances are gone, and none can be launched there
  throttle            every call is refused as one too many
  lost-replies        launches and deletions happen, their answers are lost
  slow-boot           boots take five times as long
  never-boots         what is launched never runs
  prometheus-away     no signal has a value

  fleetscaler rehearse --config config.toml --fault no-stock:zone-h
  fleetscaler rehearse --config config.toml --load requests.csv --capacity 250 \\
      --fault zone-down:zone-h@15m+30m --fault slow-boot@15m

Exit codes: 0 enough instances serve at the end; 1 too few do; 2 the
configuration or a fault has problems")]
pub(super) struct RehearseArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEETSCALER_CONFIG", default_value = CONFIG)]
    config: PathBuf,
    /// The fleet, where there are several
    #[arg(long, value_name = "FLEET")]
    fleet: Option<String>,
    /// What goes wrong; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
    /// The load in total, as CSV `timestamp,value` [default: calm, a surge, calm]
    #[arg(long, value_name = "FILE", conflicts_with = "steady")]
    load: Option<PathBuf>,
    /// A load that stays the same
    #[arg(long, value_name = "LOAD", value_parser = load)]
    steady: Option<f64>,
    /// The load that one instance carries [default: as a rule says, else 100]
    #[arg(long, value_name = "LOAD", value_parser = positive)]
    capacity: Option<f64>,
    /// How long it lasts [default: as long as the trace, or 1h]
    #[arg(long = "for", value_name = "DURATION")]
    lasts: Option<Span>,
    /// From a launch to Running
    #[arg(long, value_name = "DURATION", default_value_t = BOOT)]
    boot: Span,
    /// When it begins, for schedules: RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn load(text: &str) -> Result<f64, String> {
    let load = text.parse().ok().filter(|load: &f64| load.is_finite() && *load >= 0.0);
    load.ok_or_else(|| "it is no number of 0 or more".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    load(text).ok().filter(|load| *load > 0.0).ok_or_else(|| "it is no number above 0".to_owned())
}

pub(super) async fn run(args: RehearseArgs) -> anyhow::Result<Exit> {
    let config = match config::load_for_trial(&args.config) {
        Ok(config) => config,
        Err(problems) => {
            output::error(&format!("the configuration has problems\n{problems}"));
            return Ok(Exit::Usage);
        }
    };
    let course = match (&args.load, args.steady) {
        (Some(path), _) => Some(Course::Recorded(backtest::trace(path)?)),
        (None, Some(load)) => Some(Course::Steady(load)),
        (None, None) => None,
    };
    let terms = Terms {
        fleet: args.fleet,
        start: args.start.unwrap_or_else(|| SystemClock.now()),
        lasts: args.lasts,
        boot: args.boot,
        capacity: args.capacity,
        course,
        faults: args.faults,
    };
    let rehearsal = match alone(config, terms).await? {
        Ok(rehearsal) => rehearsal,
        Err(error @ (RehearseError::Provider(_) | RehearseError::Journal(_))) => {
            return Err(error.into());
        }
        Err(error) => {
            output::error(&error.to_string());
            return Ok(Exit::Usage);
        }
    };
    show(&rehearsal, args.json)?;
    Ok(if rehearsal.recovered { Exit::Ok } else { Exit::Failed })
}

/// On a thread of its own: where nothing else runs, each moment of simulated time is the same in every run.
async fn alone(config: Config, terms: Terms) -> anyhow::Result<Result<Rehearsal, RehearseError>> {
    let played = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok::<_, std::io::Error>(runtime.block_on(rehearse(config, &terms)))
    });
    Ok(played.await??)
}

fn show(rehearsal: &Rehearsal, json: bool) -> anyhow::Result<()> {
    if json {
        output::line(&serde_json::to_string(rehearsal)?);
    } else {
        rehearsal.lines().iter().for_each(|line| output::line(line));
    }
    Ok(())
}
