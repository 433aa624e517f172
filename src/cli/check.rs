//! `fleetscaler check`: offline, every problem of the configuration; online, whether the cloud and
//! the signal sources would play along. Nothing is changed: launches are asked with DryRun.
//! With `--print` an accepted configuration is printed as files, templates and defaults make it.

mod json;
mod online;
mod progress;

use std::io::Stderr;

use self::json::CheckDocument;
use self::online::{CheckRow, Listener};
use self::progress::Progress;
use super::args::CheckArgs;
use super::{Exit, output};
use crate::config::{self, Config, FleetConfig, Problem, Problems};
use crate::model::plural;

pub(super) async fn run(args: CheckArgs) -> anyhow::Result<Exit> {
    match config::load(&args.config) {
        Err(problems) => Ok(refused(&args, &problems)),
        Ok(config) if args.print => Ok(print(&args, &config.warnings)),
        Ok(config) => accepted(&args, &config).await,
    }
}

fn refused(args: &CheckArgs, problems: &Problems) -> Exit {
    if args.json {
        let document = CheckDocument::of(&args.config, false).problems(problems.iter());
        output::line(&document.text());
    } else {
        filled(&problems.to_string());
        let n = problems.len();
        output::line(&format!("\n{n} {}", if n == 1 { "problem" } else { "problems" }));
    }
    output::credentials_by_hand(problems, &args.config, args.as_command());
    Exit::Config
}

async fn accepted(args: &CheckArgs, config: &Config) -> anyhow::Result<Exit> {
    if !args.json {
        describe(args, config);
    }
    let mut screen = Screen { progress: Progress::on_stderr(), prints: !args.json, rows: vec![] };
    if args.online {
        if !args.json {
            output::line("");
        }
        let lacks_credentials = online::ask(config, online::LIMIT, &mut screen).await;
        screen.progress.end();
        if lacks_credentials? {
            output::by_hand(args.as_command(), &args.config, &output::KEY_PAIR);
        }
    }
    let rows = screen.rows;
    let failed = rows.iter().filter(|row| row.found.is_wrong()).count();
    let exit = match (args.doubts(&config.warnings), failed) {
        (true, _) => Exit::Config,
        (false, 0) => Exit::Ok,
        (false, _) => Exit::Check,
    };
    if args.json {
        let document = CheckDocument::of(&args.config, exit == Exit::Ok);
        let document = document.warnings(&config.warnings).fleets(&config.fleets).online(&rows);
        output::line(&document.text());
    } else {
        conclude(args, config, &rows, failed);
    }
    Ok(exit)
}

/// What the configuration says, and what is doubted of it.
fn describe(args: &CheckArgs, config: &Config) {
    let more = match u32::try_from(config.included.len()).unwrap_or(u32::MAX) {
        0 => String::new(),
        n => format!(" and {} that it includes", plural(n, "file")),
    };
    output::line(&format!("{}{more}: ok", args.config.display()));
    config.fleets.iter().for_each(|fleet| filled(&summary(fleet)));
    for warning in &config.warnings {
        filled(&format!("  warning: {}", warning.to_string().replace('\n', "\n  ")));
    }
}

fn conclude(args: &CheckArgs, config: &Config, rows: &[CheckRow], failed: usize) {
    if failed > 0 {
        let asked = rows.iter().filter(|row| !row.found.is_skipped()).count();
        output::line(&format!("\n{failed} of {asked} checks failed"));
    }
    if args.doubts(&config.warnings) {
        let count = u32::try_from(config.warnings.len()).unwrap_or(u32::MAX);
        output::line(&format!("\n{}: with --strict that is a problem", plural(count, "warning")));
    } else if args.online && failed == 0 {
        output::line("\nready: `fleetscaler run --dry-run` shows what it would do");
    }
}

fn filled(text: &str) {
    output::filled(text, output::COLUMNS).iter().for_each(|line| output::line(line));
}

/// Shows the rows as they come, with a line of progress beneath them.
struct Screen {
    progress: Progress<Stderr>,
    prints: bool,
    rows: Vec<CheckRow>,
}

impl Listener for Screen {
    fn asks(&mut self, number: usize, total: usize, what: &str) {
        self.progress.show(&format!("asking {number} of {total}: {what} …"));
    }

    fn finds(&mut self, row: CheckRow) {
        if self.prints {
            self.progress.beneath(|| row.lines().iter().for_each(|line| output::line(line)));
        }
        self.rows.push(row);
    }
}

/// The text alone on stdout, so that it can be kept and compared.
fn print(args: &CheckArgs, warnings: &[Problem]) -> Exit {
    let text = match config::whole(&args.config) {
        Ok(text) => text,
        Err(problems) => {
            output::error(&format!("the configuration has problems now\n{problems}"));
            return Exit::Config;
        }
    };
    text.lines().for_each(output::line);
    for warning in warnings {
        output::note(&format!("warning: {}", warning.in_a_line()));
    }
    if args.doubts(warnings) { Exit::Config } else { Exit::Ok }
}

impl CheckArgs {
    fn as_command(&self) -> &'static str {
        if self.online { "check --online" } else { "check" }
    }

    /// Whether `warnings` count as problems.
    fn doubts(&self, warnings: &[Problem]) -> bool {
        self.strict && !warnings.is_empty()
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
