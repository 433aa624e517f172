//! A disk that is full, for real, under the journal of a daemon at work.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::operator::Site;
use crate::support::until;

/// A file system of 16 MiB, four times what the log of the journal takes, until this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: &Path) -> SmallDisk {
        let place = dir.join("small");
        std::fs::create_dir(&place).expect("a directory");
        let options = ["-t", "tmpfs", "-o", "size=16m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(&place).status();
        assert!(mounted.is_ok_and(|status| status.success()), "only root mounts a file system");
        SmallDisk(place)
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("fill");
        let mut file = File::create(&path).expect("a file");
        while file.write_all(&[b'x'; 512]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a daemon that is killed a moment later still has files there.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test]
async fn after_a_full_disk_the_daemon_goes_on_without_a_restart() {
    let _processors = crate::support::processors_shared().await;
    let dir = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::mount(dir.path());
    let site = Site::new(&format!("sqlite:{}", disk.0.join("state.db").display())).await;
    let _daemon = site.daemon();
    until("two instances", 60, async || (site.emulator.instances().len() == 2).then_some(())).await;

    let fill = disk.fill();
    until("a daemon that misses its journal", 60, async || {
        site.page("/readyz").await.filter(|page| page.contains("the disk is full"))
    })
    .await;
    let metrics = site.page("/metrics").await.expect("it answers");
    assert!(metrics.contains("fleetscaler_journal_up 0"), "{metrics}");

    std::fs::remove_file(fill).expect("room");
    until("a ready daemon", 60, async || site.page("/readyz").await.filter(|page| page == "ok\n"))
        .await;
    let (code, said) = site.run(&["hold", "--fleet", "web", "--for", "1h", "--reason", "x"]).await;
    assert_eq!(code, Some(0), "{said}");
    until("a new tick in the journal", 60, async || {
        let (code, said) =
            site.run(&["journal", "--kind", "tick", "--since", "3s", "--json"]).await;
        (code == Some(0) && said.contains("ticked")).then_some(())
    })
    .await;
}
