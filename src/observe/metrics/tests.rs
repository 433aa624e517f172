//! The text that Prometheus gets.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::control::{Counts, Finding, Findings, HourlyCost};
use crate::model::fixtures::now;
use crate::model::{AlertCode, AlertKey, Bounds, Sample, Span};
use crate::notify::Tally;
use crate::observe::snapshot::AccountSeen;

const QUANTILES: Quantiles = Quantiles { p50: 30.0, p95: 41.5 };

fn latest() -> Latest {
    let sample = Sample { value: 81.5, measured_at: now(), age: Span::secs(8), reporting: None };
    Latest {
        at: now(),
        listed_at: now() - clock::delta(Duration::from_secs(3)),
        bounds: Bounds { min: 2, max: 20 },
        current: 4,
        desired: 6,
        recommended: 8,
        shadow: Some(9),
        counts: Counts { in_service: 3, booting: 1, ..Counts::default() },
        signals: [("cpu".into(), Some(sample)), ("queue".into(), None)].into(),
        account: "aliyun".into(),
        lags: [("cpu".into(), QUANTILES)].into(),
    }
}

fn full() -> Snapshot {
    let mut web = FleetSeen { latest: Some(latest()), launches: 2, ..FleetSeen::default() };
    web.shadow_differs = Some(5);
    web.ticks.insert("acted", 1);
    web.blocked.insert("cooling_down", 7);
    web.took.observe(0.4);
    let budget = cloud::limit::ActionBudget {
        action: "RunInstances".to_owned(),
        per_second: f64::NAN,
        headroom: 2.5,
        waited_total: Duration::from_millis(1500),
        waits: 1,
        calls: 3,
        refused: 0,
        throttled: 1,
        closed_until: Some(now()),
    };
    let stray = Finding {
        id: "i-1".into(),
        fleet: "gone".into(),
        what: What::Foreign,
        instance: None,
        price_per_hour: Some(cloud::Price { amount: 0.5, currency: "CNY".to_owned() }),
    };
    let cost = HourlyCost { amount: 1.5, currency: "CNY".to_owned(), priced: 3, unpriced: 0 };
    let key = AlertKey { code: AlertCode::Brake, about: "scale-\"in\"\n".to_owned() };
    Snapshot {
        now: now() + clock::delta(Duration::from_secs(2)),
        fleets: [
            ("web".into(), web.into()),
            ("db".into(), FleetSeen::default().into()),
            ("new".into(), FleetSeen::default().into()),
        ]
        .into(),
        mine: ["web".into(), "new".into()].into(),
        accounts: [(
            "aliyun".into(),
            AccountSeen {
                budget: vec![budget],
                calls: vec![("RunInstances".to_owned(), "ok", 3)],
                metric_calls: Some(cloud::FreeCalls { used: 7, free: 1_000_000 }),
                listing_may_be: Some(Duration::from_secs(21)),
                boots: [(("cn-hangzhou-h".into(), "ecs.c7.large".into()), QUANTILES)].into(),
            },
        )]
        .into(),
        journal_up: false,
        leases: 1,
        replicas: 2,
        alerts: vec![(Whose::Fleet("web".into()), key)],
        costs: [("web".into(), cost)].into(),
        overruns: 2,
        began: now() - clock::delta(Duration::from_secs(60)),
        process: Some(ProcessSeen {
            cpu_seconds: 1.5,
            resident_bytes: 2e7,
            virtual_bytes: 4e7,
            open_descriptors: 12.0,
            descriptors_most: Some(1024.0),
            threads: 3.0,
            began: 1.7e9,
        }),
        messages: [("ops".to_owned(), Tally { arrived: 3, failed: 1, waiting: 2 })].into(),
        audits: [("aliyun".into(), Findings { at: now(), listed: 3, findings: vec![stray] })]
            .into(),
    }
}

/// The metric that a line of samples belongs to.
fn family(line: &str, histograms: &BTreeSet<&str>) -> String {
    let name = line.split(['{', ' ']).next().expect("a name");
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
    base.filter(|base| histograms.contains(base)).unwrap_or(name).to_owned()
}

