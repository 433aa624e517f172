//! `fleetscaler check`: offline, every problem of the configuration; online, whether the cloud and
//! the signal sources would play along. Nothing is changed: launches are asked with DryRun.

mod online;

use self::online::{CheckFinding, CheckResults, CheckRow};
use super::args::CheckArgs;
use super::{Exit, output};
use crate::config::{self, FleetConfig};

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
    for warning in &config.warnings {
        let text = format!("  warning: {warning}");
        output::filled(&text, output::COLUMNS).iter().for_each(|line| output::line(line));
    }
    if !args.online {
        return Ok(Exit::Ok);
    }
    output::line("");
    let CheckResults { rows, lacks_credentials } = online::ask(&config).await?;
    for line in rows.iter().flat_map(CheckRow::lines) {
        output::line(&line);
    }
    if lacks_credentials {
        output::by_hand(args.as_command(), &args.config, &output::KEY_PAIR);
    }
    let asked = rows.iter().filter(|row| !matches!(row.found, CheckFinding::Skipped(_))).count();
    let failed = rows.iter().filter(|row| matches!(row.found, CheckFinding::Wrong { .. })).count();
    if failed == 0 {
        output::line("\nready: `fleetscaler run --dry-run` shows what it would do");
        return Ok(Exit::Ok);
    }
    output::line(&format!("\n{failed} of {asked} checks failed"));
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
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let (bounds, launch) = (fleet.fleet.bounds, &fleet.fleet.launch);
    format!(
        "  fleet {}: {} to {} instances on {}, types × vSwitches: {} × {}, signals: {}",
        fleet.fleet.id,
        bounds.min,
        bounds.max,
        fleet.provider,
        launch.instance_types.len(),
        launch.vswitches.len(),
        names,
    )
}
