//! A changed configuration, taken by the running daemon.

use serde_json::{Value, json};

use crate::api::{get, until};
use crate::harness::World;
use crate::http::Daemon;

/// The text with a second fleet, like the first one.
fn with_a_fleet(text: &str, name: &str) -> String {
    let begin = text.find("[fleet.web]").expect("the first fleet");
    format!("{text}{}", text[begin..].replace("fleet.web", &format!("fleet.{name}")))
}

fn without_a_fleet(text: &str, name: &str) -> String {
    let begin = text.find(&format!("[fleet.{name}]")).expect("it is there");
    text[..begin].to_owned()
}

/// The ids of all instances that exist.
fn exist(world: &World) -> Vec<String> {
    let views = world.emulator.instances().into_iter();
    views.filter(|view| view.status != "Gone").map(|view| view.id).collect()
}

#[tokio::test]
async fn fleets_are_added_changed_and_removed_while_the_others_tick() {
    let world = World::new().await;
    let socket = world.socket();
    let daemon = Daemon::start(&world);
    until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;
    let same = world.run(&["reload"]).await;
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.out.starts_with("nothing differs from "), "{same:?}");

    world.edit(|text| with_a_fleet(&text.replace("max = 3", "max = 5"), "shop"));
    let asked = world.run(&["reload", "--dry-run"]).await;
    assert_eq!(asked.code, Some(0), "{asked:?}");
    for said in ["add      shop\n", "change   web: max 3 → 5\n", "nothing was changed yet"] {
        assert!(asked.out.contains(said), "{said}: {asked:?}");
    }
    let bounds = |max: u32| json!({ "min_instances": 1, "max_instances": max });
    assert_eq!(get(&socket, "/v1/fleets/web").await["bounds"], bounds(3));

    let taken = world.run(&["reload", "--json"]).await;
    let view: Value = serde_json::from_str(&taken.out).expect("JSON");
    assert_eq!((taken.code, &view["taken"]), (Some(0), &json!(true)), "{taken:?}");
    assert_eq!(view["added_fleets"], json!(["shop"]));
    until(&socket, "/v1/fleets/web", |fleet| fleet["bounds"] == bounds(5)).await;
    until(&socket, "/v1/fleets/shop", |fleet| fleet["instances"]["serving"] == 1).await;
    let two = exist(&world);
    assert_eq!(two.len(), 2, "{two:?}");
    let text = daemon.until_metric("fleetscaler_held{fleet=\"shop\"} 1.0").await;
    assert!(text.contains("fleetscaler_ticks_total{fleet=\"web\""), "{text}");

    // A fleet that is gone is left alone, and is its own again when it comes back.
    world.edit(|text| without_a_fleet(&text, "shop"));
    let gone = world.run(&["reload"]).await;
    assert!(gone.out.starts_with("remove   shop: its instances stay, as strays\n"), "{gone:?}");
    daemon.until_no_metric("fleet=\"shop\"").await;
    let why = world.run(&["why", "shop"]).await;
    assert!(why.err.contains("no fleet is called `shop`"), "{why:?}");
    world.edit(|text| with_a_fleet(&text.replace("max = 5", "max = 4"), "shop"));
    assert_eq!(world.run(&["reload"]).await.code, Some(0));
    until(&socket, "/v1/fleets/shop", |fleet| fleet["instances"]["serving"] == 1).await;
    until(&socket, "/v1/fleets/web", |fleet| fleet["bounds"] == bounds(4)).await;
    assert_eq!(exist(&world), two, "nothing was bought or ended by any of it");

    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    let journal = world.run(&["journal"]).await;
    let lines: Vec<&str> =
        journal.out.lines().filter(|line| line.contains("taken by ann")).collect();
    assert_eq!(lines.len(), 4, "{journal:?}");
    assert!(lines[1].contains("adds shop; changes web (max 3 → 5)"), "{lines:?}");
}

