//! The hourly audit: what it finds, and what it deletes where that is wished for.

use std::time::Duration;

use cloud::{Clock, clock};
use ecs_emulator::{Fault, FaultKind};
use fleetscaler::control::{Finding, What};
use fleetscaler::journal;
use fleetscaler::model::{Hold, OperatorEvent};

use crate::harness::{INTERVAL, Setup, Wish};

/// A second fleet of two, which the tests take out of the configuration.
const BATCH: &str = r#"
[fleet.batch]
provider = "aliyun"
min = 2
max = 4
[fleet.batch.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.batch.signal.cpu]
source = "prometheus"
url = "METRICS"
query = "avg(service_cpu_percent)"
[[fleet.batch.rule]]
kind = "threshold"
signal = "cpu"
scale_out = { above = 75 }
"#;

const DELETE: &str = "strays = \"delete\"";

async fn ticks(setup: &Setup, ticks: usize) {
    for _ in 0..ticks {
        setup.clock.advance(INTERVAL);
        setup.cpu(50.0);
        setup.tick_all().await;
    }
}

/// The fleet `batch` had two instances and is configured no more.
async fn left(provider: &'static str) -> Setup {
    let mut setup = Setup::new(Wish { more: BATCH, provider, ..Wish::default() }).await;
    ticks(&setup, 8).await;
    assert_eq!(of_batch(&setup).len(), 2);
    setup.reconfigure(|wish| wish.more = "").await;
    setup
}

fn of_batch(setup: &Setup) -> Vec<String> {
    let mut views = setup.emulator.instances();
    views.retain(|v| v.tags.get("scale-fleet").is_some_and(|fleet| fleet == "batch"));
    views.retain(|view| view.status == "Running");
    views.into_iter().map(|view| view.id).collect()
}

fn kinds(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.what.kind()).collect()
}

/// An hour and a bit later.
async fn next_audit(setup: &Setup) -> Vec<Finding> {
    setup.clock.advance(Duration::from_secs(3_660));
    setup.audit().await
}

#[tokio::test]
async fn strays_are_reported_and_left_unless_their_deletion_is_wished_for() {
    let setup = left("").await;
    for _ in 0..3 {
        let findings = next_audit(&setup).await;
        assert_eq!(kinds(&findings), ["stray", "stray"]);
        assert!(findings[0].price_per_hour.is_some(), "with what it costs");
    }
    assert_eq!(of_batch(&setup).len(), 2);
}

#[tokio::test]
async fn strays_are_deleted_when_they_were_known_as_such_for_a_while() {
    let setup = left(DELETE).await;
    setup.clock.advance(Duration::from_secs(3_660));
    let ripe = |finding: &Finding| matches!(finding.what, What::Stray { ripe: true, .. });
    let findings = setup.audit().await;
    assert_eq!(kinds(&findings), ["stray", "stray"]);
    assert!(!findings.iter().any(ripe), "an hour old, and known as strays since now only");
    assert_eq!(of_batch(&setup).len(), 2);
    let kept = of_batch(&setup).remove(0);
    setup.emulator.protect(&kept, true);
    let findings = next_audit(&setup).await;
    assert!(findings.iter().all(ripe));
    assert_eq!(of_batch(&setup), [kept], "but for the protected one");
    assert_eq!(setup.fleet().iter().filter(|v| v.tags["scale-fleet"] == "web").count(), 2);
    assert_eq!(kinds(&next_audit(&setup).await), ["stray"], "nothing is left to be found");
}

#[tokio::test]
async fn a_hold_of_all_fleets_keeps_strays() {
    let setup = left(DELETE).await;
    next_audit(&setup).await;
    let now = setup.clock.now();
    let hold = Hold {
        id: uuid::Uuid::from_u128(7),
        fleet: None,
        direction: None,
        author: "ann".to_owned(),
        reason: "touch nothing".to_owned(),
        placed: now,
        until: clock::after(now, Duration::from_secs(7_200)),
    };
    journal::say(&setup.state(), &OperatorEvent::Held { at: now, hold }).await.expect("said");
    assert_eq!(kinds(&next_audit(&setup).await), ["stray", "stray"]);
    assert_eq!(of_batch(&setup).len(), 2, "held");
    setup.clock.advance(Duration::from_secs(3_660));
    next_audit(&setup).await;
    assert_eq!(of_batch(&setup).len(), 0, "the hold has ended");
}

