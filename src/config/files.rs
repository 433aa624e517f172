//! The files of a configuration: the one that is named, and those that its `include` takes in.
//!
//! They are one document in several pieces. Each table stands in one of them, whole: nothing overrides
//! anything by the order of files. A file that cannot be read is a problem and never left out, since its
//! fleets would be taken for removed.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::env::Env;
use super::problem::{Problem, Problems, shown};
use super::value::{Value, word};
use super::{FILE_BYTES_MAX, not_toml};

/// The tables that hold tables by name; a file may add to them.
const NAMED: [&str; 4] = ["provider", "notify", "template", "fleet"];

/// The files of a configuration, with their texts.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The file that was named comes first, the others in the order of `include` and of their names.
    pub(super) all: Vec<ConfigFile>,
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Files {
    /// Nothing but this text.
    pub(super) fn one(text: &str, path: &Path) -> Files {
        Files { all: vec![ConfigFile { path: path.to_owned(), text: text.to_owned() }] }
    }

    /// The text that stands in `path`, and every file that it includes.
    ///
    /// # Errors
    /// It is not TOML, or a file that it includes cannot be had.
    pub(super) fn read(text: &str, path: &Path, env: &Env) -> Result<Files, Problems> {
        let (files, problems) = Files::gather(text, path, env)?;
        if problems.is_empty() { Ok(files) } else { Err(Problems::new(problems)) }
    }

    /// The same with the files that can be had, and what is wrong with the others.
    ///
    /// # Errors
    /// The text itself is not TOML.
    pub(super) fn gather(
        text: &str,
        path: &Path,
        env: &Env,
    ) -> Result<(Files, Vec<Problem>), Problems> {
        let document = DeTable::parse(text).map_err(|error| not_toml(path, text, &error))?;
        let main = Files::one(text, path);
        let mut files = main.clone();
        let cx = Context::of(&main, env);
        if let Some(value) = document.get_ref().get("include") {
            include(&Value::new(&cx, "include", value), &mut files);
        }
        Ok((files, cx.into_problems()))
    }

    /// The byte offset at which each file begins, were they written one behind the other.
    pub(super) fn starts(&self) -> impl Iterator<Item = (usize, &ConfigFile)> {
        let mut next = 0;
        self.all.iter().map(move |file| {
            let start = next;
            // One more, so that the end of a file is not the beginning of the next.
            next += file.text.len() + 1;
            (start, file)
        })
    }

    /// The one document that they are. A table that stands twice is reported to `cx`.
    ///
    /// # Errors
    /// A file is not TOML: the first place of each that is not.
    pub(super) fn document<'a>(&'a self, cx: &Context<'_>) -> Result<DeTable<'a>, Problems> {
        let (document, problems) = self.pieces(cx);
        if problems.is_empty() { Ok(document) } else { Err(Problems::new(problems)) }
    }

    /// The same of the files that are TOML, and where the others are not.
    pub(super) fn pieces<'a>(&'a self, cx: &Context<'_>) -> (DeTable<'a>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut whole = DeTable::new();
        for (n, (start, ConfigFile { path, text })) in self.starts().enumerate() {
            match DeTable::parse(text) {
                Ok(piece) if n == 0 => whole = piece.into_inner(),
                Ok(piece) => add(&mut whole, shifted(piece.into_inner(), start), cx),
                Err(error) => problems.push(not_toml(path, text, &error)),
            }
        }
        (whole, problems)
    }
}

/// Reads the files that the value of `include` names.
fn include(value: &Value<'_>, files: &mut Files) {
    for item in value.items("\"conf.d/*.toml\"").into_iter().flatten() {
        let Some(pattern) = word(&item) else { continue };
        for path in matches(&item, &pattern).into_iter().flatten() {
            read(&item, path, files);
        }
    }
}

