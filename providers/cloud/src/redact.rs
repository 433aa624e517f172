//! Texts of peers, made harmless where they enter: without the secrets that were sent to them, on
//! one line, and short.
//!
//! A peer's error may repeat the request, and with it a token in the way in which it was sent: as it
//! stands, as part of a Base64 text, percent-encoded, or escaped as JSON or a quoted text does. So a
//! secret is not searched as a text: it is followed byte by byte, whatever each byte is written as.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::Secret;
use crate::text::LineBuilder;

/// The mark that stands where a secret stood.
const REDACTED: &str = "<secret>";
/// Shorter ones cannot be told from ordinary words: `on` in every text would be a secret.
const BYTES_MIN: usize = 4;
/// A text that ends within a secret shows its beginning, when it is this much of it.
const CUT_MIN: usize = 4;
/// Within this many bytes after `://` a `@` ends a user and a password.
const USERINFO_MAX: usize = 512;

/// Takes known secrets out of texts.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The texts that are searched, the longest first: a longer one may begin with a shorter one.
    needles: Vec<Secret>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor of {} texts", self.needles.len())
    }
}

impl Redactor {
    /// Knows `secrets` as they are sent: alone, and within a Base64 text. A password that is sent as
    /// `user:password` is best given in that form, too.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Redactor {
        let mut needles = Vec::new();
        for secret in secrets {
            let plain = secret.expose();
            if plain.len() < BYTES_MIN {
                continue;
            }
            for encoded in base64_forms(plain.as_bytes()) {
                if encoded.len() >= BYTES_MIN {
                    needles.push(Secret::new(encoded));
                }
            }
            needles.push(secret);
        }
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.expose().len()));
        needles.dedup();
        Redactor { needles }
    }

    /// `text` on one line of at most 400 characters, without secrets, control and bidirectional
    /// characters. It costs no more than its result, however long `text` is.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        let mut line = LineBuilder::default();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && !line.is_full() {
            if let Some(end) = self.secret_at(bytes, at).or_else(|| userinfo_at(bytes, at)) {
                line.push_str(REDACTED);
                at = end;
                while !text.is_char_boundary(at) {
                    at += 1;
                }
                continue;
            }
            let Some(c) = text[at..].chars().next() else { break };
            line.push(c);
            at += c.len_utf8();
        }
        line.finish()
    }

    /// The same of bytes, which may be no UTF-8.
    #[must_use]
    pub fn line_of(&self, bytes: &[u8]) -> String {
        // Blanks are folded, so a line may need many bytes; 64 KiB are enough for any that is meant
        // to be read, and a secret at their end is known by its beginning.
        const READ: usize = 64 * 1024;
        self.line(&String::from_utf8_lossy(&bytes[..bytes.len().min(READ)]))
    }

    /// Where the secret ends that begins at `at`, if one does.
    fn secret_at(&self, text: &[u8], at: usize) -> Option<usize> {
        self.needles.iter().find_map(|needle| match_at(text, at, needle.expose().as_bytes()))
    }
}

/// Where `needle` ends in `text` when it begins at `from`; also where the text ends within it.
fn match_at(text: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let mut at = from;
    for (matched, byte) in needle.iter().enumerate() {
        if at >= text.len() {
            return (matched >= CUT_MIN).then_some(at);
        }
        at += written_length(&text[at..], *byte)?;
    }
    Some(at)
}

/// How many bytes at the start of `text` stand for `byte`, if they do.
fn written_length(text: &[u8], byte: u8) -> Option<usize> {
    let hex = |digits: Option<&[u8]>| {
        let digits = std::str::from_utf8(digits?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let escaped = |escape: &[u8]| text.starts_with(escape).then_some(escape.len());
    match text.first()? {
        first if *first == byte => Some(1),
        b'%' => (hex(text.get(1..3)) == Some(u32::from(byte))).then_some(3),
        b'+' => (byte == b' ').then_some(1),
        b'\\' if text.get(1) == Some(&b'u') => {
            (hex(text.get(2..6)) == Some(u32::from(byte))).then_some(6)
        }
        b'\\' if text.get(1) == Some(&b'x') => {
            (hex(text.get(2..4)) == Some(u32::from(byte))).then_some(4)
        }
        b'\\' => (text.get(1) == Some(&byte)).then_some(2),
        b'&' => match byte {
            b'&' => escaped(b"&amp;"),
            b'<' => escaped(b"&lt;"),
            b'>' => escaped(b"&gt;"),
            b'"' => escaped(b"&quot;").or_else(|| escaped(b"&#34;")),
            b'\'' => escaped(b"&#39;").or_else(|| escaped(b"&#x27;")),
            b'+' => escaped(b"&#43;"),
            _ => None,
        },
        _ => None,
    }
}

/// `bytes` in Base64, as a text of its own and as any part of a longer one: three bytes make four
/// characters, so there are three ways, and what neighbours share in is left out.
fn base64_forms(bytes: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(bytes));
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend_from_slice(bytes);
            let text = engine.encode(&padded);
            let from = [0, 2, 3][before];
            let until = text.len() - usize::from(padded.len() % 3 != 0);
            if from < until {
                forms.push(text[from..until].to_owned());
            }
        }
    }
    forms
}

