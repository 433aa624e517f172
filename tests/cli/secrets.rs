//! Files with secrets that others on the machine can read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::World;

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

#[tokio::test]
async fn a_secret_that_everybody_can_read_is_refused() {
    let world = World::new().await;
    let secret = world.config().with_file_name("token");
    std::fs::write(&secret, "hush\n").expect("written");
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let text = text.replace(
        "source = \"prometheus\"",
        "source = \"prometheus\"\nbearer_token_file = \"token\"",
    );
    std::fs::write(world.config(), text).expect("written");
    mode(&secret, 0o644);
    let said = world.run(&["check"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("everybody on this machine can read"), "{said:?}");
    assert!(words.contains("chmod o="), "{said:?}");
    mode(&secret, 0o640);
    assert_eq!(world.run(&["check"]).await.code, Some(0), "a group may read it");
}

#[tokio::test]
async fn a_configuration_with_a_secret_that_everybody_can_read_is_warned_of() {
    let world = World::new().await;
    let text = std::fs::read_to_string(world.config()).expect("the configuration");
    let inline = "image_id = \"m-bp1example\"\nuser_data = \"export TOKEN=hush\"";
    let text = text.replace("image_id = \"m-bp1example\"", inline);
    std::fs::write(world.config(), text).expect("written");
    mode(&world.config(), 0o644);
    let said = world.run(&["check"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("in which user_data may hold a secret"), "{said:?}");
    assert!(!said.out.contains("hush"), "{said:?}");
    mode(&world.config(), 0o600);
    assert!(!world.run(&["check"]).await.out.contains("warning"));
}

#[test]
fn the_emulator_takes_its_secret_from_a_file_and_listens_on_loopback_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secret");
    std::fs::write(&file, "two\nlines\n").expect("written");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fleetscaler"));
        let output = command.arg("emulator").args(arguments).output().expect("it runs");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let said = run(&["--access-key-secret-file", &file.display().to_string()]);
    assert!(said.contains("holds no secret on a single line"), "{said}");
    let said = run(&["--listen", "0.0.0.0:0"]);
    assert!(said.contains("anybody could buy instances in its world"), "{said}");
}
