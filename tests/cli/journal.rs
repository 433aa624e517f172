//! `journal` and `replay` after a session that grows and shrinks a fleet.

use std::time::Duration;

use serde_json::Value;
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harness::{Said, World};

async fn entries(world: &World, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["journal", "--json"];
    all.extend(arguments);
    let said = world.run(&all).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let read = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    said.out.lines().map(read).collect()
}

/// A session: up to two, and down to one.
async fn session() -> World {
    let world = World::new().await;
    world.grow_to(1, 50.0).await;
    world.grow_to(2, 90.0).await;
    world.grow_to(1, 10.0).await;
    world
}

/// Changes the newest decision that acted, as nobody should; returns its id.
async fn tamper(world: &World) -> String {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.state());
    let mut state = options.connect().await.expect("the journal");
    let (seq, body): (i64, String) = sqlx::query_as(
        "SELECT seq, body FROM records WHERE kind = 'decision' AND body LIKE '%\"remove\":1%' \
         ORDER BY seq DESC LIMIT 1",
    )
    .fetch_one(&mut state)
    .await
    .expect("a decision");
    let mut decision: Value = serde_json::from_str(&body).expect("JSON");
    decision["decision"]["desired"] = 3.into();
    sqlx::query("UPDATE records SET body = ? WHERE seq = ?")
        .bind(decision.to_string())
        .bind(seq)
        .execute(&mut state)
        .await
        .expect("changed");
    state.close().await.expect("closed");
    decision["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_session_can_be_read_line_by_line_and_a_decision_made_once_more() {
    let world = session().await;
    let Said { code, out, err } = world.run(&["journal"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    // As one text, however it is wrapped.
    let whole = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "Z web lease: replica ",
        "→ 2: cpu = 90 > 75: add 1",
        "launch 1 × ecs.c7.large in vsw-zone-h: accepted as i-",
        ": requested → in service",
        "(aliyun) boot: ecs.c7.large in cn-hangzhou-h took ",
        ": delete i-",
        ": terminating → gone",
    ] {
        assert!(whole.contains(said), "{said}\n{out}");
    }
    assert!(!out.contains("tick: "), "no quiet ticks\n{out}");
    for line in out.lines() {
        assert!(line.starts_with("20") && line.chars().nth(19) == Some('Z'), "{line}");
    }
    let all = world.run(&["journal", "--all"]).await;
    assert!(all.out.contains("tick: 1 there, 1 in service"), "{}", all.out);

    let intents = entries(&world, &["--kind", "intent", "--fleet", "web"]).await;
    let kinds: Vec<&Value> =
        intents.iter().map(|intent| &intent["body"]["action"]["mutation"]["kind"]).collect();
    assert_eq!(kinds, ["launch", "launch", "delete"]);
    for key in ["seq", "at", "scope", "kind", "v"] {
        assert!(!intents[0][key].is_null(), "{key}: {}", intents[0]);
    }
    assert_eq!(intents[0]["scope"], "fleet/web");
    let newest = entries(&world, &["--kind", "intent", "--newest", "1"]).await;
    assert_eq!(newest, intents[2..]);
    let both = entries(&world, &["--kind", "intent", "--kind", "settlement"]).await;
    assert_eq!(both.len(), 6);
    let unknown = world.run(&["journal", "--fleet", "wbe"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.err.contains("did you mean `web`?"), "{unknown:?}");

    assert_eq!(entries(&world, &["--kind", "intent", "--since", "1w"]).await, intents);
    let none = world.run(&["journal", "--kind", "alert"]).await;
    assert!(none.out.starts_with("nothing within 24h; --since looks"), "{none:?}");
    let none = world.run(&["journal", "--kind", "alert", "--since", "2026-01-02T03:00:00Z"]).await;
    assert!(none.out.starts_with("nothing since 2026-01-02T03:00:00Z;"), "{none:?}");

    let decisions = entries(&world, &["--kind", "decision"]).await;
    for decision in &decisions {
        let id = decision["body"]["id"].as_str().expect("an id");
        let said = world.run(&["replay", "--decision", &id[..8]]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains("identical: decision ") && said.out.contains("sha256 "));
    }
    let id = tamper(&world).await;
    let said = world.run(&["replay", "--decision", &id]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let difference = "  decision.desired\n    recorded  3\n    replayed  1\n";
    assert!(said.out.contains("NOT identical") && said.out.contains(difference), "{said:?}");
    for (id, wrong) in
        [("ffffffffffff", "no decision ffffffff-ffff is recorded"), ("x", "no decision's id")]
    {
        let said = world.run(&["replay", "--decision", id]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(wrong), "{said:?}");
    }
}

#[tokio::test]
async fn the_story_of_one_instance_begins_with_its_launch_and_is_followed() {
    let world = session().await;
    let launches = entries(&world, &["--kind", "settlement"]).await;
    let launched: Vec<&Value> =
        launches.iter().filter_map(|one| one["body"]["settlement"]["ids"].get(0)).collect();
    let (first, second) = (launched[0].as_str(), launched[1].as_str());
    let (first, second) = (first.expect("an id"), second.expect("an id"));
    let told = world.run(&["journal", "--instance", first]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let mut rest = told.out.as_str();
    for said in ["launch 1 ×", "accepted as", "in service", "delete", "gone"] {
        let at = rest.find(said).unwrap_or_else(|| panic!("{said} in order\n{}", told.out));
        rest = &rest[at..];
    }
    assert!(!told.out.contains(second), "{}", told.out);
    let bad = world.run(&["journal", "--instance", "web"]).await;
    assert!(bad.code == Some(1) && bad.err.contains("`web` is no instance"), "{bad:?}");

    let follower = world.command(&["journal", "-f", "--kind", "instruction"]);
    let mut follower = tokio::process::Command::from(follower);
    let mut child =
        follower.kill_on_drop(true).stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let word = ["protect", second, "--for", "1h", "--reason", "look", "--author", "mei"];
    // It looks first at what there is: until then nothing tells that it goes on.
    let said = world.run(&word).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let next = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
    let line = next.expect("in time").expect("read").expect("a line");
    assert!(line.contains(second) && line.contains("mei"), "{line}");
    child.kill().await.expect("ended");
}

#[tokio::test]
async fn an_output_that_cannot_be_written_is_a_failure() {
    let world = session().await;
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let mut command = tokio::process::Command::from(world.command(&["journal"]));
    let child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn();
    let ended = child.expect("it runs").wait_with_output().await.expect("it ends");
    let err = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{err}");
    assert_eq!(err.matches("the output cannot be written").count(), 1, "{err}");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_end_the_listing() {
    let world = World::new().await;
    world.tick(50.0).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.state());
    let mut state = options.connect().await.expect("the journal");
    sqlx::query("UPDATE records SET body = '{\"event\":' WHERE kind = 'intent'")
        .execute(&mut state)
        .await
        .expect("changed");
    state.close().await.expect("closed");
    let said = world.run(&["journal"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("(intent) cannot be read: EOF"), "{said:?}");
    assert!(said.out.contains("settled "), "what comes after it is shown: {said:?}");
    let intents = entries(&world, &["--kind", "intent"]).await;
    assert!(intents[0]["unreadable"].as_str().is_some_and(|why| why.starts_with("EOF")));
    assert_eq!(intents[0]["body"], "{\"event\":");
}

#[tokio::test]
async fn what_keeps_nothing_or_is_not_there_yet_is_said() {
    let world = World::new().await;
    let said = world.run(&["journal"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the daemon has not run yet with this state"), "{said:?}");
    world.configure("state = \"memory:\"", "web");
    for command in [
        &["journal"][..],
        &["holds"],
        &["replay", "--decision", "1234"],
        &["audit"],
        &["hold", "--fleet", "web", "--for", "1h", "--reason", "x"],
    ] {
        let said = world.run(command).await;
        assert_eq!(said.code, Some(1), "{command:?} {said:?}");
        assert!(said.err.contains("keeps nothing"), "{command:?} {said:?}");
    }
}
