//! The context that all readers of one document share: its lines, its surroundings, and the problems found.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::env::Env;
use super::files::{ConfigFile, Files};
use super::problem::{About, Lines, Problem};

/// The keys of each table, by the table's path (`fleet.NAME.launch`), in the order of reading.
pub(super) type KnownKeys = BTreeMap<String, Vec<&'static str>>;

/// A problem or a warning with its byte offset, and with its text for any fleet.
type Noted = (usize, String, Problem);

/// One document being read.
#[derive(Debug)]
pub(super) struct Context<'a> {
    files: Vec<FileInContext<'a>>,
    pub(super) env: &'a Env,
    /// Whether every table is visited, though none is there.
    pub(super) is_survey: bool,
    problems: RefCell<Vec<Noted>>,
    /// What is no problem, and should be known all the same.
    warnings: RefCell<Vec<Noted>>,
    known: RefCell<KnownKeys>,
    /// Byte offsets of what several fleets may have.
    shared: RefCell<HashSet<usize>>,
    /// The fleet that is read.
    fleet: RefCell<String>,
    /// Keys whose values may be secrets, and stand in the document itself; with their byte offsets.
    inline: RefCell<Vec<(&'static str, usize)>>,
}

/// One file of the document.
#[derive(Debug)]
struct FileInContext<'a> {
    path: &'a Path,
    /// The byte offset at which it begins.
    start: usize,
    lines: Lines<'a>,
}

impl<'a> Context<'a> {
    /// For the text of one file.
    pub(super) fn new(path: &'a Path, text: &'a str, env: &'a Env) -> Self {
        Context::with(vec![FileInContext { path, start: 0, lines: Lines::of(text) }], env)
    }

    /// For all files of a configuration.
    pub(super) fn of(files: &'a Files, env: &'a Env) -> Self {
        let file = |(start, file): (usize, &'a ConfigFile)| FileInContext {
            path: &file.path,
            start,
            lines: Lines::of(&file.text),
        };
        Context::with(files.starts().map(file).collect(), env)
    }

    fn with(files: Vec<FileInContext<'a>>, env: &'a Env) -> Self {
        Context {
            files,
            env,
            is_survey: false,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            known: RefCell::default(),
            shared: RefCell::default(),
            fleet: RefCell::default(),
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
        let noted = self.noted(about, at, problem, hint);
        self.problems.borrow_mut().push(noted);
    }

    /// Records at the byte offset `at` what is no problem, and probably not meant.
    pub(super) fn warn(&self, at: usize, problem: String, hint: String) {
        let noted = self.noted(About::Text, at, problem, hint);
        self.warnings.borrow_mut().push(noted);
    }

    fn noted(&self, about: About, at: usize, problem: String, hint: String) -> Noted {
        let (file, (line, column)) = self.position(at);
        let file = file.to_owned();
        let fleet = self.fleet.borrow();
        let for_any = match self.is_shared(at) && !fleet.is_empty() {
            true => problem.replace(fleet.as_str(), ""),
            false => problem.clone(),
        };
        (at, for_any, Problem { file, line, column, problem, hint, about })
    }

    /// Says which fleet is read next.
    pub(super) fn begin(&self, fleet: &str) {
        fleet.clone_into(&mut self.fleet.borrow_mut());
    }

    /// Remembers that several fleets may have what stands at `at`.
    pub(super) fn share(&self, at: usize) {
        self.shared.borrow_mut().insert(at);
    }

    pub(super) fn is_shared(&self, at: usize) -> bool {
        self.shared.borrow().contains(&at)
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    fn file(&self, at: usize) -> &FileInContext<'a> {
        let n = self.files.partition_point(|file| file.start <= at);
        &self.files[n.saturating_sub(1)]
    }

    fn position(&self, at: usize) -> (&'a Path, (usize, usize)) {
        let file = self.file(at);
        (file.path, file.lines.position(at - file.start))
    }

    /// The line of the byte offset `at`, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.position(at).1.0
    }

    /// `conf.d/web.toml:12`.
    pub(super) fn place(&self, at: usize) -> String {
        let (path, (line, _)) = self.position(at);
        format!("{}:{line}", path.display())
    }

    /// A path as the configuration means it: relative to the directory of its first file, so that a table
    /// means the same in each of them.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.files[0].path.parent().unwrap_or(Path::new("")).join(path)
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

    /// Remembers that the value of `key`, which stands at `at`, may be a secret.
    pub(super) fn holds(&self, key: &'static str, at: usize) {
        self.inline.borrow_mut().push((key, at));
    }

    /// The byte offsets of values that may be secrets.
    pub(super) fn held(&self) -> HashSet<usize> {
        self.inline.borrow().iter().map(|(_, at)| *at).collect()
    }

    /// What is no problem, and should be known all the same: first of whole files.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        let mut warnings = self.exposed();
        warnings.extend(in_order(self.warnings.borrow().clone(), &self.shared.borrow()));
        warnings
    }

    /// The files with secrets that everybody can read.
    fn exposed(&self) -> Vec<Problem> {
        let inline = self.inline.borrow();
        let mut warnings = Vec::new();
        for file in self.files.iter().filter(|file| self.env.is_exposed(file.path)) {
            let mut keys: Vec<&str> = Vec::new();
            for (key, at) in inline.iter() {
                if std::ptr::eq(self.file(*at), file) && !keys.contains(key) {
                    keys.push(key);
                }
            }
            if !keys.is_empty() {
                warnings.push(Problem::of_file(
                    file.path,
                    format!(
                        "everybody on this machine can read the file, in which {} may hold a secret",
                        keys.join(" and "),
                    ),
                    "move it to a file of its own where there is a key for that, or take the right \
                     away (chmod o=)",
                ));
            }
        }
        warnings
    }

    /// The problems in the order of their places. What several fleets have of the same place is told of one.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        in_order(self.problems.into_inner(), &self.shared.into_inner())
    }

    pub(super) fn into_known(self) -> KnownKeys {
        self.known.into_inner()
    }
}

/// What was noted, in the order of the places; what several fleets have of the same place once.
fn in_order(mut noted: Vec<Noted>, shared: &HashSet<usize>) -> Vec<Problem> {
    noted.sort_by_key(|(at, ..)| *at);
    let mut told = HashSet::new();
    noted
        .into_iter()
        .filter(|(at, text, _)| !shared.contains(at) || told.insert((*at, text.clone())))
        .map(|(_, _, problem)| problem)
        .collect()
}
