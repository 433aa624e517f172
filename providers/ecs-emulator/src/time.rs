//! Durations as people write them, and moments as ECS writes them.

use std::time::Duration;

use cloud::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration that is written `500ms`, `5s`, `2m` or `1h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Span(Duration::from_secs(secs))
    }
}

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as \"500ms\", \"5s\" or \"2m\"");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_millis(number.checked_mul(millis).ok_or_else(wrong)?))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Span).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}ms", self.0.as_millis()))
    }
}

/// `2026-01-02T03:04Z`: ECS shows creation times without seconds.
pub(crate) fn minute(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%MZ").to_string()
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration)
    }
}
