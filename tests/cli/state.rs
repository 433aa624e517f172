//! `fleetscaler state`: a back-up beside the daemon, its proof, and its way back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cloud::{Clock, SystemClock};

use crate::harness::World;

fn records(said: &str) -> u64 {
    let count = said.split("whole, ").nth(1).and_then(|rest| rest.split(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test]
async fn a_backup_is_whole_beside_the_daemon_and_comes_back_only_without_it() {
    let world = World::new().await;
    world.grow_to(2, 90.0).await;
    let copy = world.state().with_file_name("copy.db");

    let daemon = world
        .command(&["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut daemon = Ended(daemon);
    for _ in 0..200 {
        if world.socket().exists() {
            break;
        }
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
    let made = world.run(&["state", "backup", text(&copy)]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let mode = std::fs::metadata(&copy).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it names every instance");
    let again = world.run(&["state", "backup", text(&copy)]).await;
    assert!(again.code == Some(1) && again.err.contains("name a new file"), "{again:?}");
    let early = world.run(&["state", "restore", text(&copy)]).await;
    assert!(
        early.code == Some(1) && early.err.contains("used by another fleetscaler"),
        "{early:?}"
    );
    daemon.0.kill().expect("it runs");
    daemon.0.wait().expect("a status");

    let verified = world.run(&["state", "verify", text(&copy)]).await;
    let kept = records(&verified.out);
    assert!(verified.code == Some(0) && kept > 0, "{verified:?}");
    // Something happens that the copy does not know.
    world.tick(50.0).await;
    let restored = world.run(&["state", "restore", text(&copy)]).await;
    assert_eq!((restored.code, records(&restored.out)), (Some(0), kept), "{restored:?}");
    assert!(restored.out.contains(".before-"), "{restored:?}");
    // The daemon goes on with it, and with the same instances.
    let report = world.tick(50.0).await;
    assert_eq!(report["counts"]["in_service"], 2, "{report}");
}

#[tokio::test]
async fn what_is_damaged_or_no_journal_is_not_put_in_the_place_of_one() {
    let world = World::new().await;
    world.tick(50.0).await;
    let copy = world.state().with_file_name("copy.db");
    assert_eq!(world.run(&["state", "backup", text(&copy)]).await.code, Some(0));
    let before = std::fs::read(world.state()).expect("the state");
    let mut bytes = std::fs::read(&copy).expect("the copy");
    // All pages but the first, which says that it is a database.
    bytes[4_096..].fill(0x5a);
    std::fs::write(&copy, bytes).expect("written");
    let other = world.state().with_file_name("other.txt");
    std::fs::write(&other, "no database at all").expect("written");
    for file in [&copy, &other, &world.state(), &world.state().with_file_name("missing.db")] {
        let said = world.run(&["state", "restore", text(file)]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(!said.err.is_empty());
    }
    assert_eq!(std::fs::read(world.state()).expect("the state"), before, "it is as it was");
}

struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
