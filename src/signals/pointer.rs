//! JSON pointers (RFC 6901): where in a text a value stands. Pure.

use std::fmt;

/// No pointer has more parts: a text that nests deeper is not read.
const PARTS_MAX: usize = 32;
/// No part is longer, in bytes: a longer key of a text is not compared.
pub(super) const PART_BYTES_MAX: usize = 256;

/// The place of a value, such as `/queues/0/depth`; the empty one is the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    parts: Vec<String>,
}

impl Pointer {
    /// Reads a pointer as it is written.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Pointer, String> {
        if text.is_empty() {
            return Ok(Pointer { parts: Vec::new() });
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err("it does not begin with `/`".to_owned());
        };
        let parts: Vec<String> = rest.split('/').map(part).collect::<Result<_, _>>()?;
        if parts.len() > PARTS_MAX {
            return Err(format!("it has {} parts, more than {PARTS_MAX}", parts.len()));
        }
        if parts.iter().any(|part| part.len() > PART_BYTES_MAX) {
            return Err(format!("a part of it is longer than {PART_BYTES_MAX} bytes"));
        }
        Ok(Pointer { parts })
    }

    /// The pointer to the value under `key` of the whole text.
    pub(super) fn key(key: &str) -> Pointer {
        Pointer { parts: vec![key.to_owned()] }
    }

    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The place above the last `below` parts.
    pub(super) fn above(&self, below: usize) -> Pointer {
        Pointer { parts: self.parts[..self.parts.len().saturating_sub(below)].to_vec() }
    }
}

/// One part: `~1` stands for `/` and `~0` for `~`.
fn part(text: &str) -> Result<String, String> {
    let mut part = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '~').then(|| chars.next()).flatten()) {
            ('~', Some('0')) => part.push('~'),
            ('~', Some('1')) => part.push('/'),
            ('~', _) => return Err("`~` in it is followed by neither 0 nor 1".to_owned()),
            (c, _) => part.push(c),
        }
    }
    Ok(part)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parts.is_empty() {
            return f.write_str("the whole");
        }
        let written = self.parts.iter().map(|part| part.replace('~', "~0").replace('/', "~1"));
        write!(f, "`/{}`", written.collect::<Vec<_>>().join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_as_rfc_6901_has_it() {
        for (text, parts) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/foo/0", &["foo", "0"]),
            ("/a~1b", &["a/b"]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
            ("/ ", &[" "]),
        ] {
            let pointer = Pointer::parse(text).expect(text);
            assert_eq!(pointer.parts(), parts, "{text:?}");
        }
        for (text, why) in [("value", "begin"), ("/a~2", "neither"), ("/a~", "neither")] {
            let said = Pointer::parse(text).expect_err(text);
            assert!(said.contains(why), "{text:?}: {said}");
        }
        let deep = "/a".repeat(PARTS_MAX + 1);
        assert!(Pointer::parse(&deep).expect_err("deep").contains("parts"));
    }
}