#[tokio::test]
async fn what_a_lost_answer_left_of_a_fleet_that_is_no_more_is_ours() {
    let mut setup = Setup::new(Wish { more: BATCH, ..Wish::default() }).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::CutAfter));
    setup.clock.advance(INTERVAL);
    setup.tick_all().await;
    setup.reconfigure(|wish| wish.more = "").await;
    setup.emulator.clear_faults();
    let findings = next_audit(&setup).await;
    assert_eq!(kinds(&findings), ["stray", "stray"], "{findings:?}");
}

#[tokio::test]
async fn instances_of_a_fleet_that_moved_to_another_account_are_found() {
    let other = r#"
[provider.other]
kind = "aliyun"
region = "cn-hangzhou"
endpoint = "OTHER_CLOUD"
"#;
    let there = BATCH.replacen("\"aliyun\"", "\"other\"", 1);
    let moved: &'static str = format!("{other}{there}").leak();
    let mut setup = Setup::new(Wish { more: BATCH, ..Wish::default() }).await;
    ticks(&setup, 8).await;
    assert_eq!(kinds(&next_audit(&setup).await), [""; 0], "all is as it should be");
    // Ids are unique in earnest; here the other cloud begins to count anew.
    for _ in 0..9 {
        let id = setup.other.emulator.place(&[("owner", "else")]);
        setup.other.emulator.vanish(&id);
    }
    setup.reconfigure(|wish| wish.more = moved).await;
    ticks(&setup, 20).await;
    assert_eq!(of_batch(&setup).len(), 2, "where they were");
    let there = setup.other.emulator.instances();
    assert_eq!(there.iter().filter(|view| view.status == "Running").count(), 2, "and are now");
    let findings = next_audit(&setup).await;
    assert_eq!(kinds(&findings), ["elsewhere", "elsewhere"], "{findings:?}");
    assert!(findings[0].price_per_hour.is_some(), "with what they cost");
}

/// A fleet that is taken out of the configuration between a stop and its deletion leaves a stopped instance.
#[tokio::test]
async fn a_stray_that_we_stopped_is_deleted_and_one_that_somebody_stopped_is_left() {
    let two_steps = Box::leak(
        BATCH.replace("min = 2", "min = 2\nterminate = \"stop-then-delete\"").into_boxed_str(),
    );
    let mut setup = Setup::new(Wish { more: two_steps, provider: DELETE, ..Wish::default() }).await;
    ticks(&setup, 8).await;
    let ids = of_batch(&setup);
    let status = |setup: &Setup, id: &str| {
        let of = setup.emulator.instances().into_iter().find(|view| view.id == id);
        of.expect("it was there").status
    };
    // One is asked to stop, since it is replaced, until the deletion would be due.
    let now = setup.clock.now();
    let instruction = fleetscaler::model::Instruction {
        id: uuid::Uuid::from_u128(5),
        fleet: None,
        what: fleetscaler::model::Instructed::Replace { instance: ids[0].as_str().into() },
        author: "mei".to_owned(),
        reason: "a look".to_owned(),
        placed: now,
        until: cloud::clock::after(now, Duration::from_secs(3_600)),
    };
    let event = OperatorEvent::Instructed { at: now, instruction };
    journal::say(&setup.state(), &event).await.expect("said");
    for _ in 0..20 {
        ticks(&setup, 1).await;
        if matches!(status(&setup, &ids[0]).as_str(), "Stopping" | "Stopped") {
            break;
        }
    }
    setup.reconfigure(|wish| wish.more = "").await;
    setup.emulator.stop(&ids[1]);
    for _ in 0..4 {
        next_audit(&setup).await;
    }
    assert_eq!(status(&setup, &ids[0]), "Gone");
    assert_eq!(status(&setup, &ids[1]), "Stopped", "somebody may want it as it is");
}
