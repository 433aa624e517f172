//! The differences between a fleet as it runs and as it is configured now. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::control::FleetInWorld;

/// Longer values are named, not shown: a query may have thousands of characters.
const SHOWN_MAX: usize = 60;
/// A script may have secrets in it.
const NOT_SHOWN: [&str; 1] = ["user_data"];

/// One setting that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Such as `max` or `rules.threshold-cpu.scale_out.by`.
    pub setting: String,
    /// `None`: it was not set, or it is not shown.
    pub before: Option<String>,
    /// `None`: it is not set any more, or it is not shown.
    pub after: Option<String>,
}

impl Difference {
    /// Of the setting of that name.
    #[must_use]
    pub fn new(setting: &str, before: Option<String>, after: Option<String>) -> Difference {
        Difference { setting: setting.to_owned(), before, after }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { setting, before, after } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "{setting} {before} → {after}"),
            (None, Some(after)) => write!(f, "{setting} is {after} now"),
            (Some(before), None) => write!(f, "{setting} was {before}, and is not set any more"),
            (None, None) => write!(f, "{setting} differs"),
        }
    }
}

/// In the order of the settings' names; empty when nothing differs.
pub(super) fn between(before: &FleetInWorld, after: &FleetInWorld) -> Vec<Difference> {
    let mut differences = Vec::new();
    if before.interval != after.interval {
        let of = |member: &FleetInWorld| Some(member.interval.to_string());
        differences.push(Difference::new("interval", of(before), of(after)));
    }
    if before.sources_hash != after.sources_hash {
        differences.push(Difference::new("signal sources", None, None));
    }
    if before.fleet != after.fleet {
        let value = |member: &FleetInWorld| {
            serde_json::to_value(&member.fleet).expect("a fleet has no keys but texts")
        };
        walk("", Some(&value(before)), Some(&value(after)), &mut differences);
    }
    differences
}

fn walk(at: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    if let (Some(before), Some(after)) = (parts(before), parts(after)) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            walk(&at, before.get(name).copied(), after.get(name).copied(), found);
        }
        return;
    }
    let last = at.rsplit('.').next().unwrap_or(at);
    let at = &configured(at);
    let shown = |value: Option<&Value>| {
        let text = match value? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let short = text.chars().count() <= SHOWN_MAX && !NOT_SHOWN.contains(&last);
        short.then(|| cloud::text::one_line(&text))
    };
    let is_set = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
    let difference = Difference::new(at, shown(before), shown(after));
    let hidden = (is_set(before) && difference.before.is_none())
        || (is_set(after) && difference.after.is_none());
    found.push(if hidden { Difference::new(at, None, None) } else { difference });
}

/// The name of a setting in the configuration, by its name in the records.
fn configured(at: &str) -> String {
    const NAMES: [(&str, &str); 7] = [
        ("bounds.", ""),
        ("launch.spec.", "launch."),
        ("brakes.launches_per_hour", "max_launches_per_hour"),
        ("brakes.removals_per_hour", "max_removals_per_hour"),
        ("brakes.removal_percent", "max_removal_percent"),
        ("account_brakes.", "the account's "),
        ("boot_timeout.span", "boot_timeout"),
    ];
    let known = NAMES.iter().find_map(|(ours, theirs)| Some((theirs, at.strip_prefix(ours)?)));
    known.map_or_else(|| at.to_owned(), |(theirs, rest)| format!("{theirs}{rest}"))
}

/// The parts of a table, or of a list of tables that have names.
fn parts(value: Option<&Value>) -> Option<BTreeMap<String, &Value>> {
    match value? {
        Value::Object(table) => {
            Some(table.iter().map(|(name, value)| (name.clone(), value)).collect())
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|item| Some((item.get("name")?.as_str()?.to_owned(), item))).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let mut found = Vec::new();
        walk("", Some(before), Some(after), &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_setting_that_differs_is_named_with_both_values() {
        let before = json!({
            "bounds": { "min": 2, "max": 20 }, "warmup": 60, "user_data": "secret", "base": null,
            "rules": [{ "name": "cpu", "above": 75.0 }, { "name": "old", "above": 1.0 }],
            "types": ["a", "b"], "query": "x",
        });
        let after = json!({
            "bounds": { "min": 2, "max": 30 }, "warmup": 60, "user_data": "other", "base": "b",
            "rules": [{ "name": "cpu", "above": 70.5 }], "types": ["b"], "query": "y".repeat(99),
        });
        assert_eq!(
            told(&before, &after),
            [
                "base is b now",
                "max 20 → 30",
                "query differs",
                "rules.cpu.above 75.0 → 70.5",
                r#"rules.old was {"above":1.0,"name":"old"}, and is not set any more"#,
                "types [\"a\",\"b\"] → [\"b\"]",
                "user_data differs",
            ]
        );
        assert_eq!(told(&before, &before), [""; 0]);
    }
}
