//! A schedule: sizes and bounds by the calendar, in a time zone of its own. Pure.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeZone as _;
use chrono_tz::Tz;
use cloud::{Timestamp, clock};
use serde::{Deserialize, Serialize};

use super::{Direction, Span};

/// Sizes and bounds at certain times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Of every cron line; daylight saving is its affair.
    pub timezone: Tz,
    /// At least one.
    pub entries: Vec<ScheduleEntry>,
    /// The size while no entry is in force; `None`: the other rules decide.
    pub otherwise: Option<u32>,
}

/// Limits that hold at certain times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleEntry {
    pub when: ScheduledTime,
    pub sets: ScheduledLimits,
}

/// The limits of an entry while it is in force; at least one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledLimits {
    pub min: Option<u32>,
    pub max: Option<u32>,
    /// Nothing happens in this direction, but for what `min` and `max` call for.
    pub forbids: Option<Direction>,
}

/// When an entry is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduledTime {
    /// From each time that the line names, for so long.
    Cron { line: CronLine, lasts: Span },
    /// Once.
    Between { from: Timestamp, until: Timestamp },
}

/// A cron line of five fields: minute, hour, day of month, month, day of week.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronLine(Arc<Searched>);

/// To search the calendar takes longer than everything else in a decision, and its answer is the same
/// until the line's next time: it is remembered.
#[derive(Debug)]
struct Searched {
    line: croner::Cron,
    newest: Mutex<Option<Answer>>,
}

/// The last time that a line names, for every moment of `from..to`.
#[derive(Debug, Clone, Copy)]
struct Answer {
    timezone: Tz,
    from: Timestamp,
    to: Timestamp,
    last: Option<Timestamp>,
}

impl PartialEq for CronLine {
    fn eq(&self, other: &CronLine) -> bool {
        self.as_str() == other.as_str()
    }
}

impl TryFrom<String> for CronLine {
    type Error = String;

    /// # Errors
    /// The fault of the line.
    fn try_from(text: String) -> Result<CronLine, String> {
        let parser = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Disallowed)
            .year(croner::parser::Year::Disallowed)
            .build();
        let line = parser.parse(&text).map_err(|error| error.to_string())?;
        Ok(CronLine(Arc::new(Searched { line, newest: Mutex::default() })))
    }
}

impl From<CronLine> for String {
    fn from(line: CronLine) -> String {
        line.as_str().to_owned()
    }
}

impl CronLine {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.line.as_str()
    }

    /// The newest time that it names, up to `now`; `None`: it has not come yet.
    #[must_use]
    pub fn last(&self, timezone: Tz, now: Timestamp) -> Option<Timestamp> {
        let mut newest = self.0.newest.lock().expect("no holder of this lock can panic");
        if let Some(answer) = *newest
            && answer.timezone == timezone
            && (answer.from..answer.to).contains(&now)
        {
            return answer.last;
        }
        let here = timezone.from_utc_datetime(&now.naive_utc());
        let last = self.0.line.find_previous_occurrence(&here, true).ok().map(|at| at.to_utc());
        if let Some(to) = self.next(timezone, now) {
            *newest = Some(Answer { timezone, from: last.unwrap_or(now), to, last });
        }
        last
    }

    /// The next time that it names, after `now`; `None`: it never comes.
    #[must_use]
    pub fn next(&self, timezone: Tz, now: Timestamp) -> Option<Timestamp> {
        let here = timezone.from_utc_datetime(&now.naive_utc());
        self.0.line.find_next_occurrence(&here, false).ok().map(|at| at.to_utc())
    }
}

impl ScheduledTime {
    /// Until when it is in force at `now`, if it is.
    #[must_use]
    pub fn until(&self, timezone: Tz, now: Timestamp) -> Option<Timestamp> {
        match self {
            ScheduledTime::Cron { line, lasts } => {
                let until = clock::after(line.last(timezone, now)?, lasts.get());
                (now < until).then_some(until)
            }
            ScheduledTime::Between { from, until } => {
                (*from <= now && now < *until).then_some(*until)
            }
        }
    }
}

