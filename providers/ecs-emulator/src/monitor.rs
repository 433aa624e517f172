//! CloudMonitor: the newest point of a metric of instances.
//!
//! Strict where the vendor is: 50 dimensions a call, the periods that a metric has, `Datapoints` as a text
//! that holds JSON. Who has no data is absent.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::actions::Call;
use crate::answer::{ApiError, Outcome};
use crate::state::State;
use crate::time::Span;

/// The version by which requests name the API.
const VERSION: &str = "2019-01-01";
const NAMESPACE: &str = "acs_ecs_dashboard";
const METRIC: &str = "CPUUtilization";
/// Dimensions in a call.
const DIMENSIONS_MAX: usize = 50;
/// The points of a page, where `Length` does not say.
const LENGTH: u32 = 1_000;

/// The metrics that monitoring has, and how it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Monitor {
    /// The CPU of an instance that is not in `values`, in percent.
    pub value: f64,
    /// By instance.
    pub values: BTreeMap<String, f64>,
    /// How long after its period a point can be read.
    pub lag: Span,
    /// Instances of which there is no data.
    pub silent: BTreeSet<String>,
    /// Instances whose value is the text `NaN`.
    pub not_a_number: BTreeSet<String>,
    /// Points in a page; absent: what is asked for.
    pub page: Option<u32>,
    /// `Datapoints` is a list, as some of the vendor's examples show it.
    pub as_list: bool,
    /// Points are of this period, in seconds, whatever is asked for.
    pub other_period: Option<u32>,
}

impl Default for Monitor {
    fn default() -> Self {
        Monitor {
            value: 20.0,
            values: BTreeMap::new(),
            lag: Span::secs(60),
            silent: BTreeSet::new(),
            not_a_number: BTreeSet::new(),
            page: None,
            as_list: false,
            other_period: None,
        }
    }
}

/// The prefix of the API's actions in a policy; `None`: it is of another API.
pub(crate) fn prefix(version: &str) -> Option<&'static str> {
    (version == VERSION).then_some("cms")
}

/// Carries out a call of this API; `None`: it is of another one.
pub(crate) fn perform(state: &State, call: &Call<'_>) -> Option<Outcome> {
    prefix(call.version)?;
    Some(match call.action {
        "DescribeMetricLast" => last(state, call),
        other => {
            let message = format!("The emulator does not know the action {other:?}.");
            Err(ApiError::new(404, "InvalidAction.NotFound", message))
        }
    })
}

fn last(state: &State, call: &Call<'_>) -> Outcome {
    let monitor = &state.world.monitor;
    if call.required("Namespace")? != NAMESPACE || call.required("MetricName")? != METRIC {
        let message = format!("The specified metric is not found; there is {NAMESPACE}/{METRIC}.");
        return Err(ApiError::new(404, "ResourceNotFound", message));
    }
    let period = call.number("Period", 60..=3600, 60)?;
    if period % 60 != 0 {
        return Err(ApiError::invalid("Period", "this metric has periods of 60 s and multiples"));
    }
    let period = monitor.other_period.unwrap_or(period);
    let ids = dimensions(call.required("Dimensions")?)?;
    let length = call.number("Length", 1..=1_440, LENGTH)?;
    let length = usize::try_from(monitor.page.unwrap_or(length)).unwrap_or(usize::MAX);
    let from: usize = match call.token() {
        None => 0,
        Some(token) => {
            token.parse().map_err(|_| ApiError::invalid("NextToken", "it is of no earlier page"))?
        }
    };
    let at = newest(state.now(), monitor.lag, period);
    let points: Vec<Value> =
        ids.iter().filter_map(|id| point(state, id, at)).skip(from).take(length + 1).collect();
    let mut answer = json!({ "Code": "200", "Success": true, "Period": period.to_string() });
    if points.len() > length {
        answer["NextToken"] = json!((from + length).to_string());
    }
    let page = Value::from(&points[..points.len().min(length)]);
    answer["Datapoints"] = if monitor.as_list { page } else { json!(page.to_string()) };
    Ok(answer)
}

/// The instances that are asked for.
fn dimensions(text: &str) -> Result<Vec<String>, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Dimension {
        instance_id: String,
    }
    let wrong = |why: &str| ApiError::invalid("Dimensions", why);
    let dimensions: Vec<Dimension> = serde_json::from_str(text)
        .map_err(|_| wrong("it must be a JSON list such as [{\"instanceId\":\"i-1\"}]"))?;
    if dimensions.is_empty() || dimensions.len() > DIMENSIONS_MAX {
        return Err(wrong("it must have 1 to 50 instances"));
    }
    Ok(dimensions.into_iter().map(|dimension| dimension.instance_id).collect())
}

/// The end of the last period that can be read.
fn newest(now: Timestamp, lag: Span, period: u32) -> Timestamp {
    let seen = clock::before(now, lag.0).timestamp();
    let at = seen - seen.rem_euclid(i64::from(period));
    Timestamp::from_timestamp(at, 0).unwrap_or(now)
}

/// The point of an instance that ran at that time.
fn point(state: &State, id: &str, at: Timestamp) -> Option<Value> {
    let monitor = &state.world.monitor;
    let machine = state.existing(id).filter(|_| !monitor.silent.contains(id))?;
    if machine.status(at, state.world.boot.0) != Some("Running") {
        return None;
    }
    let value = match monitor.not_a_number.contains(id) {
        true => json!("NaN"),
        false => json!(monitor.values.get(id).copied().unwrap_or(monitor.value)),
    };
    Some(json!({
        "timestamp": at.timestamp_millis(),
        "userId": state.world.account,
        "instanceId": id,
        "Minimum": value,
        "Average": value,
        "Maximum": value,
    }))
}
