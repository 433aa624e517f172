//! The configuration as it is after files, templates and defaults have been put together: a text that is a
//! configuration again, in which each value tells where it was written.
//!
//! Values that may be secrets are left out. What nobody wrote is not there: its default is in the
//! documentation.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::files::Files;
use super::problem::Problems;
use super::table::Table;
use super::{Env, layers, parse_files, read, text_of};

/// In the place of a value that may be a secret.
const HIDDEN: &str = "<not shown>";
/// Tables that are in those of the fleets now, and keys that name them.
const PUT_TOGETHER: [&str; 3] = ["include", "template", "defaults"];
const EXTENDS: &str = "extends";
/// The column at which places stand, if the line is not longer.
const PLACES: usize = 60;

/// The configuration at `path`, whole.
///
/// # Errors
/// Every problem of it, as for [`load`](super::load).
pub fn whole(path: &Path) -> Result<String, Problems> {
    let env = Env::system();
    printed(&text_of(path, &env)?, path, &env)
}

fn printed(text: &str, path: &Path, env: &Env) -> Result<String, Problems> {
    let files = Files::read(text, path, env)?;
    parse_files(&files, env)?;
    let cx = Context::of(&files, env);
    let document = layers::applied(&cx, files.document(&cx)?);
    // Read once more, for what may be a secret.
    Table::document(&cx, Some(&document), |document| read(document).map(drop));
    let mut printer = Printer { cx: &cx, hidden: cx.held(), out: String::new() };
    printer.table(&[], &document);
    Ok(printer.out)
}

struct Printer<'a> {
    cx: &'a Context<'a>,
    /// Places of values that may be secrets.
    hidden: HashSet<usize>,
    out: String,
}

impl Printer<'_> {
    /// The keys of a table, then the tables in it.
    fn table(&mut self, path: &[&str], table: &DeTable<'_>) {
        let is_left_out = |key: &str| match path {
            [] => PUT_TOGETHER.contains(&key),
            ["fleet", _] => key == EXTENDS,
            _ => false,
        };
        let entries = || {
            let words = table.iter().map(|(key, value)| (key.get_ref().as_ref(), value));
            words.filter(|(key, _)| !is_left_out(key))
        };
        for (key, value) in entries().filter(|(_, value)| !is_tables(value.get_ref())) {
            let shown = self.value(value);
            self.line(&format!("{} = {shown}", quoted(key)), value);
        }
        for (key, value) in entries() {
            let path = [path, &[key]].concat();
            match value.get_ref() {
                DeValue::Table(inner) => {
                    // A table that only holds tables needs no header.
                    let is_group = matches!(path[..], ["provider" | "notify" | "fleet"])
                        || path.len() == 3 && path[2] == "signal";
                    if !is_group {
                        self.header(&format!("[{}]", joined(&path)), value);
                    }
                    if self.hidden.contains(&value.span().start) {
                        for key in inner.keys() {
                            let key = quoted(key.get_ref());
                            self.line(&format!("{key} = {HIDDEN:?}"), value);
                        }
                    } else {
                        self.table(&path, inner);
                    }
                }
                DeValue::Array(items) if is_tables(value.get_ref()) => {
                    for item in items {
                        self.header(&format!("[[{}]]", joined(&path)), item);
                        item.get_ref().as_table().into_iter().for_each(|t| self.table(&path, t));
                    }
                }
                _ => {}
            }
        }
    }

    fn header(&mut self, header: &str, value: &Spanned<DeValue<'_>>) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.line(header, value);
    }

    fn line(&mut self, text: &str, value: &Spanned<DeValue<'_>>) {
        let place = self.cx.place(value.span().start);
        writeln!(self.out, "{text:<PLACES$} # {place}").expect("a text takes everything");
    }

    /// On one line.
    fn value(&self, value: &Spanned<DeValue<'_>>) -> String {
        if self.hidden.contains(&value.span().start) {
            return format!("{HIDDEN:?}");
        }
        match value.get_ref() {
            DeValue::String(text) => on_one_line(text),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(item)).collect();
                format!("[{}]", items.join(", "))
            }
            DeValue::Table(table) => {
                let entry = |(key, value): (&Spanned<_>, &_)| {
                    let key: &std::borrow::Cow<'_, str> = key.get_ref();
                    format!("{} = {}", quoted(key), self.value(value))
                };
                let entries: Vec<String> = table.iter().map(entry).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// Whether it is written under headers: a table, or a list of nothing but tables.
fn is_tables(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => {
            !items.is_empty() && items.iter().all(|item| item.get_ref().is_table())
        }
        _ => false,
    }
}

