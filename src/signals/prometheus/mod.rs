//! Prometheus: instant queries, and the age of the data under them.
//!
//! The time stamp in an instant query's answer is when it was evaluated, not when the data was
//! true. So the age is measured on the samples under the query: its selectors are taken out and
//! asked for their time stamps, at the very moment at which the value was evaluated. Both times
//! are the server's, so clock skew between it and us does not matter.

mod age;
mod answer;
mod asked;
mod circuit;
mod client;
mod groups;
mod history;
pub(crate) mod promql;
mod read;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloud::{Redactor, Timestamp};

use super::server::SourceError;
use super::time::dated;
use super::{PrometheusSpec, Source, UpSource, UpSpec, WorkSource};
use crate::model::{Gap, Reading, Reduce, Sample, Span};
use age::{AgeQuestion, Measure, QueryData};
use answer::{Answer, Want};

pub use client::Clients;

/// The action where the age of the data cannot be known.
const GIVE_FRESHNESS: &str = "give `freshness`, a query for the Unix time of the data";

/// One query to one server.
#[derive(Debug)]
pub struct Prometheus {
    query: Arc<str>,
    want: Want,
    /// The values of the labels that pick this fleet's series.
    picks: Option<Vec<String>>,
    age: Age,
    /// How many instances report it.
    reporting: Option<QueryData>,
    max_age: Span,
    timeout: Span,
    client: Arc<client::Client>,
}

/// How the age of the data is found out.
#[derive(Debug)]
enum Age {
    /// The value of this query is a Unix time.
    QuestionCache(Arc<str>),
    /// By the selectors under the signal's query.
    Measured(QueryData),
    /// Neither is possible.
    Unknown { why: String },
}

impl Prometheus {
    /// Asks nothing of the network. Fails when a certificate file cannot be used.
    pub fn new(spec: &PrometheusSpec, shared: &Arc<Clients>) -> Result<Self, SourceError> {
        let labels: Vec<String> = spec.series.keys().cloned().collect();
        let age = match &spec.freshness {
            Some(query) => Age::QuestionCache(query.as_str().into()),
            None => match age::times(&spec.query, &labels) {
                Ok(data) if data.questions().is_empty() => Age::Unknown {
                    why: format!("the query has no selector to measure; {GIVE_FRESHNESS}"),
                },
                Ok(data) => Age::Measured(data),
                Err(why) => Age::Unknown { why: format!("{why}; {GIVE_FRESHNESS}") },
            },
        };
        let reporting = match spec.asks_coverage {
            true => age::reporting(&spec.query, &labels).ok(),
            false => None,
        };
        let has_series = !labels.is_empty();
        Ok(Prometheus {
            query: spec.query.as_str().into(),
            want: if has_series {
                Want::Each(labels.into(), spec.reduce)
            } else {
                Want::One(spec.reduce)
            },
            picks: has_series.then(|| spec.series.values().cloned().collect()),
            age,
            reporting: reporting.filter(|data| !data.questions().is_empty()),
            max_age: spec.max_age,
            timeout: spec.timeout,
            client: shared.client(&spec.url, &spec.access)?,
        })
    }

    /// The values of the query from one time to another, one each `step`. `series` are the labels that pick
    /// this fleet's.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn history(
        &self,
        series: &BTreeMap<String, String>,
        of: (Timestamp, Timestamp),
        step: Duration,
    ) -> Result<Vec<(Timestamp, f64)>, Gap> {
        history::history(&self.client, &self.query, series, of, step).await
    }

    /// This fleet's number in `answer`.
    fn pick(&self, answer: &Answer) -> Result<f64, Gap> {
        let Some(picks) = &self.picks else { return answer.one() };
        answer.of(&picks.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The number that a question about the data under the query leads to. One that is about all
    /// fleets has one number, one that is grouped has this fleet's.
    async fn number(&self, query: &Arc<str>, is_grouped: bool, at: f64) -> Result<f64, Gap> {
        let want = match &self.want {
            Want::Each(labels, _) if is_grouped => Want::Each(labels.clone(), Some(Reduce::Max)),
            _ => Want::One(Some(Reduce::Max)),
        };
        let answer = self.client.ask(query, &want, Some(at), self.timeout).await?;
        if is_grouped { self.pick(&answer) } else { answer.one() }
    }

    /// The results of the questions about the data under the query, asked side by side.
    async fn find(&self, data: &QueryData, at: f64) -> Result<Measure, (AgeQuestion, Gap)> {
        let asking = data.questions().into_iter().map(|question| async move {
            match self.number(&question.query, question.is_grouped, at).await {
                Ok(number) => Ok((question, Measure::Number(number))),
                Err(Gap::Empty | Gap::NoSeries { .. }) => Ok((question, Measure::Empty)),
                Err(gap) => Err((question.clone(), gap)),
            }
        });
        let found = futures::future::try_join_all(asking).await?;
        let found: BTreeMap<&AgeQuestion, Measure> = found.into_iter().collect();
        Ok(data.least(&|question| found.get(question).copied().unwrap_or(Measure::Nothing)))
    }

    /// When the data under the query was true, in Unix seconds by the server's clock.
    async fn measured_at(&self, evaluated_at: f64) -> Result<f64, Gap> {
        let unknown = |why: String| Gap::AgeUnknown { why };
        let data = match &self.age {
            Age::Unknown { why } => return Err(unknown(why.clone())),
            Age::QuestionCache(query) => {
                return self
                    .freshness(query, evaluated_at)
                    .await
                    .map_err(|gap| unknown(format!("`{query}`: {gap}")));
            }
            Age::Measured(data) => data,
        };
        match self.find(data, evaluated_at).await {
            Ok(Measure::Number(at)) => Ok(at),
            // The value has data that is not under a selector (`or vector(0)`), or the data has just
            // ended: either way nobody knows how old the number is.
            Ok(Measure::Empty | Measure::Nothing) => {
                let queries = data.questions().into_iter().map(|q| format!("`{}`", q.query));
                let queries = queries.collect::<Vec<_>>().join(" or ");
                Err(unknown(format!("{queries} selects nothing; {GIVE_FRESHNESS}")))
            }
            Err((question, gap)) => Err(unknown(format!("`{}`: {gap}", question.query))),
        }
    }

    /// The answer of `freshness`: of this fleet, or of all where its series have no such labels.
    async fn freshness(&self, query: &Arc<str>, at: f64) -> Result<f64, Gap> {
        let Some(picks) = &self.picks else { return self.number(query, false, at).await };
        match self.number(query, true, at).await {
            Err(Gap::NoSeries { .. }) => {}
            found => return found,
        }
        let Want::Each(labels, _) = &self.want else { return Err(Gap::Empty) };
        let want = Want::Each(labels.clone(), Some(Reduce::Max));
        let answer = self.client.ask(query, &want, Some(at), self.timeout).await?;
        answer.of(&vec![""; picks.len()])
    }

    /// How many instances report the data under the query: of several selectors the fewest. `None`
    /// when nobody can tell.
    async fn reporting(&self, evaluated_at: f64) -> Option<u32> {
        let found = self.find(self.reporting.as_ref()?, evaluated_at).await.ok()?;
        let Measure::Number(count) = found else { return None };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count; `as` saturates"
        )]
        let count = count as u32;
        Some(count)
    }

    async fn sample(&self) -> Reading {
        let answer = self.client.ask(&self.query, &self.want, None, self.timeout).await?;
        let value = self.pick(&answer)?;
        let evaluated_at = answer.evaluated_at;
        let (measured_at, reporting) =
            futures::future::join(self.measured_at(evaluated_at), self.reporting(evaluated_at))
                .await;
        let sample = dated(value, measured_at?, evaluated_at, self.max_age)?;
        Ok(Sample { reporting, ..sample })
    }
}

