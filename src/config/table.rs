//! Walking a spanned TOML tree, so that *every* problem is found and each knows its line.
//!
//! A table's reader asks for its keys by name; what it never asks for is an unknown key. So the
//! reader is the only list of keys there is: suggestions, the documentation's tests and
//! [`known_keys`](super::known_keys) all come from what was asked. For the last one the readers
//! are walked in *survey*: every optional table is visited, though the document is empty.
//!
//! A reader returns `None` when it has reported a problem, and only then. The caller goes on with
//! its other keys: all of them are read before the first `?` (in a survey nothing is found, so a
//! key behind a `?` is missing there, and the tests of the documentation fail).

use std::cell::{Cell, RefCell};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::problem::shown;
use super::suggest;
use super::value::Value;

/// A step on the way from a table to a value in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    /// An item of a list, counted from 0.
    Nth(usize),
}

/// One table being read.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) cx: &'a Context<'a>,
    /// As the user wrote it: `fleet.web.launch`; empty for the document.
    name: String,
    /// The same with every chosen name as `NAME`: `fleet.NAME.launch`.
    path: String,
    /// Where the table begins.
    at: usize,
    entries: Option<&'a DeTable<'a>>,
    asked: RefCell<Vec<&'static str>>,
    /// Keys that are refused with a reason of their own.
    refused: RefCell<Vec<&'static str>>,
    /// The table's kind is wrong, so its keys cannot be judged.
    kind_unknown: Cell<bool>,
}

