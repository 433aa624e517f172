//! Lines of the journal on a page of 80 columns: a heading for each day, the time, whom it
//! concerns, and what happened, wrapped. Pure.

use cloud::Timestamp;

use crate::cli::output::wrap;

/// The width of a terminal that nobody resized.
const COLUMNS: usize = 80;
/// Longer names are cut; the whole name stands in --json.
const NAME_MOST: usize = 20;

/// The text of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryLine {
    pub(super) at: Timestamp,
    /// A fleet, an account, or everybody.
    pub(super) whose: String,
    pub(super) text: String,
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
    fn a_page_has_a_heading_a_day_and_fits_80_columns() {
        let at = |text: &str| text.parse().expect("a valid time");
        let long = "4 → 6: cpu = 88 > 75 for 2 samples: add 2; scale-out cool-down until 12:00:00Z; \
                    max = 6 is reached";
        let line = |time, whose: &str, text: &str| EntryLine {
            at: at(time),
            whose: whose.to_owned(),
            text: text.to_owned(),
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