/// Where a user and a password end that begin at `at`, within an address.
fn userinfo_at(text: &[u8], at: usize) -> Option<usize> {
    if !text[..at].ends_with(b"://") {
        return None;
    }
    let rest = &text[at..text.len().min(at + USERINFO_MAX)];
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ');
    let authority = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
    authority.iter().rposition(|byte| *byte == b'@').map(|end| at + end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn knows(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(|secret| Secret::new((*secret).to_owned())))
    }

    #[test]
    fn a_secret_is_found_in_every_way_in_which_it_is_sent() {
        let redactor = knows(&["s3cret/+ \"key", "prom:s3cret/+ \"key"]);
        for (name, text) in [
            ("plain", "Bearer s3cret/+ \"key!"),
            ("percent-encoded", "?t=s3cret%2F%2B%20%22key!"),
            ("percent-encoded in lower case", "?t=s3cret%2f%2b%20%22key!"),
            ("as a form", "t=s3cret%2F%2B+%22key!"),
            ("as JSON", r#"{"t":"s3cret/+ \"key!"}"#),
            ("as JSON with escaped slashes", r#"{"t":"s3cret\/+ \u0022key!"}"#),
            ("as HTML", "s3cret/&#43; &quot;key!"),
            ("cut at the end", "token s3cret/+"),
        ] {
            let line = redactor.line(text);
            assert!(line.contains(REDACTED) && !line.contains("s3cret"), "{name}: {line}");
        }
    }

    #[test]
    fn what_is_on_both_sides_of_a_secret_stays() {
        assert_eq!(knows(&["sesame"]).line("for sesame, no"), "for <secret>, no");
        assert_eq!(knows(&["sesame"]).line("nothing"), "nothing");
        // The longer of two that begin alike.
        assert_eq!(knows(&["sesame", "sesame2"]).line("sesame2!"), "<secret>!");
        // Too short to be told from a word.
        assert_eq!(knows(&["on"]).line("no one"), "no one");
    }

    #[test]
    fn a_user_and_a_password_in_an_address_are_secret() {
        let line = Redactor::default().line("see https://me:hush@host:1/x?y=a@b, http://host/a@b");
        assert_eq!(line, "see https://<secret>@host:1/x?y=a@b, http://host/a@b");
    }

    #[test]
    fn a_long_text_is_one_short_line() {
        let long = format!("a\nb\u{202e}c\x1b[2J{}", "x".repeat(1_000_000));
        let line = knows(&["sesame"]).line(&long);
        assert_eq!(line.chars().count(), 400);
        assert!(line.starts_with("a b\\u{202e}c\\u{1b}[2Jxxx") && line.ends_with('…'), "{line}");
        assert_eq!(knows(&["sesame"]).line_of(b"\xff\r\n ok"), "\u{fffd} ok");
        // A secret behind blanks that are folded away is still seen as a whole.
        let far = format!("{}sesame", " ".repeat(5_000));
        assert_eq!(knows(&["sesame"]).line(&far), "<secret>");
    }

    proptest! {
        #[test]
        fn within_base64_of_anything_no_secret_is_left(
            before in "[ -~]{0,12}", secret in "[!-~]{8,40}", after in "[ -~]{0,12}",
        ) {
            let sent = STANDARD_NO_PAD.encode(format!("{before}{secret}{after}"));
            let line = knows(&[&secret]).line(&sent);
            prop_assert!(line.contains(REDACTED), "{line}");
        }

        #[test]
        fn any_text_becomes_one_short_line(text in any::<String>()) {
            let line = knows(&["sesame"]).line(&text);
            prop_assert!(line.chars().count() <= 400);
            prop_assert!(!line.contains(|c: char| c.is_control()));
            prop_assert_eq!(knows(&["sesame"]).line(&line), line.clone());
        }
    }
}
