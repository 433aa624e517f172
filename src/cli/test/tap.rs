//! Results as lines, in the form of the Test Anything Protocol: `ok` or `not ok`, what else is known
//! behind `#`.

use super::{Outcome, Verdict, when};
use crate::cli::output;

/// The `n`th result.
pub(super) fn print(n: usize, verdict: &Verdict) {
    for line in lines(n, verdict) {
        output::line(&line);
    }
}

/// The last line, where there is something to add up.
pub(super) fn print_sum(verdicts: &[Verdict]) {
    let passed = verdicts.iter().filter(|verdict| matches!(verdict.result, Outcome::Passed));
    let passed = passed.count();
    if passed < verdicts.len() {
        output::line(&format!("# {passed} of {} pass", verdicts.len()));
    }
}

fn lines(n: usize, verdict: &Verdict) -> Vec<String> {
    let Verdict { file, title, result, trace } = verdict;
    let ok = if matches!(result, Outcome::Passed) { "ok" } else { "not ok" };
    let title = match result {
        Outcome::Bad(_) => "the file has problems",
        Outcome::Passed | Outcome::Missed(_) => title.as_str(),
    };
    // What stands behind a `#` would be a directive.
    let name = format!("{file}: {title}").replace('#', "\\#");
    let mut lines = vec![format!("{ok} {n} - {name}")];
    let told = trace.iter().cloned().chain(details(file, result));
    lines.extend(
        told.flat_map(|text| text.lines().map(|line| format!("#   {line}")).collect::<Vec<_>>()),
    );
    lines
}

/// Why it is not ok, in lines; the same for people and for JUnit.
pub(super) fn details(file: &str, result: &Outcome) -> Vec<String> {
    match result {
        Outcome::Passed => Vec::new(),
        Outcome::Bad(problems) => problems.iter().map(ToString::to_string).collect(),
        Outcome::Missed(misses) => {
            let mut lines = Vec::new();
            for miss in misses {
                lines.push(format!("{file}:{}: at {}", miss.line, when(miss.at, miss.tick)));
                for difference in &miss.differences {
                    lines.push(format!("  expected  {}", difference.expected));
                    lines.push(format!("  got       {}", difference.got));
                }
                lines.push(format!("  decision  {}", miss.why));
            }
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::Timestamp;

    use super::*;
    use crate::backtest::scenario::{Difference, Miss};
    use crate::model::Span;

    #[test]
    fn a_failure_tells_where_what_was_expected_what_came_and_why() {
        let tick: Timestamp = "2026-01-05T08:06:00Z".parse().expect("a time");
        let difference =
            Difference { expected: "desired = 6".to_owned(), got: "desired = 5".to_owned() };
        let miss = Miss {
            line: 12,
            at: Span::secs(360),
            tick,
            differences: vec![difference],
            why: "4 → 5: cpu = 90 > 75: add 1".to_owned(),
        };
        let verdict = Verdict {
            file: "x.toml".to_owned(),
            title: "rule #1".to_owned(),
            result: Outcome::Missed(vec![miss]),
            trace: vec!["0s (08:00:00Z): stays at 4".to_owned()],
        };
        let expected = "\
not ok 3 - x.toml: rule \\#1
#   0s (08:00:00Z): stays at 4
#   x.toml:12: at 6m (08:06:00Z)
#     expected  desired = 6
#     got       desired = 5
#     decision  4 → 5: cpu = 90 > 75: add 1";
        assert_eq!(lines(3, &verdict).join("\n"), expected);
    }
}
