//! `[fleet.NAME.signal.NAME]`: where a number comes from, and how old it may be.

use super::problem::shown;
use super::promql;
use super::table::Table;
use super::url;
use super::value::{Value, duration, word};
use crate::model::{Reduce, SignalName, SignalSpec, Span};
use crate::signals::{PrometheusSpec, SourceSpec};

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

/// A signal as the two stages need it that use it.
#[derive(Debug)]
pub(super) struct Signal {
    pub(super) name: SignalName,
    pub(super) spec: SignalSpec,
    pub(super) source: SourceSpec,
}

pub(super) fn read(name: &str, table: &Table<'_>) -> Option<Signal> {
    let (max_age, source) = table.variant("source", None, &KINDS, |kind, table| match kind {
        Kind::Prometheus => {
            let spec = prometheus(table)?;
            Some((spec.max_age, SourceSpec::Prometheus(spec)))
        }
    })?;
    Some(Signal { name: SignalName::from(name), spec: SignalSpec { max_age }, source })
}

fn prometheus(table: &Table<'_>) -> Option<PrometheusSpec> {
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
