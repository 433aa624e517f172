//! The number at a place of a JSON text, and the time beside it. Pure.
//!
//! A text is read straight to the place that is asked for, to its end, and nothing is built of the rest:
//! it costs no more than its bytes. What stands there instead of a number is named, and never becomes one.

use cloud::Redactor;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess};

use super::pointer::{PART_BYTES_MAX, Pointer};
use super::take::{Take, Taking};
use super::time;
use crate::model::Gap;

/// The first part of a text that a gap shows, in characters: enough to know a login page.
const HEAD_CHARS: usize = 200;
/// 64 bytes: 17 digits, a sign, a point and an exponent are fewer, and so is a time by RFC 3339.
const TEXT_BYTES_MAX: usize = 64;
/// Keys that a gap shows where another one was looked for, and the characters of each.
const KEYS_SHOWN: usize = 5;
const KEY_CHARS: usize = 40;

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Number(f64),
    Text(String),
    /// Something that is neither, in words.
    Other(&'static str),
    /// Nothing, and what there is so many parts above.
    Missing {
        below: usize,
        instead: String,
    },
}

/// A time at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Time {
    /// Unix seconds.
    At(f64),
    /// The text has no such place.
    NotThere,
}

/// The number at `pointer`.
pub(super) fn value(body: &[u8], pointer: &Pointer, redactor: &Redactor) -> Result<f64, Gap> {
    let bad = |what: String| Gap::BadAnswer { what, head: String::new() };
    match find(body, pointer, redactor)? {
        Found::Number(number) => finite(number),
        Found::Text(text) => number(&text).map_err(|gap| match gap {
            Some(gap) => gap,
            None => bad(format!("{pointer} is a text that is no number: {text:?}")),
        }),
        Found::Other(what) => Err(bad(format!("{pointer} is {what}, not a number"))),
        Found::Missing { below, instead } => Err(bad(missing(pointer, below, &instead))),
    }
}

/// The time at `pointer`.
pub(super) fn time(body: &[u8], pointer: &Pointer, redactor: &Redactor) -> Result<Time, Gap> {
    let unknown = |what: &str| Gap::AgeUnknown { why: format!("{pointer} is {what}") };
    match find(body, pointer, redactor)? {
        Found::Number(number) => time::of_number(number)
            .map(Time::At)
            .ok_or_else(|| unknown(&format!("{number}, which is no Unix time"))),
        Found::Text(text) => {
            let at = time::of_text(&text).map(Time::At);
            at.ok_or_else(|| unknown(&format!("{text:?}, neither a Unix time nor RFC 3339")))
        }
        Found::Other(what) => Err(unknown(&format!("{what}, not a time"))),
        Found::Missing { .. } => Ok(Time::NotThere),
    }
}

/// A text that is a number. `None`: it is none.
pub(super) fn number(text: &str) -> Result<f64, Option<Gap>> {
    let number = text.parse().ok().filter(|_| text.len() <= TEXT_BYTES_MAX);
    finite(number.ok_or(None)?).map_err(Some)
}

fn finite(number: f64) -> Result<f64, Gap> {
    if number.is_finite() {
        return Ok(number);
    }
    Err(Gap::NotFinite { value: number.to_string() })
}

fn missing(pointer: &Pointer, below: usize, instead: &str) -> String {
    format!("{pointer} is not there; {} is {instead}", pointer.above(below))
}

/// Describes a text that is no JSON, by its beginning.
fn what_is(head: &str) -> &'static str {
    let begin = head.to_lowercase();
    if begin.is_empty() {
        "it is empty"
    } else if begin.starts_with("<!doctype") || begin.starts_with("<html") {
        "it is an HTML page, not JSON"
    } else if begin.starts_with(['{', '[']) {
        "JSON that ends too early or is wrong within"
    } else {
        "it is not JSON"
    }
}

/// The beginning of a text on one line.
pub(super) fn head(body: &[u8], redactor: &Redactor) -> String {
    redactor.line_of(body).chars().take(HEAD_CHARS).collect()
}