#[test]
fn every_sample_has_its_help_and_type_and_a_number() {
    let text = text(full());
    let after = |start: &str| -> BTreeSet<&str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start));
        lines.map(|line| line.split(' ').next().expect("a name")).collect()
    };
    let (help, types) = (after("# HELP "), after("# TYPE "));
    assert_eq!(help, types);
    let histograms = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram"))
        .collect();
    let mut sampled = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let family = family(line, &histograms);
        assert!(types.contains(family.as_str()), "{line}");
        let value = line.rsplit(' ').next().expect("a value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite(), "{line}");
        sampled.insert(family);
    }
    // All but the one that was no number.
    let listed: BTreeSet<String> =
        names().into_iter().filter(|name| name != "fleetscaler_api_rate_per_second").collect();
    assert_eq!(sampled, listed, "the test fills every metric");
}

#[test]
fn a_fleet_that_never_had_a_good_tick_is_as_old_as_the_daemon() {
    let text = text(full());
    let began = unix(full().began);
    let name = "fleetscaler_last_tick_timestamp_seconds";
    let line = format!("{name}{{fleet=\"new\"}} ");
    let shown = text.lines().find_map(|there| there.strip_prefix(line.as_str()));
    assert_eq!(shown.and_then(|value| value.parse().ok()), Some(began), "{text}");
    assert!(!text.contains(&format!("{name}{{fleet=\"db\"}}")), "another replica tells of it");
}

#[test]
fn the_numbers_are_those_of_the_newest_tick() {
    let text = text(full());
    for line in [
        "fleetscaler_desired{fleet=\"web\"} 6",
        "fleetscaler_instances{fleet=\"web\",phase=\"in_service\"} 3",
        "fleetscaler_signal_value{fleet=\"web\",signal=\"cpu\"} 81.5",
        "fleetscaler_signal_age_seconds{fleet=\"web\",signal=\"cpu\"} 10",
        "fleetscaler_signal_missing{fleet=\"web\",signal=\"queue\"} 1",
        "fleetscaler_listing_age_seconds{fleet=\"web\"} 5",
        "fleetscaler_listing_age_allowed_seconds{account=\"aliyun\"} 21",
        "fleetscaler_ticks_total{fleet=\"web\",outcome=\"acted\"} 1",
        "fleetscaler_ticks_total{fleet=\"db\",outcome=\"plan_refused\"} 0",
        "fleetscaler_recommended_instances{fleet=\"web\"} 8",
        "fleetscaler_overruns_total 2",
        "process_open_fds 12",
        "fleetscaler_tick_duration_seconds_bucket{fleet=\"web\",le=\"0.5\"} 1",
        "fleetscaler_decisions_blocked_total{fleet=\"web\",reason=\"cooling_down\"} 7",
        "fleetscaler_held{fleet=\"web\"} 1",
        "fleetscaler_held{fleet=\"db\"} 0",
        "fleetscaler_launches_total{fleet=\"db\"} 0",
        "fleetscaler_alert{fleet=\"web\",account=\"\",code=\"brake\",about=\"scale-\\\"in\\\"\\n\"} 1",
        "fleetscaler_api_wait_seconds_total{account=\"aliyun\",action=\"RunInstances\"} 1.5",
        "fleetscaler_journal_up 0",
        "fleetscaler_boot_seconds{account=\"aliyun\",zone=\"cn-hangzhou-h\",\
         instance_type=\"ecs.c7.large\",percentile=\"95\"} 41.5",
        "fleetscaler_audit_findings{account=\"aliyun\",kind=\"foreign\"} 1",
        "fleetscaler_audit_findings{account=\"aliyun\",kind=\"stray\"} 0",
        "fleetscaler_audit_cost_per_hour{account=\"aliyun\",currency=\"CNY\"} 0.5",
        "fleetscaler_cost_per_hour{fleet=\"web\",currency=\"CNY\"} 1.5",
    ] {
        let of = |line: &str| {
            let (labels, value) = line.rsplit_once(' ')?;
            Some((labels.to_owned(), value.parse::<f64>().ok()?))
        };
        assert!(text.lines().any(|got| of(got) == of(line)), "{line}\n{text}");
    }
    assert!(!text.contains("fleetscaler_desired{fleet=\"db\"}"), "another replica tells of it");
}
