//! Only what the journal launched or took over is ever ended, and two installations keep apart.

use ecs_emulator::{Fault, FaultKind, InstanceView};
use fleetscaler::control::TickReport;
use fleetscaler::journal;
use fleetscaler::model::{Adoption, AlertCode, Event, OperatorEvent};

use crate::harness::{Setup, Wish};

const TWO_TAGS: &[(&str, &str)] = &[("scale-source", "auto"), ("scale-fleet", "web")];
const NO_BRAKE: &str = "max_removal_percent = 100";

fn alerts(report: &TickReport) -> Vec<AlertCode> {
    report.alerts.iter().map(|alert| alert.key.code).collect()
}

fn view(setup: &Setup, id: &str) -> InstanceView {
    setup.emulator.instances().into_iter().find(|view| view.id == id).expect("it is there")
}

/// The running instances with the tags of the fleet and this owner.
fn of(setup: &Setup, owner: &str) -> Vec<String> {
    let mut views = setup.emulator.instances();
    views.retain(|view| view.status == "Running");
    views.retain(|view| view.tags.get("scale-owner").is_some_and(|tag| tag == owner));
    views.into_iter().map(|view| view.id).collect()
}

async fn ask(setup: &Setup, ids: &[&str]) {
    let adoption = Adoption {
        id: uuid::Uuid::new_v4(),
        fleet: "web".into(),
        ids: ids.iter().map(|id| (*id).into()).collect(),
        author: "ann".to_owned(),
        reason: "they are ours".to_owned(),
        asked: cloud::Clock::now(&setup.clock),
    };
    let event = OperatorEvent::Asked { adoption };
    journal::say(&setup.state(), &event).await.expect("said");
}

#[tokio::test]
async fn a_stranger_with_our_tags_is_neither_counted_nor_ended() {
    let setup = Setup::new(Wish { fleet: NO_BRAKE, ..Wish::default() }).await;
    setup.clock.advance(std::time::Duration::from_secs(1));
    let before = setup.emulator.place(TWO_TAGS);
    // It was there before the fleet's first listing: the fleet is taken over with it.
    setup.ticks(12, 50.0).await;
    assert_eq!(setup.fleet().len(), 1, "one of the two is the old one");
    assert!(view(&setup, &before).tags.contains_key("scale-owner"), "visibly");
    // Later ones are nobody's, however many.
    let strangers: Vec<String> = (0..20).map(|_| setup.emulator.place(TWO_TAGS)).collect();
    // A fleet in which nothing changes is looked at each minute.
    let report = setup.ticks(6, 50.0).await.remove(5);
    assert_eq!(report.decision.current, 2);
    assert!(alerts(&report).contains(&AlertCode::Stranger), "{:?}", report.alerts);
    setup.ticks(40, 90.0).await;
    setup.ticks(60, 5.0).await;
    for id in &strangers {
        let view = view(&setup, id);
        assert_eq!(view.status, "Running");
        assert!(!view.tags.contains_key("scale-owner"), "nor tagged");
    }
    assert_eq!(setup.fleet().len(), 2, "max and min count the fleet's own");
}

#[tokio::test]
async fn an_instance_of_another_fleet_that_is_retagged_is_not_this_ones() {
    let other = r#"
[fleet.db]
provider = "aliyun"
min = 1
max = 4
[fleet.db.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.db.signal.cpu]
source = "prometheus"
url = "METRICS"
query = "avg(service_cpu_percent)"
[[fleet.db.rule]]
kind = "threshold"
signal = "cpu"
scale_out = { above = 75 }
"#;
    let wish = Wish { more: other, fleet: NO_BRAKE, fewer_by: Some(4), ..Wish::default() };
    let setup = Setup::new(wish).await;
    setup.clock.advance(crate::harness::INTERVAL);
    setup.tick_all().await;
    let db = setup.fleet().into_iter().find(|view| view.tags["scale-fleet"] == "db");
    let db = db.expect("launched").id;
    setup.ticks(30, 90.0).await;
    setup.emulator.retag(&db, &[("scale-fleet", "web")]);
    let reports = setup.ticks(30, 5.0).await;
    let told = reports.iter().any(|report| alerts(report).contains(&AlertCode::Stranger));
    assert!(told, "somebody is told");
    assert_eq!(view(&setup, &db).status, "Running", "the oldest, and not web's to end");
    setup.tick_all().await;
    assert_eq!(view(&setup, &db).tags["scale-fleet"], "db", "its own fleet repairs it");
}

