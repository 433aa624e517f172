//! `[fleet.NAME.signal.NAME]`: where a number comes from, and how old it may be.

use std::collections::BTreeMap;

use super::access;
use super::problem::shown;
use super::promql;
use super::size::instances;
use super::sources;
use super::table::Table;
use super::url;
use super::value::{Value, duration, number, pairs, word};
use crate::model::{Cliff, Coverage, OnMissing, Reduce, Regret, SignalName, SignalSpec, Span};
use crate::signals::{CannotPick, PrometheusSpec, SourceSpec, UpSpec, cannot_pick};

#[derive(Debug, Clone, Copy)]
enum SourceKind {
    Prometheus,
    CloudMonitor,
    HttpJson,
    Command,
    Push,
}

const KINDS: [(&str, SourceKind); 5] = [
    ("prometheus", SourceKind::Prometheus),
    ("cloudmonitor", SourceKind::CloudMonitor),
    ("http-json", SourceKind::HttpJson),
    ("command", SourceKind::Command),
    ("push", SourceKind::Push),
];

/// 90 s: three scrapes at 30 s, so that one lost scrape is no gap.
pub(super) const MAX_AGE: Span = Span::secs(90);
/// Below 1 s nothing is ever fresh; older than a day says nothing about now.
pub(super) const MAX_AGES: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(24 * 3600);
/// 5 s: an instant query takes milliseconds, and a tick is a few times longer.
const TIMEOUT: Span = Span::secs(5);
/// 2 min: what Prometheus itself allows a query by default.
const TIMEOUTS: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(120);

/// 0.6: a fleet of which four in ten say nothing is not known well enough to take from it.
pub(super) const MIN_COVERAGE: f64 = 0.6;
/// The label that Prometheus gives to every target.
const LABEL: &str = "instance";

/// A signal as the two stages need it that use it.
#[derive(Debug)]
pub(super) struct Signal {
    pub(super) name: SignalName,
    pub(super) spec: SignalSpec,
    pub(super) source: SourceSpec,
}

/// The signal `name` of `fleet`.
pub(super) fn read(fleet: &str, name: &str, table: &Table<'_>) -> Option<Signal> {
    let on_missing = table.or("on_missing", OnMissing::Hold, on_missing);
    let cliff = table.table("cliff", cliff);
    let (spec, source) = table.variant("source", None, &KINDS, |kind, table| {
        let coverage = match kind {
            SourceKind::Prometheus | SourceKind::CloudMonitor => coverage(table),
            SourceKind::HttpJson | SourceKind::Command | SourceKind::Push => uncounted(table),
        };
        let period = match kind {
            SourceKind::CloudMonitor => sources::period(table),
            _ => Span::default(),
        };
        let max_age = match kind {
            SourceKind::CloudMonitor => sources::monitored_max_age(period),
            _ => MAX_AGE,
        };
        let max_age = table.or("max_age", max_age, duration(MAX_AGES));
        let spec = SignalSpec { max_age, coverage, on_missing, cliff };
        let source = match kind {
            SourceKind::Prometheus => SourceSpec::Prometheus(prometheus(fleet, table, spec)?),
            SourceKind::CloudMonitor => {
                SourceSpec::CloudMonitor(sources::cloudmonitor(table, period, max_age)?)
            }
            SourceKind::HttpJson => {
                SourceSpec::HttpJson(sources::http_json(fleet, table, max_age)?)
            }
            SourceKind::Command => {
                SourceSpec::Command(sources::command(fleet, name, table, max_age)?)
            }
            SourceKind::Push => SourceSpec::Push(sources::push(table, max_age)),
        };
        Some((spec, source))
    })?;
    Some(Signal { name: SignalName::from(name), spec, source })
}

/// 60 %: load that really goes takes longer than two minutes to fall so deep.
const CLIFF_DROP: f64 = 60.0;
const CLIFF_WITHIN: Span = Span::secs(120);
/// 10 min: an outage before the fleet is noticed and mostly over by then, and idle machines for so long cost little.
const CLIFF_HOLD: Span = Span::secs(600);
/// The values of a signal are known for twenty minutes: a cliff that is forgotten holds nothing.
const CLIFF_KNOWN: Span = Span::secs(20 * 60);
const CLIFF_TIMES: std::ops::RangeInclusive<Span> = Span::secs(10)..=Span::secs(15 * 60);

