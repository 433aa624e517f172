//! How far back to look, as people say it: `2h`, `1w`, `03:00`, `2026-11-25T03:00:00Z`.

use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveTime;
use cloud::{Timestamp, clock};

use crate::model::Span;

/// A moment in the past, and how it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Since {
    written: String,
    when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Ago(Span),
    /// The last time that clocks showed this, in UTC as the journal does.
    Clock(NaiveTime),
    At(Timestamp),
}

impl Since {
    /// The moment, seen from `now`; `None`: before all times.
    pub(super) fn before(&self, now: Timestamp) -> Option<Timestamp> {
        match self.when {
            When::Ago(span) => now.checked_sub_signed(clock::delta(span.get())),
            When::At(at) => Some(at),
            When::Clock(time) => {
                let today = now.date_naive().and_time(time).and_utc();
                if today <= now { Some(today) } else { Some(today - chrono::Days::new(1)) }
            }
        }
    }

    /// The last moment that may be meant, seen from `now`: `12:04` goes on until 12:05.
    pub(super) fn last_moment(&self, now: Timestamp) -> Timestamp {
        let at = self.before(now).unwrap_or(Timestamp::MIN_UTC);
        let is_minute = self.written.matches(':').count() == 1;
        match self.when {
            When::Clock(_) if is_minute => clock::after(at, Duration::from_millis(59_999)).min(now),
            _ => at,
        }
    }

    /// `within 2h` or `since 03:00 (UTC)`.
    pub(super) fn in_words(&self) -> String {
        let written = &self.written;
        match self.when {
            When::Ago(_) => format!("within {written}"),
            When::Clock(_) => format!("since {written} (UTC)"),
            When::At(_) => format!("since {written}"),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        let weeks = || {
            let weeks: u64 = text.strip_suffix('w')?.parse().ok()?;
            weeks.checked_mul(7 * 24 * 60 * 60).map(|secs| When::Ago(Span::secs(secs)))
        };
        let time = |form| NaiveTime::parse_from_str(text, form).map(When::Clock).ok();
        let when = weeks()
            .or_else(|| text.parse().map(When::Ago).ok())
            .or_else(|| time("%H:%M"))
            .or_else(|| time("%H:%M:%S"))
            .or_else(|| text.parse().map(When::At).ok())
            .ok_or_else(|| {
                format!(
                    "{text:?} is no time to look back to; write how long ago (\"90m\", \"2h\", \
                     \"1w\"), the time in UTC (\"03:00\"), or day and time \
                     (\"2026-11-25T03:00:00Z\")"
                )
            })?;
        Ok(Since { written: text.to_owned(), when })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_meant_to_its_end() {
        let now: Timestamp = "2026-11-25T02:00:30Z".parse().expect("a time");
        for (text, expected) in [
            ("01:30", "2026-11-25T01:30:59.999Z"),
            ("01:30:10", "2026-11-25T01:30:10Z"),
            ("02:00", "2026-11-25T02:00:30Z"),
            ("2m", "2026-11-25T01:58:30Z"),
        ] {
            let since: Since = text.parse().expect(text);
            let expected: Timestamp = expected.parse().expect("a time");
            assert_eq!(since.last_moment(now), expected, "{text}");
        }
    }

    #[test]
    fn a_time_to_look_back_to_is_read_as_people_say_it() {
        let now: Timestamp = "2026-11-25T02:00:00Z".parse().expect("a time");
        for (text, expected, words) in [
            ("24h", "2026-11-24T02:00:00Z", "within 24h"),
            ("1h30m", "2026-11-25T00:30:00Z", "within 1h30m"),
            ("1w", "2026-11-18T02:00:00Z", "within 1w"),
            ("01:30", "2026-11-25T01:30:00Z", "since 01:30 (UTC)"),
            ("01:30:10", "2026-11-25T01:30:10Z", "since 01:30:10 (UTC)"),
            ("03:00", "2026-11-24T03:00:00Z", "since 03:00 (UTC)"),
            ("2026-11-20T03:00:00Z", "2026-11-20T03:00:00Z", "since 2026-11-20T03:00:00Z"),
            (
                "2026-11-20T03:00:00+08:00",
                "2026-11-19T19:00:00Z",
                "since 2026-11-20T03:00:00+08:00",
            ),
        ] {
            let since: Since = text.parse().expect(text);
            let expected: Timestamp = expected.parse().expect("a time");
            assert_eq!(since.before(now), Some(expected), "{text}");
            assert_eq!(since.in_words(), words);
        }
        for text in ["", "24", "25:00", "w", "yesterday", "99999999999999999w"] {
            assert!(text.parse::<Since>().expect_err(text).contains("03:00"), "{text}");
        }
    }
}
