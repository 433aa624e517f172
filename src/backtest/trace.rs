//! Reading a trace: `timestamp,value`, one moment a line.
//!
//! A line that cannot be read is refused with its number. A readable line that is odd is told: values that
//! are missing become gaps, lines out of order are sorted, and of two with one time stamp that say
//! the same one is enough. Nothing is ever made up.

use std::io::BufRead;

use cloud::Timestamp;

/// Longest line: what is longer is no trace.
const LINE_CHARS_MOST: usize = 200;
/// How much of a line is shown.
const LINE_CHARS_SHOWN: usize = 60;
/// Unix seconds beyond the year 5138: they are milliseconds.
const SECONDS_MOST: f64 = 1e11;
/// Longer than so many steps without a value is a gap.
const GAP_STEPS: f64 = 1.5;

/// A load series: moments in order, with finite values that are not negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    times: Vec<f64>,
    values: Vec<f64>,
    step_secs: f64,
    remarks: Vec<String>,
}

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("it is empty: a trace has a line `timestamp,value` and one line for each moment")]
    Empty,
    #[error("it has no values: all {0} lines are gaps")]
    NoValues(usize),
    #[error("line {line}: {what}\n  the line: {text}\n  hint: {hint}")]
    Line { line: usize, what: String, text: String, hint: &'static str },
    #[error(
        "lines {first} and {second} have the same time stamp and other values, {a} and {b}: which \
         one is true cannot be told\n  hint: keep one line for each moment"
    )]
    Twice { first: usize, second: usize, a: f64, b: f64 },
}

/// One line.
struct Row {
    line: usize,
    at: f64,
    value: f64,
}

impl Trace {
    /// Reads all of `source`.
    pub fn read(source: impl BufRead) -> Result<Trace, TraceError> {
        let mut reader = Reader::default();
        reader.read(source)?;
        let Reader { mut rows, lines, gaps, .. } = reader;
        if rows.is_empty() {
            return Err(if lines == 0 { TraceError::Empty } else { TraceError::NoValues(lines) });
        }
        let mut remarks = Vec::new();
        if let Some(first) = gaps.first() {
            remarks.push(format!(
                "{} without a value (the first is line {first}): a gap each, filled from its \
                 neighbours",
                count(gaps.len(), "line"),
            ));
        }
        if let Some(pair) = rows.windows(2).find(|pair| pair[1].at < pair[0].at) {
            remarks.push(format!(
                "the lines are not in order (line {} is earlier than the one before): sorted",
                pair[1].line,
            ));
            rows.sort_by(|a, b| a.at.total_cmp(&b.at));
        }
        let doubles = once_each(&mut rows)?;
        if doubles > 0 {
            remarks.push(format!("{} twice: one each is used", count(doubles, "line stands")));
        }
        let times: Vec<f64> = rows.iter().map(|row| row.at).collect();
        let values = rows.into_iter().map(|row| row.value).collect();
        let step_secs = median_step(&times);
        remarks.extend(gap_remark(&times, step_secs));
        Ok(Trace { times, values, step_secs, remarks })
    }

    /// Of values that were recorded; `None` when there are fewer than two. Times must be in order, and values
    /// finite and not negative.
    #[must_use]
    pub fn of(rows: &[(Timestamp, f64)]) -> Option<Trace> {
        if rows.len() < 2 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact")]
        let times: Vec<f64> =
            rows.iter().map(|(at, _)| at.timestamp_millis() as f64 / 1000.0).collect();
        let values = rows.iter().map(|(_, value)| value.max(0.0)).collect();
        let step_secs = median_step(&times);
        let remarks = gap_remark(&times, step_secs).into_iter().collect();
        Some(Trace { times, values, step_secs, remarks })
    }

    /// Unix seconds, in order.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The usual time from value to value.
    #[must_use]
    pub fn step_secs(&self) -> f64 {
        self.step_secs
    }

    /// Oddities of it, in sentences.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

#[derive(Default)]
struct Reader {
    rows: Vec<Row>,
    /// Lines with something on them, the heading left out.
    lines: usize,
    /// Lines without a value.
    gaps: Vec<usize>,
    /// Whether times are numbers, by the first line; the rest must be alike.
    numeric: Option<bool>,
}

impl Reader {
    fn read(&mut self, mut source: impl BufRead) -> Result<(), TraceError> {
        let mut bytes = Vec::new();
        let mut line = 0;
        loop {
            bytes.clear();
            // One that never ends must not fill the memory.
            let limit = LINE_CHARS_MOST as u64 * 4;
            let read = std::io::Read::take(&mut source, limit).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            line += 1;
            let whole = String::from_utf8_lossy(&bytes);
            let text = whole.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if text.len() > LINE_CHARS_MOST {
                return Err(wrong(line, text, "the line is too long".to_owned(), FORM));
            }
            self.line(line, text)?;
        }
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), TraceError> {
        if text.starts_with('<') || text.starts_with('{') || text.starts_with('[') {
            let kind = if text.starts_with('<') { "HTML or XML" } else { "JSON" };
            return Err(wrong(line, text, format!("this is {kind}, not CSV"), FORM));
        }
        let mut parts = text.split(',').map(str::trim);
        let (Some(time), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
            let fields = text.split(',').count();
            let what = format!("{} instead of two", count(fields, "field"));
            return Err(wrong(line, text, what, FORM));
        };
        if self.lines == 0 && self.numeric.is_none() && is_heading(time, value) {
            return Ok(());
        }
        self.lines += 1;
        let at = self.time(line, text, time)?;
        if ["", "nan", "null", "none", "na", "-"].contains(&value.to_ascii_lowercase().as_str()) {
            self.gaps.push(line);
            return Ok(());
        }
        let Ok(number) = value.parse::<f64>() else {
            let what = format!("`{value}` is not a number");
            return Err(wrong(line, text, what, UNIT));
        };
        if !number.is_finite() {
            return Err(wrong(line, text, format!("the value is {number}"), FINITE));
        }
        if number < 0.0 {
            return Err(wrong(line, text, "the load is negative".to_owned(), NEGATIVE));
        }
        self.rows.push(Row { line, at, value: number });
        Ok(())
    }

