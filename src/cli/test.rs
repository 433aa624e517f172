//! `fleetscaler test`: scenarios of policies, each with what is expected of it.

pub(super) mod args;
mod junit;
mod tap;

use std::path::Path;

use anyhow::Context;

use self::args::TestArgs;
use super::{Exit, output};
use crate::backtest::scenario::{Miss, check, play};
use crate::config::{Problems, load_scenario};
use crate::model::{Scenario, Span, clock_time};

/// What became of one file.
#[derive(Debug)]
struct Verdict {
    file: String,
    /// Its description; without one, its name.
    title: String,
    result: Outcome,
    /// The decisions, where they were asked for: a line each time that there is another one.
    trace: Vec<String>,
}

#[derive(Debug)]
enum Outcome {
    Passed,
    Missed(Vec<Miss>),
    /// It could not be played.
    Bad(Problems),
}

pub(super) async fn run_command(args: TestArgs) -> anyhow::Result<Exit> {
    output::line(&format!("1..{}", args.files.len()));
    let mut verdicts = Vec::with_capacity(args.files.len());
    for (n, file) in args.files.iter().enumerate() {
        let verdict = judge(file, args.trace);
        tap::print(n + 1, &verdict);
        verdicts.push(verdict);
    }
    tap::print_sum(&verdicts);
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::text(&verdicts))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(exit(&verdicts))
}

/// A file that cannot be played outweighs one that fails: it says nothing of the policy.
fn exit(verdicts: &[Verdict]) -> Exit {
    let any = |is: fn(&Outcome) -> bool| verdicts.iter().any(|verdict| is(&verdict.result));
    if any(|result| matches!(result, Outcome::Bad(_))) {
        Exit::Usage
    } else if any(|result| matches!(result, Outcome::Missed(_))) {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

fn judge(path: &Path, traces: bool) -> Verdict {
    let file = path.display().to_string();
    let stem = || path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    match load_scenario(path) {
        Ok(scenario) => {
            let trace = if traces { trace(&scenario) } else { Vec::new() };
            let misses = check(&scenario);
            let result = if misses.is_empty() { Outcome::Passed } else { Outcome::Missed(misses) };
            Verdict { file, title: scenario.description.unwrap_or_else(stem), result, trace }
        }
        Err(problems) => {
            Verdict { file, title: stem(), result: Outcome::Bad(problems), trace: Vec::new() }
        }
    }
}

/// Each decision that is about something else than the one before, in a line.
fn trace(scenario: &Scenario) -> Vec<String> {
    let mut lines = Vec::new();
    let mut before = None;
    play(scenario, |moment| {
        let gist = moment.decision.gist();
        if before.as_ref() != Some(&gist) {
            let decision = &moment.decision;
            lines.push(format!("{}: {decision}", when(moment.after, moment.now)));
            before = Some(gist);
        }
    });
    lines
}

/// `6m (08:06:00Z)`.
fn when(after: Span, now: cloud::Timestamp) -> String {
    format!("{after} ({})", clock_time(now))
}
