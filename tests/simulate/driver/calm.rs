//! The time in which nothing goes wrong any more.

use std::time::Duration;

use super::Driver;
use crate::end;
use crate::script::ZONES;
use crate::store::StoreTrouble;

/// How long a fleet may take to come to rest once nothing goes wrong any more: longer than a stop
/// of an account, a pause after failed launches, which are probed in between, or a brake of two
/// removals an hour.
const REST_SECS: u32 = 9 * 3_600;
/// An interval and a renewal of the leases, with which the journal is written.
const WRITTEN_SECS: u32 = 90;
/// Well within the boot time-out of 3 minutes.
const BOOTS_IN_TIME: Duration = Duration::from_secs(140);
/// At rest for longer than any cool-down or window.
const RESTED_SECS: u32 = 300;

impl Driver {
    /// Nothing goes wrong any more: every fleet must come to rest.
    pub(super) fn calm(&mut self) -> Result<(), String> {
        self.say("calm".to_owned());
        self.end_troubles();
        let calm_at = self.elapsed();
        let mut at_rest_for = 0;
        loop {
            let step = self.granularity();
            self.second(step)?;
            let restless = end::restless(self);
            at_rest_for = if restless.is_none() { at_rest_for + step } else { 0 };
            if at_rest_for >= RESTED_SECS {
                match end::open(self) {
                    None => break,
                    Some(_) => at_rest_for = 0,
                }
            }
            if self.elapsed() - calm_at > REST_SECS {
                let what = restless.or_else(|| end::open(self)).unwrap_or_default();
                return Err(format!("not at rest {REST_SECS} s after the last trouble: {what}"));
            }
        }
        self.run.borrow_mut().rest_secs = self.elapsed() - calm_at - RESTED_SECS;
        // The newest ticks are written a little later.
        let mut checked = end::check(self);
        for _ in 0..WRITTEN_SECS / 5 {
            if checked.is_ok() {
                break;
            }
            self.second(5)?;
            checked = end::check(self);
        }
        checked
    }

    fn end_troubles(&mut self) {
        let now = self.now();
        for emulator in &self.outside.emulators {
            emulator.clear_faults();
            emulator.change(|world| {
                world.stock.clear();
                world.instance_quota = 10_000;
                world.lists_nothing = false;
            });
            for zone in ZONES {
                emulator.restore_zone(zone);
            }
        }
        for account in 0..self.outside.emulators.len() {
            self.boot_in_time(account);
        }
        self.unprotect();
        for (n, fleet) in self.outside.truth.fleets().iter_mut().enumerate() {
            fleet.gap_until = None;
            fleet.frozen_until = None;
            fleet.partial_until = None;
            fleet.panics = false;
            fleet.lag = Duration::ZERO;
            let most = f64::from(self.setups[n].max).max(2.0);
            fleet.load = fleet.load.clamp(0.5, most * 2.0);
        }
        for place in &mut self.places {
            place.crash_after = None;
            place.paused_until = None;
            place.back_at = place.back_at.map(|at| at.min(now));
            *place.trouble.lock().expect("no panic") = StoreTrouble::default();
        }
        for n in 0..self.places.len() {
            self.places[n].host.correct();
            self.outside.checks.clock_was_set(n);
        }
        for n in 0..self.setups.len() {
            self.lift(n);
        }
    }

    /// Where a boot time-out is configured, no fleet comes to rest on boots that take longer.
    fn boot_in_time(&self, account: usize) {
        let shape = &self.outside.shape;
        let mut fleets = shape.fleets.iter().filter(|fleet| fleet.account == account);
        if fleets.any(|fleet| !fleet.learns_boots) {
            let emulator = &self.outside.emulators[account];
            let mut slow = false;
            emulator.change(|world| slow = world.boot.0 > BOOTS_IN_TIME);
            if slow {
                emulator.set_boot(BOOTS_IN_TIME);
            }
        }
    }

    /// The steps of the clock, in seconds: in the calm it moves by more than one at a time.
    pub(super) fn granularity(&self) -> u32 {
        match self.elapsed().checked_sub(self.script.rough_secs) {
            None => 1,
            Some(0..1_800) => 5,
            Some(1_800..7_200) => 15,
            Some(_) => 30,
        }
    }
}
