//! The asker: a call of the cloud does not say for which fleet it is made, the work that makes it does.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    /// A simulation is one thread.
    static CURRENT: Cell<Option<Who>> = const { Cell::new(None) };
}

/// A piece of work of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) place: usize,
    pub(crate) installation: usize,
    /// A tick of this fleet; `None`: something beside the ticks.
    pub(crate) tick: Option<Ticking>,
}

/// A fleet as the configuration of the replica has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticking {
    pub(crate) fleet: usize,
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// On whose behalf the code that runs just now runs.
pub(crate) fn current() -> Option<Who> {
    CURRENT.get()
}

/// Work that is done as `who`.
pub(crate) struct As<F> {
    pub(crate) who: Who,
    pub(crate) work: Pin<Box<F>>,
}

impl<F: Future> Future for As<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        CURRENT.set(Some(self.who));
        let polled = self.work.as_mut().poll(context);
        CURRENT.set(None);
        polled
    }
}
