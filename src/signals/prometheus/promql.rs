//! Understanding PromQL, as far as the parser does. Pure.

use std::borrow::Cow;

use promql_parser::parser::{self, Expr};

/// `query` as a tree.
///
/// # Errors
/// What the parser says, or that it broke down: it does so over offsets beyond what a duration holds, and a
/// query is a person's text.
pub(crate) fn parse(query: &str) -> Result<Expr, String> {
    let plain = quoted(query);
    std::panic::catch_unwind(|| parser::parse(&plain))
        .unwrap_or_else(|_| Err("a number in it is too large".to_owned()))
}

/// `query` with its raw strings (in backticks, where a backslash is a backslash) written as quoted
/// ones: the parser reads escapes in raw strings, too, and refuses those that it does not know. The
/// server is sent what the operator wrote.
fn quoted(query: &str) -> Cow<'_, str> {
    if !query.contains('`') {
        return Cow::Borrowed(query);
    }
    let mut plain = String::with_capacity(query.len() + 16);
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '`' => match rest[1..].find('`') {
                Some(end) => {
                    quote(&rest[1..=end], &mut plain);
                    rest = &rest[end + 2..];
                    continue;
                }
                None => rest.len(),
            },
            '"' | '\'' => string_length(rest, c),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        plain.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Cow::Owned(plain)
}

fn quote(raw: &str, plain: &mut String) {
    plain.push('"');
    for c in raw.chars() {
        match c {
            '\\' => plain.push_str("\\\\"),
            '"' => plain.push_str("\\\""),
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            c => plain.push(c),
        }
    }
    plain.push('"');
}

/// How many bytes the string takes with which `text` begins, quotes included.
fn string_length(text: &str, quote: char) -> usize {
    let mut is_escaped = true; // the first quote opens it
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_string_keeps_its_backslashes() {
        for (query, plain) in [
            (r"avg(load{instance=~`10\.0\..*`})", r#"avg(load{instance=~"10\\.0\\..*"})"#),
            ("x{a=`\"`}", r#"x{a="\""}"#),
            ("x{a=\"`\", b='`'} # `", "x{a=\"`\", b='`'} # `"),
            (r#"x{a="\"`"}"#, r#"x{a="\"`"}"#),
            ("x{a=``}", "x{a=\"\"}"),
            ("x{a=`é`,b=`ü`}", "x{a=\"é\",b=\"ü\"}"),
        ] {
            assert_eq!(quoted(query), plain, "{query}");
            parse(query).unwrap_or_else(|why| panic!("{query}: {why}"));
        }
        parse("x{a=`b}").expect_err("never closed");
    }

    #[test]
    fn an_offset_beyond_every_duration_is_refused() {
        for query in ["x offset 18446744073709551616", "x offset -18446744073709551616"] {
            assert_eq!(parse(query).expect_err(query), "a number in it is too large");
        }
    }
}
