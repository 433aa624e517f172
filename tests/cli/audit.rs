//! `audit`, on demand.

use serde_json::Value;

use crate::harness::World;

#[tokio::test]
async fn a_fleet_that_lost_its_name_leaves_strays_with_their_price() {
    let world = World::new().await;
    world.grow_to(1, 50.0).await;
    let clean = world.run(&["audit"]).await;
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert_eq!(clean.out, "account aliyun: 1 managed instance listed, nothing found\n");

    world.configure("", "shop");
    let calls = world.emulator.transcript().len();
    let found = world.run(&["audit"]).await;
    assert_eq!(found.code, Some(4), "{found:?}");
    for said in [
        "account aliyun: 1 managed instance listed, 1 finding",
        "strays: launched for a fleet that is not configured any more (1, 0.500 CNY an",
        "of fleet `web`",
        "strays = \"report\"",
        "in all 0.500 CNY an hour",
    ] {
        assert!(found.out.contains(said), "{said}\n{}", found.out);
    }
    let json = world.run(&["audit", "--json"]).await;
    assert_eq!(json.code, Some(4), "{json:?}");
    let json: Value = serde_json::from_str(&json.out).expect("one JSON object");
    assert_eq!(json["findings"][0]["what"]["finding"], "stray");
    assert_eq!(json["cost_per_hour"]["CNY"], 0.5);
    let asked = world.emulator.transcript();
    let writes = asked[calls..].iter().filter(|entry| !entry.action.starts_with("Describe"));
    assert_eq!(writes.count(), 0, "it reads only");
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_no_clean_one() {
    let world = World::new().await;
    world.tick(50.0).await;
    let mut command = world.command(&["audit"]);
    command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "wrong");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("account `aliyun` cannot be audited"), "{said}");
}