/// `[fleet.NAME.signal.NAME.cliff]`.
pub(super) fn cliff(table: &Table<'_>) -> Option<Cliff> {
    let drop = table.or("drop_percent", CLIFF_DROP, number(1.0..=100.0)) / 100.0;
    let within = table.or("within", CLIFF_WITHIN, duration(CLIFF_TIMES));
    let hold = table.or("hold", CLIFF_HOLD, duration(CLIFF_TIMES));
    if within.get() + hold.get() > CLIFF_KNOWN.get() {
        let key = if table.has("hold") { "hold" } else { "within" };
        table.problem_at(
            key,
            format!("`within` and `hold` are longer than {CLIFF_KNOWN} together"),
            "the values of a signal are known for so long: write a shorter one",
        );
    }
    Some(Cliff { drop, within, hold })
}

/// 10 min: later, what worsens has other causes.
const REGRET_WITHIN: Span = Span::secs(600);
/// 1 h: the load of a quiet hour is another one.
const REGRET_FLOOR: Span = Span::secs(3600);
/// How many served is known for two hours.
const REGRET_WITHINS: std::ops::RangeInclusive<Span> = Span::secs(30)..=Span::secs(3600);
const REGRET_FLOORS: std::ops::RangeInclusive<Span> = Span::secs(60)..=Span::secs(24 * 3600);

/// `[fleet.NAME.regret]`; `signals` are those of the fleet.
pub(super) fn regret(table: &Table<'_>, signals: &[SignalName]) -> Option<Regret> {
    let signal = table.required("signal", "\"p99\"", |value| {
        let name = SignalName(word(value)?);
        if signals.contains(&name) {
            return Some(name);
        }
        let names = signals.iter().map(|name| name.0.as_str());
        value.problem(
            format!("the fleet has no signal `{}`", shown(&name.0)),
            super::suggest::hint(&name.0, names, "the signals are"),
        )
    });
    let above = table.required("above", "0.5", number(-1e12..=1e12));
    let within = table.or("within", REGRET_WITHIN, duration(REGRET_WITHINS));
    let floor_for = table.or("floor_for", REGRET_FLOOR, duration(REGRET_FLOORS));
    Some(Regret { signal: signal?, above: above?, within, floor_for })
}

/// The share of the fleet that must report; left out, it is asked for once the whole fleet has
/// reported.
fn coverage(table: &Table<'_>) -> Coverage {
    match table.optional("min_coverage", number(0.0..=1.0)) {
        Some(share) => Coverage::AtLeast(share),
        None => Coverage::Auto(MIN_COVERAGE),
    }
}

/// The same for a source that gives a number and does not tell how many instances it is of.
fn uncounted(table: &Table<'_>) -> Coverage {
    if table.optional("min_coverage", number(0.0..=1.0)).is_some_and(|share| share > 0.0) {
        table.problem_at(
            "min_coverage",
            "`min_coverage` is set, but the source does not tell how many instances report"
                .to_owned(),
            "remove it; only `prometheus` and `cloudmonitor` can count them",
        );
    }
    Coverage::AtLeast(0.0)
}

/// `"hold"` or `{ fallback = 6 }`.
pub(super) fn on_missing(value: &Value<'_>) -> Option<OnMissing> {
    if value.is_string() {
        return value.one_of(&[("hold", OnMissing::Hold)]);
    }
    let table = value.table()?;
    let mut found = None;
    for (key, inner) in table {
        let inner = Value::new(value.cx, key.get_ref(), inner);
        if key.get_ref() == "fallback" {
            found = instances(1)(&inner);
        } else {
            inner.problem::<()>(
                format!("unknown key `{}` in `on_missing`", shown(key.get_ref())),
                "write \"hold\", or { fallback = 6 } for at least 6 instances",
            );
        }
    }
    found.map(OnMissing::Fallback)
}

/// `[fleet.NAME.up]`.
pub(super) fn up(fleet: &str, table: &Table<'_>) -> Option<UpSpec> {
    let url = table.required("url", "\"http://127.0.0.1:9090\"", server);
    let query = table.required("query", "'up{job=\"node\"}'", promql::query(fleet));
    let label = table.or("label", LABEL.to_owned(), word);
    let timeout = table.or("timeout", TIMEOUT, duration(TIMEOUTS));
    let access = access::read(table, url.as_deref());
    Some(UpSpec { url: url?, query: query?.text, label, timeout, access })
}

/// How long one question may take.
pub(super) fn timeout(table: &Table<'_>) -> Span {
    table.or("timeout", TIMEOUT, duration(TIMEOUTS))
}

