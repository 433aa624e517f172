//! Lines of the journal on a page of 80 columns: a heading for each day, the time, whom it
//! concerns, and what happened, wrapped. Pure.

use cloud::Timestamp;

use crate::cli::output::wrap;
use crate::model::number;

/// The width of a terminal that nobody resized.
const COLUMNS: usize = 80;
/// Longer names are cut; the whole name stands in --json.
const NAME_MOST: usize = 20;

/// The text of one entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EntryLine {
    pub(super) at: Timestamp,
    /// A fleet, an account, or everybody.
    pub(super) whose: String,
    pub(super) text: String,
    pub(super) folds: Folds,
}

/// The entries right before it with which an entry becomes one line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Folds {
    /// With the same of the same.
    Same,
    /// A boot of an instance of this type in this zone, with other boots there.
    Boot { instance_type: String, zone: String, secs: f64 },
}

/// A line for each run of entries that say the same, with how many there are and when the last was.
pub(super) fn fold(lines: Vec<EntryLine>) -> Vec<EntryLine> {
    let mut runs: Vec<Vec<EntryLine>> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|before| before.is_like(&line)) => run.push(line),
            _ => runs.push(vec![line]),
        }
    }
    runs.into_iter().filter_map(folded).collect()
}

fn folded(run: Vec<EntryLine>) -> Option<EntryLine> {
    let (count, last) = (run.len(), run.last()?.at);
    let secs = run.iter().filter_map(|line| match line.folds {
        Folds::Boot { secs, .. } => Some(secs),
        Folds::Same => None,
    });
    let (least, most) =
        secs.fold((f64::MAX, f64::MIN), |(least, most), s| (least.min(s), most.max(s)));
    let mut line = run.into_iter().next()?;
    if count == 1 {
        return Some(line);
    }
    let until = last.format("%H:%M:%SZ");
    line.text = match &line.folds {
        Folds::Boot { instance_type, zone, .. } => format!(
            "{count} boots of {instance_type} in {zone} until {until}: {} to {} s",
            number(least),
            number(most),
        ),
        Folds::Same => format!("{} ({count} times until {until})", line.text),
    };
    Some(line)
}

impl EntryLine {
    fn is_like(&self, other: &EntryLine) -> bool {
        let same_text = match (&self.folds, &other.folds) {
            (
                Folds::Boot { instance_type: a, zone: b, .. },
                Folds::Boot { instance_type: c, zone: d, .. },
            ) => (a, b) == (c, d),
            (Folds::Same, Folds::Same) => self.text == other.text,
            _ => false,
        };
        same_text && self.whose == other.whose
    }

    /// The whole entry on one line, for programs.
    pub(super) fn on_one_line(&self) -> String {
        format!("{} {}  {}", self.at.format("%Y-%m-%d %H:%M:%SZ"), self.whose, self.text)
    }
}

/// The lines of `lines` as they are printed.
pub(super) fn page(lines: &[EntryLine]) -> Vec<String> {
    let longest = lines.iter().map(|line| line.whose.chars().count()).max().unwrap_or_default();
    let names = longest.min(NAME_MOST);
    // "12:04:10Z web  ".
    let indent = 10 + names + 2;
    let mut page = Vec::new();
    let mut day = String::new();
    for line in lines {
        let today = line.at.format("%Y-%m-%d").to_string();
        if today != day {
            page.push(format!("{today} (UTC)"));
            day = today;
        }
        let time = line.at.format("%H:%M:%SZ");
        let whose = cut(&line.whose, names);
        for (n, part) in wrap(&line.text, COLUMNS - indent).into_iter().enumerate() {
            page.push(match n {
                0 => format!("{time} {whose:<names$}  {part}"),
                _ => format!("{:indent$}{part}", ""),
            });
        }
    }
    page
}

fn cut(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let kept: String = name.chars().take(most - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_one_line_and_what_is_between_parts_it() {
        let line = |secs: u32, text: &str| EntryLine {
            at: format!("2026-01-02T12:00:{secs:02}Z").parse().expect("a valid time"),
            whose: "web".to_owned(),
            text: text.to_owned(),
            folds: Folds::Same,
        };
        let boot = |at: u32, secs: f64, zone: &str| EntryLine {
            folds: Folds::Boot {
                instance_type: "ecs.c7.large".to_owned(),
                zone: zone.to_owned(),
                secs,
            },
            ..line(at, "boot: …")
        };
        let texts: Vec<String> = fold(vec![
            boot(1, 5.1, "h"),
            boot(2, 4.8, "h"),
            boot(3, 9.0, "i"),
            line(4, "refused"),
            line(5, "refused"),
            line(6, "other"),
            line(7, "refused"),
        ])
        .into_iter()
        .map(|line| line.text)
        .collect();
        assert_eq!(
            texts,
            [
                "2 boots of ecs.c7.large in h until 12:00:02Z: 4.8 to 5.1 s",
                "boot: …",
                "refused (2 times until 12:00:05Z)",
                "other",
                "refused",
            ]
        );
    }

    #[test]
    fn a_page_has_a_heading_a_day_and_fits_80_columns() {
        let at = |text: &str| text.parse().expect("a valid time");
        let long = "4 → 6: cpu = 88 > 75 for 2 samples: add 2; scale-out cool-down until 12:00:00Z; \
                    max = 6 is reached";
        let line = |time, whose: &str, text: &str| EntryLine {
            at: at(time),
            whose: whose.to_owned(),
            text: text.to_owned(),
            folds: Folds::Same,
        };
        let page = page(&[
            line("2026-01-02T23:59:59Z", "web", long),
            line("2026-01-03T00:00:01Z", "a-fleet-with-a-name-that-goes-on-for-long", "x"),
        ]);
        assert_eq!(page[0], "2026-01-02 (UTC)");
        assert!(page[1].starts_with("23:59:59Z web                   4 → 6: cpu"), "{page:?}");
        assert!(page.contains(&"2026-01-03 (UTC)".to_owned()));
        assert_eq!(page.last().expect("a line"), "00:00:01Z a-fleet-with-a-name…  x");
        assert!(page.iter().all(|line| line.chars().count() <= 80), "{page:?}");
    }
}