/// An entry with its beginning and its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scheduled<'a> {
    pub entry: &'a ScheduleEntry,
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Schedule {
    /// What is in force at `now` and what comes within `ahead`, in the order of their beginnings; at most
    /// `most` times of each entry.
    #[must_use]
    pub fn ahead(&self, now: Timestamp, ahead: Duration, most: usize) -> Vec<Scheduled<'_>> {
        let end = clock::after(now, ahead);
        let mut all: Vec<Scheduled<'_>> = Vec::new();
        for entry in &self.entries {
            let times: Vec<(Timestamp, Timestamp)> = match &entry.when {
                ScheduledTime::Between { from, until } => vec![(*from, *until)],
                ScheduledTime::Cron { line, lasts } => {
                    let first = line.last(self.timezone, now);
                    let next = |at: &Timestamp| line.next(self.timezone, *at);
                    let first = first.or_else(|| next(&now));
                    let times = std::iter::successors(first, next).take(most + 1);
                    times.map(|from| (from, clock::after(from, lasts.get()))).collect()
                }
            };
            let is_shown = |(from, until): &(Timestamp, Timestamp)| *until > now && *from < end;
            let times = times.into_iter().filter(is_shown).take(most);
            all.extend(times.map(|(from, until)| Scheduled { entry, from, until }));
        }
        all.sort_by_key(|scheduled| (scheduled.from, scheduled.until));
        all
    }

    /// The entries that are in force at `now`, each with its end.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = (&ScheduleEntry, Timestamp)> {
        let until = move |entry: &ScheduleEntry| entry.when.until(self.timezone, now);
        self.entries.iter().filter_map(move |entry| Some((entry, until(entry)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn cron(line: &str, hours: u64) -> ScheduledTime {
        let line = CronLine::try_from(line.to_owned()).expect("a cron line");
        ScheduledTime::Cron { line, lasts: Span::secs(hours * 3600) }
    }

    #[test]
    fn an_entry_is_in_force_from_each_time_of_its_line() {
        let weekdays = cron("0 8 * * 1-5", 10);
        let shanghai = chrono_tz::Asia::Shanghai;
        for (now, until) in [
            ("2026-11-26T00:00:00Z", Some("2026-11-26T10:00:00Z")), // Thursday, 08:00 there
            ("2026-11-25T23:59:59Z", None),
            ("2026-11-26T09:59:59Z", Some("2026-11-26T10:00:00Z")),
            ("2026-11-26T10:00:00Z", None),
            ("2026-11-28T03:00:00Z", None), // Saturday
        ] {
            assert_eq!(weekdays.until(shanghai, at(now)), until.map(at), "{now}");
        }
        let once = ScheduledTime::Between {
            from: at("2026-11-10T16:00:00Z"),
            until: at("2026-11-11T18:00:00Z"),
        };
        assert_eq!(
            once.until(shanghai, at("2026-11-11T00:00:00Z")),
            Some(at("2026-11-11T18:00:00Z"))
        );
        assert_eq!(once.until(shanghai, at("2026-11-11T18:00:00Z")), None);
    }

    #[test]
    fn daylight_saving_moves_the_hour_and_skips_no_day() {
        let berlin = chrono_tz::Europe::Berlin;
        let morning = cron("0 8 * * *", 1);
        // 08:00 is 07:00 UTC in winter and 06:00 in summer; the change is on 2026-03-29.
        for (now, is_in_force) in [
            ("2026-03-28T07:30:00Z", true),
            ("2026-03-28T06:30:00Z", false),
            ("2026-03-29T06:30:00Z", true),
            ("2026-03-29T07:30:00Z", false),
        ] {
            assert_eq!(morning.until(berlin, at(now)).is_some(), is_in_force, "{now}");
        }
        // 02:30 does not exist on that day: it begins when the skipped hour is over.
        let night = cron("30 2 * * *", 2);
        assert!(night.until(berlin, at("2026-03-29T01:59:00Z")).is_some());
        assert!(night.until(berlin, at("2026-03-29T00:59:00Z")).is_none());
    }

    #[test]
    fn what_is_remembered_of_a_line_changes_no_answer() {
        let lines = ["0 8 * * 1-5", "*/7 * * * *", "30 2 * * *", "0 0 29 2 *"];
        let zones = [chrono_tz::Europe::Berlin, chrono_tz::Asia::Shanghai];
        for text in lines {
            let asked_often = CronLine::try_from(text.to_owned()).expect("a cron line");
            // Over a night in which the clock is set forward, and back and forth between the zones.
            for minutes in (0..36 * 60).step_by(5).chain([30, 0, 2_000]) {
                let now = clock::after(at("2026-03-28T12:00:00Z"), Span::secs(minutes * 60).get());
                for zone in zones {
                    let asked_once = CronLine::try_from(text.to_owned()).expect("a cron line");
                    let expected = asked_once.last(zone, now);
                    assert_eq!(asked_often.last(zone, now), expected, "{text} at {now} in {zone}");
                }
            }
        }
    }

    #[test]
    fn a_line_that_never_comes_has_no_next_time() {
        let line = CronLine::try_from("0 0 30 2 *".to_owned()).expect("it can be read");
        assert_eq!(line.next(chrono_tz::UTC, at("2026-11-26T00:00:00Z")), None);
        for wrong in ["", "0 8 * *", "61 8 * * *", "0 0 8 * * *", "@hourly x", "a b c d e"] {
            assert!(CronLine::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_ahead_begins_with_what_is_in_force_and_ends_with_the_time_asked_for() {
        let entry = |when: ScheduledTime| ScheduleEntry { when, sets: ScheduledLimits::default() };
        let (from, until) = (at("2026-03-03T00:00:00Z"), at("2026-03-03T06:00:00Z"));
        let schedule = Schedule {
            timezone: Tz::UTC,
            entries: vec![
                entry(cron("0 8 * * *", 4)),
                entry(ScheduledTime::Between { from, until }),
                entry(ScheduledTime::Between { from: at("2026-01-01T00:00:00Z"), until: from }),
            ],
            otherwise: None,
        };
        let froms = |now: &str, most: usize| -> Vec<String> {
            let ahead = schedule.ahead(at(now), Duration::from_secs(48 * 3600), most);
            ahead.iter().map(|one| one.from.format("%m-%dT%H").to_string()).collect()
        };
        // In force, then tomorrow and the day after; the event of the day after.
        let expected = ["01-01T00", "03-01T08", "03-02T08", "03-03T00", "03-03T08"];
        assert_eq!(froms("2026-03-01T09:00:00Z", 5), expected);
        // What is over is not ahead, and two of each are enough.
        let expected = ["01-01T00", "03-02T08", "03-03T00", "03-03T08"];
        assert_eq!(froms("2026-03-01T13:00:00Z", 2), expected);
    }
}
