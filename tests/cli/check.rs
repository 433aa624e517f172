//! `check --online`: what is asked, and what is said of the answers.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use ecs_emulator::{Fault, FaultKind};
use serde_json::Value;

use crate::harness::{Said, World};

const CHECK: [&str; 2] = ["check", "--online"];

/// With four places to launch at, and a base instance that does not exist.
async fn world() -> World {
    let world = World::new().await;
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let text = text.replace("[\"ecs.c7.large\"]", "[\"ecs.c7.large\", \"ecs.g7.large\"]");
    let text = text.replace("[\"vsw-zone-h\"]", "[\"vsw-zone-h\", \"vsw-zone-i\"]");
    let base = "[fleet.web.base]\nids = [\"i-nowhere1\", \"i-nowhere2\"]\n[fleet.web.launch]";
    let text = text.replace("[fleet.web.launch]", base);
    std::fs::write(world.config(), text).expect("written");
    world
}

fn fits(said: &Said) {
    for line in said.out.lines().filter(|line| !line.contains("config.toml: ok")) {
        assert!(line.chars().count() <= 80, "{line}\n{}", said.out);
    }
}

#[tokio::test]
async fn base_instances_that_do_not_exist_are_named_and_so_is_the_state() {
    let world = world().await;
    let said = world.run(&CHECK).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("not found: i-nowhere1, i-nowhere2"), "{said:?}");
    assert!(said.out.contains("not there yet, the daemon makes"), "{said:?}");
    assert!(said.out.contains("\n1 of "), "{said:?}");
    assert!(!world.state().exists(), "nothing is made");
    fits(&said);
}

#[tokio::test]
async fn a_daemon_that_uses_the_state_is_fine_and_damage_is_not() {
    let world = World::new().await;
    world.tick(50.0).await;
    let said = world.run(&CHECK).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("can be read"), "{said:?}");

    let mut command = world.command(&["run", "--log", "error"]);
    let mut daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let process = format!("(process {})", daemon.id());
    let mut said = world.run(&CHECK).await;
    for _ in 0..100 {
        if said.out.split_whitespace().collect::<Vec<_>>().join(" ").contains(&process) {
            break;
        }
        said = world.run(&CHECK).await;
    }
    drop(daemon.kill());
    drop(daemon.wait());
    assert_eq!(said.code, Some(0), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("a daemon uses it {process}")), "{said:?}");

    std::fs::write(world.state(), "this is no database, whatever it is called").expect("written");
    let said = world.run(&CHECK).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("is damaged or not a journal"), "{said:?}");
    fits(&said);
}

#[tokio::test]
async fn what_would_be_refused_for_the_same_reason_is_told_once() {
    let world = world().await;
    world.emulator.inject(Fault::on("RunInstances", FaultKind::Forbidden));
    let said = world.run(&CHECK).await;
    assert_eq!(said.out.matches("FAIL  fleet web: launch").count(), 1, "{said:?}");
    assert!(said.out.contains("skip  fleet web: 3 launches more"), "{said:?}");
    assert!(said.out.contains("RAM policy"), "{said:?}");
    fits(&said);

    let mut command = world.command(&CHECK);
    command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "wrong");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let out = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
    assert_eq!(out.matches("FAIL").count(), 1, "{out}");
    assert!(out.contains("skip  provider aliyun: 7 more checks"), "{out}");
    assert!(out.contains("1 of 3 checks failed"), "{out}");
    assert!(out.contains("whether id and secret belong together"), "{out}");
    assert!(!out.contains("string to sign"), "{out}");

    let mut command = world.command(&CHECK);
    command.env_remove("ALIBABA_CLOUD_ACCESS_KEY_ID").env("HOME", "/nonexistent");
    command.env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    command.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = output.expect("it runs");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(out.contains("→ give it credentials"), "{out}");
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(err.contains("-p LoadCredential=access_key_id:/etc/credstore"), "{err}");
}

#[test]
fn an_emulator_whose_port_is_taken_says_so_once() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fleetscaler"));
    command.args(["emulator", "--listen", &address]).stdin(Stdio::null());
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(err.matches("Address already in use").count(), 1, "{err}");
}

