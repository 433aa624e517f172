//! `[fleet.NAME.signal.NAME]`: where a number comes from, and how old it may be.

use super::fleet::INSTANCES_MAX;
use super::problem::shown;
use super::promql;
use super::table::Table;
use super::url;
use super::value::{Value, count, duration, number, word};
use crate::model::{Coverage, OnMissing, Reduce, SignalName, SignalSpec, Span};
use crate::signals::{PrometheusSpec, SourceSpec, UpSpec};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Prometheus,
}

const KINDS: [(&str, Kind); 1] = [("prometheus", Kind::Prometheus)];

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

pub(super) fn read(name: &str, table: &Table<'_>) -> Option<Signal> {
    let coverage = coverage(table);
    let on_missing = table.or("on_missing", OnMissing::Hold, on_missing);
    let asks = !matches!(coverage, Coverage::AtLeast(share) if share <= 0.0);
    let (max_age, source) = table.variant("source", None, &KINDS, |kind, table| match kind {
        Kind::Prometheus => {
            let spec = prometheus(table, asks)?;
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
            found = count(1..=INSTANCES_MAX)(&inner);
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
pub(super) fn up(table: &Table<'_>) -> Option<UpSpec> {
    let url = table.required("url", "\"http://127.0.0.1:9090\"", server);
    let query = table.required("query", "'up{job=\"node\"}'", promql::query);
    let label = table.or("label", LABEL.to_owned(), word);
    let timeout = table.or("timeout", TIMEOUT, duration(TIMEOUTS));
    let access = super::access::read(table);
    Some(UpSpec { url: url?, query: query?.text, label, timeout, access })
}

fn prometheus(table: &Table<'_>, asks_coverage: bool) -> Option<PrometheusSpec> {
    let url = table.required("url", "\"http://127.0.0.1:9090\"", server);
    let query = table.required("query", "'avg(node_load1)'", promql::query);
    let freshness = table.optional("freshness", promql::query);
    let reduce = table.optional("reduce", reduce);
    let max_age = table.or("max_age", MAX_AGE, duration(MAX_AGES));
    let timeout = table.or("timeout", TIMEOUT, duration(TIMEOUTS));
    let access = super::access::read(table);
    let query = query?;
    if !query.selects && !table.has("freshness") {
        table.problem_at(
            "query",
            "`query` selects no series, so the age of its data cannot be measured".to_owned(),
            "name a metric in it, or add a `freshness` query that returns the data's Unix time",
        );
    }
    Some(PrometheusSpec {
        url: url?,
        query: query.text,
        freshness: freshness.map(|query| query.text),
        reduce,
        max_age,
        asks_coverage,
        timeout,
        access,
    })
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
