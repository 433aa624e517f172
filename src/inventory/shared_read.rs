//! One read of something, shared by all who want it: true single flight.
//!
//! A read that began recently enough is joined, never made twice. It belongs to nobody: a tick that is
//! abandoned takes no read with it, and one that died (it panicked, or no page has come for long) is
//! replaced by whoever waits for it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cloud::{Class, Clock, Error, ErrorKind, Pages, Timestamp, clock};
use futures::FutureExt;
use futures::future::{BoxFuture, Either, Shared, select};

/// A tick that waits for another's read takes it for dead when no page has come for so long: longer
/// than any one page may take (90 s, with all its attempts).
const DEAD_AFTER: Duration = Duration::from_secs(100);
/// A read that failed is not made again within this: ten fleets that tick in the same second learn of
/// one failure.
const FAILED_FOR: Duration = Duration::from_secs(5);

/// The answer read, and when.
#[derive(Debug)]
pub(super) struct Dated<T> {
    /// Just before the cloud was asked: what happened later may be missing.
    pub(super) asked_at: Timestamp,
    /// In how many pages it came.
    pub(super) pages: u32,
    pub(super) value: Arc<T>,
}

impl<T> Clone for Dated<T> {
    fn clone(&self) -> Self {
        Dated { asked_at: self.asked_at, pages: self.pages, value: self.value.clone() }
    }
}

type Outcome<T> = Result<Dated<T>, Error>;

/// Makes a read. It may be made again, by somebody else, when this one has died.
pub(super) type Begin<'a, T> =
    &'a (dyn Fn(Arc<Pages>) -> BoxFuture<'static, Result<T, Error>> + Send + Sync);

pub(super) struct SharedRead<T> {
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<Known<T>>>,
    under_way: Mutex<Option<UnderWay<T>>>,
}

/// The results of the reads so far.
struct Known<T> {
    newest: Option<Dated<T>>,
    /// Why the last read failed, and when it began; `None` after one that succeeded.
    failed: Option<(Timestamp, Error)>,
}

/// A read that goes on.
struct UnderWay<T> {
    began: Timestamp,
    pages: Arc<Pages>,
    read: Shared<BoxFuture<'static, Outcome<T>>>,
    /// Keeps it going while nobody waits for it.
    driver: Option<Arc<Driver>>,
}

impl<T> Clone for UnderWay<T> {
    fn clone(&self) -> Self {
        UnderWay {
            began: self.began,
            pages: self.pages.clone(),
            read: self.read.clone(),
            driver: self.driver.clone(),
        }
    }
}

