//! Text of others on its way to a person.

use std::borrow::Cow;
use std::fmt;

/// The longest text of a peer that is kept, in characters: a sentence with an address and a name in
/// it, and never a page.
pub const LINE_CHARS_MAX: usize = 400;

/// `text` as one line of at most 400 characters, without control and bidirectional characters.
/// Every text of a peer passes through this, or through a [`Redactor`](crate::Redactor), where it
/// enters: what is behind need not ask again. It costs no more than its result, however long `text`
/// is.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = LineBuilder::default();
    for c in text.chars() {
        if line.is_full() {
            break;
        }
        line.push(c);
    }
    line.finish()
}

/// A line in the making.
#[derive(Debug, Default)]
pub(crate) struct LineBuilder {
    text: String,
    chars: usize,
    /// Blanks were read that are not written yet: several become one, and none ends the line.
    blank: bool,
}

impl LineBuilder {
    /// Whether there is more than fits.
    pub(crate) fn is_full(&self) -> bool {
        self.chars > LINE_CHARS_MAX
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }

    pub(crate) fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.blank = self.chars > 0;
            return;
        }
        if std::mem::take(&mut self.blank) {
            self.put(' ');
        }
        if c.is_control() || is_bidirectional(c) {
            c.escape_default().for_each(|c| self.put(c));
        } else {
            self.put(c);
        }
    }

    fn put(&mut self, c: char) {
        self.text.push(c);
        self.chars += 1;
    }

    /// The line; one that became too long ends in `…`.
    pub(crate) fn finish(mut self) -> String {
        if self.is_full() {
            let keep = self.text.char_indices().nth(LINE_CHARS_MAX - 1).map(|(at, _)| at);
            self.text.truncate(keep.unwrap_or(self.text.len()));
            self.text.push('…');
        }
        self.text
    }
}

/// Characters that change the direction of a text: what is shown is then not what is there.
fn is_bidirectional(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// `text` without what a terminal obeys: every control character but line breaks and tabs becomes
/// its escape. A name or a message from outside may hold any.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    Cow::Owned(clean)
}

/// The same of what must stay on one line: a name with a line break in it forges a line.
pub fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    for part in name.split_inclusive(char::is_control) {
        let (plain, control) = match part.chars().next_back().filter(|c| c.is_control()) {
            Some(c) => (&part[..part.len() - c.len_utf8()], Some(c)),
            None => (part, None),
        };
        f.write_str(plain)?;
        if let Some(control) = control {
            write!(f, "{}", control.escape_default())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Name(&'static str);

    impl fmt::Display for Name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_name(f, self.0)
        }
    }

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(printable("fleet `wëb`\n\tgrows"), "fleet `wëb`\n\tgrows");
        assert_eq!(printable("a\x1b[2Jb\u{9b}c\r"), "a\\u{1b}[2Jb\\u{9b}c\\r");
        assert_eq!(Name("ghost\x1b]0;T\x07\n fake").to_string(), "ghost\\u{1b}]0;T\\u{7}\\n fake");
        assert_eq!(Name("web").to_string(), "web");
    }

    #[test]
    fn a_text_of_a_peer_is_one_line() {
        for (text, line) in [
            ("down", "down"),
            ("  a\r\n\tb  ", "a b"),
            ("a\u{2028}b", "a b"),
            ("a\x1b[1mb", "a\\u{1b}[1mb"),
            ("abc\u{202e}fdp.exe", "abc\\u{202e}fdp.exe"),
        ] {
            assert_eq!(one_line(text), line);
        }
        let fits = "é".repeat(LINE_CHARS_MAX);
        assert_eq!(one_line(&fits), fits);
        let cut = one_line(&"é".repeat(LINE_CHARS_MAX + 1));
        assert_eq!(cut.chars().count(), LINE_CHARS_MAX);
        assert!(cut.ends_with("é…"));
        assert_eq!(one_line(&cut), cut);
    }
}
