//! One value with its place, and the typed readers. Each reader reports what is wrong with the
//! value and what to write instead, and then returns `None`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::context::Context;
use super::problem::shown;
use super::suggest;
use crate::model::Span;

/// A value under a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub(super) fn new(cx: &'a Context<'a>, key: &'a str, value: &'a Spanned<DeValue<'a>>) -> Self {
        Value { cx, key, value }
    }

    /// The byte offset of the value (of a table: of its header).
    pub(super) fn at(&self) -> usize {
        self.value.span().start
    }

    /// Reports a problem at this value. Always `None`, so that a reader can end with it.
    pub(super) fn problem<T>(&self, problem: String, hint: impl Into<String>) -> Option<T> {
        self.cx.problem(self.at(), problem, hint.into());
        None
    }

    /// Reports that the value is of another type than `hint` asks for.
    fn wrong_type<T>(&self, hint: impl Into<String>) -> Option<T> {
        let found = type_in_words(self.value.get_ref());
        self.problem(format!("`{}` is {found}", self.key), hint)
    }

    pub(super) fn is_string(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether it is the text of no character.
    pub(super) fn is_empty(&self) -> bool {
        self.value.get_ref().as_str() == Some("")
    }

    pub(super) fn table(&self) -> Option<&'a DeTable<'a>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.wrong_type("write it as a table"),
        }
    }

    /// The items of a list of tables, whose header is `header`.
    pub(super) fn tables(&self, header: &str) -> Option<&'a DeArray<'a>> {
        match self.value.get_ref() {
            DeValue::Array(items) => Some(items),
            _ => self.wrong_type(format!("there may be several: write `[{header}]`")),
        }
    }

    pub(super) fn items(&self, example: &str) -> Option<Vec<Value<'a>>> {
        match self.value.get_ref() {
            DeValue::Array(items) => {
                Some(items.iter().map(|item| Value::new(self.cx, self.key, item)).collect())
            }
            DeValue::String(one) => self.problem(
                format!("`{}` is a text", self.key),
                format!("write a list: {} = [{one:?}]", self.key),
            ),
            _ => self.wrong_type(format!("write a list: {} = [{example}]", self.key)),
        }
    }

    fn integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// The name of a variant: one of `variants`.
    pub(super) fn one_of<T: Copy>(&self, variants: &[(&str, T)]) -> Option<T> {
        let names = || variants.iter().map(|(name, _)| *name);
        let DeValue::String(word) = self.value.get_ref() else {
            return self.wrong_type(format!("write one of {}", suggest::listed(names())));
        };
        let found = variants.iter().find(|(name, _)| name == word);
        if found.is_none() {
            self.problem::<T>(
                format!("`{}` cannot be `{}`", self.key, shown(word)),
                suggest::hint(word, names(), "it is one of"),
            );
        }
        found.map(|(_, variant)| *variant)
    }
}

/// A text that is not blank, as it stands.
pub(super) fn text<'a>(value: &Value<'a>) -> Option<&'a str> {
    match value.value.get_ref() {
        DeValue::String(text) if text.trim().is_empty() => value.problem(
            format!("`{}` is empty", value.key),
            "write a value; a key that is not required may be left out",
        ),
        DeValue::String(text) => Some(text),
        _ => value.wrong_type("write a text in quotes"),
    }
}

/// A text on one line without blanks at its ends.
pub(super) fn word(value: &Value<'_>) -> Option<String> {
    let text = text(value)?;
    if text.trim() != text || text.chars().any(char::is_control) {
        return value.problem(
            format!("`{}` begins or ends with a blank, or has a line break in it", value.key),
            "remove the stray characters",
        );
    }
    Some(text.to_owned())
}

/// A word whose length in characters lies in `chars`.
pub(super) fn name(chars: RangeInclusive<usize>) -> impl Fn(&Value<'_>) -> Option<String> {
    move |value| {
        let word = word(value)?;
        if !chars.contains(&word.chars().count()) {
            return value.problem(
                format!("`{}` has the length {}", value.key, word.chars().count()),
                format!("the vendor takes {} to {} characters", chars.start(), chars.end()),
            );
        }
        Some(word)
    }
}

pub(super) fn flag(value: &Value<'_>) -> Option<bool> {
    match value.value.get_ref() {
        DeValue::Boolean(flag) => Some(*flag),
        _ => value.wrong_type("write true or false, without quotes"),
    }
}

/// A whole number within `range`.
pub(super) fn count(range: RangeInclusive<u32>) -> impl Fn(&Value<'_>) -> Option<u32> {
    move |value| {
        let (low, high) = (range.start(), range.end());
        let hint = format!("write a whole number from {low} to {high}");
        let DeValue::Integer(written) = value.value.get_ref() else {
            return value.wrong_type(match value.value.get_ref() {
                DeValue::Float(_) => format!("{hint}, without a decimal point"),
                _ => format!("{hint}, without quotes"),
            });
        };
        let number = value.integer().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            None => value.problem(format!("`{}` is {written}", value.key), hint),
            number => number,
        }
    }
}

/// A number within `range`, with or without decimals.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&Value<'_>) -> Option<f64> {
    let hint = format!("write a number from {} to {}", range.start(), range.end());
    move |value| float(value, &range, &hint)
}

/// Any finite number: thresholds are in the signal's own unit.
pub(super) fn finite(value: &Value<'_>) -> Option<f64> {
    float(value, &(f64::MIN..=f64::MAX), "write a number such as 75 or 0.75")
}

fn float(value: &Value<'_>, range: &RangeInclusive<f64>, hint: &str) -> Option<f64> {
    let written = match value.value.get_ref() {
        DeValue::Float(float) => float.as_str(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        _ => return value.wrong_type("write a number in decimal, without quotes"),
    };
    // TOML's own spellings, `inf` and `nan`, parse too: a range holds neither.
    match written.parse().ok().filter(|number| range.contains(number)) {
        None => value.problem(format!("`{}` is {written}", value.key), hint),
        number => number,
    }
}

/// A duration within `range`, such as `"15s"`.
pub(super) fn duration(range: RangeInclusive<Span>) -> impl Fn(&Value<'_>) -> Option<Span> {
    move |value| {
        let text = match value.value.get_ref() {
            DeValue::String(text) => text,
            DeValue::Integer(integer) => {
                return value.wrong_type(format!(
                    "write a duration with its unit: {} = \"{integer}s\"",
                    value.key
                ));
            }
            _ => return value.wrong_type("write a duration as \"15s\", \"5m\" or \"1h30m\""),
        };
        match text.parse::<Span>() {
            Err(_) => value.problem(
                format!("`{}` is {text:?}, which is no duration", value.key),
                "write it as \"15s\", \"5m\" or \"1h30m\"",
            ),
            Ok(span) if !range.contains(&span) => value.problem(
                format!("`{}` is {text}", value.key),
                format!("write a duration from {} to {}", range.start(), range.end()),
            ),
            Ok(span) => Some(span),
        }
    }
}

/// A table of texts. The second of each pair carries the place of the text.
pub(super) fn pairs<'a>(value: &Value<'a>) -> Option<BTreeMap<String, (Value<'a>, &'a str)>> {
    let mut pairs = BTreeMap::new();
    for (key, inner) in value.table()? {
        let inner = Value::new(value.cx, key.get_ref(), inner);
        match inner.value.get_ref() {
            DeValue::String(text) => {
                pairs.insert(key.get_ref().to_string(), (inner, text.as_ref()));
            }
            _ => drop(inner.wrong_type::<()>("write a text in quotes")),
        }
    }
    Some(pairs)
}

/// The value's type as a person would say it.
fn type_in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