#[tokio::test]
async fn two_installations_with_one_name_keep_apart() {
    let mut setup = Setup::new(Wish { fleet: NO_BRAKE, ..Wish::default() }).await;
    setup.turn_to("production.db").await;
    setup.reconfigure(|wish| wish.daemon = "installation = \"production\"").await;
    setup.ticks(40, 90.0).await;
    let production = of(&setup, "production");
    assert_eq!(production.len(), 8);
    // The other one begins: an empty journal, the same fleet in the same account.
    setup.turn_to("staging.db").await;
    setup.reconfigure(|wish| wish.daemon = "").await;
    let reports = setup.ticks(12, 5.0).await;
    assert!(alerts(&reports[0]).contains(&AlertCode::OtherInstallation));
    assert_eq!(reports[11].decision.current, 2, "it has its own, and counts no others");
    setup.ticks(40, 5.0).await;
    assert_eq!(of(&setup, "production"), production, "and ended none of them");
    let staging = setup.fleet().into_iter().map(|view| view.tags["scale-owner"].clone());
    let staging = staging.filter(|owner| owner != "production").collect::<Vec<_>>();
    assert_eq!(staging.len(), 2);
    assert!(staging[0].parse::<uuid::Uuid>().is_ok(), "its journal's id: {}", staging[0]);
    // And back: the first one minds its own as well.
    setup.turn_to("production.db").await;
    setup.reconfigure(|wish| wish.daemon = "installation = \"production\"").await;
    let reports = setup.ticks(60, 5.0).await;
    assert_eq!(reports[0].decision.current, 8);
    assert_eq!(of(&setup, "production").len(), 2, "down to min, of its own");
    assert_eq!(of(&setup, &staging[0]).len(), 2, "and the other's are where they were");
}

#[tokio::test]
async fn a_person_takes_over_what_a_lost_journal_left() {
    let mut setup = Setup::settled(Wish::default()).await;
    let old = setup.fleet();
    let id = old[0].tags["scale-owner"].clone();
    setup.lose_state().await;
    let report = setup.ticks(1, 50.0).await.remove(0);
    assert!(alerts(&report).contains(&AlertCode::OtherInstallation), "{:?}", report.alerts);
    assert_eq!(setup.fleet().len(), 4, "a new journal does not know them");
    ask(&setup, &[&old[0].id]).await;
    let reports = setup.ticks(2, 50.0).await;
    assert_eq!(reports[0].decision.current, 3, "one of them is the fleet's again");
    assert_ne!(view(&setup, &old[0].id).tags["scale-owner"], id, "and says so");
    assert_eq!(view(&setup, &old[1].id).tags["scale-owner"], id);
    ask(&setup, &[]).await;
    let reports = setup.ticks(2, 50.0).await;
    assert_eq!(reports[1].decision.current, 4, "and now all of them");
    assert!(!alerts(&reports[1]).contains(&AlertCode::OtherInstallation));
    let taken = setup.events().await.into_iter().filter_map(|event| match event {
        Event::Adopted { takeover, .. } => Some(takeover.adopted.len()),
        _ => None,
    });
    assert_eq!(taken.collect::<Vec<_>>(), [0, 1, 1], "the first listing, and two wishes");
}

#[tokio::test]
async fn an_installation_that_gets_a_name_keeps_its_instances() {
    let mut setup = Setup::settled(Wish::default()).await;
    let before: Vec<String> = setup.fleet().into_iter().map(|view| view.id).collect();
    for name in ["installation = \"shop\"", "installation = \"shop-2\"", ""] {
        setup.reconfigure(|wish| wish.daemon = name).await;
        let reports = setup.ticks(3, 50.0).await;
        assert!(reports.iter().all(|report| report.decision.current == 2), "{name}");
        let now: Vec<String> = setup.fleet().into_iter().map(|view| view.id).collect();
        assert_eq!(now, before, "{name}");
    }
}

#[tokio::test]
async fn what_turns_up_after_its_launch_was_given_up_is_known_by_its_intent() {
    let setup = Setup::settled(Wish::default()).await;
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::CutBefore));
    setup.ticks(2, 90.0).await;
    let intents: Vec<String> = setup
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::Intended(intent) => Some(intent.action.intent.to_string()),
            _ => None,
        })
        .collect();
    let lost = intents.last().expect("a launch").clone();
    // Nothing is found for as long as its token may be repeated and longer.
    setup.ticks(100, 50.0).await;
    let size = setup.fleet().len();
    let late = setup.emulator.place(&[TWO_TAGS, &[("scale-intent", lost.as_str())]].concat());
    let stranger = setup.emulator.place(&[TWO_TAGS, &[("scale-intent", "nobody's")]].concat());
    let report = setup.ticks(8, 50.0).await.remove(7);
    assert_eq!(report.decision.current as usize, size + 1, "the late one is the fleet's");
    assert!(view(&setup, &late).tags.contains_key("scale-owner"));
    assert!(!view(&setup, &stranger).tags.contains_key("scale-owner"));
}
