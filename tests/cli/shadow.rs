//! Shadow rules: what the API and the metrics tell of them, and `promote`.

use serde_json::json;

use crate::api::{ask, until};
use crate::harness::World;
use crate::http::Daemon;

const SHADOW: &str = "
# On trial.
[[fleet.web.shadow]]
kind = \"target\"
signal = \"cpu\"
target = 60
";

#[tokio::test]
async fn shadow_rules_become_the_rules_once_it_is_said_twice() {
    let world = World::new().await;
    let none = world.run(&["promote", "web"]).await;
    assert_eq!(none.code, Some(3), "{none:?}");
    assert!(none.err.contains("has no shadow rules"), "{none:?}");
    assert!(none.err.contains("config.toml:"), "{none:?}");
    assert!(none.err.contains("[[fleet.web.shadow]]"), "{none:?}");

    world.edit(|text| text + SHADOW);
    let before = std::fs::read_to_string(world.config()).expect("read");
    let slip = world.run(&["promote", "wep"]).await;
    assert_eq!(slip.code, Some(2), "{slip:?}");
    assert!(slip.err.contains("did you mean `web`?"), "{slip:?}");

    let shown = world.run(&["promote", "web"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for line in
        ["@@ -", "\n-kind = \"threshold\"", "\n-[[fleet.web.shadow]]", "\n+[[fleet.web.rule]]"]
    {
        assert!(shown.out.contains(line), "{line}: {shown:?}");
    }
    assert!(shown.out.contains("\n # On trial."), "{shown:?}");
    let kept = std::fs::read_to_string(world.config()).expect("read");
    assert_eq!(kept, before, "nothing is written");

    let written = world.run(&["promote", "web", "--write"]).await;
    assert_eq!((written.code, &written.out), (Some(0), &shown.out), "{written:?}");
    let after = std::fs::read_to_string(world.config()).expect("read");
    assert!(after.contains("# On trial.\n[[fleet.web.rule]]\nkind = \"target\""), "{after}");
    assert!(!after.contains("threshold") && !after.contains("shadow"), "{after}");
    let checked = world.run(&["check"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[tokio::test]
async fn a_result_that_would_be_refused_is_not_written() {
    let world = World::new().await;
    world.edit(|text| text + "[[fleet.web.shadow]]\nkind = \"fixed\"\nsize = 2\n");
    let before = std::fs::read_to_string(world.config()).expect("read");
    let refused = world.run(&["promote", "web", "--write"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.err.contains("no rule reads the signal `cpu`"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(world.config()).expect("read"), before);
}

#[tokio::test]
async fn the_api_and_the_metrics_compare_the_shadow_with_the_fleet() {
    let world = World::new().await;
    let socket = world.socket();
    let page = "/v1/fleets/web/shadow";
    {
        let _daemon = Daemon::start(&world);
        until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;
        let (status, none) = ask(&socket, "GET", page, "").await;
        assert_eq!((status, &none["error"]["code"]), (404, &json!("no_shadow_rules")), "{none}");
    }
    let two = "[[fleet.web.shadow]]\nkind = \"fixed\"\nsize = 2\n";
    let daemon = Daemon::started(&world, "web", |command| {
        world.edit(|text| text + two);
        command
    });
    let shadow = until(&socket, page, |shadow| {
        shadow["now"]["shadow_current_instances"] == 2
            && shadow["day"]["differing_ticks"].as_u64() > Some(2)
    })
    .await;
    let now = &shadow["now"];
    assert_eq!(now["live_desired_instances"], 1, "{shadow:#}");
    assert_eq!(now["shadow_desired_instances"], 2, "{shadow:#}");
    assert_eq!(now["live_current_instances"], 1, "{shadow:#}");
    assert_eq!(now["reasons"][0]["kind"], "fixed", "{shadow:#}");
    assert!(now["differs_since"].is_string(), "{shadow:#}");
    let day = &shadow["day"];
    assert_eq!((&day["shadow_actions"], &day["fewer_ticks"]), (&json!(1), &json!(0)), "{shadow:#}");
    daemon.until_metric("fleetscaler_shadow_desired_instances{fleet=\"web\"} 2.0").await;
    let why = world.run(&["why", "web"]).await;
    assert!(
        why.out.contains("Shadow   its shadow rules want 2, the live ones 1, since "),
        "{why:?}"
    );
    let told = world.run(&["journal", "--kind", "shadow"]).await;
    assert!(told.out.contains("shadow: wants 2, the live rules want 1"), "{told:?}");
    assert_eq!(world.emulator.instances().len(), 1, "nothing is launched for it");
}
