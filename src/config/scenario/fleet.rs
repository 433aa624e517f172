//! The fleet of a scenario: as it stands in the scenario itself, or in a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::problem::{Problems, shown};
use crate::config::table::Table;
use crate::config::value::{duration, word};
use crate::config::{
    Env, FleetConfig, brakes, default_stabilization, fleet, parse_for_test, rule, signal, suggest,
    text_of,
};
use crate::model::{
    Bounds, Brakes, Coverage, Fleet, OnMissing, RateLimit, Rule, SignalName, SignalSpec, Span,
    bare_fleet,
};

/// Who is tried.
pub(super) struct Subject {
    pub(super) fleet: Fleet,
    /// The fleet's own.
    pub(super) interval: Option<Span>,
    /// Each of its rules could be read.
    pub(super) is_whole: bool,
}

/// A table `[fleet]`.
struct Given {
    bounds: Option<Bounds>,
    stabilization: Option<Span>,
    brakes: Brakes,
    scale_out_limits: Vec<RateLimit>,
    scale_in_limits: Vec<RateLimit>,
    /// What is said of signals, by name.
    signals: BTreeMap<SignalName, SignalSpec>,
}

/// The fleet. `names` are the signals that have a series; `beside` takes the problems of the
/// configuration.
pub(super) fn subject(
    document: &Table<'_>,
    names: &[SignalName],
    beside: &mut Option<Problems>,
) -> Option<Subject> {
    let path = document.optional("config", word);
    let is_named = match document.get("fleet") {
        Some(fleet) => fleet.is_string(),
        None => document.has("config"),
    };
    if is_named {
        return of_config(document, path.as_deref(), beside);
    }
    if document.has("config") {
        document.problem_at(
            "config",
            "there is a `config`, and `fleet` is a table".to_owned(),
            "write `fleet = \"web\"` for a fleet of it, or remove `config`",
        );
    }
    inline(document, names)
}

/// A fleet of the configuration at `path`. Secrets that only the service is given do not matter.
fn of_config(
    document: &Table<'_>,
    path: Option<&str>,
    beside: &mut Option<Problems>,
) -> Option<Subject> {
    // Asked for, so that it is no unknown key beside the reason why it may not be there.
    if document.get("rule").is_some() {
        document.problem_at(
            "rule",
            "the rules are those of the fleet, and there is a `rule` here".to_owned(),
            "remove it, or write the fleet down as a table [fleet]",
        );
    }
    let name = document.required("fleet", "\"web\"", word);
    if !document.has("config") {
        document.problem_at(
            "fleet",
            "`fleet` is a name, and there is no `config` that has it".to_owned(),
            "add `config = \"config.toml\"`, or write the fleet down as a table [fleet]",
        );
    }
    let (name, path) = (name?, document.cx.resolve(path?));
    let fleets = match fleets(&path, document.cx.env) {
        Ok(fleets) => fleets,
        Err(problems) => {
            let count = problems.len();
            let what =
                if count == 1 { "a problem".to_owned() } else { format!("{count} problems") };
            document.problem_at("config", format!("{} has {what}", path.display()), "see below");
            *beside = Some(problems);
            return None;
        }
    };
    let known: Vec<String> = fleets.iter().map(|(fleet, _)| fleet.fleet.id.0.clone()).collect();
    let found = fleets.into_iter().find(|(fleet, _)| fleet.fleet.id.0 == name);
    let Some((config, interval)) = found else {
        document.problem_at(
            "fleet",
            format!("{} has no fleet `{}`", path.display(), shown(&name)),
            suggest::hint(&name, known.iter().map(String::as_str), "its fleets are"),
        );
        return None;
    };
    Some(Subject { fleet: config.fleet, interval: Some(interval), is_whole: true })
}

/// The fleets of the configuration at `path`, each with its interval.
fn fleets(path: &Path, env: &Env) -> Result<Vec<(FleetConfig, Span)>, Problems> {
    parse_for_test(&text_of(path, env)?, path, &env.without_secrets())
}

/// A fleet that stands in the scenario itself.
fn inline(document: &Table<'_>, names: &[SignalName]) -> Option<Subject> {
    let given = document.required_table("fleet", given);
    let mut taken = BTreeSet::new();
    let rules = document.list("rule", |table| rule::read(table, names, &mut taken));
    if document.len("rule") == Some(0) {
        document.problem("there is no rule".to_owned(), "add a table [[rule]]");
    }
    let is_whole = document.len("rule") == Some(rules.len());
    let Given { bounds, stabilization, brakes, scale_out_limits, scale_in_limits, signals } =
        given?;
    let read: BTreeSet<&SignalName> = rules.iter().flat_map(Rule::signals).collect();
    for name in signals.keys().filter(|name| is_whole && !read.contains(name)) {
        document.problem_at(
            "fleet",
            format!("no rule reads the signal `{}`", shown(&name.0)),
            "remove its table, or add a rule for it",
        );
    }
    let stabilization = stabilization.unwrap_or_else(|| default_stabilization(&rules));
    let mut fleet = Fleet {
        bounds: bounds?,
        stabilization,
        brakes,
        scale_out_limits,
        scale_in_limits,
        id: "scenario".into(),
        ..bare_fleet(rules)
    };
    for (name, spec) in &mut fleet.signals {
        *spec = signals.get(name).copied().unwrap_or(usual());
    }
    Some(Subject { fleet, interval: None, is_whole })
}

/// What a configuration says of a signal by default, as far as a scenario knows of it.
fn usual() -> SignalSpec {
    SignalSpec {
        max_age: signal::MAX_AGE,
        coverage: Coverage::Auto(signal::MIN_COVERAGE),
        on_missing: OnMissing::Hold,
        cliff: None,
    }
}

/// Only what the policy looks at.
fn given(table: &Table<'_>) -> Option<Given> {
    let signals = table.named("signal", |name, table| {
        let usual = usual();
        let spec = SignalSpec {
            max_age: table.or("max_age", usual.max_age, duration(signal::MAX_AGES)),
            on_missing: table.or("on_missing", usual.on_missing, signal::on_missing),
            cliff: table.table("cliff", signal::cliff),
            ..usual
        };
        Some((SignalName::from(name), spec))
    });
    Some(Given {
        bounds: fleet::bounds("scenario", table),
        stabilization: table.optional("stabilization", duration(fleet::STABILIZATIONS)),
        brakes: brakes::of_fleet(table),
        scale_out_limits: brakes::rates(table, "scale_out_limits", "100% or 4 per 15s"),
        scale_in_limits: brakes::rates(table, "scale_in_limits", "10 per 20m"),
        signals: signals.into_iter().collect(),
    })
}
