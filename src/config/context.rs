//! The context that all readers of one document share: its lines, its surroundings, and the problems found.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::env::Env;
use super::problem::{About, Lines, Problem};

/// The keys of each table, by the table's path (`fleet.NAME.launch`), in the order of reading.
pub(super) type KnownKeys = BTreeMap<String, Vec<&'static str>>;

/// One document being read.
#[derive(Debug)]
pub(super) struct Context<'a> {
    file: &'a Path,
    lines: Lines<'a>,
    pub(super) env: &'a Env,
    /// Whether every table is visited, though none is there.
    pub(super) is_survey: bool,
    problems: RefCell<Vec<Problem>>,
    known: RefCell<KnownKeys>,
    /// Keys whose values may be secrets, and stand in the document itself.
    inline: RefCell<Vec<&'static str>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str, env: &'a Env) -> Self {
        Context {
            file,
            lines: Lines::of(text),
            env,
            is_survey: false,
            problems: RefCell::default(),
            known: RefCell::default(),
            inline: RefCell::default(),
        }
    }

    /// A context that visits every table and reports nothing.
    pub(super) fn survey(env: &'a Env) -> Self {
        Context { is_survey: true, ..Context::new(Path::new(""), "", env) }
    }

    /// Records a problem at the byte offset `at`.
    pub(super) fn problem(&self, at: usize, problem: String, hint: String) {
        self.problem_about(About::Text, at, problem, hint);
    }

    pub(super) fn problem_about(&self, about: About, at: usize, problem: String, hint: String) {
        let (line, column) = self.lines.position(at);
        self.problems.borrow_mut().push(Problem {
            file: self.file.to_owned(),
            line,
            column,
            problem,
            hint,
            about,
        });
    }

    /// A path as the configuration means it: relative to the configuration's own directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Remembers the keys that the reader of the table at `path` asked for.
    pub(super) fn learn(&self, path: &str, asked: &[&'static str]) {
        let mut known = self.known.borrow_mut();
        let keys = known.entry(path.to_owned()).or_default();
        for key in asked {
            if !keys.contains(key) {
                keys.push(key);
            }
        }
    }

    /// Remembers that the value of `key`, which stands here, may be a secret.
    pub(super) fn holds(&self, key: &'static str) {
        let mut inline = self.inline.borrow_mut();
        if !inline.contains(&key) {
            inline.push(key);
        }
    }

    /// Notes a thing that is no problem, and should be known all the same.
    pub(super) fn warnings(&self) -> Vec<String> {
        let inline = self.inline.borrow();
        if inline.is_empty() || !self.env.is_exposed(self.file) {
            return Vec::new();
        }
        vec![format!(
            "everybody on this machine can read {}, in which {} may hold a secret: move it to a file \
             of its own where there is a key for that, or take the right away (chmod o=)",
            self.file.display(),
            inline.join(" and "),
        )]
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    pub(super) fn into_known(self) -> KnownKeys {
        self.known.into_inner()
    }
}