fn read(item: &Value<'_>, path: PathBuf, files: &mut Files) {
    let shown = path.display().to_string();
    let trouble =
        |problem: String, hint: &str| item.cx.problem(item.at(), problem, hint.to_owned());
    if path == files.all[0].path {
        let hint = "put the others into a directory of their own, such as \"conf.d/*.toml\"";
        return trouble("`include` takes in this file itself".to_owned(), hint);
    }
    if files.all.iter().any(|file| file.path == path) {
        return trouble(format!("`include` takes in {shown} twice"), "name it once");
    }
    match item.cx.env.read(&path, FILE_BYTES_MAX).map(String::from_utf8) {
        Ok(Ok(text)) => files.all.push(ConfigFile { path, text }),
        Ok(Err(_)) => {
            trouble(format!("{shown}, which is included, is not UTF-8 text"), "save it as UTF-8");
        }
        Err(why) => trouble(
            format!("{shown}, which is included, cannot be read: {why}"),
            "no file is left out, since its fleets would be taken for removed: mend it, or rename it to \
             another ending than .toml",
        ),
    }
}

/// The files that a pattern such as `conf.d/*.toml` names, by name; one without a `*` is a path.
fn matches(item: &Value<'_>, pattern: &str) -> Option<Vec<PathBuf>> {
    let hint = "write \"DIRECTORY/*.toml\", or the path of one file";
    let (directory, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if directory.contains('*') || name.matches('*').count() > 1 || !name.ends_with(".toml") {
        return item.problem(
            format!("`include` has {}, which is no pattern for files", shown(pattern)),
            hint,
        );
    }
    let Some((head, tail)) = name.split_once('*') else {
        return Some(vec![item.cx.resolve(pattern)]);
    };
    let within = item.cx.resolve(if pattern.starts_with('/') && directory.is_empty() {
        "/"
    } else {
        directory
    });
    let names = match item.cx.env.list(&within) {
        Ok(names) => names,
        Err(why) => {
            let shown = match within.display().to_string() {
                shown if shown.is_empty() => ".".to_owned(),
                shown => shown,
            };
            return item.problem(
                format!("the directory {shown}, from which files are included, cannot be read: {why}"),
                "make it (it may be empty), or correct the path, which is relative to the directory of \
                 this file",
            );
        }
    };
    // A name with a dot at its beginning is a hidden one: a lock or a copy of an editor.
    let fits = |name: &String| {
        name.len() >= head.len() + tail.len()
            && name.starts_with(head)
            && name.ends_with(tail)
            && !name.starts_with('.')
    };
    let mut names: Vec<String> = names.into_iter().filter(fits).collect();
    names.sort();
    Some(names.into_iter().map(|name| within.join(name)).collect())
}

/// Puts the tables of another file beside those that there are.
fn add<'a>(whole: &mut DeTable<'a>, piece: DeTable<'a>, cx: &Context<'_>) {
    for (key, value) in piece {
        let word = key.get_ref().to_string();
        let at = key.span().start;
        if word == "include" {
            cx.problem(
                at,
                "`include` stands in a file that is included itself".to_owned(),
                "name all files in the first one".to_owned(),
            );
            continue;
        }
        let Some(first) = whole.get_mut(word.as_str()) else {
            whole.insert(key, value);
            continue;
        };
        let place = cx.place(first.span().start);
        match (first.get_mut(), value.into_inner()) {
            (DeValue::Table(first), DeValue::Table(more)) if NAMED.contains(&word.as_str()) => {
                add_named(first, more, &word, cx);
            }
            _ => cx.problem(
                at,
                format!("`{}` stands in {place}, too", shown(&word)),
                "write it in one file".to_owned(),
            ),
        }
    }
}

fn add_named<'a>(whole: &mut DeTable<'a>, more: DeTable<'a>, kind: &str, cx: &Context<'_>) {
    for (name, table) in more {
        match whole.get(name.get_ref().as_ref()) {
            Some(first) => cx.problem(
                table.span().start,
                format!(
                    "{kind} `{}` stands in {}, too",
                    shown(name.get_ref()),
                    cx.place(first.span().start)
                ),
                format!("all of a {kind} stands in one file: rename or remove one"),
            ),
            None => drop(whole.insert(name, table)),
        }
    }
}

