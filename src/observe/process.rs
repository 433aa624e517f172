//! The processor time, memory and descriptors of this process, under the names that Prometheus' own clients use.

use procfs::process::{LimitValue, Process};

/// At one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ProcessSeen {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: f64,
    pub(super) virtual_bytes: f64,
    pub(super) open_descriptors: f64,
    /// `None`: as many as it likes.
    pub(super) descriptors_most: Option<f64>,
    pub(super) threads: f64,
    /// By the clock of the machine, in Unix seconds.
    pub(super) began: f64,
}

impl ProcessSeen {
    /// `None` where the kernel does not tell.
    pub(super) fn now() -> Option<ProcessSeen> {
        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let per_second = procfs::ticks_per_second() as f64;
        let limit = process.limits().ok()?.max_open_files.soft_limit;
        Some(ProcessSeen {
            cpu_seconds: (stat.utime + stat.stime) as f64 / per_second,
            resident_bytes: stat.rss as f64 * procfs::page_size() as f64,
            virtual_bytes: stat.vsize as f64,
            open_descriptors: process.fd_count().ok()? as f64,
            descriptors_most: match limit {
                LimitValue::Value(limit) => Some(limit as f64),
                LimitValue::Unlimited => None,
            },
            threads: stat.num_threads as f64,
            began: procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / per_second,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let seen = ProcessSeen::now().expect("Linux tells");
        assert!(seen.resident_bytes > 1e6 && seen.virtual_bytes >= seen.resident_bytes, "{seen:?}");
        assert!(seen.open_descriptors >= 3.0 && seen.threads >= 1.0, "{seen:?}");
        // After 2020, and not in the future by more than a step of the clock.
        assert!(seen.began > 1_577_836_800.0, "{seen:?}");
    }
}
