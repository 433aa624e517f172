//! What `check --json` prints: one document, for programs. No value of the configuration that may be
//! secret is in it.

use std::path::Path;

use serde::Serialize;

use super::online::CheckRow;
use crate::config::{FleetConfig, Problem};

#[derive(Debug, Serialize)]
pub(super) struct CheckDocument<'a> {
    file: String,
    /// Whether the exit code is 0.
    pub(super) ok: bool,
    problems: Vec<ProblemView<'a>>,
    warnings: Vec<ProblemView<'a>>,
    fleets: Vec<FleetView<'a>>,
    online: Vec<RowView<'a>>,
}

#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    file: String,
    /// Line and column are counted from 1, and 0 when the file itself is meant.
    line: usize,
    column: usize,
    message: &'a str,
    hint: &'a str,
}

#[derive(Debug, Serialize)]
struct FleetView<'a> {
    name: &'a str,
    provider: &'a str,
    min: u32,
    max: u32,
    instance_types: &'a [String],
    vswitches: &'a [String],
    signals: Vec<&'a str>,
    rules: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RowView<'a> {
    what: &'a str,
    /// `ok`, `fail`, `more` or `skip`.
    result: &'static str,
    text: &'a str,
    todo: Option<&'a str>,
}

impl<'a> CheckDocument<'a> {
    /// About the configuration in `file`, with nothing in it yet.
    pub(super) fn of(file: &Path, ok: bool) -> Self {
        let file = file.display().to_string();
        let (problems, warnings, fleets, online) = Default::default();
        CheckDocument { file, ok, problems, warnings, fleets, online }
    }

    pub(super) fn problems(mut self, problems: impl Iterator<Item = &'a Problem>) -> Self {
        self.problems = problems.map(ProblemView::from).collect();
        self
    }

    pub(super) fn warnings(mut self, warnings: &'a [Problem]) -> Self {
        self.warnings = warnings.iter().map(ProblemView::from).collect();
        self
    }

    pub(super) fn fleets(mut self, fleets: &'a [FleetConfig]) -> Self {
        self.fleets = fleets.iter().map(FleetView::from).collect();
        self
    }

    pub(super) fn online(mut self, rows: &'a [CheckRow]) -> Self {
        self.online = rows.iter().map(RowView::from).collect();
        self
    }

    /// On one line.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("texts and whole numbers only")
    }
}

impl<'a> From<&'a Problem> for ProblemView<'a> {
    fn from(problem: &'a Problem) -> Self {
        ProblemView {
            file: problem.file.display().to_string(),
            line: problem.line,
            column: problem.column,
            message: &problem.problem,
            hint: &problem.hint,
        }
    }
}

impl<'a> From<&'a FleetConfig> for FleetView<'a> {
    fn from(config: &'a FleetConfig) -> Self {
        let fleet = &config.fleet;
        FleetView {
            name: &fleet.id.0,
            provider: &config.provider,
            min: fleet.bounds.min,
            max: fleet.bounds.max,
            instance_types: &fleet.launch.instance_types,
            vswitches: &fleet.launch.vswitches,
            signals: config.sources.keys().map(|name| name.0.as_str()).collect(),
            rules: fleet.rules.iter().map(|rule| rule.name.to_string()).collect(),
        }
    }
}

impl<'a> From<&'a CheckRow> for RowView<'a> {
    fn from(row: &'a CheckRow) -> Self {
        let (text, todo) = row.found.texts();
        RowView { what: &row.what, result: row.found.name(), text, todo }
    }
}
