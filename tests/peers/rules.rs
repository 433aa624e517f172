//! Prometheus' own tool on our alert rules and our metrics.

use std::io::Write;
use std::process::{Command, Stdio};

const INSTALL: &str = "apt-get install -y prometheus";

/// Runs `promtool` with `input`; returns what it said when it found something.
fn promtool(arguments: &[&str], input: &str) -> Result<(), String> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child =
        child.unwrap_or_else(|e| panic!("promtool does not start ({e}); install it: {INSTALL}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn the_alert_rules_are_accepted() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/prometheus/alerts.yml");
    assert_eq!(promtool(&["check", "rules", rules], ""), Ok(()));
}

#[test]
fn the_alert_rules_fire_when_they_should_and_not_otherwise() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/prometheus/alerts.yml");
    let series = r#"
      - series: 'fleetscaler_build_info{version="1"}'
        values: '1x20'
      - series: 'fleetscaler_held{fleet="web",instance="a"}'
        values: '1x4 0x16'
      - series: 'fleetscaler_held{fleet="web",instance="b"}'
        values: '0x20'
      - series: 'fleetscaler_held{fleet="db",instance="a"}'
        values: '1x4 0x16'
      - series: 'fleetscaler_held{fleet="db",instance="b"}'
        values: '0x4 1x16'
      - series: 'fleetscaler_alert{fleet="web",account="",code="no_place",about=""}'
        values: '1x20'
"#;
    let test = format!(
        r#"
rule_files: ["{rules}"]
evaluation_interval: 15s
tests:
  - interval: 1m
    input_series: {series}
    alert_rule_test:
      - alertname: FleetscalerNoLeader
        eval_time: 4m
        exp_alerts: []
      - alertname: FleetscalerNoLeader
        eval_time: 10m
        exp_alerts:
          - exp_labels: {{ severity: critical, fleet: web }}
            exp_annotations: {{ summary: "no replica acts for fleet web" }}
      - alertname: FleetscalerTwoLeaders
        eval_time: 10m
        exp_alerts: []
      - alertname: FleetscalerDown
        eval_time: 10m
        exp_alerts: []
      - alertname: FleetscalerCannotGrow
        eval_time: 10m
        exp_alerts:
          - exp_labels: {{ severity: critical, fleet: web, code: no_place }}
            exp_annotations: {{ summary: "fleet web: no_place " }}
"#
    );
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("test.yml");
    std::fs::write(&file, test).expect("written");
    let file = file.to_str().expect("UTF-8");
    assert_eq!(promtool(&["test", "rules", file], ""), Ok(()));
}
