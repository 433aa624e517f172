//! One value with its place, and the typed readers. Each reader reports what is wrong with the
//! value and what to write instead, and then returns `None`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use cloud::Secret;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::suggest;
use super::table::{Context, type_in_words};
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

    fn items(&self, example: &str) -> Option<Vec<Value<'a>>> {
        match self.value.get_ref() {
            DeValue::Array(items) => Some(
                items
                    .iter()
                    .map(|item| Value::new(self.cx, self.key, item))
                    .collect(),
            ),
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
                format!("`{}` cannot be `{}`", self.key, word.escape_debug()),
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
            "write a value, or remove the key",
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
            format!(
                "`{}` begins or ends with a blank, or has a line break in it",
                value.key
            ),
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
                format!("`{}` has {} characters", value.key, word.chars().count()),
                format!("the provider takes {} to {}", chars.start(), chars.end()),
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
        let number = value
            .integer()
            .and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            None => value.problem(format!("`{}` is {written}", value.key), hint),
            number => number,
        }
    }
}

/// A finite number within `range`, with or without decimals.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&Value<'_>) -> Option<f64> {
    move |value| {
        let written = match value.value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return value.wrong_type("write a number, without quotes"),
        };
        match written.parse().ok().filter(|number| range.contains(number)) {
            None => value.problem(
                format!("`{}` is {written}", value.key),
                format!("write a number from {} to {}", range.start(), range.end()),
            ),
            number => number,
        }
    }
}

/// Any finite number: thresholds are in the signal's own unit.
pub(super) fn finite(value: &Value<'_>) -> Option<f64> {
    // 1e15: whole numbers are exact up to here, and no signal of a fleet is larger.
    number(-1e15..=1e15)(value)
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

/// A list of at least one id, none twice, none of another kind than `prefix` says.
pub(super) fn ids(prefix: &'static str) -> impl Fn(&Value<'_>) -> Option<Vec<String>> {
    move |value| {
        let items = value.items(&format!("\"{prefix}...\""))?;
        if items.is_empty() {
            return value.problem(
                format!("`{}` is empty", value.key),
                format!("name at least one: {} = [\"{prefix}...\"]", value.key),
            );
        }
        let ids: Vec<String> = items.iter().filter_map(id(prefix)).collect();
        for (n, id) in ids.iter().enumerate() {
            if ids[..n].contains(id) && ids.len() == items.len() {
                items[n].problem::<()>(
                    format!("`{id}` stands twice in `{}`", value.key),
                    "remove one of them",
                );
            }
        }
        Some(ids)
    }
}

/// Prefixes of the provider's ids and what they belong to.
const ID_PREFIXES: [(&str, &str); 6] = [
    ("vsw-", "a vSwitch"),
    ("sg-", "a security group"),
    ("ecs.", "an instance type"),
    ("m-", "an image"),
    ("i-", "an instance"),
    ("vpc-", "a VPC"),
];

/// One id. Ids of unknown form pass (the vendor has old ones); those of another kind do not.
pub(super) fn id(prefix: &'static str) -> impl Fn(&Value<'_>) -> Option<String> {
    move |value| {
        let id = word(value)?;
        let other = ID_PREFIXES
            .iter()
            .find(|(other, _)| *other != prefix && id.starts_with(other));
        match other {
            Some((_, kind)) => value.problem(
                format!(
                    "`{}` in `{}` is the id of {kind}",
                    id.escape_debug(),
                    value.key
                ),
                format!("ids of `{}` begin with `{prefix}`", value.key),
            ),
            None => Some(id),
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

/// The prefix of a path that names a systemd credential of this service.
const CREDENTIAL: &str = "credential:";

/// A path: absolute, relative to the configuration's directory, or `credential:NAME` for the file
/// that systemd's `LoadCredential=NAME:...` provides.
pub(super) fn path(value: &Value<'_>) -> Option<PathBuf> {
    let path = word(value)?;
    let Some(name) = path.strip_prefix(CREDENTIAL) else {
        return Some(value.cx.resolve(&path));
    };
    if name.is_empty() || name.contains('/') {
        return value.problem(
            format!("`{}` names no credential", value.key),
            format!("write \"{CREDENTIAL}NAME\", with the NAME of LoadCredential="),
        );
    }
    match value.cx.env.var("CREDENTIALS_DIRECTORY") {
        Some(directory) => Some(PathBuf::from(directory).join(name)),
        None => value.problem(
            format!(
                "`{}` needs a systemd credential, but there are none",
                value.key
            ),
            format!("add LoadCredential={name}:/path/to/file to the service, or write a path"),
        ),
    }
}

/// 64 KiB: no password, token or key is near it, so more means the wrong file.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The secret in a file that this value names: its text without the line break at the end.
pub(super) fn secret_file(value: &Value<'_>) -> Option<Secret> {
    let path = path(value)?;
    let text = contents(value, &path, SECRET_BYTES_MAX)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.chars().any(char::is_control) {
        return value.problem(
            format!("{} holds no secret on a single line", path.display()),
            format!(
                "write the secret of `{}` into it, and nothing else",
                value.key
            ),
        );
    }
    Some(Secret::new(secret.to_owned()))
}

/// The secret in an environment variable that this value names.
pub(super) fn secret_env(value: &Value<'_>) -> Option<Secret> {
    let name = word(value)?;
    match value.cx.env.var(&name) {
        Some(secret) => Some(Secret::new(secret)),
        None => value.problem(
            format!(
                "`{}` names an environment variable that is not set",
                value.key
            ),
            format!(
                "`{}` is the variable's name, not the secret; set it for the service",
                value.key
            ),
        ),
    }
}

/// The text of the file at `path`, which `value` names.
pub(super) fn contents(value: &Value<'_>, path: &std::path::Path, limit: usize) -> Option<String> {
    let shown = path.display();
    match value.cx.env.read(path, limit).map(String::from_utf8) {
        Ok(Ok(text)) => Some(text),
        Ok(Err(_)) => value.problem(
            format!("{shown}, named by `{}`, is not UTF-8 text", value.key),
            "save it as UTF-8",
        ),
        Err(why) => value.problem(
            format!("{shown}, named by `{}`, cannot be read: {why}", value.key),
            "paths are relative to the directory of this configuration; see to the path and its owner",
        ),
    }
}
