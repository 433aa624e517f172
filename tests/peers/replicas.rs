//! Three daemons, one database, sixty fleets, and everything that may happen to them meanwhile.
//!
//! One is killed and started again, one is paused for longer than its leases last, the database is
//! restarted and then cut off; all the time some fleets grow and others shrink. Each daemon marks what
//! it launches, so that journal and cloud tell who did what. At the end both are read:
//! (`replicas/proof.rs`) one writer at a time, nothing bought twice, nobody left alone.

mod proof;
mod stage;

use std::time::Duration;

use stage::{FLEETS, LEASE, Stage};

const ALL: [usize; 3] = [0, 1, 2];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the figures are for people, too")]
async fn three_replicas_share_sixty_fleets_whatever_happens_to_one_of_them_or_to_the_database() {
    let _processors = crate::support::processors_shared().await;
    let mut stage = Stage::set().await;
    for n in ALL {
        stage.start(n);
    }
    stage.until_shared_by(&ALL, "three took their shares").await;
    stage.until_launches(20, "launches go on").await;

    stage.kill(1);
    stage.until_shared_by(&[0, 2], "two took over from the one that was killed").await;
    stage.start(1);
    stage.until_shared_by(&ALL, "the third has its share again").await;

    stage.pause(2);
    stage.until_shared_by(&[0, 1], "two took over from the one that is paused").await;
    let before = stage.launches();
    stage.resume(2);
    stage.until_shared_by(&ALL, "the paused one has a share again").await;
    stage.until_launches(before + 20, "launches go on").await;

    stage.restart_database();
    stage.until_all_ticked("every fleet ticks after the restart of the database").await;

    stage.stop_database();
    stage.rest(LEASE).await;
    // Every lease has run out.
    let (reads, writes) = (stage.reads(), stage.writes());
    stage.rest(LEASE).await;
    stage.rest(Duration::from_secs(2)).await;
    assert_eq!(stage.writes(), writes, "nothing is changed without a journal");
    assert!(stage.reads() > reads, "who cannot act looks on");
    stage.resume_database();
    stage.until_all_ticked("every fleet ticks after the database is back").await;
    stage.until_shared_by(&ALL, "the shares are even again").await;
    let before = stage.launches();
    stage.until_launches(before + 20, "launches go on").await;

    stage.calm();
    stage.until_settled().await;
    let ids = stage.all_still_run();
    let evidence = stage.end().await;
    println!("{}", proof::check(&evidence));
    assert_eq!((ids, evidence.fleets()), (3, FLEETS), "no daemon was started but by the script");
}