/// The same table with places that count from the beginning of the first file.
fn shifted(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let moved = |span: std::ops::Range<usize>| span.start + by..span.end + by;
    table
        .into_iter()
        .map(|(key, value)| {
            let (span, key) = (moved(key.span()), key.into_inner());
            (Spanned::new(span, key), shifted_value(value, by))
        })
        .collect()
}

fn shifted_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted(table, by)),
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| shifted_value(item, by)).collect())
        }
        plain => plain,
    };
    Spanned::new(span.start + by..span.end + by, value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Config, parse, parse_for_command};

    const MINIMAL: &str = include_str!("../../tests/configs/good/minimal.toml");
    const MAIN: &str = "/etc/f/config.toml";

    /// The minimal configuration that includes `conf.d/*.toml`, with these files there.
    fn read(files: &[(&str, &str)]) -> Result<Config, String> {
        read_with("include = [\"conf.d/*.toml\"]", files)
    }

    fn read_with(include: &str, files: &[(&str, &str)]) -> Result<Config, String> {
        let text = format!("{include}\n{MINIMAL}");
        parse(&text, Path::new(MAIN), &given(files)).map_err(|problems| problems.to_string())
    }

    fn given(files: &[(&str, &str)]) -> Env {
        let file = |(name, text): &(&str, &str)| {
            (Path::new("/etc/f").join(name), text.as_bytes().to_vec())
        };
        Env::given(BTreeMap::new(), files.iter().map(file).collect())
    }

    /// The fleet of the minimal configuration under another name.
    fn fleet(name: &str) -> String {
        let begin = MINIMAL.find("[fleet.web]").expect("a fleet");
        MINIMAL[begin..].replace("fleet.web", &format!("fleet.{name}"))
    }

    #[test]
    fn fleets_of_other_files_are_as_good_as_those_of_the_first() {
        let config = read(&[
            ("conf.d/20-shop.toml", &fleet("shop")),
            ("conf.d/10-api.toml", &fleet("api").replace("min = 2", "min = 1")),
            ("conf.d/.hidden.toml", "no TOML"),
            ("conf.d/old.toml~", "no TOML"),
            ("conf.d/.x.toml.swp", "no TOML"),
            ("conf.d/api.toml.dpkg-new", "no TOML"),
            ("conf.d/deeper/x.toml", "no TOML"),
        ])
        .expect("good");
        let names: Vec<&str> = config.fleets.iter().map(|f| f.fleet.id.0.as_str()).collect();
        assert_eq!(names, ["api", "shop", "web"]);
        assert_eq!(config.fleets[0].fleet.bounds.min, 1);
        let included = ["/etc/f/conf.d/10-api.toml", "/etc/f/conf.d/20-shop.toml"];
        assert_eq!(config.included, included.map(PathBuf::from), "by name");
    }

    #[test]
    fn a_problem_names_the_file_and_the_line_in_which_it_stands() {
        let first = fleet("api").replace("max = 20", "max = 1");
        let second = format!("# é\n\n{}", fleet("shop").replace("\"cpu\"", "\"cpv\""));
        let error = read(&[("conf.d/a.toml", &first), ("conf.d/b.toml", &second)])
            .expect_err("two problems");
        let line = |text: &str, with: &str| {
            text.lines().position(|line| line.contains(with)).expect("it") + 1
        };
        let min = format!(
            "/etc/f/conf.d/a.toml:{}: fleet `api` has min = 2 above max = 1",
            line(&first, "min =")
        );
        assert!(error.starts_with(&min), "{error}");
        let signal = format!("\n/etc/f/conf.d/b.toml:{}: ", line(&second, "cpv"));
        assert!(error.contains(&signal), "{error}");
    }

    #[test]
    fn what_stands_twice_names_both_places() {
        let more = format!("[daemon]\nlease = \"20s\"\n{}", fleet("web"));
        let error = read(&[("conf.d/a.toml", &more)]).expect_err("twice");
        let at = |with: &str| MINIMAL.lines().position(|line| line == with).expect("it") + 2;
        for says in [
            format!("a.toml:1: `daemon` stands in {MAIN}:{}, too", at("[daemon]")),
            format!("a.toml:3: fleet `web` stands in {MAIN}:{}, too", at("[fleet.web]")),
        ] {
            assert!(error.contains(&says), "{says}\n{error}");
        }
        let error = read(&[
            ("conf.d/a.toml", &fleet("api")),
            ("conf.d/b.toml", "[fleet.api.signal.rps]\nsource = \"push\"\n"),
        ])
        .expect_err("in pieces");
        assert!(
            error.contains("b.toml:1: fleet `api` stands in /etc/f/conf.d/a.toml:1"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_and_so_is_every_other() {
        let error = read(&[
            ("conf.d/a.toml", "x ="),
            ("conf.d/b.toml", &fleet("shop")),
            ("conf.d/c.toml", "\n[a"),
        ])
        .expect_err("refused");
        assert!(error.contains("/etc/f/conf.d/a.toml:1: this is not TOML"), "{error}");
        assert!(error.contains("/etc/f/conf.d/c.toml:2: this is not TOML"), "{error}");
    }

    #[test]
    fn an_include_that_does_not_work_is_a_problem_of_its_line() {
        for (name, include, says) in [
            ("no directory", "include = [\"conf.e/*.toml\"]", "the directory /etc/f/conf.e"),
            ("no file", "include = [\"more.toml\"]", "/etc/f/more.toml, which is included, cannot"),
            ("itself", "include = [\"*.toml\"]", "takes in this file itself"),
            ("any ending", "include = [\"conf.d/*\"]", "no pattern for files"),
            ("any directory", "include = [\"*/a.toml\"]", "no pattern for files"),
            ("a text", "include = \"conf.d/*.toml\"", "include = [\"conf.d/*.toml\"]"),
            ("twice", "include = [\"conf.d/*.toml\", \"conf.d/a.toml\"]", "a.toml twice"),
        ] {
            let files = [("config.toml", MINIMAL), ("conf.d/a.toml", "")];
            let error = read_with(include, &files).expect_err(name);
            assert!(error.starts_with(&format!("{MAIN}:1: ")) && error.contains(says), "{error}");
        }
        let error = read(&[("conf.d/a.toml", "include = []")]).expect_err("nested");
        assert!(error.contains("a.toml:1: `include` stands in a file that is included"), "{error}");
    }

    #[test]
    fn commands_beside_the_daemon_know_the_fleets_of_every_file() {
        let text = format!("include = [\"conf.d/*.toml\"]\n{MINIMAL}");
        let env = given(&[("conf.d/a.toml", &fleet("api"))]);
        let known = parse_for_command(&text, Path::new(MAIN), &env).expect("read");
        assert_eq!(known.fleets, ["api".into(), "web".into()]);
        assert_eq!(known.problems, None);
        // One team's mistake does not keep others from placing a hold.
        let env = given(&[("conf.d/a.toml", "x ="), ("conf.d/b.toml", &fleet("shop"))]);
        let text = text.replacen("[\"", "[\"none.toml\", \"", 1);
        let known = parse_for_command(&text, Path::new(MAIN), &env).expect("read");
        assert_eq!(known.fleets, ["shop".into(), "web".into()]);
        let problems = known.problems.expect("two files").to_string();
        // Unless the journal may be named there.
        let begin = text.find("[daemon]").expect("it");
        let end = text.find("[provider").expect("it");
        let without = format!("{}{}", &text[..begin], &text[end..]);
        parse_for_command(&without, Path::new(MAIN), &env).expect_err("where is the journal?");
        for says in ["/etc/f/none.toml, which is included", "/etc/f/conf.d/a.toml:1: this is not"] {
            assert!(problems.contains(says), "{problems}");
        }
    }
}
