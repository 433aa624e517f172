//! The policy that is written from a configuration, and a cloud that enforces it.

use serde_json::Value;

use crate::harness::World;

async fn policy(world: &World) -> Value {
    let said = world.run(&["ram-policy"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.lines().all(|line| line.starts_with("# ")), "{said:?}");
    assert!(said.err.lines().all(|line| line.chars().count() <= 80), "{said:?}");
    serde_json::from_str(&said.out).expect("JSON")
}

#[tokio::test]
async fn it_names_what_is_configured_and_nothing_else() {
    let world = World::new().await;
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let launch = "security_group_ids = [\"sg-bp1example\"]\nram_role_name = \"web-role\"";
    let text = text.replace("security_group_ids = [\"sg-bp1example\"]", launch);
    std::fs::write(world.config(), text).expect("written");
    let written = policy(&world).await.to_string();
    for part in [
        "\"acs:ecs:cn-hangzhou:*:image/m-bp1example\"",
        "\"acs:ecs:cn-hangzhou:*:securitygroup/sg-bp1example\"",
        "\"acs:vpc:cn-hangzhou:*:vswitch/vsw-zone-h\"",
        "\"acs:RequestTag/scale-fleet\":[\"web\"]",
        "\"acs:ResourceTag/scale-source\":\"auto\"",
        "\"acs:ram:*:*:role/web-role\"",
    ] {
        assert!(written.contains(part), "{part}\n{written}");
    }
    for part in ["StartInstances", "StopInstances", "image/*", "securitygroup/*", "ecs:*"] {
        assert!(!written.contains(part), "{part}\n{written}");
    }
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let text = text.replace("terminate = \"force\"", "terminate = \"stop-then-delete\"");
    std::fs::write(world.config(), text).expect("written");
    assert!(policy(&world).await.to_string().contains("ecs:StopInstances"));
}

#[tokio::test]
async fn it_is_enough_for_a_whole_life_of_a_fleet_and_for_no_other_machine() {
    let world = World::new().await;
    let other = world.emulator.place(&[("team", "billing")]);
    let said = world.run(&["check", "--online"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let more = "more provider aliyun: the key may also delete, stop, start, tag any instance, and \
                launch instances without our tags";
    assert!(words.contains(more), "{said:?}");

    let policy = policy(&world).await;
    world.emulator.change(|cloud| cloud.policy = Some(policy));
    world.grow_to(2, 90.0).await;

    let said = world.run(&["check", "--online"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("ok fleet web: end an instance: would be accepted"), "{said:?}");
    assert!(words.contains("no permission beyond what is needed: it has none"), "{said:?}");
    let changed = |action: &str| {
        let calls = world.emulator.transcript();
        calls.iter().filter(|call| call.action == action && !call.deleted.is_empty()).count()
    };
    assert_eq!(changed("DeleteInstances"), 0, "a check ends nothing");

    world.grow_to(1, 10.0).await;
    let left = world.emulator.instances();
    let untouched = left.iter().find(|view| view.id == other).expect("it is there");
    assert_eq!(untouched.status, "Running");
    assert_eq!(world.emulator.violations(), []);
}

#[tokio::test]
async fn a_key_that_may_not_end_instances_is_told_before_it_matters() {
    let world = World::new().await;
    world.grow_to(1, 50.0).await;
    let mut policy = policy(&world).await;
    let statements = policy["Statement"].as_array_mut().expect("statements");
    statements.retain(|statement| !statement.to_string().contains("DeleteInstances"));
    world.emulator.change(|cloud| cloud.policy = Some(policy));
    let said = world.run(&["check", "--online"]).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("FAIL  fleet web: end an instance"), "{said:?}");
    assert!(said.out.contains("ram-policy"), "{said:?}");
}
