//! The daemon is killed at every boundary of a scale-out and of a scale-in, and ends exactly right.
//!
//! The real binary runs on a SQLite file against an emulator and a metrics endpoint in this process.
//! A first run of each script, without a crash, writes down every point that it passes
//! (`src/failpoint.rs`); then the script is played once for each of them, with a process that kills
//! itself there. Nothing is helped along: it is started again, and must find its way.

mod cases;
mod daemon;
mod proof;
mod story;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use cases::Case;
use story::Story;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Stories that are told at a time. Most of each is waiting: for boots, cool-downs and intervals.
const AT_A_TIME: usize = 24;

/// Fewer points than this mean that something was not recorded, not that there is less to do: a
/// script has the three boundaries of an action, twice each, and those of a tick.
const POINTS_LEAST: usize = 12;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "which points there are is for people, too")]
async fn killed_at_any_point_the_daemon_ends_with_the_right_machines() {
    let references = tell(cases::references()).await;
    let mut cases = cases::answers_lost();
    let mut passed = BTreeSet::new();
    for (case, points) in &references {
        let points = points.as_ref().unwrap_or_else(|why| panic!("{}: {why}", case.name()));
        println!("{}: {}", case.name(), cases::summary(points));
        passed.extend(points.iter().filter_map(|point| point.split(':').next().map(str::to_owned)));
        let more = cases::killed_at(case, points);
        let least = if case.is_recovery() { POINTS_LEAST / 2 } else { POINTS_LEAST };
        assert!(more.len() >= least, "{}: only {} points", case.name(), more.len());
        cases.extend(more);
    }
    let marked = cases::marked_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let missed: Vec<&String> = marked.difference(&passed).collect();
    assert!(missed.is_empty(), "no script comes to these points: {missed:?}");

    let told = tell(cases).await;
    let failed: Vec<String> = told
        .iter()
        .filter_map(|(case, end)| Some(format!("{}: {}", case.name(), end.as_ref().err()?)))
        .collect();
    println!("{} crashes, {} of them ended wrong", told.len(), failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Plays `cases`, a few at a time. Each ends with the points that its last process passed, or with
/// what is wrong.
async fn tell(cases: Vec<Case>) -> Vec<(Case, Result<Vec<String>, String>)> {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut stories = JoinSet::new();
    for case in cases {
        let places = places.clone();
        stories.spawn(async move {
            let _place = places.acquire().await.expect("nobody closes it");
            let end = Story::tell(&case).await;
            (case, end)
        });
    }
    stories.join_all().await
}

/// What `strings` would show: `layering.rs` looks for the same in a build without the feature.
#[test]
fn the_binary_under_test_has_the_points() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_fleetscaler")).expect("the binary");
    let needle = b"FLEETSCALER_FAILPOINT";
    assert!(binary.windows(needle.len()).any(|window| window == needle));
}
