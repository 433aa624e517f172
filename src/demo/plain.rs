//! The story as lines, for pipes and logs.

use std::time::Duration;

use super::page::TOKEN;
use super::story::Story;
use crate::model::wrap;

/// The width of a terminal that nobody resized.
const COLUMNS: usize = 80;
/// ` 1:05  → `.
const INDENT: usize = 9;

/// A line about the load at least this often.
const EVERY: Duration = Duration::from_secs(5);

/// The introduction for the viewer.
pub(super) fn introduce(print: fn(&str), config: &str, page: &str) {
    print(&format!("Its page: {page}  (to hold or set the fleet there, the token is {TOKEN})\n"));
    print("The real daemon, over signed HTTP, on an embedded ECS with this configuration:\n");
    for line in config.lines() {
        print(&format!("    {line}"));
    }
    print("");
}

/// The lines that have been told already.
#[derive(Debug, Default)]
pub(super) struct ToldSoFar {
    decisions: Option<(Duration, String)>,
    load_at: Option<Duration>,
}

impl ToldSoFar {
    /// The new lines, in the order of time, for 80 columns.
    pub(super) fn tell(&mut self, story: &Story) -> Vec<String> {
        let mut told = Vec::new();
        let new: Vec<_> = story
            .decisions
            .iter()
            .rev()
            .take_while(|line| self.decisions.as_ref() != Some(&(line.elapsed, line.text.clone())))
            .collect();
        for line in new.iter().rev() {
            let mark = if line.acts { "→" } else { "·" };
            for (n, part) in wrap(&line.text, COLUMNS - INDENT).into_iter().enumerate() {
                told.push(match n {
                    0 => format!("{}  {mark} {part}", time(line.elapsed)),
                    _ => format!("{:INDENT$}{part}", ""),
                });
            }
        }
        if let Some(line) = story.decisions.back() {
            self.decisions = Some((line.elapsed, line.text.clone()));
        }
        // A decision was made since the last look, so it comes before what is seen now.
        if let Some(point) = story.points.last()
            && self.load_at.is_none_or(|at| story.elapsed >= at + EVERY)
        {
            self.load_at = Some(story.elapsed);
            told.push(format!(
                "{}  load {:3.0} %  cpu {:3.0} %  serving {}  booting {}",
                time(story.elapsed),
                point.load,
                point.cpu,
                point.serving,
                point.booting,
            ));
        }
        told
    }
}

/// `1:05`.
pub(super) fn time(elapsed: Duration) -> String {
    format!("{:2}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::super::story::{ChartPoint, DecisionLine};
    use super::*;

    #[test]
    fn lines_fit_80_columns_and_come_in_the_order_of_time() {
        let mut story = Story::new(Duration::from_secs(120), String::new());
        story.elapsed = Duration::from_secs(10);
        story.points.push(ChartPoint { secs: 10.0, load: 40.0, cpu: 88.0, serving: 4, booting: 2 });
        let text = "stays at 4 (recommended 6): cpu was measured with 4 in service and is answered \
                    by the 6 that there are now or soon";
        let elapsed = Duration::from_secs(9);
        story.decisions.push_back(DecisionLine { elapsed, text: text.to_owned(), acts: false });
        let told = ToldSoFar::default().tell(&story);
        assert!(told[0].starts_with(" 0:09  · stays at 4"), "{told:?}");
        assert!(told[1].starts_with("         ") && told[2].starts_with(" 0:10  load"), "{told:?}");
        assert!(told.iter().all(|line| line.chars().count() <= 80), "{told:?}");
    }
}
