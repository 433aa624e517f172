//! A file with one scenario: a fleet, what its signals show, what goes wrong, and what is expected.
//!
//! The fleet stands in the file itself or in a configuration beside it. Rules are read by the reader
//! that the configuration has, so that a scenario knows no other keys than a fleet does. What cannot
//! tell anything is a problem: a signal that nobody reads, an expectation of nothing.

mod fleet;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use cloud::Timestamp;
use toml::de::DeTable;

use self::fleet::{Subject, subject};
use super::context::Context;
use super::env::Env;
use super::problem::{Problem, Problems, shown};
use super::size::instances;
use super::table::Table;
use super::value::{Value, duration, flag, text, word};
use super::{daemon, not_toml};
use crate::model::{
    Act, Course, Expectation, Fleet, GivenSeries, RuleKind, Scenario, ScenarioFault,
    ScenarioFaultKind, SignalName, Span,
};

/// 1 MiB: a thousand times what a scenario takes.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// A Monday morning: what is not about the calendar need not say when it is.
const START: &str = "2026-01-05T08:00:00Z";
/// A minute: the vendor's Linux images boot in about that.
const BOOT: Span = Span::secs(60);
const BOOTS: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(24 * 3600);
/// After the end of its series a scenario goes on for no longer than a day: what lies behind that is
/// more likely a slip than a wish.
const TAIL: Span = Span::secs(24 * 3600);
const TIMES: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(20 * 366 * 24 * 3600);
const LASTS: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(366 * 24 * 3600);

const FAULTS: [(&str, ScenarioFaultKind); 4] = [
    ("no-stock", ScenarioFaultKind::NoStock),
    ("hold-in", ScenarioFaultKind::HoldIn),
    ("hold-out", ScenarioFaultKind::HoldOut),
    ("doubt", ScenarioFaultKind::Doubt),
];

/// Reads the scenario at `path`, and the configuration that it names.
///
/// # Errors
/// Every problem of the file and of that configuration.
pub fn load_scenario(path: &Path) -> Result<Scenario, Problems> {
    let env = Env::system();
    let bytes = env.read(path, FILE_BYTES_MAX).map_err(|why| {
        let hint = "name an existing file; docs/policies.md shows what goes into it";
        Problem::of_file(path, format!("the scenario cannot be read: {why}"), hint)
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Problem::of_file(path, "the file is not UTF-8 text".to_owned(), "save it as UTF-8")
    })?;
    parse_scenario(&text, path, &env)
}

/// Reads a scenario from `text`, which stands in (or as if in) the file `path`.
///
/// # Errors
/// See [`load_scenario`].
pub fn parse_scenario(text: &str, path: &Path, env: &Env) -> Result<Scenario, Problems> {
    let document = DeTable::parse(text).map_err(|error| not_toml(path, text, &error))?;
    let cx = Context::new(path, text, env);
    let mut beside = None;
    let read = |document: &Table<'_>| read(document, &mut beside);
    let scenario = Table::document(&cx, Some(document.get_ref()), read);
    let problems = cx.into_problems();
    match scenario {
        Some(scenario) if problems.is_empty() => Ok(scenario),
        _ => Err(Problems::new(problems).and(beside)),
    }
}

/// One `[[series]]`, with its place.
struct Series {
    name: SignalName,
    at: usize,
    /// `None`: it has a problem.
    given: Option<GivenSeries>,
}

/// `beside` takes the problems of the configuration.
fn read(document: &Table<'_>, beside: &mut Option<Problems>) -> Option<Scenario> {
    let description = document.optional("description", word);
    let start = document.optional("start", time);
    let interval = document.optional("interval", duration(daemon::INTERVAL_RANGE));
    let boot = document.or("boot", BOOT, duration(BOOTS));
    let count = document.required("instances", "4", instances(0));
    let mut names = Vec::new();
    let series = document.list("series", |table| series(table, &mut names));
    let subject = subject(document, &names, beside);
    let faults = document.list("fault", fault);
    let expectations = document.list("expect", expectation);
    if document.len("expect") == Some(0) {
        document.problem(
            "the scenario expects nothing".to_owned(),
            "add a table [[expect]] with `at` and, say, `desired = 6`",
        );
    }
    if let Some(subject) = &subject {
        check_signals(document, subject, &series);
    }
    let interval = interval
        .or(subject.as_ref().and_then(|subject| subject.interval))
        .unwrap_or(daemon::INTERVAL);
    let is_whole = document.len("series") == Some(series.len());
    if is_whole && series.iter().all(|series| series.given.is_some()) {
        check_times(document, &series, interval, &faults, &expectations);
    }
    let given = series.into_iter().map(|series| Some((series.name, series.given?)));
    Some(Scenario {
        description,
        fleet: at_this_pace(subject?.fleet, interval, boot),
        start: start.unwrap_or_else(|| START.parse().expect("a time")),
        interval,
        boot,
        instances: count?,
        series: given.collect::<Option<BTreeMap<_, _>>>()?,
        faults: faults.into_iter().map(|(fault, _)| fault).collect(),
        expectations: expectations.into_iter().map(|(expectation, _)| expectation).collect(),
    })
}

/// The fleet with what a scenario says of ticks and boots, where a rule would learn it.
fn at_this_pace(mut fleet: Fleet, interval: Span, boot: Span) -> Fleet {
    for rule in &mut fleet.rules {
        if let RuleKind::Adaptive(rule) = &mut rule.kind {
            rule.interval = interval;
            if rule.boot.learned {
                rule.boot.span = boot;
            }
        }
    }
    fleet
}

