//! What is printed, in one place: tick reports as text or JSON, errors.

#![expect(clippy::print_stderr, reason = "the command line's own errors")]

use std::io::{IsTerminal, Write};
use std::path::Path;

use cloud::PlannedCall;
use cloud::text::printable;

use crate::config::{self, Config};
use crate::control::TickReport;
use crate::execute::Outcome;
use crate::model::Span;

/// One line on stderr.
pub(super) fn error(message: &str) {
    eprintln!("fleetscaler: {}", printable(message));
}

/// One line on stdout. A reader that went away (`| head`) is no failure.
pub(super) fn line(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{}", printable(text)));
}

/// Whether a person watches stdout.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// The configuration at `path`, or every problem of it on stderr.
pub(super) fn load(path: &Path) -> Result<Config, super::Exit> {
    config::load(path).map_err(|problems| {
        error(&format!("the configuration has problems\n{problems}"));
        super::Exit::Config
    })
}

/// A tick as one JSON object on one line.
pub(super) fn json(report: &TickReport) -> String {
    serde_json::to_string(report).expect("a report has string keys and finite numbers only")
}

/// A tick as text for 80 columns.
pub(super) fn text(report: &TickReport) -> String {
    let decision = &report.decision;
    let mut out = format!(
        "{} {}: actual {}, recommended {}, desired {} (min {}, max {})\n",
        report.at.format("%H:%M:%SZ"),
        report.fleet,
        decision.current,
        decision.recommended,
        decision.desired,
        report.bounds.min,
        report.bounds.max,
    );
    let row = |out: &mut String, label: &str, text: &str| {
        for (n, line) in wrap(text, 67).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            out.push_str(&format!("  {label:<10} {line}\n"));
        }
    };
    row(&mut out, "instances", &report.counts.line());
    for (name, sample) in &report.samples {
        let age = Span::secs(sample.age.get().as_secs());
        row(
            &mut out,
            "signal",
            &format!("{name} = {}, {age} old", crate::model::number(sample.value)),
        );
    }
    for (n, reason) in decision.reasons.iter().enumerate() {
        row(&mut out, if n == 0 { "because" } else { "and" }, &reason.to_string());
    }
    if let Some(reason) = &decision.blocked_by {
        row(&mut out, "held by", &reason.to_string());
    }
    for counterfactual in &decision.counterfactuals {
        row(&mut out, "else", &counterfactual.to_string());
    }
    for settled in &report.settled {
        row(&mut out, "settled", &settled.line());
    }
    for skipped in &report.plan.skipped {
        row(&mut out, "skipped", &skipped.to_string());
    }
    for shortfall in &report.plan.shortfalls {
        row(&mut out, "short", shortfall);
    }
    for outcome in &report.outcomes {
        row(&mut out, if outcome.is_trouble() { "trouble" } else { "action" }, &outcome.line());
        if let Outcome::Dry { calls, .. } = outcome {
            for call in calls {
                out.push_str(&planned(call));
            }
        }
    }
    out
}

/// One call exactly as it would be sent: every parameter in order.
fn planned(call: &PlannedCall) -> String {
    let mut out = format!("    {} {}\n", call.method, call.url);
    let width = |parameters: &[(String, String)]| {
        parameters.iter().map(|(name, _)| name.len()).max().unwrap_or(0).min(32)
    };
    let mut table = |title: &str, parameters: &[(String, String)]| {
        if parameters.is_empty() {
            return;
        }
        out.push_str(&format!("      {title}\n"));
        let width = width(parameters);
        for (name, value) in parameters {
            out.push_str(&format!("        {name:<width$}  {value}\n"));
        }
    };
    let headers: Vec<(String, String)> =
        call.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    table("headers", &headers);
    table("query", &call.query);
    table("form", &call.form);
    out
}

/// `text` in lines of at most `width` characters, broken at spaces.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
