//! `support`: an archive beside a running daemon, and without one.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::api::until;
use crate::harness::World;
use crate::http::Daemon;

/// The parts of an archive by their names.
fn parts(archive: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(archive).expect("an archive");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        (name.trim_start_matches("fleetscaler-support/").to_owned(), text)
    });
    entries.collect()
}

#[tokio::test]
async fn an_archive_tells_everything_but_secrets_also_without_a_daemon() {
    let world = World::new().await;
    let daemon = Daemon::start(&world);
    world.edit(|text| {
        let inline = "image_id = \"m-bp1example\"\nuser_data = \"export TOKEN=hush-hush\"";
        text.replace("image_id = \"m-bp1example\"", inline)
    });
    until(&world.socket(), "/v1/fleets/web", |fleet| fleet["instances"]["serving"] == 1).await;
    let file = world.config().with_file_name("live.tar.gz");
    let path = file.display().to_string();
    let said = world.run(&["support", "--no-logs", "--out", &path]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.lines().all(|line| line.chars().count() <= 80 || line.contains(&path)),
        "{said:?}"
    );
    let live = parts(&file);
    for (part, text) in [
        ("about.txt", "fleetscaler "),
        ("config.toml", "image_id = \"m-bp1example\""),
        ("fleets.json", "\"web\""),
        ("metrics.txt", "fleetscaler_"),
        ("journal.jsonl", "\"kind\":"),
        ("contents.txt", "journal.jsonl"),
    ] {
        assert!(
            live.get(part).is_some_and(|got| got.contains(text)),
            "{part}: {:?}",
            live.get(part)
        );
    }
    for (name, text) in &live {
        for secret in ["hush-hush", "testsecret"] {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }

    // What is there is never written over.
    let again = world.run(&["support", "--no-logs", "--out", &path]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("--out"), "{again:?}");
    daemon.stop();

    let file = world.config().with_file_name("down.tar.gz");
    let said = world.run(&["support", "--no-logs", "--out", &file.display().to_string()]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("not there: daemon.json: no daemon answers on"), "{said:?}");
    let down = parts(&file);
    assert!(down.contains_key("journal.jsonl") && !down.contains_key("fleets.json"), "{down:?}");

    // Broken, it is what somebody needs help with.
    world.edit(|text| text.replace("min = 1", "min = 9"));
    let file = world.config().with_file_name("broken.tar.gz");
    let said = world.run(&["support", "--no-logs", "--out", &file.display().to_string()]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let broken = parts(&file);
    assert!(broken["contents.txt"].contains("not there: config.toml: "), "{broken:?}");
    assert!(broken.contains_key("journal.jsonl"), "{broken:?}");
}