#[tokio::test]
async fn a_configuration_with_a_problem_is_refused_as_a_whole_and_the_old_one_goes_on() {
    let world = World::new().await;
    let socket = world.socket();
    let alone = world.run(&["reload"]).await;
    assert_eq!(alone.code, Some(1), "{alone:?}");
    assert!(alone.err.contains("no daemon answers on"), "{alone:?}");

    let daemon = Daemon::start(&world);
    until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;
    let good = std::fs::read_to_string(world.config()).expect("it is there");
    // Two problems, and a change that would be good.
    world.edit(|text| {
        let text = text.replace("min = 1\nmax = 3", "min = 2\nmax = 4\nmix = 1");
        text.replace("signal = \"cpu\"", "signal = \"cpv\"")
    });
    let refused = world.run(&["reload"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    for said in ["unknown key `mix`", "cpv", "the old configuration goes on"] {
        assert!(refused.err.contains(said), "{said}: {refused:?}");
    }
    let alert = "fleetscaler_alert{fleet=\"\",account=\"\",code=\"config_refused\",about=\"\"} 1.0";
    daemon.until_metric(alert).await;

    std::fs::write(world.config(), good.replace("interval = \"1s\"", "lease = \"20s\""))
        .expect("written");
    let restart = world.run(&["reload", "--dry-run"]).await;
    assert_eq!(restart.code, Some(1), "{restart:?}");
    assert!(
        restart.err.contains("`lease` in [daemon] changed, which needs a restart"),
        "{restart:?}"
    );
    let fleet = get(&socket, "/v1/fleets/web").await;
    assert_eq!(fleet["bounds"], json!({ "min_instances": 1, "max_instances": 3 }), "{fleet:#}");

    // A signal does the same as the command.
    std::fs::write(world.config(), good.replace("max = 3", "max = 6")).expect("written");
    let pid = daemon.id().to_string();
    let sent = std::process::Command::new("kill").args(["-HUP", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    until(&socket, "/v1/fleets/web", |fleet| fleet["bounds"]["max_instances"] == 6).await;
    daemon.until_no_metric("config_refused").await;
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the configuration is taken, asked by SIGHUP: changes web"), "{log}");
    assert!(log.contains("cleared config_refused"), "{log}");
}

#[tokio::test]
async fn the_files_of_a_configuration_are_taken_together_or_not_at_all() {
    let world = World::new().await;
    let socket = world.socket();
    let conf_d = world.config().with_file_name("conf.d");
    std::fs::create_dir(&conf_d).expect("made");
    let daemon = Daemon::start(&world);
    // The harness writes the file when the daemon starts.
    world.edit(|text| format!("include = [\"conf.d/*.toml\"]\n{text}"));
    until(&socket, "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;

    let text = std::fs::read_to_string(world.config()).expect("it is there");
    let begin = text.find("[fleet.web]").expect("a fleet");
    let shop = text[begin..].replace("fleet.web", "fleet.shop");
    std::fs::write(conf_d.join("shop.toml"), &shop).expect("written");
    std::fs::write(conf_d.join("api.toml"), "[fleet.api]\nmin = 3\n").expect("written");
    let refused = world.run(&["reload"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.err.contains("conf.d/api.toml:1: `"), "{refused:?}");
    let shop = world.run(&["why", "shop"]).await;
    assert!(shop.err.contains("no fleet"), "the good file was not taken either: {shop:?}");

    std::fs::remove_file(conf_d.join("api.toml")).expect("removed");
    let checked = world.run(&["check"]).await;
    assert!(checked.out.contains("and 1 file that it includes: ok"), "{checked:?}");
    let taken = world.run(&["reload"]).await;
    assert!(taken.out.contains("add      shop\n"), "{taken:?}");
    until(&socket, "/v1/fleets/shop", |fleet| fleet["instances"]["serving"] == 1).await;

    // A directory that is not there does not remove the fleets in it.
    std::fs::rename(&conf_d, conf_d.with_file_name("elsewhere")).expect("renamed");
    let refused = world.run(&["reload"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.err.contains("there is no such directory"), "{refused:?}");
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
}
