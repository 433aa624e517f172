//! Prometheus' own tool on our alert rules and our metrics.

use std::collections::BTreeSet;
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

/// Each alert with series that fire it, when it does not yet and when it does, and the labels it has then.
/// Values are those of each minute.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "FleetscalerChangesNothing",
        ALERT_UNREADABLE,
        "1m",
        "5m",
        "severity: critical, code: cloud_unreadable, fleet: web",
    ),
    (
        "FleetscalerCannotGrow",
        ALERT_NO_PLACE,
        "4m",
        "8m",
        "severity: critical, code: no_place, fleet: web",
    ),
    ("FleetscalerAtMax", ALERT_AT_MAX, "9m", "12m", "severity: warning, code: at_max, fleet: web"),
    (
        "FleetscalerRenderFailed",
        ALERT_RENDER,
        "30s",
        "4m",
        "severity: critical, code: render_failed, fleet: web, about: nginx",
    ),
    (
        "FleetscalerBalancerFailed",
        ALERT_BALANCER,
        "30s",
        "4m",
        "severity: critical, code: balancer_failed, fleet: web, about: sgp-1",
    ),
    (
        "FleetscalerUnhealthy",
        ALERT_UNHEALTHY,
        "14m",
        "18m",
        "severity: warning, code: unhealthy, fleet: web",
    ),
    (
        "FleetscalerSignalMissing",
        ALERT_SIGNAL,
        "",
        "2m",
        "severity: warning, code: signal_missing, fleet: web, about: cpu",
    ),
    (
        "FleetscalerJournalDamaged",
        ALERT_DAMAGED,
        "",
        "2m",
        "severity: critical, code: journal_damaged, fleet: web",
    ),
    (
        "FleetscalerConfigRefused",
        ALERT_CONFIG,
        "9m",
        "12m",
        "severity: warning, code: config_refused",
    ),
    (
        "FleetscalerOddInstance",
        ALERT_ODD,
        "9m",
        "12m",
        "severity: warning, code: silent, fleet: web, about: i-1",
    ),
    (
        "FleetscalerAuditFinding",
        ALERT_STRAY,
        "9m",
        "12m",
        "severity: warning, code: stray, about: i-1",
    ),
    (
        "FleetscalerDown",
        "fleetscaler_build_info{version=\"1\"}|1x4",
        "4m",
        "14m",
        "severity: critical",
    ),
    (
        "FleetscalerTicksAreStale",
        "fleetscaler_last_tick_timestamp_seconds{fleet=\"web\"}|60x20",
        "2m",
        "8m",
        "severity: critical, fleet: web",
    ),
    (
        "FleetscalerJournalDown",
        "fleetscaler_journal_up{instance=\"a\"}|0x20",
        "30s",
        "4m",
        "severity: critical, instance: a",
    ),
    (
        "FleetscalerNoLeader",
        "fleetscaler_held{fleet=\"web\",instance=\"a\"}|1x4 0x16",
        "4m",
        "10m",
        "severity: critical, fleet: web",
    ),
    (
        "FleetscalerTwoLeaders",
        "fleetscaler_held{fleet=\"web\",instance=\"a\"}|2x20",
        "1m",
        "6m",
        "severity: critical, fleet: web",
    ),
    (
        "FleetscalerPlanRefused",
        "fleetscaler_ticks_total{fleet=\"web\",outcome=\"plan_refused\"}|0x5 1x15",
        "4m",
        "8m",
        "severity: critical, fleet: web, outcome: plan_refused",
    ),
    (
        "FleetscalerThrottled",
        "fleetscaler_api_throttled_total{account=\"aliyun\",action=\"RunInstances\"}|0x5 40x15",
        "4m",
        "9m",
        "severity: warning, account: aliyun, action: RunInstances",
    ),
    (
        "FleetscalerMetricCallsRunOut",
        "fleetscaler_metric_calls_month{account=\"aliyun\"}|700x4 900x16;\
         fleetscaler_metric_calls_month_free{account=\"aliyun\"}|1000x20",
        "3m",
        "8m",
        "severity: warning, account: aliyun",
    ),
];