fn prometheus(fleet: &str, table: &Table<'_>, signal: SignalSpec) -> Option<PrometheusSpec> {
    let asks_coverage = !matches!(signal.coverage, Coverage::AtLeast(share) if share <= 0.0);
    let url = table.required("url", "\"http://127.0.0.1:9090\"", server);
    let query = table.required("query", "'avg(node_load1)'", promql::query(fleet));
    let series = table.optional("series", |value| series(value, fleet)).unwrap_or_default();
    let freshness = table.optional("freshness", promql::query(fleet));
    let reduce = table.optional("reduce", reduce);
    let timeout = timeout(table);
    let access = access::read(table, url.as_deref());
    let query = query?;
    if !query.selects && !table.has("freshness") {
        table.problem_at(
            "query",
            "`query` selects no series, so the age of its data cannot be measured".to_owned(),
            "name a metric in it, or add a `freshness` query that returns the data's Unix time",
        );
    }
    check_series(table, &query.text, &series);
    Some(PrometheusSpec {
        url: url?,
        query: query.text,
        freshness: freshness.map(|query| query.text),
        series,
        reduce,
        max_age: signal.max_age,
        asks_coverage,
        timeout,
        access,
    })
}

/// 8: a series is picked by its fleet, and perhaps a region and an environment.
const SERIES_LABELS_MAX: usize = 8;
/// 256 bytes: what is longer is not read from an answer.
const SERIES_VALUE_BYTES_MAX: usize = 256;

/// `{ fleet = "{fleet}" }`: the labels that pick this fleet's series.
fn series(value: &Value<'_>, fleet: &str) -> Option<BTreeMap<String, String>> {
    let mut series = BTreeMap::new();
    for (label, (value, text)) in pairs(value)? {
        let text = promql::for_fleet(text, fleet);
        let is_label = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_label {
            value.problem::<()>(
                format!("`{}` is no label of a series", shown(&label)),
                "a label has letters, digits and `_`, and does not begin with a digit",
            );
        } else if text.is_empty() || text.len() > SERIES_VALUE_BYTES_MAX {
            value.problem::<()>(
                format!("the label `{label}` has a value of {} bytes", text.len()),
                format!("write 1 to {SERIES_VALUE_BYTES_MAX} bytes, such as \"{{fleet}}\""),
            );
        } else {
            series.insert(label, text);
        }
    }
    if series.len() > SERIES_LABELS_MAX {
        return value.problem(
            format!("`series` has {} labels", series.len()),
            format!("{SERIES_LABELS_MAX} are the most; aggregate by fewer in `query`"),
        );
    }
    Some(series)
}

/// Whether the result of `query` can have the labels of `series`, and the age of its data be measured
/// for each of them.
fn check_series(table: &Table<'_>, query: &str, series: &BTreeMap<String, String>) {
    if series.is_empty() {
        return;
    }
    let labels: Vec<String> = series.keys().cloned().collect();
    let by = labels.join(", ");
    match cannot_pick(query, &labels) {
        None => {}
        Some(CannotPick::NoSuchLabel) => table.problem_at(
            "query",
            format!("the series of `query` lose the label that `series` picks by: {by}"),
            format!("keep it, as in: avg by ({by}) (...)"),
        ),
        Some(CannotPick::NotMeasured { .. }) if table.has("freshness") => {}
        Some(CannotPick::NotMeasured { why }) => table.problem_at(
            "query",
            format!("the age of the data cannot be measured for each {by}: {}", shown(&why)),
            format!("add a `freshness` query, such as 'max by ({by}) (timestamp(...))'"),
        ),
    }
}

fn server(value: &Value<'_>) -> Option<String> {
    let url = url::base("http://127.0.0.1:9090")(value)?;
    if let Some((base, _)) = url.as_str().split_once("/api/v1") {
        return value.problem(
            format!("`url` has the API's path {} in it", url.path()),
            format!("write the server's base: \"{base}\""),
        );
    }
    Some(url::tidy(&url))
}

pub(super) fn reduce(value: &Value<'_>) -> Option<Reduce> {
    let text = word(value)?;
    match Reduce::try_from(text.clone()) {
        Ok(reduce) => Some(reduce),
        Err(_) => value.problem(
            format!("`reduce` cannot be `{}`", shown(&text)),
            "use avg, min, max, sum, or a percentile from p0 to p100",
        ),
    }
}
