//! Signals: named numbers with the time they were true at, or the reason why there is none.

use std::collections::BTreeMap;
use std::fmt;

use cloud::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SignalName, Span};

/// One measurement. `value` is always finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub value: f64,
    /// When the number was true, by the source's clock: the time of the data under it, not the
    /// time at which it was asked for. Equal times mean that it is the same sample.
    pub measured_at: Timestamp,
    /// How old it was when it was read, by the source's clock (so clock skew between the source
    /// and this machine does not matter).
    pub age: Span,
    /// How many instances reported it, where the source was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting: Option<u32>,
}

impl Sample {
    /// This sample, unless it is older than `max_age`: then it is a gap, whatever its value.
    pub fn not_older_than(self, max_age: Span) -> Reading {
        if self.age <= max_age {
            return Ok(self);
        }
        Err(Gap::Stale { age: Span::secs(self.age.get().as_secs()), max_age })
    }
}

/// How several series become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reduce {
    Avg,
    Min,
    Max,
    Sum,
    /// A percentile, 0 to 100, linearly interpolated.
    Percentile(u8),
}

impl TryFrom<String> for Reduce {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let percentile = || text.strip_prefix('p')?.parse().ok().filter(|p| *p <= 100);
        match text.as_str() {
            "avg" => Ok(Reduce::Avg),
            "min" => Ok(Reduce::Min),
            "max" => Ok(Reduce::Max),
            "sum" => Ok(Reduce::Sum),
            _ => percentile().map(Reduce::Percentile).ok_or_else(|| {
                format!("{text:?} is not a way to reduce; use avg, min, max, sum or p0 to p100")
            }),
        }
    }
}

impl From<Reduce> for String {
    fn from(reduce: Reduce) -> String {
        reduce.to_string()
    }
}

impl fmt::Display for Reduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reduce::Avg => f.write_str("avg"),
            Reduce::Min => f.write_str("min"),
            Reduce::Max => f.write_str("max"),
            Reduce::Sum => f.write_str("sum"),
            Reduce::Percentile(p) => write!(f, "p{p}"),
        }
    }
}

/// Why there is no usable sample. A gap never becomes a number: not 0, not the last value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gap", rename_all = "snake_case")]
pub enum Gap {
    /// The source could not be reached.
    Unreachable { why: String },
    /// No answer in time.
    TimedOut { after: Span },
    /// An HTTP status other than 200.
    Http {
        status: u16,
        head: String,
        /// The proxy on the way, which may have answered itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proxy: Option<String>,
    },
    /// Not what this API answers (HTML, truncated or oversized JSON, an unknown shape).
    BadAnswer { what: String, head: String },
    /// The source says that the query failed.
    QueryFailed { kind: String, message: String },
    /// The source answered with warnings: the result may be partial.
    Warned { warnings: Vec<String> },
    /// The source says that its result is incomplete.
    Partial { says: String },
    /// The query selected nothing.
    Empty,
    /// None of the series is this fleet's.
    NoSeries { series: String, count: usize, examples: Vec<String> },
    /// NaN, +Inf or -Inf.
    NotFinite { value: String },
    /// More than one series and no `reduce`.
    SeveralSeries { count: usize, examples: Vec<String> },
    /// A string or a range where a number was expected.
    NotANumber { result: String },
    /// Older than `max_age`.
    Stale { age: Span, max_age: Span },
    /// The age of the data could not be found out, so the number is not trusted.
    AgeUnknown { why: String },
    /// The fleet needed instances at once, and the source had not answered yet.
    NotAwaited { after: Span },
    /// Nobody has sent a value since the daemon started.
    NotPushed,
    /// No instance is in service, and the number would be of those.
    NobodyServes,
}

impl Gap {
    /// One word for metrics and the journal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Gap::Unreachable { .. } => "unreachable",
            Gap::TimedOut { .. } => "timed_out",
            Gap::Http { .. } => "http",
            Gap::BadAnswer { .. } => "bad_answer",
            Gap::QueryFailed { .. } => "query_failed",
            Gap::Warned { .. } => "warned",
            Gap::Partial { .. } => "partial",
            Gap::Empty => "empty",
            Gap::NoSeries { .. } => "no_series",
            Gap::NotFinite { .. } => "not_finite",
            Gap::SeveralSeries { .. } => "several_series",
            Gap::NotANumber { .. } => "not_a_number",
            Gap::Stale { .. } => "stale",
            Gap::AgeUnknown { .. } => "age_unknown",
            Gap::NotAwaited { .. } => "not_awaited",
            Gap::NotPushed => "not_pushed",
            Gap::NobodyServes => "nobody_serves",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::Unreachable { why } => write!(f, "the source cannot be reached: {why}"),
            Gap::TimedOut { after } => write!(f, "the source did not answer within {after}"),
            Gap::Http { status, head, proxy } => {
                match proxy {
                    None => write!(f, "the source answered HTTP {status}")?,
                    Some(proxy) if *status == 407 => {
                        write!(f, "the proxy {proxy} answered HTTP {status}")?;
                    }
                    Some(proxy) => write!(
                        f,
                        "HTTP {status} came through the proxy {proxy}, which may have answered \
                         itself"
                    )?,
                }
                if head.is_empty() { Ok(()) } else { write!(f, ": {head}") }
            }
            Gap::BadAnswer { what, head } if head.is_empty() => {
                write!(f, "the source's answer is unusable: {what}")
            }
            Gap::BadAnswer { what, head } => {
                write!(f, "the source's answer is unusable: {what}; it begins {head:?}")
            }
            Gap::QueryFailed { kind, message } => write!(f, "the query failed: {kind}: {message}"),
            Gap::Warned { warnings } => {
                write!(f, "the source warned: {}", warnings.join("; "))
            }
            Gap::Partial { says } => {
                write!(f, "the source's answer is partial: it says {says}")
            }
            Gap::Empty => f.write_str("the query selects no series"),
            Gap::NoSeries { series, count, examples } => write!(
                f,
                "none of the query's {count} series is {series}; there are {}",
                examples.join(", ")
            ),
            Gap::NotFinite { value } => write!(f, "the value is {value}"),
            Gap::SeveralSeries { count, examples } => write!(
                f,
                "the query returns {count} series ({}); aggregate in the query or set `reduce`",
                examples.join(", ")
            ),
            Gap::NotANumber { result } => {
                write!(f, "the query returns a {result}, not a number")
            }
            Gap::Stale { age, max_age } => {
                write!(f, "the data is {age} old, more than max_age = {max_age}")
            }
            Gap::AgeUnknown { why } => write!(f, "the age of the data is unknown: {why}"),
            Gap::NotAwaited { after } => write!(
                f,
                "the source had not answered after {after}, and instances were needed at once"
            ),
            Gap::NobodyServes => {
                f.write_str("no instance is in service, and the metric is of instances")
            }
            Gap::NotPushed => f.write_str("no value was pushed since the daemon started"),
        }
    }
}

/// The result of asking one signal.
pub type Reading = Result<Sample, Gap>;

/// The results of asking all signals of a fleet, by name.
pub type Signals = BTreeMap<SignalName, Reading>;
