//! Shared reads on a clock that tests move.

use std::sync::atomic::{AtomicU32, Ordering};

use cloud::ManualClock;
use tokio::sync::watch;

use super::*;

/// The behaviour of the read under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    /// Another page has come.
    Page,
    Done,
    Refused,
    Panics,
}

/// A read that does what it is told, and counts how often it is begun.
struct Rig {
    clock: ManualClock,
    read: Arc<SharedRead<u32>>,
    begun: Arc<AtomicU32>,
    says: watch::Sender<Says>,
}

impl Rig {
    fn new() -> Rig {
        let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
        let read = Arc::new(SharedRead::new(Arc::new(clock.clone()) as Arc<dyn Clock>));
        Rig { clock, read, begun: Arc::default(), says: watch::Sender::new(Says::Nothing) }
    }

    /// Somebody wants what was asked for at `since` or later; the nth read finds n.
    fn wants(&self, since: Timestamp) -> tokio::task::JoinHandle<Result<u32, Error>> {
        let (read, begun, says) = (self.read.clone(), self.begun.clone(), self.says.clone());
        tokio::spawn(async move {
            let begin = move |pages: Arc<Pages>| {
                let (n, mut says) = (begun.fetch_add(1, Ordering::Relaxed) + 1, says.subscribe());
                says.mark_unchanged();
                let read = async move {
                    loop {
                        let said = *says.borrow_and_update();
                        match said {
                            Says::Done => return Ok(n),
                            Says::Refused => return Err(died()),
                            Says::Panics => panic!("as the test wants it"),
                            Says::Page => pages.arrived(),
                            Says::Nothing => {}
                        }
                        says.changed().await.expect("the test goes on");
                    }
                };
                read.boxed()
            };
            read.since(since, &begin).await.map(|found| *found.value)
        })
    }

    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    fn secs(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }
}

#[tokio::test]
async fn all_who_want_the_same_share_one_read() {
    let rig = Rig::new();
    let now = rig.clock.now();
    let waiting: Vec<_> = (0..100).map(|_| rig.wants(now)).collect();
    rig.settle().await;
    rig.says.send_replace(Says::Done);
    for one in waiting {
        assert_eq!(one.await.expect("it ends"), Ok(1));
    }
    assert_eq!(rig.wants(now).await.expect("it ends"), Ok(1), "what is known is not read again");
    assert_eq!(rig.begun(), 1);
}

#[tokio::test]
async fn who_wants_a_newer_one_waits_for_the_read_under_way_and_then_reads_once() {
    let rig = Rig::new();
    let old = rig.wants(rig.clock.now());
    rig.settle().await;
    rig.secs(1);
    let new: Vec<_> = (0..10).map(|_| rig.wants(rig.clock.now())).collect();
    rig.settle().await;
    assert_eq!(rig.begun(), 1, "never two at a time");
    rig.says.send_replace(Says::Done);
    assert_eq!(old.await.expect("it ends"), Ok(1));
    for one in new {
        assert_eq!(one.await.expect("it ends"), Ok(2));
    }
    assert_eq!(rig.begun(), 2);
}

#[tokio::test]
async fn a_read_goes_on_when_who_began_it_is_gone() {
    let rig = Rig::new();
    let now = rig.clock.now();
    let first = rig.wants(now);
    rig.settle().await;
    first.abort();
    drop(first.await);
    rig.says.send_replace(Says::Done);
    rig.settle().await;
    assert_eq!(rig.wants(now).await.expect("it ends"), Ok(1));
    assert_eq!(rig.begun(), 1);
}

#[tokio::test]
async fn who_waits_waits_as_long_as_pages_come_and_replaces_a_read_that_is_dead() {
    let rig = Rig::new();
    let now = rig.clock.now();
    let first = rig.wants(now);
    rig.settle().await;
    let waiting = [rig.wants(now), rig.wants(now)];
    rig.settle().await;
    for _ in 0..20 {
        rig.says.send_replace(Says::Page);
        rig.settle().await;
        rig.secs(100);
        rig.settle().await;
    }
    assert_eq!(rig.begun(), 1, "half an hour, and pages came all the time");
    rig.says.send_replace(Says::Nothing);
    rig.settle().await;
    rig.secs(100);
    rig.settle().await;
    assert_eq!(rig.begun(), 2, "replaced once, by one of those who wait");
    assert!(!first.is_finished());
    rig.says.send_replace(Says::Done);
    for one in waiting {
        assert_eq!(one.await.expect("it ends"), Ok(2));
    }
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_the_read_is_not_repeated_at_once() {
    for says in [Says::Refused, Says::Panics] {
        let rig = Rig::new();
        let now = rig.clock.now();
        let waiting = [rig.wants(now), rig.wants(now)];
        rig.settle().await;
        rig.says.send_replace(says);
        for one in waiting {
            one.await.expect("nobody who waits panics").expect_err("it failed");
        }
        rig.says.send_replace(Says::Done);
        rig.wants(now).await.expect("it ends").expect_err("a moment ago it failed");
        rig.secs(5);
        assert_eq!(rig.wants(now).await.expect("it ends"), Ok(2), "{says:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_listing_of_tomorrow_valid() {
    let rig = Rig::new();
    rig.says.send_replace(Says::Done);
    assert_eq!(rig.wants(rig.clock.now()).await.expect("it ends"), Ok(1));
    let before = rig.clock.now() - chrono::TimeDelta::hours(1);
    rig.clock.set(before);
    assert_eq!(rig.wants(before).await.expect("it ends"), Ok(2));
    assert_eq!(rig.wants(before).await.expect("it ends"), Ok(2), "the new one is kept");
}
