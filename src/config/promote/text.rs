//! The tables of a TOML document as stretches of its lines.
//!
//! A document that was parsed already is assumed to be right, so only as much of the grammar is known here
//! as it takes to tell a header from a line within a text or a list.

use std::ops::Range;

/// One table: its header, its keys, and the comments right above it.
#[derive(Debug)]
pub(super) struct Section {
    /// The first line, comments included.
    pub(super) begin: usize,
    pub(super) header: usize,
    /// Behind the last line with a key.
    pub(super) end: usize,
    words: Vec<Word>,
}

/// One part of a header's dotted name.
#[derive(Debug)]
struct Word {
    text: String,
    /// Where it stands in the line, quotes included.
    at: Range<usize>,
}

impl Section {
    pub(super) fn is_within(&self, path: &[&str]) -> bool {
        let mut words = self.words.iter().map(|word| word.text.as_str());
        path.iter().all(|name| words.next() == Some(name))
    }

    pub(super) fn depth(&self) -> usize {
        self.words.len()
    }

    /// Where the word stands in the header's line.
    pub(super) fn word(&self, n: usize) -> Range<usize> {
        self.words[n].at.clone()
    }
}

/// The tables that have headers, in the order of the file.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let fresh = fresh(&lines);
    let is_comment = |n: usize| fresh[n] && lines[n].trim_start().starts_with('#');
    let is_blank = |n: usize| fresh[n] && lines[n].trim().is_empty();
    let headers: Vec<(usize, Vec<Word>)> = (0..lines.len())
        .filter(|n| fresh[*n])
        .filter_map(|n| Some((n, words(lines[n])?)))
        .collect();
    let ends: Vec<usize> = headers.iter().skip(1).map(|(n, _)| *n).chain([lines.len()]).collect();
    let sections = headers.into_iter().zip(ends).map(|((header, words), next)| {
        let last = (header..next).rev().find(|n| !is_comment(*n) && !is_blank(*n));
        let comments = (0..header).rev().take_while(|n| is_comment(*n)).count();
        Section { begin: header - comments, header, end: last.unwrap_or(header) + 1, words }
    });
    sections.collect()
}

/// Of each line whether it begins outside of every text and list.
fn fresh(lines: &[&str]) -> Vec<bool> {
    let mut within: Option<&str> = None;
    let mut depth = 0_usize;
    let mut fresh = Vec::with_capacity(lines.len());
    for line in lines {
        fresh.push(within.is_none() && depth == 0);
        let mut rest = *line;
        while let Some(c) = rest.chars().next() {
            if let Some(quotes) = within {
                match past(rest, quotes) {
                    Some(behind) => (rest, within) = (behind, None),
                    None => break,
                }
                continue;
            }
            let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|q| rest.starts_with(q));
            if let Some(quotes) = quotes {
                rest = &rest[quotes.len()..];
                within = Some(quotes);
                continue;
            }
            match c {
                '#' => break,
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    fresh
}

/// What stands behind the end of a text that these quotes began; `None`: it goes on.
fn past<'a>(text: &'a str, quotes: &str) -> Option<&'a str> {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(quotes) {
            // A text may end in quotes of its own.
            let own = if quotes.len() == 3 { &quotes[..1] } else { "\u{0}" };
            return Some(behind.trim_start_matches(own));
        }
        let escapes = quotes.starts_with('"') && c == '\\';
        let width = c.len_utf8() + if escapes { escaped(rest) } else { 0 };
        rest = &rest[width.min(rest.len())..];
    }
    None
}

/// The bytes of the character behind a backslash.
fn escaped(text: &str) -> usize {
    text.chars().nth(1).map_or(0, char::len_utf8)
}

/// The words of a header such as `[[fleet."web".rule]] # comment`; `None`: it is none.
fn words(line: &str) -> Option<Vec<Word>> {
    let inner = line.trim_start();
    let opening = if inner.starts_with("[[") { 2 } else { 1 };
    let inner = inner.strip_prefix('[')?;
    let mut at = line.len() - inner.len() - 1 + opening;
    let mut words = Vec::new();
    loop {
        at += line[at..].len() - line[at..].trim_start().len();
        let rest = &line[at..];
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (text, width) = match quote {
            Some(quote) => {
                let end = rest[1..].find(quote)?;
                (&rest[1..=end], end + 2)
            }
            None => {
                let end = rest.find(|c: char| c == '.' || c == ']' || c.is_whitespace())?;
                (&rest[..end], end)
            }
        };
        words.push(Word { text: text.to_owned(), at: at..at + width });
        at += width;
        let rest = line[at..].trim_start();
        at = line.len() - rest.len();
        match rest.chars().next()? {
            '.' => at += 1,
            ']' => return Some(words),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_header_are_found_however_it_is_written() {
        for (line, expected) in [
            ("[[fleet.web.rule]]", &["fleet", "web", "rule"][..]),
            ("  [ fleet . \"web.de\" . 'rule' ] # [x]", &["fleet", "web.de", "rule"]),
            ("[a]\r\n", &["a"]),
        ] {
            let words = words(line).expect(line);
            let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(texts, expected, "{line}");
            for word in words {
                assert!(line[word.at].contains(&word.text), "{line}");
            }
        }
        assert!(words("key = [1]").is_none());
    }

    #[test]
    fn lines_within_texts_and_lists_are_no_headers() {
        let text = concat!(
            "a = \"[\" # [\n",
            "b = [\n[1],\n]\n",
            "c = '''\n[x]\n''''\n",
            "d = \"\"\"\n\\\"\"\" # \"\n[y]\n\"\"\"\n",
            "[z]\n",
        );
        let sections = sections(text);
        assert_eq!(sections.len(), 1, "{sections:?}");
        assert!(sections[0].is_within(&["z"]));
    }

    #[test]
    fn a_section_has_the_comments_above_it_and_not_those_below() {
        let text = "[a]\nx = 1\n\n# of b\n[b]\ny = 2\n\n# of nobody\n\n[c]\n";
        let found: Vec<_> = sections(text).iter().map(|s| (s.begin, s.header, s.end)).collect();
        assert_eq!(found, [(0, 0, 2), (3, 4, 6), (9, 9, 10)]);
    }
}