impl<'a> Table<'a> {
    /// Reads the whole document.
    pub(super) fn document<T>(
        cx: &'a Context<'a>,
        entries: Option<&'a DeTable<'a>>,
        read: impl FnOnce(&Table<'a>) -> Option<T>,
    ) -> Option<T> {
        Table::open(cx, String::new(), String::new(), 0, entries).read(read)
    }

    fn open(
        cx: &'a Context<'a>,
        name: String,
        path: String,
        at: usize,
        entries: Option<&'a DeTable<'a>>,
    ) -> Self {
        Table {
            cx,
            name,
            path,
            at,
            entries,
            asked: RefCell::default(),
            refused: RefCell::default(),
            kind_unknown: Cell::new(false),
        }
    }

    /// The only way to read a table: what the reader did not ask for is reported afterwards.
    fn read<T>(&self, read: impl FnOnce(&Table<'a>) -> Option<T>) -> Option<T> {
        let result = read(self);
        self.report_unknown();
        self.cx.learn(&self.path, &self.asked.borrow());
        result
    }

    fn report_unknown(&self) {
        if self.kind_unknown.get() {
            return;
        }
        let asked = self.asked.borrow();
        for key in self.entries.into_iter().flat_map(DeTable::keys) {
            let word = key.get_ref().as_ref();
            if !asked.contains(&word) && !self.refused.borrow().contains(&word) {
                self.cx.problem(
                    key.span().start,
                    format!("unknown key `{}` in {self}", shown(word)),
                    self.hint_for_unknown(word, &asked),
                );
            }
        }
    }

    /// The nearest key of this table; else the table in which the key would be right.
    fn hint_for_unknown(&self, word: &str, asked: &[&'static str]) -> String {
        if let Some(near) = suggest::nearest(word, asked.iter().copied()) {
            return format!("did you mean `{near}`?");
        }
        let known = super::known_keys();
        if known.get(&self.path).is_some_and(|keys| keys.contains(&word)) {
            let keys = suggest::listed(asked.iter().copied());
            return format!("it is a key of another kind of this table; this one has {keys}");
        }
        let elsewhere =
            known.into_iter().find(|(path, keys)| !path.is_empty() && keys.contains(&word));
        match elsewhere {
            Some((path, _)) => format!("`{word}` is a key of `[{path}]`"),
            None => format!("its keys are {}", suggest::listed(asked.iter().copied())),
        }
    }

    /// The value under `key`, if there is one. Every other method asks through this one.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        drop(asked);
        let value = self.entries?.get(key)?;
        Some(Value::new(self.cx, key, value))
    }

    /// The value under a key that may be left out.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).and_then(|value| read(&value))
    }

    /// The value under a key that has a default.
    pub(super) fn or<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// The value under a key that must be there; `example` is a value that would do.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(value) => read(&value),
            None => {
                self.report_missing(key, &format!("{key} = {example}"));
                None
            }
        }
    }

    fn report_missing(&self, key: &str, line: &str) {
        self.problem(format!("`{key}` is missing in {self}"), format!("add `{line}`"));
    }

    /// A table within this one that may be left out.
    pub(super) fn table<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Table<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(value) => {
                let entries = value.table()?;
                self.inner(key, key, value.at(), Some(entries)).read(read)
            }
            None if self.cx.is_survey => self.inner(key, key, self.at, None).read(read),
            None => None,
        }
    }

    /// A table within this one that must be there.
    pub(super) fn required_table<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Table<'a>) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) && !self.cx.is_survey {
            self.report_missing(key, &self.header(key));
        }
        self.table(key, read)
    }

    /// `[fleet.web.launch]`, for a hint.
    pub(super) fn header(&self, key: &str) -> String {
        format!("[{}]", join(&self.name, key))
    }

    /// The tables `[key.NAME]`, by name. A name that is no name (see `naming`) is reported.
    pub(super) fn named<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&str, &Table<'a>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.get(key) else {
            if self.cx.is_survey {
                let table = self.inner(&join(key, "NAME"), &join(key, "NAME"), self.at, None);
                table.read(|table| read("NAME", table));
            }
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, inner) in value.table().into_iter().flatten() {
            let shown = shown(name.get_ref());
            self.check_name(key, &shown, name.span().start);
            let inner = Value::new(self.cx, name.get_ref(), inner);
            let Some(entries) = inner.table() else {
                continue;
            };
            let table =
                self.inner(&join(key, &shown), &join(key, "NAME"), inner.at(), Some(entries));
            found.extend(table.read(|table| read(name.get_ref(), table)));
        }
        found
    }

    /// A name becomes a tag's value, a metric's label and part of a URL: what is safe in all three.
    fn check_name(&self, what: &str, name: &str, at: usize) {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(safe) {
            self.cx.problem(
                at,
                format!("`{name}` cannot be the name of a {what}"),
                format!("use 1 to {NAME_CHARS_MAX} of a-z, A-Z, 0-9, `_`, `.` and `-`"),
            );
        }
    }

    /// The tables `[[key]]`, in the order of the file.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        read: impl FnMut(&Table<'a>) -> Option<T>,
    ) -> Vec<T> {
        self.list_like(key, key, read)
    }

    /// The tables `[[key]]`, which take the same keys as the tables `[[like]]`.
    pub(super) fn list_like<T>(
        &self,
        key: &'static str,
        like: &'static str,
        mut read: impl FnMut(&Table<'a>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.get(key) else {
            if self.cx.is_survey {
                self.inner(key, like, self.at, None).read(&mut read);
            }
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in value.tables(&self.header(key)).into_iter().flatten() {
            let item = Value::new(self.cx, key, item);
            if let Some(entries) = item.table() {
                found.extend(self.inner(key, like, item.at(), Some(entries)).read(&mut read));
            }
        }
        found
    }

    /// Reads the table as the variant that `key` names. Without the key it is `default`, or a
    /// problem.
    pub(super) fn variant<K: Copy, T>(
        &self,
        key: &'static str,
        default: Option<K>,
        variants: &[(&'static str, K)],
        mut read: impl FnMut(K, &Table<'a>) -> Option<T>,
    ) -> Option<T> {
        if self.cx.is_survey {
            self.get(key);
            variants.iter().for_each(|(_, kind)| drop(read(*kind, self)));
            return None;
        }
        let kind = match default {
            Some(default) if !self.has(key) => self.optional(key, |_| None).or(Some(default)),
            _ => {
                let example = format!("{:?}", variants[0].0);
                self.required(key, &example, |value| value.one_of(variants))
            }
        };
        if kind.is_none() {
            self.kind_unknown.set(true);
        }
        read(kind?, self)
    }

    /// A key under which people would write a secret: refused, with the way to do it.
    pub(super) fn refuse_secret(&self, key: &'static str, instead: &str) {
        self.refused.borrow_mut().push(key);
        if let Some((key, _)) = self.entries.and_then(|table| table.get_key_value(key)) {
            self.cx.problem(
                key.span().start,
                format!("`{}` would put a secret into this file", key.get_ref()),
                instead.to_owned(),
            );
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// The line at which the table begins.
    pub(super) fn line(&self) -> usize {
        self.cx.line(self.at)
    }

    /// Reports a problem of the table as a whole.
    pub(super) fn problem(&self, problem: String, hint: impl Into<String>) {
        self.cx.problem(self.at, problem, hint.into());
    }

    /// Reports a problem at the value of `key`, or at the table when the key is left out.
    pub(super) fn problem_at(&self, key: &str, problem: String, hint: impl Into<String>) {
        let value = self.entries.and_then(|entries| entries.get(key));
        let at = value.map_or(self.at, |value| value.span().start);
        self.cx.problem(at, problem, hint.into());
    }

    /// The names under `key`, as they stand, without reading what they name.
    pub(super) fn names(&self, key: &str) -> Vec<String> {
        let tables = self.entries.and_then(|entries| entries.get(key));
        let names = tables.and_then(|tables| tables.get_ref().as_table());
        names.into_iter().flat_map(DeTable::keys).map(|name| name.get_ref().to_string()).collect()
    }

    /// How many tables `[[key]]` there are; `None` when `key` is something else.
    pub(super) fn len(&self, key: &str) -> Option<usize> {
        match self.entries.and_then(|entries| entries.get(key)) {
            None => Some(0),
            Some(list) => list.get_ref().as_array().map(|items| items.len()),
        }
    }

    /// Reports a problem at the table `[key.name]`.
    pub(super) fn problem_at_name(&self, key: &str, name: &str, problem: String, hint: &str) {
        self.cx.problem(self.at_name(key, name), problem, hint.to_owned());
    }

    /// Warns at the value that `place` leads to, or at the nearest table around it: what is left out
    /// stands nowhere.
    pub(super) fn warn_at(&self, place: &[Step<'_>], problem: String, hint: String) {
        self.cx.warn(self.place_of(place), problem, hint);
    }

    fn place_of(&self, place: &[Step<'_>]) -> usize {
        let Some((Step::Key(first), rest)) = place.split_first() else { return self.at };
        let Some(mut value) = self.entries.and_then(|entries| entries.get(*first)) else {
            return self.at;
        };
        for step in rest {
            let inner: Option<&Spanned<DeValue<'_>>> = match step {
                Step::Key(key) => value.get_ref().get(*key),
                Step::Nth(n) => value.get_ref().get(*n),
            };
            let Some(inner) = inner else { break };
            value = inner;
        }
        value.span().start
    }

    /// Whether the table `[key.name]` stands where several fleets have it from.
    pub(super) fn is_shared(&self, key: &str, name: &str) -> bool {
        self.cx.is_shared(self.at_name(key, name))
    }

    fn at_name(&self, key: &str, name: &str) -> usize {
        let tables = self.entries.and_then(|entries| entries.get(key));
        let table = tables.and_then(|tables| tables.get_ref().get(name));
        table.map_or(self.at, |table| table.span().start)
    }

    fn inner(
        &self,
        name: &str,
        path: &str,
        at: usize,
        entries: Option<&'a DeTable<'a>>,
    ) -> Table<'a> {
        Table::open(self.cx, join(&self.name, name), join(&self.path, path), at, entries)
    }
}

/// 63: the longest label of a host name, so that a fleet's name can be one.
pub(super) const NAME_CHARS_MAX: usize = 63;

fn join(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

impl std::fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.name.is_empty() { f.write_str("the file") } else { write!(f, "`[{}]`", self.name) }
    }
}
