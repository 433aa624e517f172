//! The output of an audit, to the letter.

use cloud::{Instance, Price, Status};

use super::*;
use crate::model::Span;

fn finding(id: &str, what: What, price: Option<f64>) -> Finding {
    Finding {
        id: id.into(),
        fleet: "old".into(),
        what,
        instance: Some(Instance {
            id: id.into(),
            status: Status::Running,
            created_at: "2026-01-02T10:00:00Z".parse().expect("a valid time"),
            zone: "cn-hangzhou-h".to_owned(),
            instance_type: "ecs.c7.large".to_owned(),
            vswitch: None,
            private_ip: None,
            tags: cloud::Tags::new(),
            deletion_protection: false,
            locks: Vec::new(),
        }),
        price_per_hour: price.map(|amount| Price { amount, currency: "CNY".to_owned() }),
    }
}

fn stray(id: &str, price: Option<f64>) -> Finding {
    finding(id, What::Stray { age: Span::secs(7200), since: None, ripe: false }, price)
}

fn findings(findings: Vec<Finding>) -> Findings {
    let at = "2026-01-02T12:00:00Z".parse().expect("a valid time");
    Findings { at, listed: 5, findings }
}

#[test]
fn findings_are_grouped_with_their_cost_and_what_becomes_of_them() {
    let missing = vec!["scale-intent".to_owned()];
    let found = findings(vec![
        stray("i-bp1aaa", Some(0.5)),
        stray("i-bp1bbb", Some(0.25)),
        finding("i-bp1ccc", What::TagDrift { missing }, None),
    ]);
    let lines = report("aliyun", &found, false);
    assert_eq!(
        lines,
        [
            "account aliyun: 5 managed instances listed, 3 findings",
            "",
            "strays: launched for a fleet that is not configured any more (2, 0.750 CNY an",
            "  hour)",
            "  i-bp1aaa of fleet `old`, 2h old, ecs.c7.large in cn-hangzhou-h, 0.500 CNY an",
            "    hour",
            "  i-bp1bbb of fleet `old`, 2h old, ecs.c7.large in cn-hangzhou-h, 0.250 CNY an",
            "    hour",
            "  → the daemon reports them and leaves them (strays = \"report\"): release them,",
            "    configure the fleet again, or set strays = \"delete\"",
            "",
            "drifted tags: somebody changed them (1)",
            "  i-bp1ccc of fleet `old`, lacks scale-intent, ecs.c7.large in cn-hangzhou-h",
            "  → the daemon repairs the tags of instances that it launched; until then it",
            "    does not remove them",
            "",
            "in all 0.750 CNY an hour",
        ]
    );
    let deletes = report("aliyun", &found, true).join("\n");
    assert!(deletes.contains("strays = \"delete\""), "{deletes}");
    assert_eq!(
        report("aliyun", &findings(Vec::new()), false),
        ["account aliyun: 5 managed instances listed, nothing found"]
    );
}

#[test]
fn every_kind_is_explained_and_fits_80_columns() {
    let phase = crate::model::Phase::InService;
    let at = findings(Vec::new()).at;
    let all = [
        What::Stray { age: Span::secs(7200), since: Some(at), ripe: true },
        What::Foreign,
        What::OtherInstallation { owner: "0a1b2c3d-0000-4000-8000-000000000000".to_owned() },
        What::Stranger,
        What::Ghost { phase },
        What::TagDrift { missing: vec!["scale-fleet".to_owned(), "scale-intent".to_owned()] },
        What::Silent { since: Some(at) },
    ];
    let all = all.map(|what| finding("i-bp1aaaabbbbccccdddde", what, Some(1.5)));
    for deletes in [false, true] {
        for line in report("aliyun", &findings(all.to_vec()), deletes) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
    let json = as_json("aliyun", &findings(all.to_vec()));
    assert_eq!(json["account"], "aliyun");
    assert_eq!(json["findings"][0]["what"]["finding"], "stray");
    assert_eq!(json["cost_per_hour"]["CNY"], 10.5);
}
