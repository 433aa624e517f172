//! The story as lines, for pipes and logs.

use std::time::Duration;

use super::story::Story;

/// A line about the load at least this often.
const EVERY: Duration = Duration::from_secs(5);

/// What the viewer is about to see.
pub(super) fn introduce(print: fn(&str), config: &str) {
    print("The real daemon, over signed HTTP, on an embedded ECS with this configuration:\n");
    for line in config.lines() {
        print(&format!("    {line}"));
    }
    print("");
}

/// What has been told already.
#[derive(Debug, Default)]
pub(super) struct Told {
    decisions: Option<(Duration, String)>,
    load_at: Option<Duration>,
}

impl Told {
    /// Prints what is new.
    pub(super) fn tell(&mut self, story: &Story, print: fn(&str)) {
        if let Some(point) = story.points.last()
            && self.load_at.is_none_or(|at| story.elapsed >= at + EVERY)
        {
            self.load_at = Some(story.elapsed);
            print(&format!(
                "{}  load {:3.0} %  cpu {:3.0} %  serving {}  booting {}",
                time(story.elapsed),
                point.load,
                point.cpu,
                point.serving,
                point.booting,
            ));
        }
        let new: Vec<_> = story
            .decisions
            .iter()
            .rev()
            .take_while(|line| self.decisions.as_ref() != Some(&(line.elapsed, line.text.clone())))
            .collect();
        for line in new.iter().rev() {
            let mark = if line.acts { "→" } else { "·" };
            print(&format!("{}  {mark} {}", time(line.elapsed), line.text));
        }
        if let Some(line) = story.decisions.back() {
            self.decisions = Some((line.elapsed, line.text.clone()));
        }
    }
}

/// `1:05`.
pub(super) fn time(elapsed: Duration) -> String {
    format!("{:2}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}
