//! When a number was true. A time that means nothing makes a gap: such a number is not trusted. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use cloud::Timestamp;

use crate::model::{Gap, Reading, Sample, Span};

/// A sample may seem to come from the future by this much: servers round, and remote writers'
/// clocks are a little off. Beyond it the time stamps mean nothing.
const FUTURE_TOLERANCE: Duration = Duration::from_secs(30);

/// `value` with the time at which it was true, unless that is nonsense or too long before
/// `evaluated_at`.
pub(super) fn dated(value: f64, measured_at: f64, evaluated_at: f64, max_age: Span) -> Reading {
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

/// `at` in Unix seconds.
pub(super) fn unix_secs(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
    let millis = at.timestamp_millis() as f64;
    millis / 1000.0
}

/// From 10^11 on a number is milliseconds: as seconds it would be the year 5138, as milliseconds it is 1973.
const MILLIS_FROM: f64 = 1e11;
/// From 10^14 on it is neither: as milliseconds it would be the year 5138.
const NONSENSE_FROM: f64 = 1e14;

/// A time as Unix seconds, written in seconds or in milliseconds.
pub(super) fn of_number(number: f64) -> Option<f64> {
    let is_time = number > 0.0 && number < NONSENSE_FROM;
    is_time.then_some(if number < MILLIS_FROM { number } else { number / 1000.0 })
}

/// A time as Unix seconds, written as a number or by RFC 3339.
pub(super) fn of_text(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse() {
        return of_number(number);
    }
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(unix_secs(time.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_milliseconds_or_rfc_3339() {
        for (text, secs) in [
            ("1767355200", Some(1_767_355_200.0)),
            ("1767355200.5", Some(1_767_355_200.5)),
            ("1767355200500", Some(1_767_355_200.5)),
            ("2026-01-02T12:00:00Z", Some(1_767_355_200.0)),
            ("2026-01-02T20:00:00.500+08:00", Some(1_767_355_200.5)),
            ("1767355200000000", None),
            ("-1", None),
            ("0", None),
            ("NaN", None),
            ("2026-01-02 12:00:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(of_text(text), secs, "{text:?}");
        }
    }
}
