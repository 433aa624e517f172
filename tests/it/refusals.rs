//! Refused launches: what a refusal concerns, and that it stops nothing else.

use ecs_emulator::{Fault, FaultKind};
use fleetscaler::control::TickReport;
use fleetscaler::model::AlertCode;

use crate::harness::{INTERVAL, Setup, Wish};

/// A second fleet of the same account, with another spec and a minimum of its own.
const SECOND: &str = r#"
[fleet.second]
provider = "aliyun"
min = 1
max = 8
[fleet.second.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large", "ecs.g7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
instance_name = "second"
[fleet.second.signal.cpu]
source = "prometheus"
url = "METRICS"
query = "avg(service_cpu_percent)"
[[fleet.second.rule]]
kind = "threshold"
signal = "cpu"
scale_out = { above = 75, samples = 2, by = 2 }
"#;

/// Ticks of `fleet` for as long as it wants another one at once, as the daemon makes them.
async fn at_once(setup: &Setup, fleet: &str) -> Vec<TickReport> {
    let mut reports = Vec::new();
    loop {
        let report = setup.try_tick_of(fleet).await.expect("the tick succeeds");
        let again = report.wants_another_tick();
        reports.push(report);
        if !again {
            return reports;
        }
        assert!(reports.len() < 12, "it ends");
    }
}

fn of(setup: &Setup, fleet: &str) -> usize {
    setup.fleet().iter().filter(|view| view.tags["scale-fleet"] == fleet).count()
}

/// Launches that were asked for, each with its code, and the seconds from the first to the last.
fn asked(setup: &Setup) -> (Vec<Option<String>>, i64) {
    let transcript = setup.emulator.transcript();
    let asked: Vec<_> =
        transcript.into_iter().filter(|entry| entry.action == "RunInstances").collect();
    let secs = match (asked.first(), asked.last()) {
        (Some(first), Some(last)) => (last.at - first.at).num_seconds(),
        _ => 0,
    };
    (asked.into_iter().map(|entry| entry.code).collect(), secs)
}

fn alerts(reports: &[TickReport]) -> Vec<AlertCode> {
    let last = reports.last().expect("a report");
    last.alerts.iter().map(|alert| alert.key.code).collect()
}

#[tokio::test]
async fn a_refusal_of_one_place_is_followed_by_the_next_place_in_the_same_second() {
    let of_type = |code| Fault {
        instance_type: Some("ecs.c7.large".to_owned()),
        ..Fault::refusal("RunInstances", code)
    };
    let of_zone = |code| Fault {
        zone: Some("cn-hangzhou-h".to_owned()),
        ..Fault::refusal("RunInstances", code)
    };
    for (fault, calls) in [
        // The type does not take the disk, here or there: both of its places are tried.
        (of_type("InvalidSystemDiskCategory.ValueNotSupported"), 3),
        (of_type("QuotaExceed.ElasticQuota"), 3),
        (of_type("InstanceType.Offline"), 2),
        (of_zone("InvalidVSwitchId.NotFound"), 2),
        (of_zone("IncorrectVSwitchStatus"), 2),
        (of_zone("Forbidden.RAM"), 2),
    ] {
        let code = fault.code.clone();
        let setup = Setup::new(Wish::default()).await;
        setup.emulator.inject(fault);
        let reports = at_once(&setup, "web").await;
        assert_eq!(of(&setup, "web"), 2, "{code:?}");
        let (codes, secs) = asked(&setup);
        assert_eq!(codes.len(), calls, "{code:?}: {codes:?}");
        assert!(secs <= 2, "{code:?}: {secs} s");
        assert!(!alerts(&reports).contains(&AlertCode::AccountStopped), "{code:?}");
        // A refused place is left alone until its pause is over.
        setup.ticks(4, 50.0).await;
        assert_eq!(asked(&setup).0.len(), calls, "{code:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_spec_stops_the_spec_and_no_other_fleet() {
    for code in [
        "SecurityGroupInstanceLimitExceed",
        "InvalidUser.PassRoleForbidden",
        "InvalidImageId.NotFound",
    ] {
        let setup = Setup::new(Wish { more: SECOND, ..Wish::default() }).await;
        setup.emulator.inject(Fault::refusal("RunInstances", code).times(1));
        let reports = at_once(&setup, "web").await;
        assert_eq!((of(&setup, "web"), asked(&setup).0.len()), (0, 1), "{code}: no walk");
        assert!(!alerts(&reports).contains(&AlertCode::AccountStopped), "{code}");
        at_once(&setup, "second").await;
        assert_eq!(of(&setup, "second"), 1, "{code}: it is not concerned");
        // The spec is tried again after a minute, of which the first looks at the other fleet took 20 s.
        setup.ticks(2, 50.0).await;
        assert_eq!(of(&setup, "web"), 0, "{code}");
        setup.ticks(2, 50.0).await;
        assert_eq!(of(&setup, "web"), 2, "{code}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_account_stops_every_fleet_of_it() {
    let setup = Setup::new(Wish { more: SECOND, ..Wish::default() }).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::NoBalance).times(1));
    let reports = at_once(&setup, "web").await;
    assert!(alerts(&reports).is_empty(), "it is known from the next tick on");
    let reports = at_once(&setup, "second").await;
    assert!(alerts(&reports).contains(&AlertCode::AccountStopped));
    assert_eq!(asked(&setup).0.len(), 1);
}

#[tokio::test]
async fn a_code_that_nobody_has_described_stops_the_spec_until_another_spec_meets_it() {
    let setup = Setup::new(Wish { more: SECOND, ..Wish::default() }).await;
    let here = Fault {
        zone: Some("cn-hangzhou-h".to_owned()),
        ..Fault::refusal("RunInstances", "Brand.New")
    };
    setup.emulator.inject(here);
    at_once(&setup, "web").await;
    assert_eq!(asked(&setup).0.len(), 1, "the spec waits");
    setup.ticks(5, 50.0).await;
    assert_eq!(of(&setup, "web"), 2, "the next try was made elsewhere");

    let setup = Setup::new(Wish { more: SECOND, ..Wish::default() }).await;
    setup.emulator.inject(Fault::refusal("RunInstances", "Brand.New"));
    at_once(&setup, "web").await;
    at_once(&setup, "second").await;
    let reports = at_once(&setup, "second").await;
    assert!(alerts(&reports).contains(&AlertCode::AccountStopped), "two specs have met it");
}

#[tokio::test]
async fn a_fleet_that_is_refused_everywhere_says_with_which_code_and_does_not_spin() {
    let setup = Setup::new(Wish::default()).await;
    setup.emulator.inject(Fault::refusal("RunInstances", "InvalidDiskCategory.NotSupported"));
    let reports = at_once(&setup, "web").await;
    assert_eq!(asked(&setup).0.len(), 4, "each of the four places once");
    assert!(alerts(&reports).contains(&AlertCode::NoPlace), "{:?}", alerts(&reports));
    let last = reports.last().expect("a report");
    assert!(last.plan.shortfalls[0].contains("NotSupported"), "{:?}", last.plan.shortfalls);
    setup.emulator.clear_faults();
    setup.clock.advance(INTERVAL);
    at_once(&setup, "web").await;
    assert_eq!(of(&setup, "web"), 0, "not before the pause is over");
    setup.ticks(20, 50.0).await;
    at_once(&setup, "web").await;
    assert_eq!(of(&setup, "web"), 2);
}
