//! Where an installation's journal is kept: in the memory that its replicas share, as a database
//! server would have it, or in a file.

use std::sync::{Arc, Mutex};

use fleetscaler::journal::codec;
use fleetscaler::journal::store::{Memory, Sqlite, Store};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

#[derive(Debug)]
pub(crate) enum Kept {
    Memory(Memory),
    File(Box<File>),
}

/// SQLite works on a thread of its own: each call is waited for, so that the order of things stays
/// the seed's.
#[derive(Debug)]
pub(crate) struct File {
    dir: TempDir,
    runtime: Runtime,
    open: Mutex<Option<Arc<Sqlite>>>,
}

impl Kept {
    pub(crate) fn new(in_file: bool) -> Kept {
        if !in_file {
            return Kept::Memory(Memory::default());
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        Kept::File(Box::new(File {
            dir: tempfile::tempdir().expect("a directory for temporary files"),
            runtime: runtime.expect("a runtime"),
            open: Mutex::default(),
        }))
    }

    /// The store as a process opens it.
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        match self {
            Kept::Memory(memory) => Arc::new(memory.beside()),
            Kept::File(file) => file.open(),
        }
    }

    /// The process that had it open is gone.
    pub(crate) fn abandoned(&self) {
        if let Kept::File(file) = self
            && let Some(sqlite) = file.open.lock().expect("no panic").take()
        {
            file.runtime.block_on(sqlite.close());
        }
    }

    /// Several machines share it: its time is the server's.
    pub(crate) fn has_a_clock(&self) -> bool {
        matches!(self, Kept::Memory(_))
    }

    /// Carries out one call of a store, within a simulation.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        match self {
            Kept::Memory(_) => call.await,
            Kept::File(file) => file.runtime.block_on(call),
        }
    }

    /// Waits for something that uses the store, from outside of a simulation.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        match self {
            Kept::Memory(_) => futures::executor::block_on(work),
            Kept::File(file) => file.runtime.block_on(work),
        }
    }
}

impl File {
    fn open(&self) -> Arc<dyn Store> {
        let mut open = self.open.lock().expect("no panic");
        let sqlite = open.get_or_insert_with(|| {
            let path = self.dir.path().join("state.db");
            let opened = self.runtime.block_on(Sqlite::open(&path, codec::VERSION));
            Arc::new(opened.expect("a file that nobody else has"))
        });
        sqlite.clone()
    }
}
