//! CloudMonitor: DescribeMetricLast, 50 instances a call, and the calls that a month has for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use chrono::{DateTime, Datelike};
use cloud::{
    Class, Error, FreeCalls, InstanceId, MetricPoint, MetricQuery, Statistic, Timestamp, Urgency,
};
use serde::Deserialize;
use serde_json::json;

use super::params::{put, put_some};
use super::{Ecs, malformed};
use crate::call::{Api, CallAccess};
use crate::rpc::Params;
use crate::wire::{AtMost, Text};

const ACTION: &str = "DescribeMetricLast";
/// The dimensions that one call takes.
const BATCH: usize = 50;
/// The points of 50 instances fit into one page; so many pages are a loop.
const PAGES_MAX: usize = 100;
/// The vendor's longest page.
const POINTS_MOST: usize = 1_440;
/// The calls that an account has in a month for all actions that read metrics; then they fail, unless the
/// account pays for them.
pub const METRIC_CALLS_FREE: u64 = 1_000_000;
/// 80 %: at an even rate, six days are left to see to it.
const WARN_AT: u64 = METRIC_CALLS_FREE / 100 * 80;

/// The calls of one calendar month, counted from what the whole process has called.
#[derive(Debug, Default)]
pub(super) struct Month(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// Year and month.
    month: (i32, u32),
    /// The calls of the process before this month.
    before: u64,
    warned: bool,
}

impl Month {
    /// The calls of the month of `now`, of `calls` in all.
    fn used(&self, calls: u64, now: Timestamp) -> u64 {
        let mut counted = self.0.lock().expect("no holder of this lock can panic");
        let month = (now.year(), now.month());
        // The first month of a process has nothing before it.
        if counted.month != month {
            let before = if counted.month == (0, 0) { 0 } else { calls };
            *counted = Counted { month, before, warned: false };
        }
        calls.saturating_sub(counted.before)
    }

    /// Whether a warning is due, which it is once a month.
    fn warns(&self, used: u64) -> bool {
        let mut counted = self.0.lock().expect("no holder of this lock can panic");
        let due = used >= WARN_AT && !counted.warned;
        counted.warned |= due;
        due
    }
}

/// The calls of this month, if there were any at all.
pub(super) fn used(ecs: &Ecs) -> Option<FreeCalls> {
    let calls = ecs.caller.calls_of(ACTION);
    let used = ecs.monitored.used(calls, ecs.caller.now());
    (calls > 0).then_some(FreeCalls { used, free: METRIC_CALLS_FREE })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    /// A text that holds JSON, and in some answers the list itself. It must be there: an answer without
    /// it is not "no data".
    datapoints: Points,
    /// Absent in some answers.
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    period: Text,
    #[serde(default)]
    next_token: Text,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Points {
    Text(String),
    List(AtMost<Point, POINTS_MOST>),
}

/// One point. Which of the statistics it has is the metric's affair.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Point {
    timestamp: Text,
    #[serde(rename = "instanceId")]
    instance_id: Text,
    #[serde(rename = "Average")]
    average: Text,
    #[serde(rename = "Minimum")]
    minimum: Text,
    #[serde(rename = "Maximum")]
    maximum: Text,
}

/// The newest point of each instance that has one.
pub(super) async fn newest(
    ecs: &Ecs,
    query: &MetricQuery,
    ids: &[InstanceId],
) -> Result<Vec<MetricPoint>, Error> {
    let mut found = BTreeMap::new();
    for ids in ids.chunks(BATCH) {
        batch(ecs, query, ids, &mut found).await?;
    }
    Ok(found.into_values().collect())
}

async fn batch(
    ecs: &Ecs,
    query: &MetricQuery,
    ids: &[InstanceId],
    found: &mut BTreeMap<InstanceId, MetricPoint>,
) -> Result<(), Error> {
    let bad = |what: &str| malformed(ACTION, what, Class::Transient);
    let asked: BTreeSet<&str> = ids.iter().map(|id| id.0.as_str()).collect();
    let dimensions: Vec<_> = ids.iter().map(|id| json!({ "instanceId": id.0 })).collect();
    let period = query.period.as_secs().to_string();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let mut params = Params::new();
        put(&mut params, "Namespace", &query.namespace);
        put(&mut params, "MetricName", &query.metric);
        put(&mut params, "Period", &period);
        put(&mut params, "Dimensions", serde_json::Value::from(dimensions.clone()));
        put_some(&mut params, "NextToken", token.as_ref());
        // Who reads a metric may act on it, but no listing waits behind it.
        let access = CallAccess::List(Urgency::Act);
        let answer = ecs.caller.call_api(Api::Monitor, ACTION, access, &params).await;
        count(ecs);
        let page: Page = answer?.read().map_err(|why| bad(&why))?;
        if page.success == Some(false) {
            return Err(bad("it says that it failed"));
        }
        if let Some(other) = page.period.0.filter(|other| *other != period) {
            return Err(bad(&format!("its period is {other} s, not {period} s")));
        }
        for point in points(page.datapoints).map_err(|why| bad(&why))? {
            let point = read(point, query.statistic).map_err(|why| bad(&why))?;
            if !asked.contains(point.id.0.as_str()) {
                return Err(bad(&format!(
                    "it has a point of {}, which was not asked for",
                    point.id
                )));
            }
            let is_newer = found.get(&point.id).is_none_or(|known| known.at < point.at);
            if is_newer {
                found.insert(point.id.clone(), point);
            }
        }
        token = page.next_token.0;
        if token.is_none() {
            return Ok(());
        }
    }
    Err(bad("its pages never end"))
}

