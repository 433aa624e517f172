//! A configuration against an embedded cloud in which things go wrong.

use serde_json::Value;

use crate::harness::{Said, World};

/// A fleet of 2 to 12 by CPU, in two vSwitches.
async fn world() -> World {
    let world = World::new().await;
    world.edit(|text| {
        let text = text.replace("min = 1\nmax = 3", "min = 2\nmax = 12");
        let text = text.replace("interval = \"1s\"", "interval = \"15s\"");
        text.replace("[\"vsw-zone-h\"]", "[\"vsw-zone-h\", \"vsw-zone-i\"]")
    });
    world
}

async fn rehearsed(world: &World, more: &[&str]) -> Value {
    let said = told(world, &[more, &["--json"]].concat()).await;
    serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

async fn told(world: &World, more: &[&str]) -> Said {
    let start = ["rehearse", "--start", "2026-01-05T09:00:00Z"];
    world.run(&[&start, more].concat()).await
}

fn news(rehearsal: &Value) -> String {
    let minutes = rehearsal["minutes"].as_array().expect("minutes");
    let news = minutes.iter().flat_map(|minute| minute["news"].as_array().expect("news"));
    news.map(|text| text.as_str().expect("a text")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn without_a_fault_the_fleet_follows_the_load_and_nothing_real_is_called() {
    let world = world().await;
    let calls = world.emulator.transcript().len();
    let said = told(&world, &[]).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("# cpu is taken for how much of an instance is in use"), "{said:?}");
    assert!(said.out.contains("enough.") && said.out.contains("No alert."), "{said:?}");
    assert!(said.out.lines().all(|line| line.chars().count() <= 80), "{}", said.out);
    assert_eq!(told(&world, &[]).await.out, said.out, "it can be repeated");
    assert_eq!(world.emulator.transcript().len(), calls);
    assert!(!world.state().exists(), "nothing is made");
}

#[tokio::test]
async fn each_fault_happens_and_is_over_again() {
    let world = world().await;
    for (fault, says) in [
        ("no-stock:zone-h@5m+30m", "begins: no-stock:vsw-zone-h"),
        ("zone-down:zone-h@20m+10m", "begins: zone-down:vsw-zone-h"),
        ("throttle@9m+5m", "ALERT cloud_unreadable"),
        ("lost-replies@5m+20m", "of an earlier tick: launch"),
        ("slow-boot@5m+30m", "begins: slow-boot"),
        ("never-boots@5m+10m", "begins: never-boots"),
        ("prometheus-away@15m+20m", "ALERT signal_missing (cpu)"),
    ] {
        let rehearsal = rehearsed(&world, &["--fault", fault, "--for", "90m"]).await;
        let news = news(&rehearsal);
        assert!(news.contains(says), "{fault}: {says}\n{news}");
        let name = fault.split('@').next().expect("a name").split(':').next().expect("a name");
        assert!(news.contains(&format!("ends: {name}")), "{fault}\n{news}");
        assert_eq!(rehearsal["recovered"], true, "{fault}\n{news}");
    }
}

#[tokio::test]
async fn a_signal_that_is_away_removes_nothing_and_no_stock_anywhere_is_short() {
    let world = world().await;
    let away = ["--fault", "prometheus-away@20m+40m", "--for", "60m"];
    let rehearsal = rehearsed(&world, &away).await;
    assert_eq!(rehearsal["removed"], 0, "{rehearsal:#}");

    let nowhere = ["--fault", "no-stock:zone-h@1m+60m", "--fault", "no-stock:zone-i@1m+60m"];
    let nowhere = [&nowhere[..], &["--steady", "500", "--for", "30m"]].concat();
    let said = told(&world, &nowhere).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("too few.") && said.out.contains("Alert no_place"), "{}", said.out);
}

#[tokio::test]
async fn a_fault_that_is_none_and_a_load_that_is_none_are_told() {
    let world = world().await;
    for (more, says) in [
        (&["--fault", "no-stok:zone-h"][..], "did you mean `no-stock`?"),
        (&["--fault", "throttle@2h"], "begins after 2h, and the rehearsal ends after 1h"),
        (&["--fleet", "wep"], "name one fleet with --fleet; there are: web"),
        (&["--for", "5s"], "a rehearsal lasts from 1m to 7d, not 5s"),
        (&["--steady", "NaN"], "it is no number of 0 or more"),
    ] {
        let said = told(&world, more).await;
        assert_eq!(said.code, Some(2), "{more:?}: {said:?}");
        assert!(said.err.contains(says), "{more:?}: {said:?}");
    }
}
