//! `set`, `standby`, `replace` and their like, while no daemon runs; and the same by the API.

use serde_json::json;

use crate::api::{ask, get, until};
use crate::harness::World;
use crate::http::Daemon;

/// The flags that every instruction has.
const WHY: [&str; 2] = ["--reason", "a look"];

#[tokio::test]
async fn a_size_is_set_listed_and_withdrawn() {
    let world = World::new().await;
    world.grow_to(1, 50.0).await;
    let none = world.run(&["instructions"]).await;
    assert_eq!((none.code, none.out.as_str()), (Some(0), "no instruction is in force\n"));
    let set = world.run(&[&["set", "web", "2", "--for", "2h"][..], &WHY].concat()).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    assert!(set.out.contains("fleet `web`: size 2, by ann"), "{set:?}");
    assert!(set.out.contains("with the next tick: within 1s"), "{set:?}");
    world.grow_to(2, 50.0).await;
    let report = world.tick(10.0).await;
    assert_eq!(report["decision"]["desired"], 2, "{report}");
    assert!(report["decision"]["reasons"].to_string().contains("instructed"), "{report}");
    let listed = world.run(&["instructions", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    let one = &listed["instructions"][0];
    assert_eq!((&one["kind"], &one["min"], &one["max"]), (&"size".into(), &2.into(), &2.into()));
    let id = one["id"].as_str().expect("an id")[..8].to_owned();
    let withdrawn = world.run(&["withdraw", &id]).await;
    assert_eq!(withdrawn.code, Some(0), "{withdrawn:?}");
    assert!(withdrawn.out.contains("withdrawn:"), "{withdrawn:?}");
    let again = world.run(&["withdraw", &id]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    let said = world.run(&["journal", "--kind", "instruction"]).await;
    assert!(
        said.out.contains("size 2, by ann") && said.out.contains("withdrawn by ann"),
        "{said:?}"
    );
    for said in [&set, &withdrawn] {
        for line in said.out.lines().filter(|line| !line.contains("--config")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_a_hint() {
    let world = World::new().await;
    for (args, code, said) in [
        (&["set", "web", "--for", "1h"][..], 2, "required"),
        (&["set", "web", "2", "--min", "1", "--for", "1h"], 2, "cannot be used with"),
        (
            &["set", "web", "--min", "3", "--max", "1", "--for", "1h"],
            1,
            "--min 3 is more than --max 1",
        ),
        (&["set", "wep", "2", "--for", "1h"], 2, "did you mean `web`?"),
        (&["set", "web", "2", "--for", "5s"], 2, "from 1m to 30d"),
        (&["protect", "web", "--for", "1h"], 1, "is no instance: ids are `i-`"),
        (&["replace", "vsw-1"], 1, "is no instance: ids are `i-`"),
        (&["evacuate", "i-1", "--for", "1h"], 1, "is no vSwitch: ids are `vsw-`"),
    ] {
        let refused = world.run(&[args, &WHY].concat()).await;
        assert_eq!(refused.code, Some(code), "{args:?}: {refused:?}");
        assert!(refused.err.contains(said), "{args:?}: {refused:?}");
    }
    let silent = world.run(&["standby", "i-1"]).await;
    assert_eq!(silent.code, Some(2), "a reason is required: {silent:?}");
}

#[tokio::test]
async fn an_instance_that_is_reported_as_unhealthy_is_replaced() {
    let world = World::new().await;
    let socket = world.socket();
    let _daemon = Daemon::start(&world);
    let page = "/v1/fleets/web/instances";
    until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;
    let bad =
        get(&socket, page).await["instances"][0]["instance"].as_str().expect("an id").to_owned();
    let report = |healthy: bool| {
        let (author, reason) = ("disk-watch", "the disk fails");
        json!({ "healthy": healthy, "for_secs": 600, "author": author, "reason": reason })
    };
    let health = format!("/v1/instances/{bad}/health");
    let (status, said) = ask(&socket, "POST", &health, &report(true).to_string()).await;
    assert_eq!((status, &said["kind"]), (201, &"report_healthy".into()), "{said:#}");
    until(&socket, page, |shown| shown["instances"][0]["is_healthy"] == true).await;
    let (status, said) = ask(&socket, "POST", &health, &report(false).to_string()).await;
    assert_eq!((status, &said["kind"]), (201, &"report_unhealthy".into()), "{said:#}");
    let listed = world.run(&["instructions"]).await;
    let line = format!("report {bad} as unhealthy, by disk-watch");
    assert!(listed.out.contains(&line), "{listed:?}");
    assert!(!listed.out.contains("as healthy"), "the newer report replaced it: {listed:?}");
    until(&socket, page, |shown| {
        let instances = shown["instances"].as_array().expect("a list");
        let serves = instances.iter().any(|one| one["phase"] == "in_service");
        serves && instances.iter().all(|one| one["instance"] != bad.as_str())
    })
    .await;
}

#[tokio::test]
async fn an_instance_is_protected_by_its_id_and_a_bad_word_is_refused() {
    let world = World::new().await;
    let socket = world.socket();
    let _daemon = Daemon::start(&world);
    let body = json!({ "for_secs": 600, "author": "mei", "reason": "a look" }).to_string();
    let (status, said) = ask(&socket, "POST", "/v1/instances/i-1/protect", &body).await;
    assert_eq!(status, 201, "{said:#}");
    let listed = world.run(&["instructions"]).await;
    assert!(listed.out.contains("protect i-1, by mei"), "{listed:?}");
    let short = json!({ "healthy": true, "for_secs": 5, "author": "m", "reason": "r" });
    let silent = json!({ "healthy": true, "for_secs": 600, "author": "m", "reason": " " });
    for (page, body, hint) in [
        ("web/protect", &body, "i-"),
        ("i-1%0A/health", &body, "i-"),
        ("i-1/health", &body, "disk-watch"),
        ("i-1/health", &short.to_string(), "60 to 2592000"),
        ("i-1/health", &silent.to_string(), "disk-watch"),
    ] {
        let page = format!("/v1/instances/{page}");
        let (status, refused) = ask(&socket, "POST", &page, body).await;
        assert_eq!(status, 400, "{page} {body}: {refused:#}");
        assert!(refused.to_string().contains(hint), "{page} {body}: {refused:#}");
    }
}

#[tokio::test]
async fn a_new_template_replaces_the_fleet_once_it_is_asked_to() {
    let world = World::new().await;
    world.edit(|text| text.replace("min = 1", "min = 2"));
    world.grow_to(2, 50.0).await;
    let names = || -> Vec<String> {
        let running = world.emulator.instances().into_iter().filter(|one| one.status == "Running");
        running.map(|one| one.id).collect()
    };
    let old = names();
    let daemon = Daemon::started(&world, "web", |command| {
        world.edit(|text| {
            let text = text.replace("min = 1", "min = 2");
            text.replace("[fleet.web.launch]", "[fleet.web.launch]\ninstance_name = \"web-new\"")
        });
        command
    });
    let outdated = until(&world.socket(), "/v1/fleets/web/instances", |view| {
        view["instances"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await;
    assert!(
        outdated["instances"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|one| { one["is_outdated"] == true }),
        "{outdated:#}"
    );
    let said = world.run(&["refresh", "web", "--reason", "new name"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("fleet `web`: replace what an older template launched, by ann"),
        "{said:?}"
    );
    until(&world.socket(), "/v1/fleets/web/instances", |view| {
        let all = view["instances"].as_array().cloned().unwrap_or_default();
        all.len() == 2
            && all.iter().all(|one| one["is_outdated"] == false && one["phase"] == "in_service")
    })
    .await;
    assert!(names().iter().all(|id| !old.contains(id)), "{old:?}");
    assert_eq!(names().len(), 2);
    daemon.stop();
}
