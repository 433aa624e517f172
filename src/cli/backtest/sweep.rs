//! `--sweep`: many settings of each rule, and those that nothing beats.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::args::BacktestArgs;
use super::policies::{self, Contender};
use super::{Entry, all, output};
use crate::backtest::{Ideal, Load};
use crate::model::{
    Cooldown, RuleKind, ScaleIn, ScaleOut, Span, Step, Target, TargetOf, Threshold, Tolerance,
};

/// Prices of a missing instance, from "may wait" to "never".
const PRICES: [f64; 12] = [1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 25.0, 50.0, 100.0, 200.0, 500.0];
/// Targets of utilisation, in percent.
const TARGETS: [f64; 9] = [50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0];
/// Bounds of a threshold, in percent; those that are too close to each other are left out.
const ABOVE: [f64; 4] = [60.0, 70.0, 80.0, 90.0];
const BELOW: [f64; 4] = [20.0, 30.0, 40.0, 55.0];

/// One setting, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Try {
    pub(super) name: String,
    pub(super) cost: f64,
    pub(super) missing_hours: f64,
    pub(super) theta_u: f64,
    pub(super) tau_u: f64,
    pub(super) j10: f64,
    pub(super) j100: f64,
    pub(super) actions_a_day: f64,
    /// No other one is cheaper and short of fewer.
    pub(super) unbeaten: bool,
}

/// Tries all of them; says on a terminal how far it is.
pub(super) fn run(args: &BacktestArgs, load: &Load, ideal: &Ideal) -> Vec<Try> {
    let settings = settings(args, load);
    let total = settings.len();
    let mut tries: Vec<Try> = Vec::with_capacity(total);
    let mut waiting = settings.into_iter();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut stderr = std::io::stderr();
    let shows = stderr.is_terminal();
    loop {
        let batch: Vec<Contender> = waiting.by_ref().take(at_once).collect();
        if batch.is_empty() {
            break;
        }
        tries.extend(all(load, args.setup(), ideal, batch, None).into_iter().map(Try::of));
        if shows {
            let done = tries.len() * 40 / total;
            drop(write!(stderr, "\r[{:<40}] {} of {total}", "#".repeat(done), tries.len()));
        }
    }
    if shows {
        drop(writeln!(stderr));
    }
    mark(&mut tries);
    tries.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    tries
}

fn settings(args: &BacktestArgs, load: &Load) -> Vec<Contender> {
    let mut settings = Vec::new();
    let mut add = |name: String, kind: RuleKind| {
        settings.push(policies::of_rule(args, load, &name, kind));
    };
    for price in PRICES {
        add(format!("adaptive, price {price}"), policies::adaptive(args, load, price));
    }
    for target in TARGETS {
        let kind = RuleKind::Target(Target {
            signal: policies::UTILISATION[0].into(),
            target,
            of: TargetOf::Average,
            tolerance: Tolerance { out: 0.1, in_: 0.1 },
        });
        add(format!("target {target}"), kind);
    }
    for (above, below) in ABOVE.into_iter().flat_map(|a| BELOW.map(|b| (a, b))) {
        if below > above / 2.0 {
            continue;
        }
        for (by, step) in [("1", Step::Count(1)), ("20%", Step::Percent(20.0))] {
            let kind = RuleKind::Threshold(Threshold {
                signal: policies::UTILISATION[0].into(),
                scale_out: Some(ScaleOut { above, samples: 2, by: step }),
                scale_in: Some(ScaleIn { below, samples: 3, by: Step::Count(1) }),
                cooldown: Cooldown {
                    out: Span::secs(180),
                    learned_out: false,
                    in_: Span::secs(300),
                },
            });
            add(format!("threshold {above}/{below}, by {by}"), kind);
        }
    }
    settings
}

impl Try {
    fn of(entry: Entry) -> Try {
        let Entry { name, score, .. } = entry;
        Try {
            name,
            cost: score.cost,
            missing_hours: score.missing_hours,
            theta_u: score.theta_u,
            tau_u: score.tau_u,
            j10: score.j10,
            j100: score.j100,
            actions_a_day: score.actions_a_day,
            unbeaten: false,
        }
    }
}

/// Marks those that no other one beats in cost and shortage at once.
fn mark(tries: &mut [Try]) {
    let figures: Vec<(f64, f64)> = tries.iter().map(|t| (t.cost, t.missing_hours)).collect();
    for (n, one) in tries.iter_mut().enumerate() {
        let (cost, missing) = figures[n];
        one.unbeaten = !figures.iter().any(|(other_cost, other_missing)| {
            *other_cost <= cost
                && *other_missing <= missing
                && (*other_cost < cost || *other_missing < missing)
        });
    }
}

/// The unbeaten ones, cheapest first.
pub(super) fn print(tries: &[Try]) {
    let unbeaten = tries.iter().filter(|one| one.unbeaten);
    output::line(&format!(
        "\nOf {} settings, those that no other one beats in cost and shortage at once:",
        tries.len()
    ));
    output::line(&format!(
        "{:<26} {:>6} {:>9} {:>7} {:>6} {:>6} {:>9}",
        "SETTING", "COST", "THETA_U %", "TAU_U %", "J10", "J100", "ACTIONS/D"
    ));
    for one in unbeaten {
        output::line(&format!(
            "{:<26} {:>6.2} {:>9.3} {:>7.2} {:>6.2} {:>6.2} {:>9.1}",
            one.name, one.cost, one.theta_u, one.tau_u, one.j10, one.j100, one.actions_a_day,
        ));
    }
}
