//! Protections that a process with keys asks of the system for itself.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use tokio::signal::unix::{SignalKind, signal};

/// No core file and no debugger of another user may have what is in the memory: keys are there. A
/// system that refuses is none that this could be asked of.
pub(super) fn keep_to_itself() {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}

/// Takes as many descriptors as may be had. Systems give few by default, for programs that cannot
/// handle many; this one can.
pub(super) fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // The old state is left then.
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
    }
}

/// The descriptors that are open, and how many may be.
///
/// # Errors
/// They cannot be counted: none is left to look with, for one.
pub(super) fn descriptors() -> io::Result<(u64, u64)> {
    // One of them is that of this look.
    let open = std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    Ok((u64::try_from(open).unwrap_or(u64::MAX), limit))
}

/// SIGUSR1 and SIGUSR2 mean nothing here, and would end the process: somebody who means another
/// program ends no control loop.
pub(super) fn ignore_user_signals() -> io::Result<()> {
    for kind in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
        // The handler stays when its stream is gone.
        drop(signal(kind)?);
    }
    Ok(())
}
