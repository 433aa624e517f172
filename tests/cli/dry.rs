//! `run --dry-run` beside a journal: what would be done next.

use std::time::Duration;

use cloud::{Clock, SystemClock};

use crate::harness::World;

const DRY: [&str; 5] = ["run", "--dry-run", "--once", "--log", "error"];

#[tokio::test]
async fn a_dry_run_counts_what_the_journal_knows_and_writes_nothing() {
    let world = World::new().await;
    let said = world.run(&DRY).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let blind = "without the journal: holds, cool-downs and earlier samples are not considered: ";
    assert!(said.err.contains(blind) && said.err.contains("has not run yet"), "{said:?}");
    assert!(said.out.contains("would launch 1"), "{said:?}");
    assert!(!world.state().exists(), "it makes no journal");

    // Two samples are needed, and the daemon has seen one.
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let text = text.replace("above = 75, samples = 1", "above = 75, samples = 2");
    std::fs::write(world.config(), text).expect("written");
    world.grow_to(1, 50.0).await;
    world.tick(95.0).await;
    let before = world.run(&["journal", "--all", "--json"]).await;
    SystemClock.sleep(Duration::from_millis(1100)).await;
    world.cpu(95.0);
    let said = world.run(&DRY).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("cpu = 95 > 75 for 2 samples: add 1"), "{said:?}");
    assert!(said.out.contains("would launch 1"), "{said:?}");

    let hold = ["hold", "--fleet", "web", "--for", "1h", "--reason", "a look"];
    assert_eq!(world.run(&hold).await.code, Some(0));
    world.cpu(95.0);
    let said = world.run(&DRY).await;
    assert!(said.out.contains("  held by    scaling held by ann until"), "{said:?}");
    assert!(!said.out.contains("would launch"), "{said:?}");
    assert_eq!(world.run(&["resume", "--fleet", "web"]).await.code, Some(0));

    let after = world.run(&["journal", "--all", "--json"]).await;
    let written = after.out.strip_prefix(&before.out).expect("it was only added to");
    assert!(written.lines().all(|line| line.contains("\"scope\":\"operator\"")), "{written}");
}

#[tokio::test]
async fn what_is_no_operators_hold_is_waited_for() {
    let world = World::new().await;
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let text = text.replace("above = 75, samples = 1", "above = 75, samples = 2");
    std::fs::write(world.config(), text).expect("written");
    world.grow_to(1, 50.0).await;
    SystemClock.sleep(Duration::from_millis(1100)).await;
    world.cpu(95.0);
    let said = world.run(&DRY).await;
    assert!(said.out.contains("  waits for  cpu = 95 > 75 for 1 of 2 samples"), "{said:?}");
}