struct Driver(tokio::task::AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> fmt::Debug for SharedRead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked_at = self.known().newest.as_ref().map(|newest| newest.asked_at);
        f.debug_struct("SharedRead").field("asked_at", &asked_at).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> SharedRead<T> {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let known = Arc::new(Mutex::new(Known { newest: None, failed: None }));
        SharedRead { clock, known, under_way: Mutex::new(None) }
    }

    /// The newest that is known. One from the future means that the clock was set back: it is none.
    pub(super) fn newest(&self) -> Option<Dated<T>> {
        let now = self.clock.now();
        self.known().newest.clone().filter(|newest| newest.asked_at <= now)
    }

    /// Why the last read failed, if it did.
    pub(super) fn failure(&self) -> Option<Error> {
        self.known().failed.as_ref().map(|(_, error)| error.clone())
    }

    /// The answer to a question asked at `since` or later: one that is known, a read under way that began then, or a
    /// new one. One that began earlier is let end first, so that there are never two.
    pub(super) async fn since(&self, since: Timestamp, begin: Begin<'_, T>) -> Outcome<T> {
        loop {
            if let Some(newest) = self.newest().filter(|newest| newest.asked_at >= since) {
                return Ok(newest);
            }
            if let Some(error) = self.just_failed(since) {
                return Err(error);
            }
            let (read, is_mine) = self.join_or_begin(begin);
            let outcome = self.wait(&read, is_mine).await;
            if let Some(outcome) = outcome
                && read.began >= since
            {
                return outcome;
            }
        }
    }

    /// Waits for the read under way, whenever it began, or for a new one.
    pub(super) async fn next(&self, begin: Begin<'_, T>) -> Outcome<T> {
        loop {
            if let Some(error) = self.just_failed(Timestamp::MIN_UTC) {
                return Err(error);
            }
            let (read, is_mine) = self.join_or_begin(begin);
            if let Some(outcome) = self.wait(&read, is_mine).await {
                return outcome;
            }
        }
    }

    /// Begins a read beside the caller if none is under way. Whether it goes on by itself: without a
    /// runtime it goes on only while somebody waits for it.
    pub(super) fn begin_aside(&self, begin: Begin<'_, T>) -> bool {
        let just_failed = self.just_failed(Timestamp::MIN_UTC).is_some();
        just_failed || self.join_or_begin(begin).0.driver.is_some()
    }

    /// A failure so new that the read is not made again: it began at `since` or later.
    fn just_failed(&self, since: Timestamp) -> Option<Error> {
        let now = self.clock.now();
        let known = self.known();
        let (began, error) = known.failed.as_ref()?;
        let new = (since.min(now)..=now).contains(began) && clock::age(now, *began) < FAILED_FOR;
        new.then(|| error.clone())
    }

    fn join_or_begin(&self, begin: Begin<'_, T>) -> (UnderWay<T>, bool) {
        let now = self.clock.now();
        let mut under_way = self.under_way();
        // One from the future means that the clock was set back: nobody knows how old it is.
        let going =
            under_way.as_ref().filter(|read| read.read.peek().is_none() && read.began <= now);
        if let Some(read) = going {
            return (read.clone(), false);
        }
        let pages = Arc::new(Pages::default());
        let read =
            read(self.clock.clone(), self.known.clone(), pages.clone(), begin(pages.clone()));
        let read = read.boxed().shared();
        let driver = tokio::runtime::Handle::try_current()
            .ok()
            .map(|runtime| Arc::new(Driver(runtime.spawn(read.clone().map(drop)).abort_handle())));
        let begun = UnderWay { began: now, pages, read, driver };
        *under_way = Some(begun.clone());
        (begun, true)
    }

    /// Its result; `None` when no page has come for long. The tick that began it waits for as long as it
    /// takes: each of its calls has a deadline.
    async fn wait(&self, read: &UnderWay<T>, is_mine: bool) -> Option<Outcome<T>> {
        if is_mine {
            return Some(read.read.clone().await);
        }
        let mut seen = read.pages.count();
        loop {
            match select(read.read.clone(), self.clock.sleep(DEAD_AFTER)).await {
                Either::Left((outcome, _)) => return Some(outcome),
                Either::Right(_) if read.pages.count() > seen => seen = read.pages.count(),
                Either::Right(_) => break,
            }
        }
        let mut under_way = self.under_way();
        if under_way.as_ref().is_some_and(|now| now.read.ptr_eq(&read.read)) {
            *under_way = None;
        }
        None
    }

    fn under_way(&self) -> MutexGuard<'_, Option<UnderWay<T>>> {
        self.under_way.lock().expect("no holder of this lock can panic")
    }
}

impl<T> SharedRead<T> {
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().expect("no holder of this lock can panic")
    }
}

/// Reads, and keeps what was read.
async fn read<T: Send + Sync>(
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<Known<T>>>,
    pages: Arc<Pages>,
    read: BoxFuture<'static, Result<T, Error>>,
) -> Outcome<T> {
    let asked_at = clock.now();
    let outcome = AssertUnwindSafe(read).catch_unwind().await.unwrap_or_else(|_| Err(died()));
    let outcome = outcome.map(|value| Dated {
        asked_at,
        pages: pages.count().max(1),
        value: Arc::new(value),
    });
    let now = clock.now();
    let mut known = known.lock().expect("no holder of this lock can panic");
    // One that was taken for dead may end after the one that replaced it.
    let is_newer = |known: &Dated<T>| (asked_at..=now).contains(&known.asked_at);
    match &outcome {
        Ok(found) if !known.newest.as_ref().is_some_and(is_newer) => {
            known.newest = Some(found.clone());
            known.failed = None;
        }
        Ok(_) => {}
        Err(error) => known.failed = Some((asked_at, error.clone())),
    }
    outcome
}

/// A read that panicked: the process goes on, and so does the next read.
pub(super) fn died() -> Error {
    Error {
        action: "DescribeInstances".to_owned(),
        class: Class::Transient,
        kind: ErrorKind::Cut { why: "the task that read it ended by itself".to_owned() },
        status: None,
        request_id: None,
        attempts: 0,
    }
}

#[cfg(test)]
mod tests;