/// Warns once, before the month's free calls are used up.
fn count(ecs: &Ecs) {
    let Some(FreeCalls { used, free }) = used(ecs) else { return };
    if ecs.monitored.warns(used) {
        tracing::warn!(
            used,
            free,
            "{used} of the {free} calls to CloudMonitor that a month has for nothing are used: when \
             none is left they fail unless the account pays for them; ask less often (`ask_every`)"
        );
    }
}

fn points(points: Points) -> Result<Vec<Point>, String> {
    match points {
        Points::List(list) => Ok(list.0),
        // No data at all.
        Points::Text(text) if text.trim().is_empty() => Ok(Vec::new()),
        Points::Text(text) => serde_json::from_str::<AtMost<Point, POINTS_MOST>>(&text)
            .map(|list| list.0)
            .map_err(|error| format!("its Datapoints are no list of points: {error}")),
    }
}

fn read(point: Point, statistic: Statistic) -> Result<MetricPoint, String> {
    let id = point.instance_id.0.ok_or("a point names no instance")?;
    let (name, value) = match statistic {
        Statistic::Average => ("Average", point.average),
        Statistic::Minimum => ("Minimum", point.minimum),
        Statistic::Maximum => ("Maximum", point.maximum),
    };
    let value = value.0.ok_or_else(|| format!("a point of {id} has no {name}"))?;
    let value = value.parse().map_err(|_| format!("the {name} of {id} is no number"))?;
    let millis = point.timestamp.0.and_then(|millis| millis.parse().ok());
    let at = millis.and_then(DateTime::from_timestamp_millis);
    let at = at.ok_or_else(|| format!("a point of {id} has no time"))?;
    Ok(MetricPoint { id: InstanceId(id), at, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn each_month_counts_from_0_and_warns_once() {
        let month = Month::default();
        assert_eq!(month.used(900_000, at("2026-01-31T23:59:59Z")), 900_000);
        assert!(month.warns(900_000) && !month.warns(900_001));
        assert_eq!(month.used(900_010, at("2026-02-01T00:00:01Z")), 0);
        assert_eq!(month.used(900_030, at("2026-02-01T00:10:00Z")), 20);
        assert!(!month.warns(20), "the new month has used little");
        assert!(month.warns(800_000));
    }

    #[test]
    fn points_are_a_text_or_a_list_and_anything_else_is_refused() {
        let page = |points: &str| -> Result<Vec<MetricPoint>, String> {
            let page: Page = serde_json::from_str(&format!("{{\"Datapoints\":{points}}}"))
                .map_err(|error| error.to_string())?;
            let found = points_of(page)?;
            Ok(found)
        };
        fn points_of(page: Page) -> Result<Vec<MetricPoint>, String> {
            let found = points(page.datapoints)?.into_iter();
            found.map(|point| read(point, Statistic::Average)).collect()
        }
        let one = r#"[{"timestamp":1548777660000,"userId":"1","instanceId":"i-1","Average":9.92}]"#;
        let quoted = serde_json::to_string(one).expect("a text");
        let wanted = MetricPoint {
            id: InstanceId("i-1".into()),
            at: at("2019-01-29T16:01:00Z"),
            value: 9.92,
        };
        assert_eq!(page(&quoted), Ok(vec![wanted.clone()]));
        assert_eq!(page(one), Ok(vec![wanted]));
        assert_eq!(page("\"\""), Ok(Vec::new()));
        assert_eq!(page("\"[]\""), Ok(Vec::new()));
        for (points, why) in [
            ("null", "untagged"),
            ("\"<html>\"", "no list of points"),
            (r#"[{"timestamp":1,"Average":1}]"#, "names no instance"),
            (r#"[{"timestamp":1,"instanceId":"i-1","Maximum":1}]"#, "has no Average"),
            (r#"[{"timestamp":1,"instanceId":"i-1","Average":"much"}]"#, "is no number"),
            (r#"[{"instanceId":"i-1","Average":1}]"#, "has no time"),
        ] {
            let refused = page(points).expect_err(points);
            assert!(refused.contains(why), "{points}: {refused}");
        }
        let nan = page(r#"[{"timestamp":1,"instanceId":"i-1","Average":"NaN"}]"#).expect("points");
        assert!(nan[0].value.is_nan(), "the caller makes a gap of it");
    }
}
