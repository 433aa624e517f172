//! Reading an answer of `/api/v1/query`: a number, or why it is none. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::reduce;
use crate::model::{Gap, Reduce};

/// A successful, complete answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    vector: Vector,
    /// When the server evaluated the query, in Unix seconds by its clock.
    evaluated_at: f64,
}

/// One or more series, every value finite.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vector(Vec<(Labels, f64)>);

type Labels = BTreeMap<String, String>;

impl Vector {
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|(_, value)| *value)
    }
}

/// How many of several series an error names.
const EXAMPLES: usize = 3;

impl Answer {
    pub(super) fn evaluated_at(&self) -> f64 {
        self.evaluated_at
    }

    /// The values of `label` on those series whose value is 1.
    #[expect(clippy::float_cmp, reason = "`up` is exactly 0 or 1")]
    pub(super) fn labels_of_ones(&self, label: &str) -> Vec<String> {
        let ones = self.vector.0.iter().filter(|(_, value)| *value == 1.0);
        ones.filter_map(|(labels, _)| labels.get(label).cloned()).collect()
    }

    /// The one number in it.
    pub(super) fn one(&self, how: Option<Reduce>) -> Result<f64, Gap> {
        match (self.vector.0.as_slice(), how) {
            ([], _) => Err(Gap::Empty),
            ([(_, value)], None) => Ok(*value),
            (_, Some(how)) => {
                let value = reduce(&self.vector, how);
                // A sum of huge numbers may overflow.
                if value.is_finite() { Ok(value) } else { Err(not_finite(&value.to_string())) }
            }
            (several, None) => Err(Gap::SeveralSeries {
                count: several.len(),
                examples: several.iter().take(EXAMPLES).map(|(labels, _)| show(labels)).collect(),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: Labels,
    value: Option<(f64, String)>,
}

/// What an answer says. `head` is the beginning of the body, for an error text.
pub(super) fn parse(status: u16, body: &[u8], head: &str) -> Result<Answer, Gap> {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let Some(envelope) = envelope else {
        if status != 200 {
            return Err(Gap::Http { status, head: head.to_owned() });
        }
        return Err(bad(what_is(head), head));
    };
    if envelope.status == "error" {
        return Err(Gap::QueryFailed {
            kind: envelope.error_type.unwrap_or_else(|| format!("HTTP {status}")),
            message: envelope.error.unwrap_or_default(),
        });
    }
    if status != 200 {
        return Err(Gap::Http { status, head: head.to_owned() });
    }
    if envelope.status != "success" {
        return Err(bad("its status is neither success nor error", head));
    }
    if !envelope.warnings.is_empty() {
        return Err(Gap::Warned { warnings: envelope.warnings });
    }
    let data = envelope.data.ok_or_else(|| bad("it has no data", head))?;
    match data.result_type.as_str() {
        "scalar" => {
            let (at, text): (f64, String) = serde_json::from_value(data.result)
                .map_err(|_| bad("its scalar is not [time, \"value\"]", head))?;
            let value = number(&text, head)?;
            answer(vec![(Labels::new(), value)], at, head)
        }
        "vector" => {
            let series: Vec<Series> = serde_json::from_value(data.result)
                .map_err(|_| bad("its vector is not a list of series", head))?;
            let mut rows = Vec::with_capacity(series.len());
            let mut evaluated_at = None;
            for series in series {
                let Some((at, text)) = series.value else {
                    return Err(Gap::NotANumber { result: "histogram".to_owned() });
                };
                evaluated_at = Some(at);
                rows.push((series.metric, number(&text, head)?));
            }
            let at = evaluated_at.ok_or(Gap::Empty)?;
            answer(rows, at, head)
        }
        other => Err(Gap::NotANumber { result: other.to_owned() }),
    }
}

fn answer(rows: Vec<(Labels, f64)>, evaluated_at: f64, head: &str) -> Result<Answer, Gap> {
    if !evaluated_at.is_finite() {
        return Err(bad("its time stamp is no number", head));
    }
    Ok(Answer { vector: Vector(rows), evaluated_at })
}

/// A value as Prometheus writes it. Rust reads "NaN", "+Inf" and "-Inf" as numbers, too.
fn number(text: &str, head: &str) -> Result<f64, Gap> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(not_finite(text)),
        Err(_) => Err(bad("a value is no number", head)),
    }
}

fn not_finite(value: &str) -> Gap {
    Gap::NotFinite { value: value.to_owned() }
}

fn bad(what: &str, head: &str) -> Gap {
    Gap::BadAnswer { what: what.to_owned(), head: head.to_owned() }
}

/// What came instead of JSON.
fn what_is(head: &str) -> &'static str {
    let begin = head.to_lowercase();
    if begin.is_empty() {
        "the body is empty"
    } else if begin.starts_with("<!doctype") || begin.starts_with("<html") {
        "an HTML page; is `url` the server's base?"
    } else if begin.starts_with('{') {
        "JSON that ends too early or has another shape"
    } else {
        "it is not JSON"
    }
}

/// `{instance="a:9100", job="node"}`.
fn show(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
