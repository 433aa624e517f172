//! `kind = "schedule"`: sizes and bounds by the calendar.

use chrono::offset::LocalResult;
use chrono::{NaiveDateTime, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};
use cloud::Timestamp;

use super::problem::shown;
use super::size::instances;
use super::suggest;
use super::table::Table;
use super::value::{Value, duration, word};
use crate::model::{
    CronLine, Direction, Schedule, ScheduleEntry, ScheduledLimits, ScheduledTime, Span,
};

/// Below a minute an entry may lie between two ticks; what lasts for a year is a bound.
const LASTS: std::ops::RangeInclusive<Span> = Span::secs(60)..=Span::secs(366 * 24 * 3600);
const DIRECTIONS: [(&str, Direction); 2] =
    [("scale_in", Direction::In), ("scale_out", Direction::Out)];
/// The forms of a date without a zone.
const FORMS: [&str; 3] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
/// A day before every fleet: whether a line ever comes does not depend on today.
const REFERENCE: &str = "2026-01-01T00:00:00Z";

pub(super) fn read(table: &Table<'_>) -> Option<Schedule> {
    let timezone = table.required("timezone", "\"Asia/Shanghai\"", timezone);
    // Without a zone the entries are read all the same, for their problems.
    let zone = timezone.unwrap_or(Tz::UTC);
    let entries = table.list("entries", |table| entry(table, zone));
    let otherwise = table.optional("otherwise", instances(0));
    if table.len("entries").is_none_or(|len| len == 0) {
        table.problem(
            "the schedule has no entries".to_owned(),
            "add `entries = [{ cron = \"0 8 * * 1-5\", lasts = \"10h\", min = 6 }]`",
        );
    }
    Some(Schedule { timezone: timezone?, entries, otherwise })
}

fn timezone(value: &Value<'_>) -> Option<Tz> {
    let name = word(value)?;
    if let Ok(zone) = name.parse() {
        return Some(zone);
    }
    let names = TZ_VARIANTS.iter().map(|zone| zone.name());
    value.problem(
        format!("`{}` is no time zone", shown(&name)),
        suggest::nearest(&name, names).map_or_else(
            || "write a name of the IANA database, such as \"Asia/Shanghai\" or \"UTC\"".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ),
    )
}

fn entry(table: &Table<'_>, zone: Tz) -> Option<ScheduleEntry> {
    let when = when(table, zone);
    let size = table.optional("size", instances(0));
    let min = table.optional("min", instances(0));
    let max = table.optional("max", instances(0));
    let forbids = table.optional("forbid", |value| value.one_of(&DIRECTIONS));
    if table.has("size") && (table.has("min") || table.has("max")) {
        table.problem_at(
            "size",
            "the entry has `size` beside `min` or `max`".to_owned(),
            "`size` is both of them: keep one or the other",
        );
    }
    if !["size", "min", "max", "forbid"].iter().any(|key| table.has(key)) {
        table.problem(
            "the entry sets nothing".to_owned(),
            "add `size`, `min`, `max`, or `forbid = \"scale_in\"`",
        );
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        table.problem_at("min", format!("min = {min} is more than max = {max}"), "swap them");
    }
    Some(ScheduleEntry {
        when: when?,
        sets: ScheduledLimits { min: min.or(size), max: max.or(size), forbids },
    })
}

fn when(table: &Table<'_>, zone: Tz) -> Option<ScheduledTime> {
    let line = table.optional("cron", |value| cron(value, zone));
    let lasts = table.optional("lasts", duration(LASTS));
    let from = table.optional("from", |value| time(value, zone));
    let until = table.optional("until", |value| time(value, zone));
    let hint = "write `cron` and `lasts`, or `from` and `until`";
    let pair = |one: &str, other: &str| match (table.has(one), table.has(other)) {
        (true, false) => Some(format!("the entry has `{one}` and no `{other}`")),
        (false, true) => Some(format!("the entry has `{other}` and no `{one}`")),
        _ => None,
    };
    let both = table.has("cron") && table.has("from");
    let neither = !["cron", "lasts", "from", "until"].iter().any(|key| table.has(key));
    let wrong = pair("cron", "lasts").or_else(|| pair("from", "until")).or_else(|| match () {
        () if both => Some("the entry has both `cron` and `from`".to_owned()),
        () if neither => Some("the entry does not say when".to_owned()),
        () => None,
    });
    if let Some(wrong) = wrong {
        table.problem(wrong, hint);
        return None;
    }
    if let (Some(line), Some(lasts)) = (line, lasts) {
        return Some(ScheduledTime::Cron { line, lasts });
    }
    let (from, until) = (from?, until?);
    if until <= from {
        table.problem_at("until", "it ends before it begins".to_owned(), "swap `from` and `until`");
        return None;
    }
    Some(ScheduledTime::Between { from, until })
}

fn cron(value: &Value<'_>, zone: Tz) -> Option<CronLine> {
    const HINT: &str = "five fields: minute, hour, day of month, month, day of week, such as \
                        \"0 8 * * 1-5\"";
    let text = word(value)?;
    let line = match CronLine::try_from(text) {
        Ok(line) => line,
        Err(why) => return value.problem(format!("the cron line cannot be read: {why}"), HINT),
    };
    let reference: Timestamp = REFERENCE.parse().expect("a time");
    if line.next(zone, reference).is_none() {
        return value.problem(format!("the cron line `{}` never comes", line.as_str()), HINT);
    }
    Some(line)
}

/// A time with its zone, or one of `zone`.
fn time(value: &Value<'_>, zone: Tz) -> Option<Timestamp> {
    const HINT: &str = "write it as \"2026-11-11T00:00\", in the time zone of the schedule";
    let text = word(value)?;
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let naive = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok());
    let Some(naive) = naive else {
        return value
            .problem(format!("`{}` is {:?}, which is no time", value.key, shown(&text)), HINT);
    };
    match zone.from_local_datetime(&naive) {
        LocalResult::Single(time) => Some(time.to_utc()),
        // The clock is set back over it: the earlier of the two.
        LocalResult::Ambiguous(earlier, _) => Some(earlier.to_utc()),
        LocalResult::None => value.problem(
            format!("{text} does not exist in {zone}: the clock is set forward over it"),
            "write a time before or after that hour",
        ),
    }
}
