//! Commands beside the daemon, from a shell that has none of its secrets.

use crate::harness::World;

/// Secrets that only the unit is given, and a rule that reads nothing.
fn break_elsewhere(world: &World) {
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let keys = "[provider.aliyun]\n\
                access_key_id_file = \"credential:access_key_id\"\n\
                access_key_secret_file = \"credential:access_key_secret\"\n";
    let text = text.replace("[provider.aliyun]\n", keys);
    let text = text.replace("url = ", "bearer_token_env = \"NOT_SET_HERE\"\nurl = ");
    let text = text.replace("signal = \"cpu\"", "signal = \"memory\"");
    std::fs::write(world.config(), text).expect("written");
}

#[tokio::test]
async fn what_needs_the_journal_alone_works_without_secrets_and_with_problems_elsewhere() {
    let world = World::new().await;
    world.grow_to(1, 50.0).await;
    let decisions = world.run(&["journal", "--kind", "decision", "--json"]).await;
    let decision: serde_json::Value =
        serde_json::from_str(decisions.out.lines().next().expect("one")).expect("JSON");
    let decision = decision["body"]["id"].as_str().expect("an id");
    break_elsewhere(&world);
    for command in [
        &["journal"][..],
        &["replay", "--decision", decision],
        &["hold", "--fleet", "web", "--for", "1h", "--reason", "x"],
        &["holds"],
        &["resume", "--fleet", "web"],
    ] {
        let said = world.run(command).await;
        assert_eq!(said.code, Some(0), "{command:?} {said:?}");
        assert_eq!(said.err.lines().count(), 1, "{command:?} {said:?}");
        assert!(said.err.contains("warning: not needed here: "), "{command:?} {said:?}");
        assert!(said.err.contains("`fleetscaler check` lists them"), "{command:?} {said:?}");
    }
    let unknown = world.run(&["hold", "--fleet", "wep", "--for", "1h", "--reason", "x"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");

    // These call the cloud.
    for (command, by_hand) in
        [(&["audit"][..], "fleetscaler audit --config"), (&["check", "--online"], "check --online")]
    {
        let said = world.run(command).await;
        assert_eq!(said.code, Some(3), "{said:?}");
        for wanted in [
            "sudo systemd-run --pipe --wait",
            "-p LoadCredential=access_key_id:/etc/credstore/fleetscaler/access_key_id",
            "-p LoadCredential=access_key_secret:/etc/credstore/fleetscaler/access_key_secret",
            by_hand,
        ] {
            assert!(said.err.contains(wanted), "{wanted} {said:?}");
        }
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_told_is_an_error() {
    let world = World::new().await;
    for (state, wanted) in [
        ("state = \"somewhere\"", "`state` is no place"),
        (
            "state = \"postgres://f@127.0.0.1/f\"\nstate_password_env = \"NOT_SET_HERE\"",
            "environment variable that is not set",
        ),
        (
            "state = \"postgres://f@127.0.0.1/f\"\nstate_password_file = \"credential:password\"",
            "needs a systemd credential",
        ),
        ("state = ", "this is not TOML"),
    ] {
        world.configure(state, "web");
        let said = world.run(&["journal"]).await;
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(said.err.contains(wanted), "{said:?}");
        let by_hand = "-p LoadCredential=password:/etc/credstore/fleetscaler/password";
        assert_eq!(said.err.contains(by_hand), state.contains("credential:"), "{said:?}");
    }
}

#[tokio::test]
async fn a_dry_run_without_credentials_says_how_to_get_the_services() {
    let world = World::new().await;
    let mut command = world.command(&["run", "--dry-run", "--once", "--log", "error"]);
    command.env_remove("ALIBABA_CLOUD_ACCESS_KEY_ID").env("HOME", "/nonexistent");
    command.env_remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    command.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(err.contains("fleetscaler run --dry-run --config"), "{err}");
}
