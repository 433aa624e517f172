//! The files of `--out`: a directory per policy with its curves, and the report of all.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use chrono::{SecondsFormat, TimeDelta};

use super::Report;
use crate::backtest::{Curve, GRID_SECS, Load};

pub(super) fn write(dir: &Path, report: &Report, load: &Load) -> anyhow::Result<()> {
    for entry in &report.policies {
        let of_policy = dir.join(directory(&entry.name));
        fs::create_dir_all(&of_policy)
            .with_context(|| format!("{} cannot be made", of_policy.display()))?;
        curve(&of_policy.join("ready.csv"), &entry.outcome.ready, load)?;
        curve(&of_policy.join("billed.csv"), &entry.outcome.billed, load)?;
    }
    let json = serde_json::to_string_pretty(report).context("the report")?;
    file(&dir.join("report.json"), &json)?;
    file(&dir.join("report.html"), &super::page::render(report, load).context("the page")?)
}

/// A policy's name as that of a directory.
fn directory(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '-' };
    let name: String = name.chars().map(safe).collect();
    name.trim_start_matches(['.', '-']).to_owned()
}

fn curve(path: &Path, curve: &Curve, load: &Load) -> anyhow::Result<()> {
    let mut text = Vec::with_capacity(curve.changes().len() * 24);
    writeln!(text, "timestamp,value")?;
    for (point, value) in curve.changes() {
        let secs = i64::try_from(*point as u64 * GRID_SECS).unwrap_or(i64::MAX);
        let at = load.start() + TimeDelta::seconds(secs);
        writeln!(text, "{},{value}", at.to_rfc3339_opts(SecondsFormat::AutoSi, true))?;
    }
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn file(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
