//! `hold`, `holds` and `resume`, while no daemon runs.

use std::time::Duration;

use cloud::{Clock, SystemClock};

use crate::harness::World;

#[tokio::test]
async fn a_hold_keeps_the_next_tick_from_acting_until_it_is_lifted() {
    let world = World::new().await;
    world.grow_to(1, 50.0).await;
    let none = world.run(&["holds"]).await;
    assert_eq!((none.code, none.out.as_str()), (Some(0), "nobody holds any fleet\n"));
    let reason = ["--for", "2h", "--reason", "a migration"];
    let hold = |which: &'static [&'static str]| [&["hold"], which, &reason[..]].concat();

    let wrong = world.run(&hold(&["--fleet", "wep"])).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("did you mean `web`?"), "{wrong:?}");
    let placed = world.run(&hold(&["--fleet", "web", "--scale-out"])).await;
    assert_eq!(placed.code, Some(0), "{placed:?}");
    assert!(placed.out.contains("fleet `web`: scale-out held by ann"), "{placed:?}");
    assert!(placed.out.contains("it takes effect with the next tick: within 1s"), "{placed:?}");

    // The cool-down of a second comes first.
    SystemClock.sleep(Duration::from_millis(1100)).await;
    let report = world.tick(90.0).await;
    assert_eq!(report["decision"]["blocked_by"]["reason"], "held", "{report}");
    assert_eq!(
        (&report["decision"]["add"], report["outcomes"].as_array().map(Vec::len)),
        (&0.into(), Some(0))
    );
    let listed = world.run(&["holds"]).await;
    assert!(listed.out.contains("for 2h") && listed.out.contains("a migration"), "{listed:?}");

    // A hold of all fleets outlasts one of this fleet.
    let all = world.run(&hold(&["--all-fleets", "--author", "bob"])).await;
    assert_eq!(all.code, Some(0), "{all:?}");
    let still = world.run(&["resume", "--fleet", "web"]).await;
    assert_eq!(still.code, Some(1), "{still:?}");
    assert!(still.out.contains("lifted:") && still.out.contains("still held"), "{still:?}");
    let report = world.tick(90.0).await;
    assert_eq!(report["decision"]["blocked_by"]["reason"], "held", "{report}");
    let lifted = world.run(&["resume", "--all-fleets"]).await;
    assert_eq!(lifted.code, Some(0), "{lifted:?}");
    assert!(lifted.out.contains("all fleets: scaling held by bob"), "{lifted:?}");
    world.grow_to(2, 90.0).await;
    let again = world.run(&["resume", "--fleet", "web"]).await;
    assert_eq!((again.code, again.out.as_str()), (Some(0), "nobody holds fleet `web`\n"));

    let said = world.run(&["journal", "--kind", "hold", "--fleet", "web"]).await;
    for line in ["Z web  hold ", "Z all fleets  hold ", "lifted by ann: scale-out held by"] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
    for said in [&placed, &all, &still, &lifted, &listed] {
        for line in said.out.lines().filter(|line| !line.contains("--config")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[tokio::test]
async fn a_hold_is_placed_before_the_daemon_ever_ran_and_counts_at_its_first_tick() {
    let world = World::new().await;
    let said = world.run(&["hold", "web", "--for", "2h", "--reason", "not\nyet"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("not yet"), "it stays one line: {said:?}");
    let listed = world.run(&["holds", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    assert_eq!(listed["holds"][0]["fleet"], "web", "{listed}");
    assert_eq!(listed["holds"][0]["holds"], "both", "{listed}");
    let report = world.tick(90.0).await;
    assert_eq!(report["decision"]["blocked_by"]["reason"], "held", "{report}");
    let lifted = world.run(&["resume", "web"]).await;
    assert_eq!(lifted.code, Some(0), "{lifted:?}");
}

#[tokio::test]
async fn a_hold_says_who_when_nobody_is_named() {
    let world = World::new().await;
    world.tick(50.0).await;
    let mut command = world.command(&["hold", "--all-fleets", "--for", "1h", "--reason", "x"]);
    let output = command.env_remove("USER").output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("held by uid "), "{output:?}");
    let mut command = world.command(&["hold", "--all-fleets", "--for", "1h", "--reason", "x"]);
    let output = command.env("USER", "root").env("SUDO_USER", "eve").output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("held by eve"), "{output:?}");
}
