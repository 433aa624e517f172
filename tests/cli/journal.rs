//! `journal` and `replay` after a session that grows and shrinks a fleet.

use serde_json::Value;
use sqlx::{ConnectOptions, Connection};

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
        "(UTC)",
        "web lease: replica ",
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
        assert!(line.chars().count() <= 80, "{line}");
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
