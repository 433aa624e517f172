//! An answer of `/api/v1/query`: what was wanted of it, or why it cannot be had. Pure.
//!
//! It is read straight into what is wanted (`read.rs`), so that an answer costs no more than some
//! times its bytes, whatever is in it.

use std::sync::Arc;

use cloud::Redactor;
use tokio::sync::OwnedSemaphorePermit;

use super::groups::Groups;
use super::read::{self, Body};
use super::reduce;
use crate::model::{Gap, Reduce};

/// The parts wanted of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Want {
    /// One number; several series are reduced, or a gap.
    One(Option<Reduce>),
    /// A number for each combination of the values of these labels.
    Each(Arc<[String]>, Option<Reduce>),
    /// The values of this label on all series whose value is 1.
    Ones(String),
    /// The values of this label on all series, each with the series' number.
    Named(String),
}

/// A successful, complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// When the server evaluated the query, in Unix seconds by its clock.
    pub(super) evaluated_at: f64,
    said: AnswerContent,
    /// Its share of what all kept answers together may take.
    pub(super) room: Option<[OwnedSemaphorePermit; 2]>,
}

#[derive(Debug)]
enum AnswerContent {
    One(Result<f64, Gap>),
    Each(Groups),
    Ones(Vec<String>),
    Named(Vec<(String, f64)>),
}

impl Answer {
    /// The one number in it.
    pub(super) fn one(&self) -> Result<f64, Gap> {
        match &self.said {
            AnswerContent::One(value) => value.clone(),
            AnswerContent::Each(_) | AnswerContent::Ones(_) | AnswerContent::Named(_) => {
                Err(Gap::Empty)
            }
        }
    }

    /// The number of the series whose labels, in the order in which they were wanted, have `values`.
    pub(super) fn of(&self, values: &[&str]) -> Result<f64, Gap> {
        match &self.said {
            AnswerContent::Each(groups) => groups.pick(values),
            AnswerContent::One(_) | AnswerContent::Ones(_) | AnswerContent::Named(_) => {
                Err(Gap::Empty)
            }
        }
    }

    /// The values of the label on those series whose value is 1.
    pub(super) fn ones(&self) -> &[String] {
        match &self.said {
            AnswerContent::Ones(ones) => ones,
            AnswerContent::One(_) | AnswerContent::Each(_) | AnswerContent::Named(_) => &[],
        }
    }

    /// The values of the label, each with its number.
    pub(super) fn named(&self) -> &[(String, f64)] {
        match &self.said {
            AnswerContent::Named(named) => named,
            AnswerContent::One(_) | AnswerContent::Each(_) | AnswerContent::Ones(_) => &[],
        }
    }

    /// The memory that it takes while it is kept, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match &self.said {
            AnswerContent::One(_) => 0,
            AnswerContent::Each(groups) => groups.bytes(),
            AnswerContent::Ones(ones) => {
                ones.iter().map(|one| one.capacity() + size_of::<String>()).sum()
            }
            AnswerContent::Named(named) => {
                named.iter().map(|(name, _)| name.capacity() + size_of::<(String, f64)>()).sum()
            }
        }
    }
}

/// The content of an answer.
pub(super) fn parse(
    status: u16,
    body: &[u8],
    want: &Want,
    redactor: &Redactor,
) -> Result<Answer, Gap> {
    let head = || redactor.line_of(body).chars().take(HEAD_CHARS).collect::<String>();
    let http = || Gap::Http { status, head: head(), proxy: None };
    let body = match read::read(body, want, redactor) {
        Ok(body) => body,
        Err(_) if status != 200 => return Err(http()),
        Err(Some(what)) => return Err(Gap::BadAnswer { what, head: head() }),
        Err(None) => {
            let head = head();
            return Err(Gap::BadAnswer { what: what_is(&head).to_owned(), head });
        }
    };
    let bad = |what: &str| Gap::BadAnswer { what: what.to_owned(), head: head() };
    if body.status.as_deref() == Some("error") {
        return Err(Gap::QueryFailed {
            kind: body.error_type.unwrap_or_else(|| format!("HTTP {status}")),
            message: body.error.unwrap_or_default(),
        });
    }
    if status != 200 {
        return Err(http());
    }
    if body.status.as_deref() != Some("success") {
        return Err(bad("its status is neither success nor error"));
    }
    if let Some(says) = body.partial {
        return Err(Gap::Partial { says });
    }
    if !body.warnings.is_empty() {
        return Err(Gap::Warned { warnings: body.warnings });
    }
    if let Some(error) = body.error.as_ref().filter(|error| !error.is_empty()) {
        return Err(Gap::Warned { warnings: vec![error.clone()] });
    }
    said(body, want).map_err(|what| what.unwrap_or_else(bad))
}

/// The first part of an answer that an error shows, in characters: enough to know a login page.
const HEAD_CHARS: usize = 200;

/// Reads the data. An error that is a text is about its shape.
fn said(body: Body, want: &Want) -> Result<Answer, Result<Gap, &'static str>> {
    let series = body.series;
    let not_a_number = |result: &str| Err(Ok(Gap::NotANumber { result: result.to_owned() }));
    let (evaluated_at, values) = match body.result_type.as_deref() {
        None => return Err(Err("it has no data")),
        Some("vector") if series.has_histogram => return not_a_number("histogram"),
        Some("vector") => {
            let Some(at) = series.evaluated_at else { return Err(Ok(Gap::Empty)) };
            (at, series.values)
        }
        Some("scalar") => match body.scalar {
            Some((at, text)) => match read::number(&text) {
                Some(value) => (at, vec![value]),
                None => return Err(Err("its scalar is no number")),
            },
            None => return Err(Err("its scalar is not [time, \"value\"]")),
        },
        Some(other) => return not_a_number(other),
    };
    if !evaluated_at.is_finite() {
        return Err(Err("its time stamp is no number"));
    }
    let said = match want {
        Want::One(how) => AnswerContent::One(one(&values, *how, series.examples)),
        Want::Each(..) => AnswerContent::Each(series.groups.done(series.examples)),
        Want::Ones(_) => AnswerContent::Ones(series.ones),
        Want::Named(_) => AnswerContent::Named(series.named),
    };
    Ok(Answer { evaluated_at, said, room: None })
}

/// Several values as one number.
pub(super) fn one(values: &[f64], how: Option<Reduce>, examples: Vec<String>) -> Result<f64, Gap> {
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(not_finite(*value));
    }
    match (values, how) {
        ([], _) => Err(Gap::Empty),
        ([value], None) => Ok(*value),
        (_, Some(how)) => {
            let value = reduce(values, how);
            // A sum of huge numbers may overflow.
            if value.is_finite() { Ok(value) } else { Err(not_finite(value)) }
        }
        (several, None) => Err(Gap::SeveralSeries { count: several.len(), examples }),
    }
}

/// As Prometheus writes it.
fn not_finite(value: f64) -> Gap {
    let value = match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "+Inf",
        _ => "-Inf",
    };
    Gap::NotFinite { value: value.to_owned() }
}

/// Describes an answer that is no JSON.
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