    fn time(&mut self, line: usize, text: &str, time: &str) -> Result<f64, TraceError> {
        let number = time.parse::<f64>().ok().filter(|number| number.is_finite());
        let numeric = *self.numeric.get_or_insert(number.is_some());
        if numeric != number.is_some() {
            let what = "time stamps of two forms: the lines before have the other one".to_owned();
            return Err(wrong(line, text, what, TIME));
        }
        match number {
            Some(number) if number.abs() > SECONDS_MOST => {
                let what = format!("the time stamp {time} is not in seconds");
                Err(wrong(line, text, what, "divide by 1000 if it is in milliseconds"))
            }
            Some(number) => Ok(number),
            None => match time.parse::<Timestamp>() {
                Ok(at) => Ok(seconds(at)),
                Err(_) => Err(wrong(line, text, format!("`{time}` is not a time stamp"), TIME)),
            },
        }
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.timestamp() as f64 + f64::from(at.timestamp_subsec_millis()) / 1_000.0
}

const FORM: &str = "write `timestamp,value`, one moment a line";
const TIME: &str =
    "write RFC 3339 with a zone (2026-01-02T12:00:00Z) or Unix seconds, all lines alike";
const UNIT: &str = "write bare numbers, all in one unit (1200, not 1.2k or 1200 rps)";
const FINITE: &str = "leave the value empty where there is none";
const NEGATIVE: &str = "a load is zero or more; leave the value empty where it is not known";

fn is_heading(time: &str, value: &str) -> bool {
    let letters = |text: &str| text.chars().next().is_some_and(char::is_alphabetic);
    letters(time) && letters(value) && value.parse::<f64>().is_err()
}

fn wrong(line: usize, text: &str, what: String, hint: &'static str) -> TraceError {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(LINE_CHARS_SHOWN).map(printable).collect();
    if text.chars().count() > LINE_CHARS_SHOWN {
        shown.push('…');
    }
    TraceError::Line { line, what, text: shown, hint }
}

/// Leaves one row for each moment, and says how many went.
fn once_each(rows: &mut Vec<Row>) -> Result<usize, TraceError> {
    for pair in rows.windows(2) {
        let [a, b] = pair else { continue };
        if a.at.to_bits() == b.at.to_bits() && a.value.to_bits() != b.value.to_bits() {
            let (first, second) = (a.line.min(b.line), a.line.max(b.line));
            return Err(TraceError::Twice { first, second, a: a.value, b: b.value });
        }
    }
    let before = rows.len();
    rows.dedup_by_key(|row| row.at.to_bits());
    Ok(before - rows.len())
}

/// 60 s for a single moment.
fn median_step(times: &[f64]) -> f64 {
    let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if steps.is_empty() {
        return 60.0;
    }
    let middle = steps.len() / 2;
    let (lower, upper, _) = steps.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let odd = (lower.len() * 2) + 1 == times.len() - 1;
    if odd {
        return upper;
    }
    let lower = lower.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

fn gap_remark(times: &[f64], step: f64) -> Option<String> {
    let gaps = times.windows(2).filter(|pair| pair[1] - pair[0] > GAP_STEPS * step);
    let (mut number, mut longest, mut before) = (0, 0.0, 0.0);
    for pair in gaps {
        number += 1;
        if pair[1] - pair[0] > longest {
            (longest, before) = (pair[1] - pair[0], pair[0]);
        }
    }
    let since = std::time::Duration::try_from_secs_f64(before.max(0.0)).ok()?;
    let at = cloud::clock::after(Timestamp::default(), since);
    let longest = std::time::Duration::try_from_secs_f64(longest.round()).ok()?;
    (number > 0).then(|| {
        format!(
            "{} longer than a step of {step} s, the longest {} from {} on: filled from the \
             neighbours",
            count(number, "gap"),
            crate::model::Span(longest),
            at.format("%Y-%m-%dT%H:%M:%SZ"),
        )
    })
}

/// `1 line`, `2 lines`, `2 lines stand`.
fn count(number: usize, noun: &str) -> String {
    match (number, noun.split_once(' ')) {
        (1, _) => format!("1 {noun}"),
        (_, Some((noun, _))) => format!("{number} {noun}s stand"),
        (_, None) => format!("{number} {noun}s"),
    }
}