fn joined(path: &[&str]) -> String {
    path.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(".")
}

/// A key, in quotes where it needs them.
fn quoted(key: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(is_plain) { key.to_owned() } else { on_one_line(key) }
}

/// A text in quotes. One that has no need of escapes stays as readable as it was written.
fn on_one_line(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                write!(out, "\\u{:04X}", u32::from(c)).expect("a text takes everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Config, parse};

    const EXAMPLE: &str = include_str!("../../config.example.toml");
    const FULL: &str = include_str!("../../tests/configs/good/full.toml");
    const MINIMAL: &str = include_str!("../../tests/configs/good/minimal.toml");

    fn env(files: &[(&str, &str)]) -> Env {
        let vars = [("CREDENTIALS_DIRECTORY", "/run/credentials"), ("TOKEN", "sesame")];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let always = [
            ("password", "hunter2"),
            ("token", "sesame"),
            ("key-id", "LTAIexample"),
            ("/run/credentials/key-secret", "key-secret-value"),
            ("start.sh", "#!/bin/sh\n"),
            ("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
        ];
        let files = always.iter().chain(files);
        let files = files.map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()));
        Env::given(vars.into(), files.collect())
    }

    fn read(text: &str, env: &Env) -> Config {
        let config = parse(text, Path::new("c.toml"), env);
        Config {
            included: Vec::new(),
            ..config.unwrap_or_else(|problems| panic!("{problems}\n{text}"))
        }
    }

    #[test]
    fn what_is_printed_is_the_same_configuration_again() {
        let env = env(&[]);
        for (name, text) in [("minimal", MINIMAL), ("full", FULL), ("example", EXAMPLE)] {
            let text = text
                .replace("[fleet.web.launch]\n", "[fleet.web.launch]\nkey_pair_name = 'a\"b'\n");
            let text = text.replacen("key_pair_name = \"ops\"\n", "", 1);
            let printed = printed(&text, Path::new("c.toml"), &env).expect(name);
            // Headers are not shown, and nothing else differs.
            let headers = |text: &str| text.contains(HIDDEN);
            let again = read(&printed, &env);
            if !headers(&printed) {
                assert_eq!(again, read(&text, &env), "{name}\n{printed}");
            }
        }
    }

    #[test]
    fn each_value_tells_where_it_was_written() {
        let begin = MINIMAL.find("[fleet.web]").expect("a fleet");
        let more = "[fleet.web]\nextends = \"base\"\nmin = 3\n\
                    [fleet.web.launch]\nuser_data = \"hunter2\"\n\
                    [[fleet.web.health]]\nkind = \"http\"\nurl = \"http://{ip}:80/\"\n\
                    headers = { \"X-Key\" = \"hunter2\" }\n";
        let text = format!(
            "include = [\"d/*.toml\"]\n[defaults.fleet]\nwarmup = \"90s\"\n{}{}",
            &MINIMAL[..begin],
            MINIMAL[begin..].replace("fleet.web", "template.base").replace("warmup = ", "# ")
        );
        let env = env(&[("d/web.toml", more)]);
        let printed = printed(&text, Path::new("c.toml"), &env).expect("good");
        let place = |line: &str| {
            let found = printed.lines().find(|found| found.starts_with(line));
            let line = found.unwrap_or_else(|| panic!("{line}\n{printed}"));
            line.rsplit_once(" # ").expect("a place").1.to_owned()
        };
        let line =
            |with: &str| text.lines().position(|line| line.starts_with(with)).expect(with) + 1;
        assert_eq!(place("[fleet.web]"), "d/web.toml:1");
        assert_eq!(place("min = 3"), "d/web.toml:3");
        assert_eq!(place("max = 20"), format!("c.toml:{}", line("max = ")));
        assert_eq!(place("warmup = \"90s\""), "c.toml:3");
        assert_eq!(
            place("[[fleet.web.rule]]"),
            format!("c.toml:{}", line("[[template.base.rule]]"))
        );
        assert!(!printed.contains("hunter2"), "{printed}");
        assert_eq!(place("user_data = \"<not shown>\""), "d/web.toml:5");
        assert_eq!(place("X-Key = \"<not shown>\""), "d/web.toml:9");
        for gone in ["template", "defaults", "include", "extends"] {
            assert!(!printed.contains(gone), "{gone}\n{printed}");
        }
        assert_eq!(read(&printed, &env).fleets[0].fleet.bounds.min, 3);
    }
}
