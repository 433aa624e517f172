//! `report.html`: one file with everything in it, which needs no network.

use serde::Serialize;

use super::Report;
use crate::backtest::{Curve, GRID_SECS, Load, Note};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
/// A chart is some thousand pixels wide, and one may look ten times closer.
const BUCKETS: usize = 20_000;
/// Changes of one curve that the page takes: a page of more than 10 MB opens slowly.
const CHANGES_MOST: usize = 100_000;
/// Decisions that the page takes with their reasons, the first ones.
const NOTES_MOST: usize = 5_000;

#[derive(Debug, Serialize)]
struct Data<'a> {
    report: &'a Report,
    /// Seconds from grid point to grid point.
    grid: u64,
    points: usize,
    /// Grid points in one value of the next two.
    bucket: usize,
    load: Vec<f64>,
    demand: Vec<u32>,
    /// Of each policy.
    curves: Vec<Curves<'a>>,
    notes: Vec<&'a [Note]>,
}

#[derive(Debug, Serialize)]
struct Curves<'a> {
    ready: &'a [(usize, u32)],
    billed: &'a [(usize, u32)],
    /// The largest shortage of each bucket.
    missing: Vec<u32>,
}

/// The page as text.
pub(super) fn render(report: &Report, load: &Load) -> serde_json::Result<String> {
    let points = load.demand().len();
    let bucket = points.div_ceil(BUCKETS).max(1);
    let highest = |values: &[f64]| {
        // Five digits: the page is for the eye.
        let value = values.iter().copied().fold(0.0, f64::max);
        format!("{value:.4e}").parse().unwrap_or(value)
    };
    let data = Data {
        report,
        grid: GRID_SECS,
        points,
        bucket,
        load: load.values().chunks(bucket).map(highest).collect(),
        demand: load
            .demand()
            .chunks(bucket)
            .map(|demand| demand.iter().copied().max().unwrap_or(1))
            .collect(),
        curves: report
            .policies
            .iter()
            .map(|entry| Curves {
                ready: shown(&entry.outcome.ready),
                billed: shown(&entry.outcome.billed),
                missing: missing(&entry.outcome.ready, load.demand(), bucket),
            })
            .collect(),
        notes: report
            .policies
            .iter()
            .map(|entry| &entry.outcome.notes[..entry.outcome.notes.len().min(NOTES_MOST)])
            .collect(),
    };
    // A name or a remark that says `</script>` must not end the script.
    let json = serde_json::to_string(&data)?.replace('<', "\\u003c");
    Ok(PAGE.replace("/*SCRIPT*/", SCRIPT).replace("/*DATA*/", &json))
}

/// Demand and supply of the same moment: the peaks of both in a bucket need not be.
fn missing(ready: &Curve, demand: &[u32], bucket: usize) -> Vec<u32> {
    let mut missing = vec![0; demand.len().div_ceil(bucket)];
    let changes = ready.changes();
    let ends = changes.iter().skip(1).map(|(point, _)| *point).chain([demand.len()]);
    for ((from, ready), until) in changes.iter().zip(ends) {
        for (point, demand) in (*from..until).zip(&demand[*from..until]) {
            let shortage = &mut missing[point / bucket];
            *shortage = demand.saturating_sub(*ready).max(*shortage);
        }
    }
    missing
}

fn shown(curve: &Curve) -> &[(usize, u32)] {
    let changes = curve.changes();
    &changes[..changes.len().min(CHANGES_MOST)]
}
