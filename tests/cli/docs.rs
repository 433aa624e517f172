//! The texts written for people are complete: metrics, alert codes, rules. The packages hold the same.

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
    let mut told: BTreeSet<String> = words(OPERATING, "fleetscaler_");
    told.append(&mut words(OPERATING, "process_"));
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

/// The files of a package: what each is made of, and the place where it goes.
fn packaged(kind: &str) -> BTreeSet<(String, String)> {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().expect("a manifest");
    let assets = &manifest["package"]["metadata"][kind]["assets"];
    let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
    let files = assets.as_array().expect("a list").iter().map(|asset| match asset {
        toml::Value::Array(parts) => (text(&parts[0]), format!("/{}", text(&parts[1]))),
        asset => (text(&asset["source"]), text(&asset["dest"])),
    });
    let in_full = files.map(|(source, place)| {
        let name = source.rsplit('/').next().expect("a name");
        let is_folder = place.ends_with('/') && !name.contains('*');
        let place = if is_folder { format!("{place}{name}") } else { place };
        (source, place)
    });
    in_full.collect()
}

#[test]
fn both_packages_hold_the_same_files_in_places_that_the_operators_page_names() {
    let (deb, mut rpm) = (packaged("deb"), packaged("generate-rpm"));
    // cargo-deb installs the unit by itself.
    let unit = rpm.iter().find(|(source, _)| source.ends_with(".service")).cloned();
    rpm.remove(&unit.expect("the unit"));
    let sources = |files: &BTreeSet<(String, String)>| {
        files.iter().map(|(source, _)| source.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(sources(&deb), sources(&rpm));
    let only_in_one: Vec<&String> = deb.symmetric_difference(&rpm).map(|(_, at)| at).collect();
    // Debian has a folder of its own for what packages bring to zsh.
    assert!(only_in_one.iter().all(|place| place.contains("/zsh/")), "{only_in_one:?}");
    let packages = OPERATING.split("\n## ").find(|part| part.starts_with("Packages"));
    let packages = packages.expect("a section on packages");
    for (_, place) in deb.iter().chain(&rpm) {
        let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_told = packages.contains(&format!("`{place}`"));
        assert!(is_told || packages.contains(&format!("`{folder}`")), "{place}");
    }
}
