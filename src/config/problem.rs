//! A problem of a configuration, told so that a person can put it right: where, what, and
//! the fix. Problems are collected, so that one run shows all of them.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: PathBuf,
    /// Counted from 1; 0 when the file itself is the problem.
    pub line: usize,
    /// In characters, counted from 1; 0 when the file itself is the problem.
    pub column: usize,
    pub problem: String,
    /// The way to put it right.
    pub hint: String,
    pub about: About,
}

/// The thing that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// The text of the file.
    Text,
    /// A systemd credential of this name, which this process was not given: the service may well
    /// have it.
    Credential(String),
}

impl Problem {
    /// A problem with the file as a whole.
    pub(super) fn of_file(file: &Path, problem: String, hint: &str) -> Problem {
        Problem {
            file: file.to_owned(),
            line: 0,
            column: 0,
            problem,
            hint: hint.to_owned(),
            about: About::Text,
        }
    }

    /// For a log: where, what and the fix on one line.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        let line = if self.line > 0 { format!(":{}", self.line) } else { String::new() };
        format!("{}{line}: {}; {}", self.file.display(), self.problem, self.hint)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}\n  hint: {}", self.problem, self.hint)
    }
}

/// Everything that is wrong: at least one problem, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems as they come, in the order of their places; what was found twice is told once.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.dedup();
        Problems(problems)
    }

    /// These, and those of another file behind them.
    pub(super) fn and(mut self, others: Option<Problems>) -> Self {
        self.0.extend(others.into_iter().flat_map(|others| others.0));
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are: at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "without a problem there is no `Problems`")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Where the lines of a text begin: found once, so that ten thousand problems of a large file cost
/// no more than its length.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// Line and column, both from 1, of the byte offset `at`; an offset past the end is the end.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts[line - 1];
        (line, self.text[start..at].chars().count() + 1)
    }
}

/// A user's text, fit for one line of a terminal.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        for (name, text, at, expected) in [
            ("an empty text", "", 0, (1, 1)),
            ("the start", "a\nb", 0, (1, 1)),
            ("the second line", "a\nb", 2, (2, 1)),
            ("characters, not bytes", "é = 1", 3, (1, 3)),
            ("within a character", "é", 1, (1, 1)),
            ("past the end", "a\n", 99, (2, 1)),
        ] {
            assert_eq!(Lines::of(text).position(at), expected, "{name}");
        }
    }
}
