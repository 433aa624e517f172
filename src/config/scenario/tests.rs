//! What is read of a scenario, and what is said of one that tells nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::model::{Bounds, OnMissing};

const EXAMPLE: &str = include_str!("../../../config.example.toml");
const FLEET: &str = "\
[fleet]
min = 2
max = 10
[[rule]]
kind = \"threshold\"
signal = \"cpu\"
scale_out = { above = 75 }
";
const SERIES: &str = "[[series]]\nsignal = \"cpu\"\nvalues = \"20x10\"\n";
const EXPECT: &str = "[[expect]]\nat = \"1m\"\ndesired = 4\n";

fn parse(text: &str) -> Result<Scenario, Problems> {
    let vars = [("FLEETSCALER_TEST", "x")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let files = [(PathBuf::from("/s/config.toml"), EXAMPLE.as_bytes().to_vec())];
    parse_scenario(text, Path::new("/s/x.toml"), &Env::given(vars.into(), BTreeMap::from(files)))
}

/// A scenario with `head` before its tables, and these tables.
fn with(head: &str, tables: &[&str]) -> Result<Scenario, Problems> {
    parse(&format!("instances = 4\n{head}\n{}", tables.concat()))
}

fn told(result: Result<Scenario, Problems>) -> String {
    result.expect_err("it has a problem").to_string()
}

#[test]
fn what_is_left_out_has_defaults_and_what_is_given_counts() {
    let short = with("", &[FLEET, SERIES, EXPECT]).expect("a scenario");
    assert_eq!(short.fleet.bounds, Bounds { min: 2, max: 10 });
    assert_eq!(short.fleet.brakes.removal_percent, Some(50.0), "as in a configuration");
    assert_eq!(short.fleet.stabilization, Span::secs(300), "as in a configuration");
    assert_eq!((short.interval, short.boot), (Span::secs(15), Span::secs(60)));
    assert_eq!(short.start.to_rfc3339(), "2026-01-05T08:00:00+00:00");
    assert_eq!(short.expectations[0].line, 13);
    let head = "description = \"d\"\nstart = \"2026-07-01T08:00:00+08:00\"\ninterval = \"30s\"\nboot = \"2m\"";
    let more = "[fleet.signal.cpu]\non_missing = { fallback = 6 }\nmax_age = \"2m\"\n";
    let fault = "[[fault]]\nat = \"30s\"\nfor = \"1m\"\nwhat = \"hold-in\"\n";
    let long = with(head, &[FLEET, more, SERIES, "per_instance = true\n", fault, EXPECT]);
    let long = long.expect("a scenario");
    assert_eq!(long.start.to_rfc3339(), "2026-07-01T00:00:00+00:00");
    assert_eq!((long.interval, long.boot), (Span::secs(30), Span::secs(120)));
    let spec = long.fleet.signals[&SignalName::from("cpu")];
    assert_eq!((spec.on_missing, spec.max_age), (OnMissing::Fallback(6), Span::secs(120)));
    assert!(long.series[&SignalName::from("cpu")].per_instance);
    assert_eq!(long.faults[0].kind, ScenarioFaultKind::HoldIn);
}

#[test]
fn an_adaptive_rule_counts_in_the_scenarios_ticks_and_boots() {
    let fleet = "[fleet]\nmin = 1\nmax = 9\n[[rule]]\nkind = \"adaptive\"\nsignal = \"cpu\"\ncapacity = 10\n";
    let scenario = with("interval = \"20s\"\nboot = \"90s\"", &[fleet, SERIES, EXPECT]);
    let scenario = scenario.expect("a scenario");
    let RuleKind::Adaptive(rule) = &scenario.fleet.rules[0].kind else { panic!("adaptive") };
    assert_eq!((rule.interval, rule.boot.span), (Span::secs(20), Span::secs(90)));
    assert_eq!(scenario.fleet.stabilization, Span::secs(0), "it has holds of its own");
}

#[test]
fn a_fleet_comes_from_a_configuration_beside_the_file() {
    let named = |fleet: &str| format!("config = \"config.toml\"\nfleet = \"{fleet}\"");
    let known = crate::config::parse(
        EXAMPLE,
        Path::new("/s/config.toml"),
        &Env::given(BTreeMap::new(), BTreeMap::new()),
    )
    .expect("the example");
    let known = &known.fleets[0];
    let signals = known.fleet.signals.keys();
    let series: String =
        signals.map(|name| format!("[[series]]\nsignal = \"{name}\"\nvalues = \"1\"\n")).collect();
    let name = &known.fleet.id.0;
    let scenario = with(&named(name), &[&series, EXPECT]).expect("a scenario");
    assert_eq!(scenario.fleet.bounds, known.fleet.bounds);
    assert_eq!(scenario.fleet.rules.len(), known.fleet.rules.len());
    let said = told(with(&named("wab"), &[&series, EXPECT]));
    assert!(said.contains("x.toml:3: /s/config.toml has no fleet `wab`"), "{said}");
    assert!(said.contains("hint: did you mean"), "{said}");
    let said = told(with(&named(name), &[EXPECT]));
    assert!(said.contains("no series gives the signal"), "{said}");
    let said = told(with("config = \"other.toml\"\nfleet = \"web\"", &[&series, EXPECT]));
    assert!(said.contains("x.toml:2: /s/other.toml has a problem"), "{said}");
    assert!(said.contains("other.toml: the configuration cannot be read"), "{said}");
}

/// What only the service is given is not needed to play a scenario.
#[test]
fn secrets_of_the_service_are_not_missed() {
    for secrets in ["credential:", "/nowhere/"] {
        let config = format!(
            "[provider.aliyun]\nregion = \"cn-hangzhou\"\nmax_launches_per_hour = 7\n\
             access_key_id_file = \"{secrets}id\"\naccess_key_secret_file = \"{secrets}key\"\n\
             [fleet.web]\nprovider = \"aliyun\"\nmin = 1\nmax = 5\n\
             [fleet.web.launch]\nimage_id = \"m-1\"\ninstance_types = [\"ecs.c7.large\"]\n\
             vswitches = [\"vsw-h\"]\nsecurity_group_ids = [\"sg-1\"]\n\
             [[fleet.web.rule]]\nkind = \"fixed\"\nsize = 3\n"
        );
        let path = PathBuf::from("/s/config.toml");
        let env =
            Env::given(BTreeMap::new(), BTreeMap::from([(path.clone(), config.clone().into())]));
        let text = format!("instances = 1\nconfig = \"config.toml\"\nfleet = \"web\"\n{EXPECT}");
        let scenario = parse_scenario(&text, Path::new("/s/x.toml"), &env).expect(secrets);
        assert_eq!(scenario.fleet.account_brakes.launches_per_hour, Some(7));
        // The daemon does need them.
        assert!(crate::config::parse(&config, &path, &env).is_err(), "{secrets}");
    }
}

/// The name of a case, what stands before its tables, the tables, and a part of what is said.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a str);

fn each_is_told(cases: &[Case<'_>]) {
    for (name, head, tables, says) in cases {
        let said = told(with(head, tables));
        assert!(said.contains(says), "{name}:\n{said}");
        assert!(said.contains("hint: "), "{name}:\n{said}");
    }
}

#[test]
fn a_head_or_a_fleet_that_is_wrong_is_told_with_line_and_hint() {
    let good: &[&str] = &[FLEET, SERIES, EXPECT];
    each_is_told(&[
        ("an unknown key", "intervall = \"1m\"", good, "x.toml:2: unknown key `intervall`"),
        (
            "an unknown key of a table",
            "",
            &[FLEET, SERIES, EXPECT, "wanted = 1\n"],
            "x.toml:16: unknown key `wanted`",
        ),
        (
            "a key that a scenario has no use for",
            "",
            &["[fleet]\nwarmup = \"1m\"\n", &FLEET[8..], SERIES, EXPECT],
            "unknown key `warmup`",
        ),
        ("no TOML", "= 3", good, "x.toml:2: this is not TOML"),
        (
            "a bad duration",
            "boot = 60",
            good,
            "hint: write a duration with its unit: boot = \"60s\"",
        ),
        ("no time", "start = \"08:00\"", good, "x.toml:2: `08:00` is no time"),
        ("no fleet", "", &[SERIES, EXPECT], "`fleet` is missing in the file"),
        (
            "a fleet without a configuration",
            "fleet = \"web\"",
            &[SERIES, EXPECT],
            "there is no `config` that has it",
        ),
        (
            "a configuration without a fleet",
            "config = \"config.toml\"",
            &[SERIES, EXPECT],
            "`fleet` is missing",
        ),
        (
            "both kinds of fleet",
            "config = \"config.toml\"",
            good,
            "there is a `config`, and `fleet` is a table",
        ),
        (
            "rules beside a configuration",
            "config = \"config.toml\"\nfleet = \"web\"",
            &[&FLEET[24..], SERIES, EXPECT],
            "the rules are those of the fleet",
        ),
        ("no rule", "", &["[fleet]\nmin = 1\nmax = 2\n", EXPECT], "there is no rule"),
        (
            "bounds that cross",
            "",
            &["[fleet]\nmin = 3\nmax = 2\n", &FLEET[24..], SERIES, EXPECT],
            "min = 3 above max = 2",
        ),
    ]);
    let said = told(parse(&format!("{FLEET}{SERIES}{EXPECT}")));
    assert!(said.contains("`instances` is missing"), "{said}");
}

#[test]
fn series_that_are_wrong_are_told_with_line_and_hint() {
    let fixed = "[fleet]\nmin = 1\nmax = 9\n[[rule]]\nkind = \"fixed\"\nsize = 3\n";
    let queue = "[[series]]\nsignal = \"queue\"\nvalues = \"1\"\n";
    each_is_told(&[
        (
            "a rule without a series",
            "",
            &[FLEET, EXPECT],
            "the rule reads the signal `cpu`, which is not defined",
        ),
        (
            "a series that no rule reads",
            "",
            &[FLEET, SERIES, queue, EXPECT],
            "x.toml:14: no rule reads the signal `queue`",
        ),
        (
            "a series where no rule reads any",
            "",
            &[fixed, SERIES, EXPECT],
            "hint: remove the series: the rules read no signal",
        ),
        (
            "a signal of the fleet that no rule reads",
            "",
            &[FLEET, "[fleet.signal.qps]\n", SERIES, EXPECT],
            "no rule reads the signal `qps`",
        ),
        (
            "two series of a signal",
            "",
            &[FLEET, SERIES, SERIES, EXPECT],
            "two series of the signal `cpu`",
        ),
        (
            "no values",
            "",
            &[FLEET, "[[series]]\nsignal = \"cpu\"\nvalues = \" \"\n", EXPECT],
            "x.toml:12: `values` is empty",
        ),
        (
            "a value that is none",
            "",
            &[FLEET, "[[series]]\nsignal = \"cpu\"\nvalues = \"20x4 high\"\n", EXPECT],
            "x.toml:12: `values`: \"high\" is no value",
        ),
    ]);
}

#[test]
fn expectations_and_faults_that_are_wrong_are_told_with_line_and_hint() {
    let late = "[[expect]]\nat = \"24h3m\"\ndesired = 4\n";
    let fault = "[[fault]]\nat = \"2m\"\nfor = \"5m\"\nwhat = \"doubt\"\n";
    each_is_told(&[
        ("no expectation", "", &[FLEET, SERIES], "the scenario expects nothing"),
        (
            "an empty expectation",
            "",
            &[FLEET, SERIES, "[[expect]]\nat = \"1m\"\n"],
            "x.toml:13: the expectation expects nothing",
        ),
        (
            "an expectation at no time",
            "",
            &[FLEET, SERIES, "[[expect]]\ndesired = 1\n"],
            "`at` is missing",
        ),
        (
            "another decision",
            "",
            &[FLEET, SERIES, EXPECT, "decision = \"grow\"\n"],
            "`decision` cannot be `grow`",
        ),
        (
            "bounds of nothing",
            "",
            &[FLEET, SERIES, EXPECT, "min_desired = 5\nmax_desired = 4\n"],
            "min_desired = 5 is more than max_desired = 4",
        ),
        (
            "an expectation far behind the end",
            "",
            &[FLEET, SERIES, late],
            "x.toml:14: `at` is 1d3m, and the series end after 2m30s",
        ),
        (
            "a fault that nobody sees",
            "",
            &[FLEET, SERIES, fault, EXPECT],
            "the fault begins after 2m, and nothing is expected after 1m",
        ),
        (
            "a fault of another kind",
            "",
            &[FLEET, SERIES, "[[fault]]\nat = \"0s\"\nfor = \"5m\"\nwhat = \"no_stock\"\n", EXPECT],
            "did you mean `no-stock`?",
        ),
        (
            "a fault without an end",
            "",
            &[FLEET, SERIES, "[[fault]]\nat = \"0s\"\nwhat = \"doubt\"\n", EXPECT],
            "`for` is missing",
        ),
    ]);
}

#[test]
fn a_day_behind_the_end_is_the_latest() {
    let at = |at: &str| format!("[[expect]]\nat = \"{at}\"\ndesired = 4\n");
    assert!(with("", &[FLEET, SERIES, &at("24h2m30s")]).is_ok());
    assert!(with("", &[FLEET, SERIES, &at("24h2m31s")]).is_err());
}

#[test]
fn all_problems_are_told_at_once() {
    let text =
        "instances = -1\nboot = \"x\"\n[fleet]\nmin = 2\n[[rule]]\nkind = \"fixed\"\n[[expect]]\n";
    let said = told(parse(text));
    assert_eq!(said.lines().filter(|line| line.starts_with("/s/x.toml:")).count(), 6, "{said}");
}
