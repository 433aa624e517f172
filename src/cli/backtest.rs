//! `fleetscaler backtest`: policies over recorded load, compared with each other, with what others
//! do, and with an ideal.

pub(super) mod args;
mod files;
mod history;
mod page;
mod policies;
mod sweep;
mod table;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;

use self::args::BacktestArgs;
use self::policies::Contender;
use super::{Exit, output};
use crate::backtest::{Ideal, Load, Outcome, Score, Setup, Trace, run, score};

/// The report that is printed and written: everything that was run.
#[derive(Debug, Serialize)]
struct Report {
    trace: String,
    start: cloud::Timestamp,
    days: f64,
    capacity: f64,
    boot_secs: u64,
    lag_secs: u64,
    window_secs: u64,
    saturates: bool,
    demand_mean: f64,
    demand_max: u32,
    /// Oddities of the trace.
    remarks: Vec<String>,
    policies: Vec<Entry>,
    /// Settings that were tried with `--sweep`, cheapest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sweep: Vec<sweep::Try>,
}

/// One policy.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    /// Another autoscaler's algorithm.
    reference: bool,
    #[serde(flatten)]
    score: Score,
    /// The cost of the instance-hours, where their price was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    money: Option<f64>,
    #[serde(skip)]
    outcome: Outcome,
}

pub(super) async fn run_command(args: BacktestArgs) -> anyhow::Result<Exit> {
    let config = match &args.config {
        Some(path) => match output::load(path, None) {
            Ok(config) => Some(config),
            Err(exit) => return Ok(exit),
        },
        None => None,
    };
    let fleet = policies::fleet(&args, config.as_ref())?;
    let (trace, name, subject) = match (&args.load, &config, fleet) {
        (Some(path), ..) => (trace(path)?, path.display().to_string(), None),
        (None, Some(config), Some(fleet)) => {
            let subject = history::subject(&args, fleet)?;
            let trace = history::trace(&args, config, fleet, &subject).await?;
            let name = format!("{} of fleet {}", subject.signal, fleet.fleet.id);
            (trace, name, Some(subject))
        }
        (None, ..) => bail!("--since needs --config and --fleet"),
    };
    let capacity = policies::capacity(&args, fleet, subject.as_ref())?;
    let load = Load::new(&trace, capacity).with_context(|| name.clone())?;
    let contenders = match policies::contenders(&args, &load, fleet, subject.as_ref())? {
        Ok(contenders) => contenders,
        Err(problems) => {
            output::error(&problems.to_string());
            return Ok(Exit::Config);
        }
    };
    let report = report(&args, name, &trace, &load, contenders);
    if let Some(dir) = &args.out {
        files::write(dir, &report, &load)?;
    }
    if args.json {
        output::line(&serde_json::to_string(&report).context("the report")?);
    } else {
        table::print(&report);
        if args.sweep {
            sweep::print(&report.sweep);
        }
        if let Some(dir) = &args.out {
            output::line(&format!("\n{}", dir.join("report.html").display()));
        }
    }
    Ok(Exit::Ok)
}

pub(super) fn trace(path: &Path) -> anyhow::Result<Trace> {
    let file = File::open(path);
    let path = path.display();
    let file = file.with_context(|| format!("{path} cannot be read"))?;
    match Trace::read(BufReader::with_capacity(1 << 16, file)) {
        Ok(trace) => Ok(trace),
        Err(error) => bail!("{path}: {error}"),
    }
}

fn report(
    args: &BacktestArgs,
    name: String,
    trace: &Trace,
    load: &Load,
    contenders: Vec<Contender>,
) -> Report {
    let setup = args.setup();
    let ideal = Ideal::of(load, setup.boot_secs);
    let policies = all(load, setup, &ideal, contenders, args.hourly_price);
    let sweep = if args.sweep { sweep::run(args, load, &ideal) } else { Vec::new() };
    let demand = load.demand();
    let sum: u64 = demand.iter().copied().map(u64::from).sum();
    Report {
        trace: name,
        start: load.start(),
        days: load.secs() as f64 / 86_400.0,
        capacity: load.capacity(),
        boot_secs: setup.boot_secs,
        lag_secs: setup.lag_secs,
        window_secs: setup.window_secs,
        saturates: setup.saturates,
        demand_mean: sum as f64 / demand.len() as f64,
        demand_max: demand.iter().copied().max().unwrap_or(1),
        remarks: trace.remarks().to_vec(),
        policies,
        sweep,
    }
}

/// Runs all of them, as many at a time as there are processors.
fn all(
    load: &Load,
    setup: Setup,
    ideal: &Ideal,
    contenders: Vec<Contender>,
    price: Option<f64>,
) -> Vec<Entry> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut entries = Vec::with_capacity(contenders.len());
    let mut waiting = contenders.into_iter();
    loop {
        let batch: Vec<Contender> = waiting.by_ref().take(workers).collect();
        if batch.is_empty() {
            return entries;
        }
        std::thread::scope(|scope| {
            let running: Vec<_> = batch
                .into_iter()
                .map(|contender| scope.spawn(move || one(load, setup, ideal, contender, price)))
                .collect();
            for thread in running {
                entries.push(thread.join().expect("a backtest does not panic"));
            }
        });
    }
}

fn one(
    load: &Load,
    setup: Setup,
    ideal: &Ideal,
    contender: Contender,
    price: Option<f64>,
) -> Entry {
    let Contender { name, reference, decider } = contender;
    let outcome = run(load, setup, decider);
    let score = score(load, &outcome, ideal);
    let money = price.map(|price| price * score.instance_hours);
    Entry { name, reference, score, money, outcome }
}