/// Why the series of `query` cannot be picked by `labels`, if so: its result has no such labels, or
/// the age of its data cannot be measured for each of them.
pub(crate) fn cannot_pick(query: &str, labels: &[String]) -> Option<CannotPick> {
    match age::times(query, labels) {
        Err(why) => Some(CannotPick::NotMeasured { why }),
        Ok(data) => {
            let questions = data.questions();
            let lost = !questions.is_empty() && !questions.iter().any(|q| q.is_grouped);
            lost.then_some(CannotPick::NoSuchLabel)
        }
    }
}

/// Why series cannot be picked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CannotPick {
    NoSuchLabel,
    /// A `freshness` query helps.
    NotMeasured {
        why: String,
    },
}

/// Reads an answer of `/api/v1/query` in every way, as if it also said how old its data is: the door
/// through which the fuzzer comes.
#[doc(hidden)]
pub fn read_answer(status: u16, body: &[u8]) -> Result<(), Gap> {
    let redactor = Redactor::default();
    let labels: Arc<[String]> = ["instance".to_owned()].into();
    for how in [None, Some(Reduce::Percentile(95))] {
        let answer = answer::parse(status, body, &Want::One(how), &redactor)?;
        if let Ok(value) = answer.one() {
            drop(dated(value, value, answer.evaluated_at, Span::secs(90)));
        }
        let answer = answer::parse(status, body, &Want::Each(labels.clone(), how), &redactor)?;
        drop(answer.of(&["a:1"]));
    }
    drop(answer::parse(status, body, &Want::Ones("instance".to_owned()), &redactor)?);
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
    query: Arc<str>,
    want: Want,
    timeout: Span,
    client: Arc<client::Client>,
}

impl Up {
    /// Asks nothing of the network. Fails when a certificate file cannot be used.
    pub fn new(spec: &UpSpec, shared: &Arc<Clients>) -> Result<Self, SourceError> {
        Ok(Up {
            query: spec.query.as_str().into(),
            want: Want::Ones(spec.label.clone()),
            timeout: spec.timeout,
            client: shared.client(&spec.url, &spec.access)?,
        })
    }
}

#[async_trait]
impl UpSource for Up {
    async fn names_up(&self) -> Result<Vec<String>, Gap> {
        let answer = self.client.ask(&self.query, &self.want, None, self.timeout).await?;
        Ok(answer.ones().to_vec())
    }
}

/// A query that tells how much work each instance has.
#[derive(Debug)]
pub struct Busy(Up);

impl Busy {
    /// Asks nothing of the network. Fails when a certificate file cannot be used.
    pub fn new(spec: &UpSpec, shared: &Arc<Clients>) -> Result<Self, SourceError> {
        let want = Want::Named(spec.label.clone());
        Ok(Busy(Up { want, ..Up::new(spec, shared)? }))
    }
}

#[async_trait]
impl WorkSource for Busy {
    async fn work(&self) -> Result<Vec<(String, f64)>, Gap> {
        let Busy(Up { query, want, timeout, client }) = self;
        Ok(client.ask(query, want, None, *timeout).await?.named().to_vec())
    }
}

/// Several values as one number; percentiles are interpolated linearly.
pub(super) fn reduce(values: &[f64], reduce: Reduce) -> f64 {
    let mut values: Vec<f64> = values.to_vec();
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
