//! The texts written for people are complete: metrics, alert codes, rules.

use std::collections::BTreeSet;

use fleetscaler::model::AlertCode;
use fleetscaler::observe;

const OPERATING: &str = include_str!("../../docs/operating.md");
const RULES: &str = include_str!("../../packaging/prometheus/alerts.yml");

/// Every word of `text` that begins with `start`.
fn words(text: &str, start: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with(start));
    words.map(str::to_owned).collect()
}

#[test]
fn every_metric_stands_in_the_operators_table_and_no_other() {
    let metrics: BTreeSet<String> = observe::names().into_iter().collect();
    let told: BTreeSet<String> = words(OPERATING, "fleetscaler_");
    assert_eq!(told, metrics);
}

#[test]
fn the_rules_use_metrics_that_exist_and_cover_every_alert_once() {
    let metrics: BTreeSet<String> = observe::names().into_iter().collect();
    for used in words(RULES, "fleetscaler_") {
        assert!(metrics.contains(&used), "{used}");
    }
    for code in AlertCode::ALL {
        let rules = RULES.lines().filter(|line| {
            line.contains("fleetscaler_alert{") && words(line, code.name()).contains(code.name())
        });
        assert_eq!(rules.count(), 1, "{code}");
    }
}

#[test]
fn every_rule_tells_what_to_do() {
    let rules = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let rules: Vec<&str> = rules.collect();
    assert!(rules.len() >= 10, "{rules:?}");
    for rule in rules {
        assert!(OPERATING.contains(&format!("`{rule}`")), "{rule}");
    }
}
