//! `[fleet.NAME.signal.NAME]`: where a number comes from, and how old it may be.

use std::collections::BTreeMap;

use super::access;
use super::problem::shown;
use super::promql;
use super::size::instances;
use super::table::Table;
use super::url;
use super::value::{Value, duration, number, pairs, word};
use crate::model::{Coverage, OnMissing, Reduce, SignalName, SignalSpec, Span};
use crate::signals::{CannotPick, PrometheusSpec, SourceSpec, UpSpec, cannot_pick};

#[derive(Debug, Clone, Copy)]
enum SourceKind {
    Prometheus,
}

const KINDS: [(&str, SourceKind); 1] = [("prometheus", SourceKind::Prometheus)];

/// 90 s: three scrapes at 30 s, so that one lost scrape is no gap.
const MAX_AGE: Span = Span::secs(90);
/// Below 1 s nothing is ever fresh; older than a day says nothing about now.
const MAX_AGES: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(24 * 3600);
/// 5 s: an instant query takes milliseconds, and a tick is a few times longer.
const TIMEOUT: Span = Span::secs(5);
/// 2 min: what Prometheus itself allows a query by default.
const TIMEOUTS: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(120);

/// 0.6: a fleet of which four in ten say nothing is not known well enough to take from it.
const MIN_COVERAGE: f64 = 0.6;
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
    let coverage = coverage(table);
    let on_missing = table.or("on_missing", OnMissing::Hold, on_missing);
    let asks = !matches!(coverage, Coverage::AtLeast(share) if share <= 0.0);
    let (max_age, source) = table.variant("source", None, &KINDS, |kind, table| match kind {
        SourceKind::Prometheus => {
            let spec = prometheus(fleet, table, asks)?;
            Some((spec.max_age, SourceSpec::Prometheus(spec)))
        }
    })?;
    let spec = SignalSpec { max_age, coverage, on_missing };
    Some(Signal { name: SignalName::from(name), spec, source })
}

/// The share of the fleet that must report; left out, it is asked for once the whole fleet has
/// reported.
fn coverage(table: &Table<'_>) -> Coverage {
    match table.optional("min_coverage", number(0.0..=1.0)) {
        Some(share) => Coverage::AtLeast(share),
        None => Coverage::Auto(MIN_COVERAGE),
    }
}

/// `"hold"` or `{ fallback = 6 }`.
fn on_missing(value: &Value<'_>) -> Option<OnMissing> {
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

fn prometheus(fleet: &str, table: &Table<'_>, asks_coverage: bool) -> Option<PrometheusSpec> {
    let url = table.required("url", "\"http://127.0.0.1:9090\"", server);
    let query = table.required("query", "'avg(node_load1)'", promql::query(fleet));
    let series = table.optional("series", |value| series(value, fleet)).unwrap_or_default();
    let freshness = table.optional("freshness", promql::query(fleet));
    let reduce = table.optional("reduce", reduce);
    let max_age = table.or("max_age", MAX_AGE, duration(MAX_AGES));
    let timeout = table.or("timeout", TIMEOUT, duration(TIMEOUTS));
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
        max_age,
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

fn reduce(value: &Value<'_>) -> Option<Reduce> {
    let text = word(value)?;
    match Reduce::try_from(text.clone()) {
        Ok(reduce) => Some(reduce),
        Err(_) => value.problem(
            format!("`reduce` cannot be `{}`", shown(&text)),
            "use avg, min, max, sum, or a percentile from p0 to p100",
        ),
    }
}
