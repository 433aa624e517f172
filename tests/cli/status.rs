//! `status` and `why`: from the running daemon, and from the journal without one.

use std::time::Duration;

use cloud::{Clock, SystemClock};
use serde_json::Value;

use crate::api::until;
use crate::harness::{Said, World};
use crate::http::Daemon;

#[tokio::test]
async fn status_and_why_are_told_by_the_daemon_and_without_one_by_the_journal() {
    let world = World::new().await;
    let socket = world.socket();

    // Nothing is there yet: neither can tell, and both are said.
    let nothing = world.run(&["status"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    for said in ["no daemon answers on", "the journal cannot be read either"] {
        assert!(nothing.err.contains(said), "{nothing:?}");
    }

    let daemon = Daemon::start(&world);
    until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;
    let live = world.run(&["status"]).await;
    assert_eq!((live.code, live.err.as_str()), (Some(0), ""), "{live:?}");
    assert!(live.out.contains("acts for 1 of 1 fleet · journal ok · cloud ok"), "{live:?}");
    let web = live.out.lines().find(|line| line.starts_with("web ")).expect("a line");
    assert!(web.contains(" 1..3 cpu 50 ") && web.contains("within its band"), "{live:?}");
    assert!(!live.out.contains('\x1b'), "no colours into a pipe: {live:?}");

    // The decision in force may be of a tick that saw the instance boot; what there is now is said too.
    let why = until_told(&world, &["Now "]).await;
    for said in ["stays at 1", "It saw ", "cpu = 50", "Rule     threshold-cpu"] {
        assert!(why.out.contains(said), "{said}: {why:?}");
    }
    let now = why.out.split("Now ").nth(1).expect("the fleet as it is");
    let words = now.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("; 1 in service, none coming."), "{why:?}");
    let wrong = world.run(&["why", "wep"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("did you mean `web`?"), "{wrong:?}");
    daemon.stop();

    let recorded = world.run(&["status"]).await;
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    assert!(recorded.out.starts_with("no daemon answers on"), "{recorded:?}");
    let web = recorded.out.lines().find(|line| line.starts_with("web ")).expect("a line");
    assert!(web.contains(" 1..3 cpu 50 "), "{recorded:?}");
    let why = world.run(&["why", "web"]).await;
    assert_eq!(why.code, Some(0), "{why:?}");
    assert!(why.out.contains("stays at 1") && why.err.contains("from the journal"), "{why:?}");
    let wrong = world.run(&["why", "wep"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let long_ago = world.run(&["why", "web", "--at", "2020-01-01T00:00:00Z"]).await;
    assert!(long_ago.out.contains("nothing was decided for `web` by then"), "{long_ago:?}");
    for (command, source) in [("status", "/source/from"), ("why", "/source")] {
        let arguments: &[&str] =
            if command == "why" { &["why", "web", "--json"] } else { &["status", "--json"] };
        let said = world.run(arguments).await;
        let value: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(value.pointer(source), Some(&"journal".into()), "{command}: {value}");
    }
    for said in [&live, &recorded] {
        let lines = said.out.lines().filter(|line| !line.contains(".sock"));
        for line in lines {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

/// The answer of `why web` once it tells all of this: a tick or two later.
async fn until_told(world: &World, all: &[&str]) -> Said {
    let mut last = None;
    for _ in 0..60 {
        let why = world.run(&["why", "web"]).await;
        assert_eq!((why.code, why.err.as_str()), (Some(0), ""), "{why:?}");
        if all.iter().all(|said| why.out.contains(said)) {
            return why;
        }
        last = Some(why);
        SystemClock.sleep(Duration::from_millis(500)).await;
    }
    panic!("{all:?} was never told: {last:?}");
}

#[tokio::test]
async fn the_configuration_may_be_named_by_the_environment() {
    let world = World::new().await;
    world.tick(50.0).await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fleetscaler"));
    command.arg("status").env_clear();
    let none = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(said.contains("/etc/fleetscaler/config.toml"), "{said}");
    let named = command.env("FLEETSCALER_CONFIG", world.config()).output().expect("it runs");
    assert_eq!(named.status.code(), Some(0), "{named:?}");
}
