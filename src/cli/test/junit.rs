//! Results as JUnit XML, which CI servers read. No times stand in it: equal runs give equal files.

use std::fmt::Write as _;

use super::{Outcome, Verdict, tap};

/// The whole document.
pub(super) fn text(verdicts: &[Verdict]) -> String {
    let count = |is: fn(&Outcome) -> bool| verdicts.iter().filter(|v| is(&v.result)).count();
    let failures = count(|result| matches!(result, Outcome::Missed(_)));
    let errors = count(|result| matches!(result, Outcome::Bad(_)));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"fleetscaler\" \
         tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">\n",
        verdicts.len()
    );
    verdicts.iter().for_each(|verdict| xml.push_str(&case(verdict)));
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn case(verdict: &Verdict) -> String {
    let Verdict { file, title, result, .. } = verdict;
    let mut xml =
        format!("    <testcase classname=\"{}\" name=\"{}\"", escaped(file), escaped(title));
    let (element, message) = match result {
        Outcome::Passed => {
            xml.push_str("/>\n");
            return xml;
        }
        Outcome::Missed(misses) => {
            let differences = misses.iter().flat_map(|miss| &miss.differences);
            let told = differences.map(|d| format!("expected {}, got {}", d.expected, d.got));
            ("failure", told.collect::<Vec<_>>().join("; "))
        }
        Outcome::Bad(_) => ("error", "the file has problems".to_owned()),
    };
    let body = tap::details(file, result).join("\n");
    write!(
        xml,
        ">\n      <{element} message=\"{}\">{}</{element}>\n    </testcase>\n",
        escaped(&message),
        escaped(&body)
    )
    .expect("a text takes all that is written to it");
    xml
}

/// `text` within XML: what is markup, and what XML 1.0 cannot hold at all, is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_counts_and_escapes() {
        let verdict = |title: &str, result| Verdict {
            file: "a&b.toml".to_owned(),
            title: title.to_owned(),
            result,
            trace: Vec::new(),
        };
        let miss = crate::backtest::scenario::Miss {
            line: 7,
            at: crate::model::Span::secs(60),
            tick: "2026-01-05T08:01:00Z".parse().expect("a time"),
            differences: vec![crate::backtest::scenario::Difference {
                expected: "desired = 6".to_owned(),
                got: "desired = 5".to_owned(),
            }],
            why: "cpu > 75".to_owned(),
        };
        let verdicts =
            [verdict("fine \u{1}", Outcome::Passed), verdict("x<y", Outcome::Missed(vec![miss]))];
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites>
  <testsuite name=\"fleetscaler\" tests=\"2\" failures=\"1\" errors=\"0\">
    <testcase classname=\"a&amp;b.toml\" name=\"fine \u{fffd}\"/>
    <testcase classname=\"a&amp;b.toml\" name=\"x&lt;y\">
      <failure message=\"expected desired = 6, got desired = 5\">a&amp;b.toml:7: at 1m (08:01:00Z)
  expected  desired = 6
  got       desired = 5
  decision  cpu &gt; 75</failure>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(text(&verdicts), expected);
    }
}
