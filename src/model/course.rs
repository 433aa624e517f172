//! The course of a signal, as a scenario writes it down: `20x4 85..40x10 _x3 40`, one value a tick.
//!
//! A count behind `x` always is a number of ticks, so the length of a course can be seen from its text.

use std::str::FromStr;

/// A day in steps of a second, and a little more: a text of ten characters must not fill the memory.
const LONGEST: usize = 100_000;

/// The values of a signal, one a tick; a gap where it is missing. Never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Course(Vec<Option<f64>>);

/// Why a text is no course.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct CourseError {
    pub problem: String,
    /// The way to put it right.
    pub hint: &'static str,
}

impl Course {
    /// How many ticks it tells of: at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a course has at least one value")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value at tick `n`, counted from 0; after the end the last one goes on.
    #[must_use]
    pub fn at(&self, n: usize) -> Option<f64> {
        self.0[n.min(self.0.len() - 1)]
    }
}

impl FromStr for Course {
    type Err = CourseError;

    fn from_str(text: &str) -> Result<Course, CourseError> {
        let mut values = Vec::new();
        for token in text.split_whitespace() {
            let (part, count) = split(token)?;
            let count = count.unwrap_or(1);
            if count > LONGEST - values.len() {
                return Err(CourseError {
                    problem: format!("with {token:?} there are more than {LONGEST} values"),
                    hint: "after the end the last value goes on by itself: leave the rest out",
                });
            }
            match part {
                Part::Missing => values.extend(std::iter::repeat_n(None, count)),
                Part::Value(value) => values.extend(std::iter::repeat_n(Some(value), count)),
                Part::Line(from, to) => {
                    let step = (to - from) / (count - 1) as f64;
                    values.extend((0..count - 1).map(|n| Some(from + step * n as f64)));
                    values.push(Some(to));
                }
            }
        }
        if values.is_empty() {
            return Err(CourseError {
                problem: "there are no values".to_owned(),
                hint: "write one a tick, such as \"20x4 85..40x10 _x3 40\"",
            });
        }
        Ok(Course(values))
    }
}

/// What a token repeats.
enum Part {
    Missing,
    Value(f64),
    Line(f64, f64),
}

/// A token in its two parts: what, and for how many ticks.
fn split(token: &str) -> Result<(Part, Option<usize>), CourseError> {
    let wrong = |hint| CourseError { problem: format!("{token:?} is no value"), hint };
    let (what, count) = match token.split_once('x') {
        None => (token, None),
        Some((what, count)) => match count.parse::<usize>() {
            Ok(count) if count > 0 => (what, Some(count)),
            _ => {
                return Err(wrong(
                    "behind `x` stands for how many ticks, as in 20x4, without blanks",
                ));
            }
        },
    };
    let number = |text: &str| text.parse().ok().filter(|value: &f64| value.is_finite());
    let a_number = "write a number as 20 or 0.5, `_` where the signal is missing, 20x4 for four \
                    ticks, or 85..40x10 for a straight line";
    if what == "_" {
        return Ok((Part::Missing, count));
    }
    if let Some((from, to)) = what.split_once("..") {
        let (Some(from), Some(to)) = (number(from), number(to)) else {
            return Err(wrong(a_number));
        };
        if !(to - from).is_finite() {
            return Err(wrong("the ends of the line are too far apart to lie on one"));
        }
        return match count {
            Some(2..) => Ok((Part::Line(from, to), count)),
            _ => Err(wrong("a line needs its number of ticks, 2 or more, as in 85..40x10")),
        };
    }
    number(what).map(|value| (Part::Value(value), count)).ok_or_else(|| wrong(a_number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<Option<f64>> {
        text.parse::<Course>().expect(text).0
    }

    #[test]
    fn a_course_is_values_repeats_gaps_and_lines() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        for (name, text, expected) in [
            ("single values", "20 0.5 -3 1e3", some(&[20.0, 0.5, -3.0, 1000.0])),
            ("a value that goes on", "20x3", some(&[20.0; 3])),
            ("a gap", "1 _ 2", vec![Some(1.0), None, Some(2.0)]),
            ("gaps that go on", "_x2 7", vec![None, None, Some(7.0)]),
            ("a line has both of its ends", "10..40x4", some(&[10.0, 20.0, 30.0, 40.0])),
            ("a line may fall, below zero too", "1..-1x3", some(&[1.0, 0.0, -1.0])),
            ("blanks and line breaks are one", " 1\n\t2  3 ", some(&[1.0, 2.0, 3.0])),
        ] {
            assert_eq!(values(text), expected, "{name}");
        }
    }

    #[test]
    fn a_line_ends_exactly_where_it_is_told() {
        assert_eq!(values("0.1..0.7x7").last(), Some(&Some(0.7)));
    }

    #[test]
    fn after_the_end_the_last_value_goes_on() {
        let course: Course = "1 2 _".parse().expect("a course");
        assert_eq!(
            [0, 1, 2, 3, 99].map(|n| course.at(n)),
            [Some(1.0), Some(2.0), None, None, None]
        );
        assert_eq!(course.len(), 3);
    }

    #[test]
    fn what_is_no_course_is_told_with_its_token() {
        for (name, text, says) in [
            ("nothing", " \n", "there are no values"),
            ("a word", "20 high", "\"high\" is no value"),
            ("not a number", "NaN", "\"NaN\" is no value"),
            ("endless", "infx3", "\"infx3\" is no value"),
            ("no count", "20x", "\"20x\" is no value"),
            ("a count of nothing", "20x0", "\"20x0\" is no value"),
            ("blanks around the x", "20 x 4", "\"x\" is no value"),
            ("a line without a count", "1..9", "\"1..9\" is no value"),
            ("a line of one tick", "1..9x1", "\"1..9x1\" is no value"),
            ("a line without an end", "1..x4", "\"1..x4\" is no value"),
            ("a line beyond all numbers", "-1e308..1e308x3", "is no value"),
            ("too many", "1 2x99999 3", "with \"3\" there are more than 100000 values"),
            ("far too many", "1x18446744073709551615", "more than 100000 values"),
        ] {
            let error = text.parse::<Course>().expect_err(name);
            assert!(error.problem.contains(says), "{name}: {error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_gives_finite_values_within_the_limit(
            text in "([0-9_.x e-]{1,12} ){0,6}"
        ) {
            if let Ok(course) = text.parse::<Course>() {
                prop_assert!((1..=LONGEST).contains(&course.len()));
                prop_assert!(course.0.iter().flatten().all(|value| value.is_finite()));
            }
        }
    }
}