#[tokio::test]
async fn the_whole_configuration_is_printed_and_is_one_again() {
    let world = World::new().await;
    let fleet = "[fleet.shop]\nextends = \"base\"\nmax = 9\n";
    std::fs::write(world.config().with_file_name("shop.toml"), fleet).expect("written");
    world.edit(|text| {
        let begin = text.find("[fleet.web]").expect("a fleet");
        let template = text[begin..].replace("fleet.web", "template.base");
        format!("include = [\"shop.toml\"]\n{text}\n{template}")
    });
    let said = world.run(&["check", "--print"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let max = said.out.lines().find(|line| line.starts_with("max = 9 ")).expect("its own");
    assert!(max.ends_with("shop.toml:3"), "{max}");
    assert!(said.out.contains("\n[[fleet.shop.rule]] "), "{said:?}");
    assert!(!said.out.contains("template"), "{said:?}");

    std::fs::write(world.config(), &said.out).expect("written");
    let again = world.run(&["check"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.contains("fleet shop: "), "{again:?}");

    world.edit(|text| text.replace("max = 9 ", "max = 0 "));
    let refused = world.run(&["check", "--print"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.out.contains("`max` is 0"), "{refused:?}");
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[tokio::test]
async fn programs_get_one_document_without_a_secret_in_it() {
    let world = World::new().await;
    std::fs::write(world.config().with_file_name("token"), "hush\n").expect("written");
    let secret = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(world.config().with_file_name("token"), secret).expect("a mode");
    let source = "source = \"prometheus\"\nbearer_token_file = \"token\"";
    world.edit(|text| text.replace("source = \"prometheus\"", source));
    let said = world.run(&["check", "--json"]).await;
    let document = json(&said);
    assert_eq!(said.code, Some(0), "{said:?}");
    let file = world.config().display().to_string();
    let fleet = serde_json::json!({
        "name": "web", "provider": "aliyun", "min": 1, "max": 3,
        "instance_types": ["ecs.c7.large"], "vswitches": ["vsw-zone-h"],
        "signals": ["cpu"], "rules": ["threshold-cpu"],
    });
    let expected = serde_json::json!({
        "file": file, "ok": true, "problems": [], "warnings": [], "fleets": [fleet], "online": [],
    });
    assert_eq!(document, expected);

    let said = world.run(&["check", "--online", "--json"]).await;
    let document = json(&said);
    let rows = document["online"].as_array().expect("rows");
    assert!(rows.len() >= 5, "{said:?}");
    for row in rows {
        let result = row["result"].as_str().expect("a result");
        assert!(["ok", "fail", "more", "skip"].contains(&result), "{row}");
        assert!(row["what"].is_string() && row["text"].is_string(), "{row}");
    }
    assert_eq!(rows[0]["result"], "ok", "{said:?}");
    assert_eq!(document["ok"], said.code == Some(0), "{said:?}");
    assert!(!said.out.contains("hush") && !said.out.contains("testsecret"), "{said:?}");
    assert_eq!(said.err, "", "no progress where nobody watches");

    world.edit(|text| text.replace("max = 3", "max = 0"));
    let said = world.run(&["check", "--online", "--json"]).await;
    let document = json(&said);
    assert_eq!((said.code, &document["ok"]), (Some(3), &Value::Bool(false)), "{said:?}");
    let problem = &document["problems"][0];
    assert_eq!(problem["file"], world.config().display().to_string());
    assert!(
        problem["line"].as_u64() > Some(0) && problem["column"].as_u64() > Some(0),
        "{problem}"
    );
    assert!(problem["message"].as_str().expect("a text").contains("`max` is 0"), "{problem}");
    assert!(problem["hint"].is_string(), "{problem}");
}

#[tokio::test]
async fn a_warning_is_a_problem_only_where_it_is_asked_for() {
    let world = World::new().await;
    assert_eq!(world.run(&["check", "--strict"]).await.code, Some(0), "there is none");
    world.edit(|text| text.replace("vsw-zone-h", "cn-hangzhou-h"));
    let said = world.run(&["check"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("warning: ") && words.contains("is a zone hint: "), "{said:?}");

    let said = world.run(&["check", "--strict"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.out.contains("1 warning: with --strict that is a problem"), "{said:?}");
    fits_but_paths(&said);

    let said = world.run(&["check", "--strict", "--json"]).await;
    let document = json(&said);
    assert_eq!((said.code, &document["ok"]), (Some(3), &Value::Bool(false)), "{said:?}");
    assert_eq!(document["warnings"].as_array().map(Vec::len), Some(1), "{document}");
    assert_eq!(document["problems"], serde_json::json!([]), "{document}");
    let said = world.run(&["check", "--strict", "--print"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
}

/// A path is not broken.
fn fits_but_paths(said: &Said) {
    for line in said.out.lines().filter(|line| !line.contains("config.toml")) {
        assert!(line.chars().count() <= 80, "{line}\n{}", said.out);
    }
}

#[tokio::test]
async fn a_dead_provider_and_a_dead_source_are_told_once_for_all_fleets() {
    let world = World::new().await;
    let closed = || {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let (cloud, metrics) = (closed(), closed());
    world.edit(|text| {
        let text = text.replace(&world.emulator.url(), &cloud);
        let begin = text.find("url = ").expect("a source");
        let end = begin + text[begin..].find('\n').expect("a line");
        let text = format!("{}url = \"{metrics}\"{}", &text[..begin], &text[end..]);
        let fleet =
            text[text.find("[fleet.web]").expect("a fleet")..].replace("fleet.web", "fleet.shop");
        format!("{text}{fleet}")
    });
    let said = world.run(&CHECK).await;
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_eq!(said.out.matches("FAIL").count(), 2, "{said:?}");
    assert_eq!(said.out.matches("skip").count(), 1, "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let fleets = format!("signal source {metrics}, asked by fleet shop (cpu) and fleet web (cpu)");
    assert!(words.contains(&fleets), "{said:?}");
    assert!(words.contains("the provider does not answer"), "{said:?}");
    assert_eq!(said.err, "", "no progress where nobody watches");
    let first = said.out.clone();
    fits(&said);
    assert_eq!(world.run(&CHECK).await.out.lines().count(), first.lines().count());
}
