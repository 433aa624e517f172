//! The ideal: it knows the load, starts in time, and pays for boots like everybody.
//!
//! It may act once a minute, so it holds the highest demand of each minute; an instance that would
//! idle for less than a boot is kept, since to start another one costs a boot. This is the least
//! that a policy without shortages can cost.

use super::load::{GRID_SECS, Load};

/// It acts once a minute.
const STEP_SECS: u64 = 60;

/// The cost and the sizes of the ideal.
#[derive(Debug, Clone, PartialEq)]
pub struct Ideal {
    pub instance_hours: f64,
}

impl Ideal {
    /// For instances that boot for `boot_secs`.
    #[must_use]
    pub fn of(load: &Load, boot_secs: u64) -> Ideal {
        let points = usize::try_from(STEP_SECS / GRID_SECS).unwrap_or(1);
        let mut secs = 0u64;
        let mut size = 0u32;
        // When each instance was last no longer needed, in steps.
        let mut ended: Vec<Option<u64>> = Vec::new();
        for (step, demands) in (0u64..).zip(load.demand().chunks(points)) {
            let needed = demands.iter().copied().max().unwrap_or(1);
            ended.resize(ended.len().max(needed as usize), None);
            if step > 0 {
                for ended in ended.get(size as usize..needed as usize).unwrap_or_default() {
                    let idle = ended.map_or(u64::MAX, |ended| (step - ended) * STEP_SECS);
                    secs += idle.min(boot_secs);
                }
                for ended in ended.get_mut(needed as usize..size as usize).unwrap_or_default() {
                    *ended = Some(step);
                }
            }
            size = needed;
            secs += u64::from(needed) * STEP_SECS;
        }
        Ideal { instance_hours: secs as f64 / 3_600.0 }
    }
}
