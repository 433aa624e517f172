//! `check --online`: what is asked, and what is said of the answers.

use std::process::Stdio;

use ecs_emulator::{Fault, FaultKind};

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
    assert!(out.contains("skip  provider aliyun: 5 more checks"), "{out}");
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
