//! The scenarios of the documentation are true, and there is one for each kind of rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetscaler::backtest::scenario::check;
use fleetscaler::config::{Env, load_scenario, parse_scenario};
use fleetscaler::model::{RuleKind, Scenario, Step};

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios");
    let entries = fs::read_dir(dir).expect("docs/scenarios");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Scenario {
    load_scenario(path).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_scenario_of_the_documentation_comes_true() {
    let files = files();
    assert!(files.len() >= 12, "{files:?}");
    for path in files {
        let scenario = read(&path);
        assert!(scenario.description.is_some(), "{} tells what it is about", path.display());
        assert_eq!(check(&scenario), [], "{}", path.display());
    }
}

#[test]
fn every_kind_of_rule_has_a_scenario() {
    let kind = |kind: &RuleKind| match kind {
        RuleKind::Threshold(_) => "threshold",
        RuleKind::Adaptive(_) => "adaptive",
        RuleKind::Target(_) => "target",
        RuleKind::Step(_) => "step",
        RuleKind::Queue(_) => "queue",
        RuleKind::External(_) => "external",
        RuleKind::Schedule(_) => "schedule",
        RuleKind::Fixed(_) => "fixed",
    };
    let scenarios: Vec<Scenario> = files().iter().map(|path| read(path)).collect();
    let rules = scenarios.iter().flat_map(|scenario| &scenario.fleet.rules);
    let kinds: BTreeSet<&str> = rules.map(|rule| kind(&rule.kind)).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}

/// Each of them fails when it should: one that expects what is not so is not true by accident.
#[test]
fn every_scenario_notices_another_decision() {
    for path in files() {
        let mut scenario = read(&path);
        for expected in &mut scenario.expectations {
            expected.desired = Some(9_999);
        }
        let misses = check(&scenario);
        assert_eq!(misses.len(), scenario.expectations.len(), "{}", path.display());
    }
}

/// The scenario that is shown there, of the example's fleet; with another step it would fail as is shown.
#[test]
fn the_scenario_in_the_text_is_true() {
    let text = include_str!("../../docs/policies.md");
    let shown = text.split("```toml\n").find(|block| block.contains("[[expect]]"));
    let shown = shown.and_then(|block| block.split("```").next()).expect("a scenario");
    let of_example = shown.replace("\"config.toml\"", "\"config.example.toml\"");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web.toml");
    let mut scenario = parse_scenario(&of_example, &path, &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(check(&scenario), []);
    let RuleKind::Threshold(rule) = &mut scenario.fleet.rules[0].kind else { panic!("CPU") };
    rule.scale_out.as_mut().expect("it grows").by = Step::Count(1);
    let misses = check(&scenario);
    let [miss] = &misses[..] else { panic!("{misses:?}") };
    let difference = &miss.differences[0];
    for line in [
        format!("web.toml:{}: at 1m15s (08:01:15Z)", miss.line),
        format!("  expected  {}", difference.expected),
        format!("  got       {}", difference.got),
        format!("  decision  {}", miss.why),
    ] {
        assert!(text.contains(&line), "{line}");
    }
}
