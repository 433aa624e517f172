//! `fleetscaler promote`: the shadow rules of a fleet become its rules, in the configuration file.

use anyhow::Context;

use super::args::{PromoteArgs, config_flag};
use super::hold::fleet_of;
use super::{Exit, output, replace};
use crate::config::{self, Edit, Promotion};

/// Lines shown around each change, as `diff -u` has them.
const AROUND: usize = 3;

pub(super) async fn run(args: PromoteArgs) -> anyhow::Result<Exit> {
    let beside = match output::load_for_command(&args.config, "promote") {
        Ok(beside) => beside,
        Err(exit) => return Ok(exit),
    };
    let fleet = match fleet_of(&beside, &args.fleet) {
        Ok(fleet) => fleet,
        Err(exit) => return Ok(exit),
    };
    let Promotion { path, edits } = match config::promote(&args.config, &fleet) {
        Ok(promotion) => promotion,
        Err(error) => {
            output::error(&format!("{error}\nnothing is written"));
            return Ok(Exit::Config);
        }
    };
    let shown = path.display();
    output::line(&format!("--- {shown}\n+++ {shown}"));
    diff(&edits).iter().for_each(|line| output::line(line));
    if !args.write {
        output::note("nothing is written; with --write it is");
        return Ok(Exit::Ok);
    }
    let before: String = edits.iter().filter_map(|edit| edit.before.as_deref()).collect();
    replace::replace(&path, &before, &config::promoted_text(&edits))
        .with_context(|| format!("{shown} cannot be written"))?;
    let flag = config_flag(&args.config);
    output::note(&format!("written; `fleetscaler reload{flag}` lets the daemon take it"));
    Ok(Exit::Ok)
}

/// The changes as a unified diff, without its first two lines.
fn diff(edits: &[Edit]) -> Vec<String> {
    let changed: Vec<usize> =
        (0..edits.len()).filter(|n| edits[*n].before != edits[*n].after).collect();
    let mut lines = Vec::new();
    let mut rest = &changed[..];
    while let Some(first) = rest.first() {
        let apart = rest.windows(2).position(|pair| pair[1] - pair[0] > 2 * AROUND);
        let (hunk, behind) = rest.split_at(apart.map_or(rest.len(), |n| n + 1));
        let last = hunk.last().unwrap_or(first);
        let (begin, end) = (first.saturating_sub(AROUND), (last + AROUND + 1).min(edits.len()));
        lines.extend(self::hunk(edits, begin, end));
        rest = behind;
    }
    lines
}

fn hunk(edits: &[Edit], begin: usize, end: usize) -> Vec<String> {
    let count = |edits: &[Edit], of: fn(&Edit) -> bool| edits.iter().filter(|e| of(e)).count();
    let range = |of: fn(&Edit) -> bool| {
        let (before, within) = (count(&edits[..begin], of), count(&edits[begin..end], of));
        format!("{},{within}", before + usize::from(within > 0))
    };
    let [old, new] = [range(|edit| edit.before.is_some()), range(|edit| edit.after.is_some())];
    let mut lines = vec![format!("@@ -{old} +{new} @@")];
    // Of a run of changes what goes stands first.
    let mut coming = Vec::new();
    for Edit { before, after } in &edits[begin..end] {
        if before == after {
            lines.append(&mut coming);
        }
        match (before, after) {
            (Some(before), Some(after)) if before == after => lines.push(shown(' ', before)),
            _ => {
                lines.extend(before.as_ref().map(|line| shown('-', line)));
                coming.extend(after.as_ref().map(|line| shown('+', line)));
            }
        }
    }
    lines.append(&mut coming);
    lines
}

fn shown(mark: char, line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(line) => format!("{mark}{line}"),
        None => format!("{mark}{line}\n\\ No newline at end of file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_near_each_other_are_one_hunk_and_others_are_not() {
        let mut edits: Vec<Edit> = (1..=20)
            .map(|n| {
                let line = Some(format!("{n}\n"));
                Edit { before: line.clone(), after: line }
            })
            .collect();
        edits[1].after = None;
        edits[2].after = Some("three\n".to_owned());
        edits[18].after = None;
        assert_eq!(
            diff(&edits),
            [
                "@@ -1,6 +1,5 @@",
                " 1",
                "-2",
                "-3",
                "+three",
                " 4",
                " 5",
                " 6",
                "@@ -16,5 +15,4 @@",
                " 16",
                " 17",
                " 18",
                "-19",
                " 20",
            ]
        );
    }
}