/// `names` takes the name of each, though the rest of it may have a problem.
fn series(table: &Table<'_>, names: &mut Vec<SignalName>) -> Option<Series> {
    let place = table.get("signal").map(|value| value.at());
    let name = table.required("signal", "\"cpu\"", word).map(SignalName);
    let per_instance = table.or("per_instance", false, flag);
    let course = table.required("values", "\"20x4 85..40x10 _x3 40\"", course);
    let (name, at) = (name?, place?);
    if names.contains(&name) {
        table.problem_at(
            "signal",
            format!("there are two series of the signal `{}`", shown(&name.0)),
            "a signal has one value a tick: put them into one series",
        );
    }
    names.push(name.clone());
    Some(Series { name, at, given: course.map(|course| GivenSeries { course, per_instance }) })
}

fn course(value: &Value<'_>) -> Option<Course> {
    match text(value)?.parse::<Course>() {
        Ok(course) => Some(course),
        Err(error) => {
            value.problem(format!("`{}`: {}", value.key, shown(&error.problem)), error.hint)
        }
    }
}

fn time(value: &Value<'_>) -> Option<Timestamp> {
    let text = word(value)?;
    match chrono::DateTime::parse_from_rfc3339(&text) {
        Ok(at) => Some(at.to_utc()),
        Err(_) => value.problem(
            format!("`{}` is no time", shown(&text)),
            format!("write it with its zone, such as \"{START}\""),
        ),
    }
}

/// A fault, and the place of its `at`.
fn fault(table: &Table<'_>) -> Option<(ScenarioFault, usize)> {
    let place = table.get("at").map(|value| value.at());
    let from = table.required("at", "\"10m\"", duration(TIMES));
    let lasts = table.required("for", "\"5m\"", duration(LASTS));
    let kind = table.required("what", "\"no-stock\"", |value| value.one_of(&FAULTS));
    Some((ScenarioFault { kind: kind?, from: from?, lasts: lasts? }, place?))
}

/// An expectation, and the place of its `at`.
fn expectation(table: &Table<'_>) -> Option<(Expectation, usize)> {
    let place = table.get("at").map(|value| value.at());
    let at = table.required("at", "\"6m\"", duration(TIMES));
    let expected = Expectation {
        line: table.line(),
        at: at.unwrap_or_default(),
        desired: table.optional("desired", instances(0)),
        min_desired: table.optional("min_desired", instances(0)),
        max_desired: table.optional("max_desired", instances(0)),
        act: table.optional("decision", |value| value.one_of(&Act::NAMES)),
        reason_contains: table.optional("reason_contains", |value| text(value).map(str::to_owned)),
        instances: table.optional("instances", instances(0)),
    };
    const PARTS: [&str; 6] =
        ["desired", "min_desired", "max_desired", "decision", "reason_contains", "instances"];
    if !PARTS.iter().any(|part| table.has(part)) {
        table.problem(
            "the expectation expects nothing".to_owned(),
            "add `desired = 6`, `decision = \"hold\"`, `reason_contains = \"…\"` or the like",
        );
    }
    let (min, max) = (expected.min_desired, expected.max_desired);
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        table.problem_at(
            "min_desired",
            format!("min_desired = {min} is more than max_desired = {max}"),
            "swap them",
        );
    }
    Some((expected, place?)).filter(|_| at.is_some())
}

/// A signal without a series would be missing all the time by mistake, and a series that nobody reads
/// tells nothing.
fn check_signals(document: &Table<'_>, subject: &Subject, series: &[Series]) {
    let known = subject.fleet.signals.keys();
    for signal in known.clone().filter(|name| !series.iter().any(|series| series.name == **name)) {
        document.problem_at(
            "fleet",
            format!("no series gives the signal `{}`, which a rule reads", shown(&signal.0)),
            format!("add a table [[series]] with `signal = \"{}\"`", shown(&signal.0)),
        );
    }
    for Series { name, at, .. } in series {
        if subject.fleet.signals.contains_key(name) || !subject.is_whole {
            continue;
        }
        document.cx.problem(
            *at,
            format!("no rule reads the signal `{}`", shown(&name.0)),
            match known.len() {
                0 => "remove the series: the rules read no signal".to_owned(),
                _ => super::suggest::hint(
                    &name.0,
                    known.clone().map(|name| name.0.as_str()),
                    "the signals that rules read are",
                ),
            },
        );
    }
}

/// Times that lie behind the end, or where nobody looks.
fn check_times(
    document: &Table<'_>,
    series: &[Series],
    interval: Span,
    faults: &[(ScenarioFault, usize)],
    expectations: &[(Expectation, usize)],
) {
    let courses = series.iter().filter_map(|series| series.given.as_ref());
    let ticks = courses.map(|given| given.course.len()).max().unwrap_or(0);
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
    let end = Span(interval.get().saturating_mul(ticks));
    let latest = Span(end.get().saturating_add(TAIL.get()));
    for (expectation, at) in expectations.iter().filter(|(e, _)| e.at > latest) {
        document.cx.problem(
            *at,
            format!("`at` is {}, and the series end after {end}", expectation.at),
            format!("the last value goes on for {TAIL}: write {latest} or less, or more values"),
        );
    }
    let Some(last) = expectations.iter().map(|(expectation, _)| expectation.at).max() else {
        return;
    };
    for (fault, at) in faults.iter().filter(|(fault, _)| fault.from > last) {
        document.cx.problem(
            *at,
            format!("the fault begins after {}, and nothing is expected after {last}", fault.from),
            "add an expectation behind it, or remove it".to_owned(),
        );
    }
}
