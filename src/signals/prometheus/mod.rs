//! Prometheus: instant queries, and the age of the data under them.
//!
//! The time stamp in an instant query's answer is when it was evaluated, not when the data was
//! true. So the age is measured on the samples under the query: its selectors are taken out and
//! asked for their time stamps, at the very moment at which the value was evaluated. Both times
//! are the server's, so clock skew between it and us does not matter.

mod age;
mod answer;
mod client;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};

use super::{PrometheusSpec, Roll, Source, UpSpec};
use crate::model::{Gap, Reading, Reduce, Sample, Span};
use answer::{Answer, Vector};

pub use client::{Shared, SourceError};

/// A sample may seem to come from the future by this much: servers round, and remote writers'
/// clocks are a little off. Beyond it the time stamps mean nothing.
const FUTURE_TOLERANCE: Duration = Duration::from_secs(30);

/// One query to one server.
#[derive(Debug)]
pub struct Prometheus {
    spec: PrometheusSpec,
    age: Age,
    /// One query per selector: how many instances report it.
    reporting: Vec<String>,
    client: Arc<client::Client>,
}

/// How the age of the data is found out.
#[derive(Debug)]
enum Age {
    /// The value of this query is a Unix time.
    Asked(String),
    /// One query per selector under the signal's query; at least one.
    Measured(Vec<String>),
    /// Neither is possible.
    Unknown { why: String },
}

impl Prometheus {
    /// Asks nothing of the network. Fails when a certificate file cannot be used.
    pub fn new(spec: &PrometheusSpec, shared: &Arc<Shared>) -> Result<Self, SourceError> {
        let age = match &spec.freshness {
            Some(query) => Age::Asked(query.clone()),
            None => match age::queries(&spec.query) {
                Ok(queries) if queries.is_empty() => Age::Unknown {
                    why: "the query has no selector to measure; give `freshness`".to_owned(),
                },
                Ok(queries) => Age::Measured(queries),
                Err(why) => Age::Unknown { why },
            },
        };
        let reporting = match spec.asks_coverage {
            true => age::reporting(&spec.query).unwrap_or_default(),
            false => Vec::new(),
        };
        let client = shared.client(&spec.url, &spec.access)?;
        Ok(Prometheus { spec: spec.clone(), age, reporting, client })
    }

    async fn ask(&self, query: &str, at: Option<f64>) -> Result<Answer, Gap> {
        self.client.ask(query, at, self.spec.timeout).await
    }

    /// When the data under the query was true, in Unix seconds by the server's clock.
    async fn measured_at(&self, evaluated_at: f64) -> Result<f64, Gap> {
        let unknown = |why: String| Gap::AgeUnknown { why };
        let queries = match &self.age {
            Age::Unknown { why } => return Err(unknown(why.clone())),
            Age::Asked(query) => std::slice::from_ref(query),
            Age::Measured(queries) => queries.as_slice(),
        };
        let mut oldest = f64::INFINITY;
        for query in queries {
            let answer = self.ask(query, Some(evaluated_at)).await.map_err(|gap| match gap {
                // The value has data that is not under this selector (`or vector(0)`), or the data
                // has just ended: either way nobody knows how old the number is.
                Gap::Empty => unknown(format!("`{query}` selects nothing")),
                gap => unknown(format!("`{query}`: {gap}")),
            })?;
            let at = answer.one(Some(Reduce::Max)).map_err(|gap| match gap {
                Gap::Empty => unknown(format!("`{query}` selects nothing")),
                gap => unknown(format!("`{query}`: {gap}")),
            })?;
            oldest = oldest.min(at);
        }
        Ok(oldest)
    }