fn find(body: &[u8], pointer: &Pointer, redactor: &Redactor) -> Result<Found, Gap> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut twice = false;
    let place = Place { parts: pointer.parts(), redactor, twice: &mut twice };
    let found = Taking(place).deserialize(&mut json);
    match found.and_then(|found| json.end().map(|()| found)) {
        Ok(found) => Ok(found),
        Err(_) if twice => {
            let what = format!("a key on the way to {pointer} occurs twice");
            Err(Gap::BadAnswer { what, head: String::new() })
        }
        Err(_) => {
            let head = head(body, redactor);
            Err(Gap::BadAnswer { what: what_is(&head).to_owned(), head })
        }
    }
}

/// The rest of a way.
struct Place<'a> {
    parts: &'a [String],
    redactor: &'a Redactor,
    /// A key on it occurs twice: nobody can tell which one is meant.
    twice: &'a mut bool,
}

impl Place<'_> {
    /// A value that has no parts: what is looked for, or a dead end.
    fn plain<E>(&self, found: Found, instead: &str) -> Result<Found, E> {
        if self.parts.is_empty() {
            return Ok(found);
        }
        Ok(Found::Missing { below: self.parts.len(), instead: instead.to_owned() })
    }
}

impl<'de> Take<'de> for Place<'_> {
    type Taken = Found;

    fn null<E: Error>(self) -> Result<Found, E> {
        self.plain(Found::Other("null"), "null")
    }

    fn flag<E: Error>(self, flag: bool) -> Result<Found, E> {
        let word = if flag { "true" } else { "false" };
        self.plain(Found::Other(word), word)
    }

    fn number<E: Error>(self, number: f64) -> Result<Found, E> {
        self.plain(Found::Number(number), "a number")
    }

    fn text<E: Error>(self, text: &str) -> Result<Found, E> {
        let found = match text.len() {
            0..=TEXT_BYTES_MAX => Found::Text(self.redactor.line(text)),
            _ => Found::Other("a long text"),
        };
        self.plain(found, "a text")
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let (wanted, parts) = match self.parts.split_first() {
            Some((first, rest)) => (index(first), rest),
            None => (None, self.parts),
        };
        let mut found = None;
        let mut count = 0;
        loop {
            if wanted == Some(count) {
                let place = Place { parts, redactor: self.redactor, twice: &mut *self.twice };
                found = list.next_element_seed(Taking(place))?;
                if found.is_none() {
                    break;
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            count += 1;
        }
        if self.parts.is_empty() {
            return Ok(Found::Other("a list"));
        }
        Ok(found.unwrap_or_else(|| Found::Missing {
            below: self.parts.len(),
            instead: format!("a list of {count}"),
        }))
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = None;
        let mut names: Vec<String> = Vec::new();
        while let Some(key) = map.next_key_seed(Taking(Key))? {
            match (self.parts.split_first(), key) {
                (Some((first, _)), Some(key)) if *first == key && found.is_some() => {
                    *self.twice = true;
                    return Err(A::Error::custom("a key occurs twice"));
                }
                (Some((first, parts)), Some(key)) if *first == key => {
                    let place = Place { parts, redactor: self.redactor, twice: &mut *self.twice };
                    found = Some(map.next_value_seed(Taking(place))?);
                }
                (_, key) => {
                    if let Some(key) = key.filter(|_| names.len() < KEYS_SHOWN) {
                        names.push(self.redactor.line(&key).chars().take(KEY_CHARS).collect());
                    }
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if self.parts.is_empty() {
            return Ok(Found::Other("an object"));
        }
        let instead = match names.is_empty() {
            true => "an empty object".to_owned(),
            false => format!("an object with {}", names.join(", ")),
        };
        Ok(found.unwrap_or(Found::Missing { below: self.parts.len(), instead }))
    }
}

/// A part as the place in a list: digits without a leading zero.
fn index(part: &str) -> Option<usize> {
    let is_plain = part == "0" || !part.starts_with(['0', '+']);
    part.parse().ok().filter(|_| is_plain)
}

/// A key of an object; one that is longer than any part of a pointer is none.
struct Key;

impl Take<'_> for Key {
    type Taken = Option<String>;

    fn text<E: Error>(self, text: &str) -> Result<Option<String>, E> {
        Ok((text.len() <= PART_BYTES_MAX).then(|| text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str, pointer: &str) -> Result<f64, Gap> {
        value(body.as_bytes(), &Pointer::parse(pointer).expect(pointer), &Redactor::default())
    }

    #[test]
    fn the_number_at_the_place_is_read() {
        for (body, pointer, expected) in [
            ("3.5", "", 3.5),
            (r#"{"depth":7}"#, "/depth", 7.0),
            (r#"{"depth":"7.25"}"#, "/depth", 7.25),
            (r#"{"q":[{"n":1},{"n":-2}]}"#, "/q/1/n", -2.0),
            (r#"{"a/b":{"m~n":{"":9}}}"#, "/a~1b/m~0n/", 9.0),
            (r#"{"0":4}"#, "/0", 4.0),
            (" \n{\"x\": 1e3 } ", "/x", 1000.0),
            (r#"{"x":1,"other":{"x":2,"x":3}}"#, "/x", 1.0),
        ] {
            assert_eq!(read(body, pointer), Ok(expected), "{body} {pointer}");
        }
    }

    #[test]
    fn everything_else_is_a_gap_that_names_it() {
        let long = format!(r#"{{"x":"{}"}}"#, "1".repeat(65));
        for (body, pointer, says) in [
            ("", "/x", "it is empty"),
            ("<!DOCTYPE html><p>Log in", "/x", "an HTML page"),
            ("nothing here", "/x", "it is not JSON"),
            (r#"{"x":1"#, "/x", "ends too early"),
            (r#"{"x":1} {"x":2}"#, "/x", "wrong within"),
            (r#"{"x":NaN}"#, "/x", "wrong within"),
            (r#"{"x":1e999}"#, "/x", "wrong within"),
            (r#"{"x":null}"#, "/x", "`/x` is null"),
            (r#"{"x":true}"#, "/x", "`/x` is true"),
            (r#"{"x":{}}"#, "/x", "`/x` is an object"),
            (r#"{"x":[1]}"#, "/x", "`/x` is a list"),
            (r#"{"x":"NaN"}"#, "/x", "the value is NaN"),
            (r#"{"x":"-inf"}"#, "/x", "the value is -inf"),
            (r#"{"x":"many"}"#, "/x", r#"no number: "many""#),
            (r#"{"x":""}"#, "/x", "no number"),
            (&long, "/x", "a long text"),
            (r#"{"y":1,"z":2}"#, "/x", "`/x` is not there; the whole is an object with y, z"),
            (r#"{"a":{}}"#, "/a/x", "`/a/x` is not there; `/a` is an empty object"),
            (r#"{"a":[1,2]}"#, "/a/2", "`/a` is a list of 2"),
            (r#"{"a":[1,2]}"#, "/a/01", "`/a` is a list of 2"),
            (r#"{"a":[1,2]}"#, "/a/-", "`/a` is a list of 2"),
            (r#"{"a":3}"#, "/a/x/y", "`/a` is a number"),
            (r#"{"x":1,"x":2}"#, "/x", "occurs twice"),
        ] {
            let gap = read(body, pointer).expect_err(body).to_string();
            assert!(gap.contains(says), "{body} {pointer}: {gap}");
        }
    }

    #[test]
    fn a_secret_that_comes_back_is_not_shown() {
        let redactor = Redactor::new([cloud::Secret::new("hunter2".to_owned())]);
        let pointer = Pointer::parse("/x").expect("a pointer");
        for body in [r#"{"x":"hunter2"}"#, r#"{"hunter2":1}"#, "hunter2"] {
            let gap = value(body.as_bytes(), &pointer, &redactor).expect_err(body).to_string();
            assert!(!gap.contains("hunter2"), "{gap}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_finite_number_or_a_gap(
            body in proptest::collection::vec(any::<u8>(), 0..200), deep in 0usize..4,
        ) {
            let pointer = Pointer::parse(&"/a".repeat(deep)).expect("a pointer");
            if let Ok(value) = value(&body, &pointer, &Redactor::default()) {
                prop_assert!(value.is_finite());
            }
        }
    }
}
