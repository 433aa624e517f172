//! Whether the process runs out of file descriptors, for whatever reason.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::reporter::Reporter;
use crate::cli::process;
use crate::control::World;

/// A flood fills a table in less; what leaks takes hours. It costs microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Of a hundred. Connections to clouds, sources and clients are some dozens, so this is a leak or
/// an attack, and there is still time.
const TOO_MANY: u64 = 80;

/// Looks from time to time.
pub(super) async fn watch(world: Arc<World>, reporter: Arc<Reporter>) {
    loop {
        reporter.descriptors(trouble(process::descriptors()));
        world.clock.sleep(LOOK_EVERY).await;
    }
}

/// The problem with so many open ones of so many.
fn trouble(counted: std::io::Result<(u64, u64)>) -> Option<String> {
    match counted {
        Ok((open, limit)) if open < limit.saturating_mul(TOO_MANY) / 100 => None,
        Ok((open, limit)) => Some(format!("{open} of {limit} file descriptors are in use")),
        Err(error) if is_exhausted(&error) => Some(format!("no file descriptor is left: {error}")),
        // They cannot be counted here; nothing is known to be wrong.
        Err(_) => None,
    }
}

/// Whether this process, or the machine, has no descriptor left.
fn is_exhausted(error: &std::io::Error) -> bool {
    let codes = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_the_descriptors_are_too_many() {
        for (open, limit, wanted) in [
            (79, 100, None),
            (80, 100, Some("80 of 100 file descriptors are in use")),
            (1000, u64::MAX, None),
        ] {
            assert_eq!(trouble(Ok((open, limit))).as_deref(), wanted, "{open} of {limit}");
        }
        let none = trouble(Err(Errno::MFILE.into()));
        assert!(none.is_some_and(|why| why.starts_with("no file descriptor is left: Too many")));
        assert_eq!(trouble(Err(Errno::ACCESS.into())), None, "a sandbox hides them");
    }
}
