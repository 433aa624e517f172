//! Signals: asked of their servers and programs. A server that does not answer is told once, with all
//! fleets that ask it.

use std::time::Duration;

use cloud::Class;

use super::question::{Peer, Question, SignalAsked};
use super::row::{CheckFinding, CheckRow};
use super::{Asking, monitor};
use crate::model::{Gap, Reading, Span, number, plural};
use crate::signals::SourceSpec;

/// 6 fleets are enough to know which configuration is meant; the others have the same server.
const FLEETS_NAMED: usize = 6;

/// Puts the questions to one server, one after the other.
///
/// A server that cannot be reached is asked nothing more. A single question without an answer may be
/// a slow query: the next one tells whether the server answers at all.
pub(super) async fn ask(asking: &Asking<'_>, peer: &Peer, questions: &[(usize, Question<'_>)]) {
    let signals: Vec<(usize, SignalAsked<'_>)> = questions
        .iter()
        .filter_map(|(slot, question)| match question {
            Question::Signal(signal) => Some((*slot, *signal)),
            _ => None,
        })
        .collect();
    let mut unanswered: Option<(usize, Gap)> = None;
    for (n, (slot, signal)) in signals.iter().enumerate() {
        asking.begins(*slot, &Question::Signal(*signal));
        let reading = read(asking, signal).await;
        match (&reading, &unanswered) {
            (Err(gap @ Gap::Unreachable { .. }), None) => {
                return silent(asking, peer, &signals[n..], gap);
            }
            (Err(Gap::Unreachable { .. } | Gap::TimedOut { .. }), Some((first, gap))) => {
                return silent(asking, peer, &signals[*first..], gap);
            }
            (Err(gap @ Gap::TimedOut { .. }), None) => unanswered = Some((n, gap.clone())),
            _ => {
                if let Some((first, gap)) = unanswered.take() {
                    asking.answered(signals[first].0, Some(row(&signals[first].1, Err(gap))));
                }
                asking.answered(*slot, Some(row(signal, reading)));
            }
        }
    }
    if let Some((first, gap)) = unanswered {
        asking.answered(signals[first].0, Some(row(&signals[first].1, Err(gap))));
    }
}

/// Tells once that nobody answers `signals`.
fn silent(asking: &Asking<'_>, peer: &Peer, signals: &[(usize, SignalAsked<'_>)], gap: &Gap) {
    let Some(((slot, first), more)) = signals.split_first() else { return };
    let mut told = row(first, Err(gap.clone()));
    if let (Peer::Server { origin, .. }, false) = (peer, more.is_empty()) {
        told.what = format!("signal source {origin}, asked by {}", fleets(signals));
    }
    asking.answered(*slot, Some(told));
    more.iter().for_each(|(slot, _)| asking.answered(*slot, None));
}

/// `fleet web (cpu, rps) and fleet shop (cpu)`.
fn fleets(signals: &[(usize, SignalAsked<'_>)]) -> String {
    let mut fleets: Vec<(String, Vec<String>)> = Vec::new();
    for (_, signal) in signals {
        let (fleet, name) = (signal.fleet.fleet.id.to_string(), signal.name.to_string());
        match fleets.last_mut().filter(|(last, _)| *last == fleet) {
            Some((_, names)) => names.push(name),
            None => fleets.push((fleet, vec![name])),
        }
    }
    let named = fleets.iter().take(FLEETS_NAMED);
    let mut texts: Vec<String> =
        named.map(|(fleet, names)| format!("fleet {fleet} ({})", names.join(", "))).collect();
    if let Some(more) = fleets.len().checked_sub(FLEETS_NAMED).filter(|more| *more > 0) {
        texts.push(format!("{} more", plural(u32::try_from(more).unwrap_or(u32::MAX), "fleet")));
    }
    let last = texts.pop().unwrap_or_default();
    if texts.is_empty() { last } else { format!("{} and {last}", texts.join(", ")) }
}

/// The row of one signal that is asked alone, and whether the next one would fare the same.
pub(super) async fn alone(asking: &Asking<'_>, signal: &SignalAsked<'_>) -> (CheckRow, bool) {
    let reading = read(asking, signal).await;
    let is_silent = match &reading {
        Err(Gap::Unreachable { .. } | Gap::TimedOut { .. }) => true,
        Err(Gap::QueryFailed { kind, .. }) => {
            [Class::Transient, Class::Auth].iter().any(|class| class.name() == kind)
        }
        _ => false,
    };
    (row(signal, reading), is_silent)
}

/// Asks once. What the configuration lets a source take, a check does not cut short.
async fn read(asking: &Asking<'_>, signal: &SignalAsked<'_>) -> Reading {
    let source = &asking.sources[&signal.fleet.fleet.id][signal.name];
    let limit = asking.limit.max(own_timeout(signal.source));
    let late = Err(Gap::TimedOut { after: Span(limit) });
    tokio::time::timeout(limit, source.read()).await.unwrap_or(late)
}

fn own_timeout(source: &SourceSpec) -> Duration {
    match source {
        SourceSpec::Prometheus(spec) => spec.timeout.get(),
        SourceSpec::HttpJson(spec) => spec.timeout.get(),
        SourceSpec::Command(spec) => spec.timeout.get(),
        SourceSpec::CloudMonitor(spec) => spec.timeout.get(),
        SourceSpec::Push(_) => Duration::ZERO,
    }
}

fn row(signal: &SignalAsked<'_>, reading: Reading) -> CheckRow {
    CheckRow::new(Question::Signal(*signal).what(), finding(signal.source, reading))
}

fn finding(source: &SourceSpec, reading: Reading) -> CheckFinding {
    match reading {
        Err(Gap::NotPushed) => CheckFinding::Skipped(
            "not asked, its values are sent to the running daemon; `fleetscaler status` shows the newest"
                .to_owned(),
        ),
        Err(Gap::NobodyServes) => {
            CheckFinding::Skipped("not asked, the fleet has no running instance yet".to_owned())
        }
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
            let todo =
                format!("{}; until it answers, the fleet keeps its size", remedy(source, &gap));
            CheckFinding::Wrong { wrong: gap.to_string(), todo: Some(todo) }
        }
    }
}

/// The way for a person to mend a gap.
fn remedy(source: &SourceSpec, gap: &Gap) -> &'static str {
    match source {
        SourceSpec::Command(_) => {
            return "run the program as the service's user, and see what it prints";
        }
        SourceSpec::CloudMonitor(_) => return monitor::remedy(gap),
        _ => {}
    }
    match gap {
        Gap::Unreachable { .. } | Gap::TimedOut { .. } => {
            "check `url`, the server, and the way there (DNS, proxy, firewall)"
        }
        Gap::Http { .. } => "check `url`, the credentials, and what stands before the server",
        Gap::Partial { .. } | Gap::Warned { .. } => "see to the source, part of which is missing",
        Gap::NoSeries { .. } => "compare `series` with what the query returns",
        _ if matches!(source, SourceSpec::HttpJson(_)) => {
            "look at the document with curl, and correct `pointer` or `time_pointer`"
        }
        Gap::AgeUnknown { .. } | Gap::Stale { .. } => "see whether the data under the query is new",
        _ => "try the query in the source's own console",
    }
}
