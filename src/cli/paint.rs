//! Colour on a terminal: each means one thing, and a word or a shape stands beside it.

use std::io::{IsTerminal, Write};

use cloud::text::printable;

/// The meaning of a piece of text, which a terminal shows as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    /// It serves.
    Good,
    /// It waits for something.
    Waits,
    /// A person is needed.
    Bad,
    /// Past, or beside the point.
    Past,
}

/// A line of painted pieces.
pub(super) type Painted = Vec<(Paint, String)>;

/// A line of one piece.
pub(super) fn plain(text: impl Into<String>) -> Painted {
    vec![(Paint::Plain, text.into())]
}

/// The line without its colours.
#[cfg(test)]
pub(super) fn text_of(line: &Painted) -> String {
    line.iter().map(|(_, text)| text.as_str()).collect::<String>().trim_end().to_owned()
}

/// Whether stdout shows colours: not into a file, not where somebody asked for none.
pub(super) fn has_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal()
        && !is_set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints a line on stdout. A reader that went away is no failure.
pub(super) fn line(line: &Painted, colours: bool) {
    let mut out = String::new();
    for (paint, text) in line {
        let code = match paint {
            _ if !colours => "",
            Paint::Plain => "",
            Paint::Good => "\x1b[32m",
            Paint::Waits => "\x1b[33m",
            Paint::Bad => "\x1b[31m",
            Paint::Past => "\x1b[2m",
        };
        out.push_str(code);
        out.push_str(&printable(text));
        if !code.is_empty() {
            out.push_str("\x1b[0m");
        }
    }
    drop(writeln!(std::io::stdout().lock(), "{}", out.trim_end()));
}

/// Empties a terminal's window before the next picture.
pub(super) fn clear() {
    drop(write!(std::io::stdout().lock(), "\x1b[H\x1b[2J\x1b[3J"));
}
