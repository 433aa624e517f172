//! One line on a terminal that says what is waited for, and is removed again.

use std::io::{IsTerminal, Stderr, Write};

use crate::cli::output::COLUMNS;

/// Back to the beginning of the line, and what stands in it away.
const CLEAR: &str = "\r\x1b[2K";

#[derive(Debug)]
pub(super) struct Progress<W: Write> {
    out: W,
    /// `None` where no person watches.
    columns: Option<usize>,
    text: String,
}

impl Progress<Stderr> {
    /// On stderr, if that is a terminal.
    pub(super) fn on_stderr() -> Self {
        let out = std::io::stderr();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = (out.is_terminal() && !is_dumb).then(|| {
            match ratatui::crossterm::terminal::size() {
                // Some terminals do not know.
                Ok((0, _)) | Err(_) => COLUMNS,
                Ok((columns, _)) => columns.into(),
            }
        });
        Progress::on(out, columns)
    }
}

impl<W: Write> Progress<W> {
    fn on(out: W, columns: Option<usize>) -> Self {
        Progress { out, columns, text: String::new() }
    }

    /// Shows `text` in the place of what was shown.
    pub(super) fn show(&mut self, text: &str) {
        // A line that is full wraps, and only its last part could be removed.
        let Some(columns) = self.columns else { return };
        let before = std::mem::take(&mut self.text);
        self.text = cloud::text::printable(text).chars().take(columns.saturating_sub(1)).collect();
        if self.text != before {
            self.write(&format!("{CLEAR}{}", self.text));
        }
    }

    /// Prints something else where the line was, and the line after it.
    pub(super) fn beneath(&mut self, print: impl FnOnce()) {
        self.hide();
        print();
        if !self.text.is_empty() {
            let text = self.text.clone();
            self.write(&text);
        }
    }

    /// Removes it for good.
    pub(super) fn end(&mut self) {
        self.hide();
        self.text.clear();
    }

    fn hide(&mut self) {
        if !self.text.is_empty() {
            self.write(CLEAR);
        }
    }

    fn write(&mut self, text: &str) {
        // Nobody misses a line that is removed anyway.
        drop(self.out.write_all(text.as_bytes()));
        drop(self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_makes_room_for_what_is_printed_and_is_removed_in_the_end() {
        let mut progress = Progress::on(Vec::new(), Some(12));
        progress.show("asking 1 of 2: something long");
        progress.beneath(|| {});
        progress.end();
        progress.end();
        progress.beneath(|| {});
        let written = String::from_utf8(progress.out).expect("UTF-8");
        assert_eq!(written, format!("{CLEAR}asking 1 of{CLEAR}asking 1 of{CLEAR}"));
    }

    #[test]
    fn nothing_is_written_where_nobody_watches() {
        let mut progress = Progress::on(Vec::new(), None);
        progress.show("asking 1 of 2");
        progress.beneath(|| {});
        progress.end();
        assert!(progress.out.is_empty(), "{:?}", progress.out);
    }
}
