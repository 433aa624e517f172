//! All printing in one place: tick reports as text or JSON, errors.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use cloud::PlannedCall;
use cloud::text::printable;

use crate::config::{self, About, CommandConfig, Config, Problems};
use crate::control::TickReport;
use crate::execute::Outcome;
pub(super) use crate::model::wrap;
use crate::model::{Reason, Span};

/// The width of a terminal that nobody resized.
pub(super) const COLUMNS: usize = 80;

/// A message on stderr: wrapped where a person reads it, a line as it is in a log. A reader that
/// went away is no failure.
pub(super) fn error(message: &str) {
    let message = format!("fleetscaler: {}", printable(message));
    let mut stderr = std::io::stderr().lock();
    if !stderr.is_terminal() {
        drop(writeln!(stderr, "{message}"));
        return;
    }
    let columns =
        ratatui::crossterm::terminal::size().map_or(COLUMNS, |(columns, _)| columns.into());
    for line in filled(&message, columns.max(COLUMNS / 2)) {
        drop(writeln!(stderr, "{line}"));
    }
}

/// A remark beside what is printed, on stderr.
pub(super) fn note(text: &str) {
    for line in filled(&format!("# {}", printable(text)), COLUMNS) {
        let line = line.strip_prefix("  ").map_or(line.clone(), |rest| format!("# {rest}"));
        drop(writeln!(std::io::stderr().lock(), "{line}"));
    }
}

/// `text` in lines of at most `width` characters; what goes on is indented by two more than its
/// beginning.
pub(super) fn filled(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.trim_start_matches(' ');
        let indent = line.len() - words.len();
        for (n, part) in wrap(words, width.saturating_sub(indent + 2)).into_iter().enumerate() {
            let indent = if n == 0 { indent } else { indent + 2 };
            lines.push(format!("{:indent$}{part}", ""));
        }
    }
    lines
}

/// The state of the output: 0 each line was written, 1 the reader went away, 2 a line could not be written.
static WRITTEN: AtomicU8 = AtomicU8::new(0);

/// One line on stdout. A reader that went away (`| head`) is no failure; a full disk is one, and the
/// command ends with it.
pub(super) fn line(text: &str) {
    let Err(why) = writeln!(std::io::stdout().lock(), "{}", printable(text)) else { return };
    if why.kind() == std::io::ErrorKind::BrokenPipe {
        WRITTEN.fetch_max(1, Ordering::Relaxed);
    } else if WRITTEN.fetch_max(2, Ordering::Relaxed) < 2 {
        error(&format!("the output cannot be written: {why}"));
    }
}

/// Whether nobody gets to see what is printed from here on.
pub(super) fn is_lost() -> bool {
    WRITTEN.load(Ordering::Relaxed) > 0
}

/// Whether something could not be printed although somebody wanted it.
pub(super) fn has_failed() -> bool {
    WRITTEN.load(Ordering::Relaxed) > 1
}

/// The width to print for: the terminal's, and 80 where there is none.
pub(super) fn columns() -> usize {
    if !is_terminal() {
        return COLUMNS;
    }
    ratatui::crossterm::terminal::size().map_or(COLUMNS, |(columns, _)| columns.into()).max(COLUMNS)
}

/// Whether a person watches stdout.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether the process belongs to a terminal.
pub(super) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}

/// The configuration at `path`, or every problem of it on stderr.
/// `command` is what would be run by hand with the service's credentials.
pub(super) fn load(path: &Path, command: Option<&str>) -> Result<Config, super::Exit> {
    config::load(path).map_err(|problems| refused(&problems, path, command))
}

/// The part of the configuration at `path` that a command beside the daemon needs. A problem in the
/// rest of it does not matter, but is said.
pub(super) fn load_for_command(path: &Path, command: &str) -> Result<CommandConfig, super::Exit> {
    let beside = config::load_for_command(path)
        .map_err(|problems| refused(&problems, path, Some(command)))?;
    if let Some(problems) = &beside.problems {
        let first = problems.iter().next().expect("at least one");
        let more = match problems.len() {
            1 => String::new(),
            n => format!(" (and {} more: `fleetscaler check` lists them)", n - 1),
        };
        let (file, line) = (first.file.display(), first.line);
        error(&format!("warning: not needed here: {file}:{line}: {}{more}", first.problem));
    }
    Ok(beside)
}

fn refused(problems: &Problems, config: &Path, command: Option<&str>) -> super::Exit {
    error(&format!("the configuration has problems\n{problems}"));
    if let Some(command) = command {
        credentials_by_hand(problems, config, command);
    }
    super::Exit::Config
}

/// Where credentials are missing that the service has: how `command` gets them.
pub(super) fn credentials_by_hand(problems: &Problems, config: &Path, command: &str) {
    let credentials: Vec<&str> = problems
        .iter()
        .filter_map(|problem| match &problem.about {
            About::Credential(name) => Some(name.as_str()),
            About::Text => None,
        })
        .collect();
    if !credentials.is_empty() {
        by_hand(command, config, &credentials);
    }
}

/// The credentials that the unit shows.
pub(super) const KEY_PAIR: [&str; 2] = ["access_key_id", "access_key_secret"];

/// How a command gets the credentials that the service has.
pub(super) fn by_hand(command: &str, config: &Path, credentials: &[&str]) {
    let mut stderr = std::io::stderr().lock();
    let mut line = |text: String| drop(writeln!(stderr, "{text}"));
    line("with the credentials of the service, as its drop-in names them:".to_owned());
    line("  sudo systemd-run --pipe --wait --collect \\".to_owned());
    for name in credentials {
        line(format!("    -p LoadCredential={name}:/etc/credstore/fleetscaler/{name} \\"));
    }
    // It runs in another directory.
    let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    let more = if ["hold", "resume", "replay"].contains(&command) { " …" } else { "" };
    line(format!("    fleetscaler {command} --config {}{more}", config.display()));
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
        let label = match reason {
            Reason::Held { .. } => "held by",
            _ => "waits for",
        };
        row(&mut out, label, &reason.to_string());
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
    for moved in report.moved() {
        row(&mut out, "action", &moved);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_wrapped_below_its_own_beginning() {
        let hint = format!("  hint: {}", ["word"; 30].join(" "));
        let lines = filled(&format!("a short line\n{hint}"), 80);
        assert_eq!(lines[0], "a short line");
        assert!(
            lines[1].starts_with("  hint: word") && lines[2].starts_with("    word"),
            "{lines:?}"
        );
        assert!(
            lines.len() == 4 && lines.iter().all(|line| line.chars().count() <= 80),
            "{lines:?}"
        );
    }
}
