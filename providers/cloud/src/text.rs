//! Text of others on its way to a person.

use std::borrow::Cow;
use std::fmt;

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
}