    /// How many instances report the data under the query: of several selectors the fewest. `None`
    /// when nobody can tell.
    async fn reporting(&self, evaluated_at: f64) -> Option<u32> {
        let mut fewest = None;
        for query in &self.reporting {
            let count = self.ask(query, Some(evaluated_at)).await.ok()?.one(None).ok()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count; `as` saturates"
            )]
            let count = count as u32;
            fewest = Some(fewest.map_or(count, |fewest: u32| fewest.min(count)));
        }
        fewest
    }

    async fn sample(&self) -> Reading {
        let answer = self.ask(&self.spec.query, None).await?;
        let value = answer.one(self.spec.reduce)?;
        let evaluated_at = answer.evaluated_at();
        let measured_at = self.measured_at(evaluated_at).await?;
        let sample = dated(value, measured_at, evaluated_at, self.spec.max_age)?;
        Ok(Sample { reporting: self.reporting(evaluated_at).await, ..sample })
    }
}

/// `value` with the time at which it was true, unless that is nonsense or too long before
/// `evaluated_at`.
fn dated(value: f64, measured_at: f64, evaluated_at: f64, max_age: Span) -> Reading {
    let age_secs = evaluated_at - measured_at;
    if age_secs < -FUTURE_TOLERANCE.as_secs_f64() {
        let why = format!("its time stamp is {:.0} s in the future", -age_secs);
        return Err(Gap::AgeUnknown { why });
    }
    let age = Duration::try_from_secs_f64(age_secs.max(0.0))
        .map_err(|_| Gap::AgeUnknown { why: format!("{measured_at} is no time stamp") })?;
    let age = Span(Duration::from_millis(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)));
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and chrono refuses")]
    let millis = (measured_at * 1000.0).round() as i64;
    let measured_at = DateTime::UNIX_EPOCH
        .checked_add_signed(TimeDelta::try_milliseconds(millis).unwrap_or_default())
        .ok_or_else(|| Gap::AgeUnknown { why: format!("{measured_at} is no time stamp") })?;
    Sample { value, measured_at, age, reporting: None }.not_older_than(max_age)
}

/// Reads an answer of `/api/v1/query` in every way, as if it also said how old its data is: the door
/// through which the fuzzer comes.
#[doc(hidden)]
pub fn read_answer(status: u16, body: &[u8]) -> Result<(), Gap> {
    let answer = answer::parse(status, body, &cloud::http::head(body))?;
    drop(answer.labels_of_ones("instance"));
    let reduces =
        [Reduce::Avg, Reduce::Sum, Reduce::Min, Reduce::Max, Reduce::Percentile(95)].map(Some);
    for how in std::iter::once(None).chain(reduces) {
        if let Ok(value) = answer.one(how) {
            drop(dated(value, value, answer.evaluated_at(), Span::secs(90)));
        }
    }
    Ok(())
}

#[async_trait]
impl Source for Prometheus {
    async fn read(&self) -> Reading {
        self.sample().await
    }
}

/// The series that say which instances are up.
#[derive(Debug)]
pub struct Up {
    spec: UpSpec,
    client: Arc<client::Client>,
}

impl Up {
    /// Asks nothing of the network. Fails when a certificate file cannot be used.
    pub fn new(spec: &UpSpec, shared: &Arc<Shared>) -> Result<Self, SourceError> {
        Ok(Up { spec: spec.clone(), client: shared.client(&spec.url, &spec.access)? })
    }
}

#[async_trait]
impl Roll for Up {
    async fn call(&self) -> Result<Vec<String>, Gap> {
        let answer = self.client.ask(&self.spec.query, None, self.spec.timeout).await?;
        Ok(answer.labels_of_ones(&self.spec.label))
    }
}

/// Several series as one number; percentiles are interpolated linearly.
fn reduce(vector: &Vector, reduce: Reduce) -> f64 {
    let mut values: Vec<f64> = vector.values().collect();
    values.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    match reduce {
        Reduce::Avg => values.iter().sum::<f64>() / count,
        Reduce::Sum => values.iter().sum(),
        Reduce::Min => values[0],
        Reduce::Max => values[values.len() - 1],
        Reduce::Percentile(p) => {
            let rank = f64::from(p) / 100.0 * (count - 1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and the number of series"
            )]
            let below = rank.floor() as usize;
            let above = (below + 1).min(values.len() - 1);
            values[below] + (values[above] - values[below]) * (rank - rank.floor())
        }
    }
}

#[cfg(test)]
mod tests;
