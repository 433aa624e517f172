//! Where two JSON texts differ, for a person. Pure.

use serde_json::Value;

use crate::cli::output::wrap;

/// A value longer than this is cut: the place tells where to look.
const SHOWN: usize = 160;

/// One place that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    place: String,
    recorded: String,
    replayed: String,
}

impl Difference {
    /// For 80 columns.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("  {}", self.place)];
        for (label, value) in [("recorded", &self.recorded), ("replayed", &self.replayed)] {
            for (n, line) in wrap(value, 64).into_iter().enumerate() {
                lines.push(format!("    {:<9} {line}", if n == 0 { label } else { "" }));
            }
        }
        lines
    }
}

/// The places in which `after` differs from `before`, the deepest that do.
pub(super) fn between(part: &str, before: &str, after: &str) -> Vec<Difference> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let mut found = Vec::new();
    compare(part, Some(&value(before)), Some(&value(after)), &mut found);
    if found.is_empty() && before != after {
        // The same values in another form.
        found.push(Difference {
            place: part.to_owned(),
            recorded: cut(before),
            replayed: cut(after),
        });
    }
    found
}

fn compare(
    place: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                compare(&format!("{place}.{key}"), before.get(key), after.get(key), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for n in 0..before.len().max(after.len()) {
                compare(&format!("{place}[{n}]"), before.get(n), after.get(n), found);
            }
        }
        (before, after) if before == after => {}
        (before, after) => {
            let shown = |value: Option<&Value>| {
                value.map_or_else(|| "(absent)".to_owned(), |value| cut(&value.to_string()))
            };
            let (recorded, replayed) = (shown(before), shown(after));
            found.push(Difference { place: place.to_owned(), recorded, replayed });
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let kept: String = text.chars().take(SHOWN).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_its_place_and_both_values() {
        let found = between(
            "decision",
            r#"{"desired":5,"reasons":[{"reason":"probing"}],"same":[1]}"#,
            r#"{"desired":4,"reasons":[],"same":[1]}"#,
        );
        let lines: Vec<String> = found.iter().flat_map(Difference::lines).collect();
        assert_eq!(
            lines,
            [
                "  decision.desired",
                "    recorded  5",
                "    replayed  4",
                "  decision.reasons[0]",
                "    recorded  {\"reason\":\"probing\"}",
                "    replayed  (absent)",
            ]
        );
        assert_eq!(between("plan", "{\"a\":1}", "{\"a\":1}"), []);
        assert_eq!(between("plan", "{\"a\":1}", "{ \"a\": 1 }").len(), 1, "to the last byte");
    }
}
