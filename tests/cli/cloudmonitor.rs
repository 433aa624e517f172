//! A fleet that is steered by the provider's own monitoring, from the check to the launch.

use ecs_emulator::Fault;

use crate::harness::World;

/// A fleet with one base instance, whose signal is its CPU by CloudMonitor.
async fn world() -> (World, String) {
    let world = World::new().await;
    let base = world.emulator.place(&[("team", "web")]);
    world.edit(|text| {
        let (head, rest) = text.split_once("source = \"prometheus\"").expect("the signal");
        let (_, tail) = rest.split_once("[[fleet.web.rule]]").expect("the rule");
        let base = format!("[fleet.web.base]\nids = [\"{base}\"]\n[fleet.web.launch]");
        let head = head.replace("[fleet.web.launch]", &base);
        let signal = "source = \"cloudmonitor\"\nmetric = \"CPUUtilization\"\nask_every = \"1s\"";
        format!("{head}{signal}\n[[fleet.web.rule]]{tail}")
    });
    (world, base)
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn high_cpu_launches_and_no_data_removes_nothing() {
    let (world, base) = world().await;
    world.emulator.change(|cloud| cloud.monitor.value = 90.0);
    let report = world.tick(0.0).await;
    assert_eq!(report["decision"]["desired"], 2, "{report:#}");
    let calls = world.emulator.transcript();
    let asked: Vec<_> = calls.iter().filter(|call| call.action == "DescribeMetricLast").collect();
    assert!(!asked.is_empty(), "{calls:?}");
    for call in asked {
        assert_eq!(call.parameters["Dimensions"], format!("[{{\"instanceId\":\"{base}\"}}]"));
        assert_eq!(call.parameters["Period"], "60");
    }
    assert_eq!(world.emulator.violations(), []);
    let launched: usize = calls.iter().map(|call| call.created.len()).sum();
    assert_eq!(launched, 1, "{calls:?}");

    world.emulator.change(|cloud| {
        cloud.monitor.value = 1.0;
        cloud.monitor.silent.extend([base.clone()]);
    });
    let report = world.tick(0.0).await;
    assert_eq!(report["decision"]["desired"], 2, "{report:#}");
    let deleted: usize = world.emulator.transcript().iter().map(|call| call.deleted.len()).sum();
    assert_eq!(deleted, 0);
}

#[tokio::test]
async fn check_asks_for_it_and_says_what_a_month_costs() {
    let (world, _) = world().await;
    let said = world.run(&["check", "--online"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let out = words(&said.out);
    assert!(out.contains("ok fleet web: signal cpu: 20, "), "{said:?}");
    assert!(out.contains("reported by 1 instance"), "{said:?}");
    // Each second, the fleet at its max of 3.
    let month = "more provider aliyun: CloudMonitor: 2592000 calls in a month with every fleet at its max, \
                 260 % of the 1000000";
    assert!(out.contains(month), "{said:?}");

    world.edit(|text| text.replace("ask_every = \"1s\"", "ask_every = \"30s\""));
    let said = world.run(&["check", "--online"]).await;
    let month = "ok provider aliyun: CloudMonitor: 86400 calls in a month";
    assert!(words(&said.out).contains(month), "{said:?}");

    world.emulator.inject(Fault::refusal("DescribeMetricLast", "InvalidParameter"));
    let said = world.run(&["check", "--online"]).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(words(&said.out).contains("FAIL fleet web: signal cpu the query failed"), "{said:?}");
}

#[tokio::test]
async fn the_policy_allows_it_where_it_is_configured_and_only_there() {
    let (with, _) = world().await;
    let without = World::new().await;
    let policy = without.run(&["ram-policy"]).await;
    assert!(!policy.out.contains("cms:"), "{policy:?}");
    let narrow = serde_json::from_str(&policy.out).expect("JSON");
    let policy = with.run(&["ram-policy"]).await;
    let enough: serde_json::Value = serde_json::from_str(&policy.out).expect("JSON");

    with.emulator.change(|cloud| cloud.policy = Some(narrow));
    let said = with.run(&["check", "--online"]).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    let todo = "ram-policy` writes the RAM policy that it needs; until it answers";
    assert!(words(&said.out).contains(todo), "{said:?}");
    with.emulator.change(|cloud| cloud.policy = Some(enough));
    let said = with.run(&["check", "--online"]).await;
    assert!(words(&said.out).contains("ok fleet web: signal cpu: 20, "), "{said:?}");
}
