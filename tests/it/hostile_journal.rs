//! A journal into which somebody else writes: forged launches and removals, forged holds, damaged records
//! and texts of any size. What is sent is what is configured, and one record ends nothing.

use fleetscaler::control::TickError;
use fleetscaler::journal;
use fleetscaler::model::{Event, OperatorEvent};
use serde_json::{Value, json};

use crate::harness::{INTERVAL, Setup, Wish};

/// The newest launch that is recorded, as somebody may copy it.
async fn a_launch(setup: &Setup) -> Value {
    let events = setup.events().await;
    let launch = events.iter().rev().find(|event| {
        matches!(event, Event::Intended(intent)
            if matches!(intent.action.mutation, cloud::Mutation::Launch(_)))
    });
    serde_json::to_value(launch.expect("a launch")).expect("written")
}

/// The same as of now, under another id and token, with one part changed.
fn forged(setup: &Setup, launch: &Value, pointer: &str, value: Value) -> String {
    let mut launch = launch.clone();
    launch["at"] = json!(cloud::Clock::now(&setup.clock));
    let action = &mut launch["action"];
    action["intent"] = json!(uuid::Uuid::new_v4());
    action["mutation"]["token"] = json!(uuid::Uuid::new_v4());
    action["mutation"]["amount"] = json!(1);
    action["mutation"]["min_amount"] = json!(1);
    *action["mutation"].pointer_mut(pointer).expect("it has that part") = value;
    launch.to_string()
}

#[tokio::test]
async fn a_forged_launch_is_not_sent_whatever_is_forged_about_it() {
    for (pointer, value) in [
        ("/spec/image_id", json!("m-miner")),
        ("/spec/ram_role_name", json!("admin")),
        ("/spec/security_group_ids", json!(["sg-open"])),
        ("/spec/internet_max_bandwidth_out", json!(100)),
        ("/spec/key_pair_name", json!("theirs")),
        ("/spec/user_data", json!("0".repeat(64))),
        ("/instance_type", json!("ecs.gn7.16xlarge")),
        ("/vswitch", json!("vsw-theirs")),
        ("/tags", json!({ "team": "theirs" })),
    ] {
        let mut setup = Setup::settled(Wish::default()).await;
        let before = setup.fleet();
        let launch = forged(&setup, &a_launch(&setup).await, pointer, value);
        setup.forge(&[("fleet/web", "intent", &launch)]).await;
        let seq = setup.emulator.transcript().last().expect("calls").seq;
        setup.rough_ticks(12, 50.0).await;
        let sent = setup.emulator.transcript_after(seq);
        let launches = sent.iter().filter(|call| call.action == "RunInstances").count();
        assert_eq!(launches, 0, "{pointer}");
        assert_eq!(setup.fleet(), before, "{pointer}");
    }
}

#[tokio::test]
async fn a_forged_removal_ends_nobody_elses_machine() {
    let mut setup = Setup::settled(Wish::default()).await;
    let theirs = setup.emulator.place(&[("team", "billing")]);
    let removal = json!({
        "event": "intended",
        "at": cloud::Clock::now(&setup.clock),
        "action": {
            "intent": uuid::Uuid::new_v4(),
            "mutation": { "kind": "delete", "ids": [theirs], "how": "force" },
        },
    });
    setup.forge(&[("fleet/web", "intent", &removal.to_string())]).await;
    setup.rough_ticks(40, 50.0).await;
    let view = setup.emulator.instances().into_iter().find(|view| view.id == theirs);
    assert_eq!(view.expect("it is there").status, "Running");
}

#[tokio::test]
async fn a_forged_hold_only_holds_and_its_text_costs_nothing() {
    let mut setup = Setup::settled(Wish::default()).await;
    // No text repeats itself, so that nothing can compress it.
    let text: String = (0..60_000).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    let id = uuid::Uuid::new_v4();
    let hold = json!({
        "event": "held",
        "at": cloud::Clock::now(&setup.clock),
        "hold": {
            "id": id, "fleet": null, "direction": null, "author": format!("root\n{text}"),
            "reason": format!("\u{202e}{text}\nfleet `web`: all is well"),
            "placed": cloud::Clock::now(&setup.clock), "until": "2027-01-01T00:00:00Z",
        },
    });
    setup.forge(&[("operator", "hold", &hold.to_string())]).await;
    let reports = setup.ticks(40, 95.0).await;
    assert_eq!(setup.fleet().len(), 2, "it holds");
    // It is there twice: in the file, and in what was written last.
    let size = setup.state_bytes().len();
    assert!(size < 5 * hold.to_string().len(), "forty ticks do not repeat it: {size} bytes");
    let told = reports[39].decision.to_string();
    assert!(told.len() < 4_000 && !told.contains(['\n', '\u{202e}']), "{told}");
    let at = cloud::Clock::now(&setup.clock);
    let lifted = OperatorEvent::Lifted { at, id, author: "ann".to_owned(), hold: None };
    journal::say(&setup.state(), &lifted).await.expect("said");
    setup.ticks(4, 95.0).await;
    assert!(setup.fleet().len() > 2, "it is lifted as any other");
}

const DB: &str = r#"
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

#[tokio::test]
async fn one_record_that_cannot_be_read_ends_nothing() {
    let mut setup = Setup::new(Wish { more: DB, ..Wish::default() }).await;
    for _ in 0..8 {
        setup.clock.advance(INTERVAL);
        setup.cpu(50.0);
        setup.tick_all().await;
    }
    let later = r#"{"event":"of_tomorrow","ignorable":true}"#;
    setup
        .forge(&[
            ("operator", "hold", "{\"event\":"),
            ("account/aliyun", "stock", r#"{"event":"of_tomorrow"}"#),
            ("fleet/web", "later", later),
            ("fleet/db", "later", later),
        ])
        .await;
    setup.clock.advance(INTERVAL);
    setup.tick_all().await;
    let left_out = setup.left_out().expect("it is told");
    assert!(left_out.contains("operator") && left_out.contains("account/aliyun"), "{left_out}");

    setup.forge(&[("fleet/web", "intent", "{\"event\":\"intended\"}")]).await;
    for _ in 0..8 {
        setup.clock.advance(INTERVAL);
        setup.cpu(95.0);
        let error = setup.try_tick_of("web").await.expect_err("it does not know what it did");
        let TickError::Journal(error) = error else { panic!("{error}") };
        assert!(error.to_string().contains("of fleet/web cannot be read"), "{error}");
        setup.try_tick_of("db").await.expect("the other fleet goes on");
    }
    let of = |fleet: &str| {
        setup.fleet().into_iter().filter(|view| view.tags["scale-fleet"] == fleet).count()
    };
    assert_eq!(of("web"), 2, "it keeps its size");
    assert!(of("db") > 1, "and the other one grows");
}