const ALERT_UNREADABLE: &str = "fleetscaler_alert{fleet=\"web\",code=\"cloud_unreadable\"}|1x20";
const ALERT_NO_PLACE: &str = "fleetscaler_alert{fleet=\"web\",code=\"no_place\"}|1x20";
const ALERT_AT_MAX: &str = "fleetscaler_alert{fleet=\"web\",code=\"at_max\"}|1x20";
const ALERT_RENDER: &str =
    "fleetscaler_alert{fleet=\"web\",code=\"render_failed\",about=\"nginx\"}|1x20";
const ALERT_BALANCER: &str =
    "fleetscaler_alert{fleet=\"web\",code=\"balancer_failed\",about=\"sgp-1\"}|1x20";
const ALERT_UNHEALTHY: &str = "fleetscaler_alert{fleet=\"web\",code=\"unhealthy\"}|1x20";
const ALERT_SIGNAL: &str =
    "fleetscaler_alert{fleet=\"web\",code=\"signal_missing\",about=\"cpu\"}|1x20";
const ALERT_DAMAGED: &str = "fleetscaler_alert{fleet=\"web\",code=\"journal_damaged\"}|1x20";
const ALERT_CONFIG: &str = "fleetscaler_alert{code=\"config_refused\"}|1x20";
const ALERT_ODD: &str = "fleetscaler_alert{fleet=\"web\",code=\"silent\",about=\"i-1\"}|1x20";
const ALERT_STRAY: &str = "fleetscaler_alert{code=\"stray\",about=\"i-1\"}|1x20";

#[test]
fn each_alert_fires_in_its_time_and_not_before() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/prometheus/alerts.yml");
    let text = std::fs::read_to_string(rules).expect("the rules");
    let named: BTreeSet<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(named, CASES.iter().map(|case| case.0).collect(), "each has its case");
    let mut tests = String::new();
    for (name, series, before, after, labels) in CASES {
        let one = |one: &str| {
            let (series, values) = one.split_once('|').expect("a series and its values");
            format!("{{ series: '{series}', values: '{values}' }}")
        };
        let series = series.split(';').map(one).collect::<Vec<_>>().join(", ");
        let summary = summary(&text, name);
        let mut at = |time: &str, fires: bool| {
            if time.is_empty() {
                return;
            }
            let expected = match (fires, &summary) {
                (false, _) => "[]".to_owned(),
                (true, summary) => format!(
                    "[{{ exp_labels: {{ {labels} }}, exp_annotations: {{ summary: {summary:?} }} }}]"
                ),
            };
            tests.push_str(&format!(
                "  - interval: 1m\n    input_series: [{series}]\n    \
                 alert_rule_test: [{{ alertname: {name}, eval_time: {time}, exp_alerts: {expected} }}]\n"
            ));
        };
        at(before, false);
        at(after, true);
    }
    let test = format!("rule_files: [\"{rules}\"]\nevaluation_interval: 15s\ntests:\n{tests}");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("test.yml");
    std::fs::write(&file, test).expect("written");
    assert_eq!(promtool(&["test", "rules", file.to_str().expect("UTF-8")], ""), Ok(()));
}

/// The summary of the alert `name`, with the labels of its case filled in.
fn summary(text: &str, name: &str) -> String {
    let rule = text.split("- alert: ").find(|rule| rule.lines().next() == Some(name));
    let line = rule.and_then(|rule| rule.lines().find(|line| line.contains("summary: ")));
    let (_, summary) = line.expect("a summary").split_once("summary: ").expect("it has one");
    let labels = CASES.iter().find(|case| case.0 == name).map_or("", |case| case.4);
    let mut summary = summary.trim_matches('"').to_owned();
    for label in labels.split(", ") {
        let (key, value) = label.split_once(": ").expect("a label");
        summary = summary.replace(&format!("{{{{ $labels.{key} }}}}"), value);
    }
    for key in ["fleet", "account", "about"] {
        summary = summary.replace(&format!("{{{{ $labels.{key} }}}}"), "");
    }
    summary.replace("{{ $value | humanizeDuration }}", "7m 0s").replace("{{ $value }}", "2")
}
