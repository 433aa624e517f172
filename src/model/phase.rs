//! The life of an instance, as one total function.
//!
//! A tick moves an instance at most one phase. What a phase means for the fleet's size is answered
//! here too, so that no stage counts differently from another.

use std::fmt;
use std::time::Duration;

use cloud::Status;
use serde::{Deserialize, Serialize};

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The provider accepted the launch; no listing has shown it yet.
    Requested,
    /// Listed, not Running yet.
    Booting,
    /// Running for less than the fleet's warm-up.
    Warming,
    /// Running and carrying load.
    InService,
    /// We asked it to stop, to be deleted when it has stopped.
    Draining,
    /// We deleted it, or somebody stops it; it will not serve any more.
    Terminating,
    /// It exists no more.
    Gone,
    /// It never booted, never appeared, or was found stopped: it exists (perhaps) and costs, but
    /// is no capacity.
    Failed,
}

/// The time-outs that the transition function needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) warmup: Duration,
    pub(crate) boot_timeout: Duration,
    /// How long a Running instance may stay silent before it has failed; `None`: for ever.
    pub(crate) ready_timeout: Option<Duration>,
}

/// The evidence of one tick about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) status: Status,
    /// Whether it is heard of; `None` when nobody knows.
    pub(crate) up: Option<bool>,
}

/// How long a launched instance may be missing from every listing before it counts as vanished:
/// no vendor figure exists; other tools poll for 1 minute, so 2 leave a margin.
pub const VISIBILITY_GRACE: Duration = Duration::from_secs(120);

/// How long an instance that we ended may still be listed as Running before the end counts as not
/// having happened: a graceful shutdown takes "several minutes", so 10 leave a margin.
pub(crate) const ENDING_GRACE: Duration = Duration::from_secs(600);

impl Phase {
    /// Whether the instance counts towards the fleet's size: it serves, or soon will.
    #[must_use]
    pub fn is_capacity(self) -> bool {
        matches!(self, Phase::Requested | Phase::Booting | Phase::Warming | Phase::InService)
    }

    /// Whether the instance exists as far as the bill is concerned.
    #[must_use]
    pub fn is_live(self) -> bool {
        !matches!(self, Phase::Gone)
    }

    /// The phase after a tick that saw the instance as `seen` (`None`: in no listing), when it has
    /// been in this phase for `elapsed`.
    #[must_use]
    pub(crate) fn next(self, seen: Option<Evidence>, elapsed: Duration, limits: Limits) -> Phase {
        let Some(Evidence { status, up }) = seen else {
            return self.unseen(elapsed);
        };
        match (self, status) {
            (Phase::Draining, Status::Stopping | Status::Stopped) => self,
            (Phase::Terminating, Status::Stopping) => self,
            (Phase::Draining | Phase::Terminating, _) if elapsed < ENDING_GRACE => self,
            (_, Status::Pending | Status::Starting) => match self {
                Phase::Requested => Phase::Booting,
                Phase::Booting if elapsed >= limits.boot_timeout => Phase::Failed,
                Phase::Failed => Phase::Failed,
                _ => Phase::Booting,
            },
            (Phase::InService, Status::Running) => Phase::InService,
            (Phase::Warming, Status::Running) => self.warming(up, elapsed, limits),
            // Running, but it never became ready.
            (Phase::Failed, Status::Running) if up == Some(false) => Phase::Failed,
            (_, Status::Running) => {
                if limits.warmup.is_zero() && up != Some(false) {
                    Phase::InService
                } else {
                    Phase::Warming
                }
            }
            (_, Status::Stopping) => Phase::Terminating,
            // Nobody asked it to stop.
            (_, Status::Stopped) => Phase::Failed,
            // It does something that this version does not know: it is there, and no worse for that.
            (Phase::Requested | Phase::Gone, Status::Unknown) => Phase::Booting,
            (Phase::Booting, Status::Unknown) if elapsed >= limits.boot_timeout => Phase::Failed,
            (_, Status::Unknown) => self,
        }
    }

    /// A warm-up ends after its time, unless the instance is known to be silent. While nobody knows,
    /// time alone decides.
    fn warming(self, up: Option<bool>, elapsed: Duration, limits: Limits) -> Phase {
        match (up, limits.ready_timeout) {
            (Some(false), Some(timeout)) if elapsed >= timeout => Phase::Failed,
            (Some(false), Some(_)) => Phase::Warming,
            _ if elapsed >= limits.warmup => Phase::InService,
            _ => Phase::Warming,
        }
    }

    fn unseen(self, elapsed: Duration) -> Phase {
        match self {
            Phase::Requested if elapsed < VISIBILITY_GRACE => Phase::Requested,
            Phase::Requested => Phase::Failed,
            // Every other phase was reached by being seen: absence from a listing by tag and one by
            // id means that it is gone.
            _ => Phase::Gone,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Requested => "requested",
            Phase::Booting => "booting",
            Phase::Warming => "warming",
            Phase::InService => "in service",
            Phase::Draining => "draining",
            Phase::Terminating => "terminating",
            Phase::Gone => "gone",
            Phase::Failed => "failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        warmup: Duration::from_secs(60),
        boot_timeout: Duration::from_secs(300),
        ready_timeout: None,
    };

    #[test]
    fn an_instance_that_can_be_heard_is_ready_when_it_is_heard() {
        use Phase::*;
        let limits = Limits { ready_timeout: Some(Duration::from_secs(200)), ..LIMITS };
        for (name, phase, up, elapsed_secs, next) in [
            ("warm and heard", Warming, Some(true), 60, InService),
            ("heard before its time", Warming, Some(true), 59, Warming),
            ("warm and silent", Warming, Some(false), 199, Warming),
            ("silent for too long", Warming, Some(false), 200, Failed),
            ("nobody knows", Warming, None, 999, InService),
            ("failed and still silent", Failed, Some(false), 9, Failed),
            ("failed and heard at last", Failed, Some(true), 9, Warming),
            ("a serving one that falls silent still serves", InService, Some(false), 9, InService),
        ] {
            let seen = Evidence { status: Status::Running, up };
            let got = phase.next(Some(seen), Duration::from_secs(elapsed_secs), limits);
            assert_eq!(got, next, "{name}");
        }
    }

    #[test]
    fn an_instance_moves_as_its_status_and_its_time_say() {
        use Phase::*;
        use Status::*;
        for (name, phase, seen, elapsed_secs, next) in [
            ("a fresh id may lag behind", Requested, None, 119, Requested),
            ("an id that never appears has failed", Requested, None, 120, Failed),
            ("a listed one boots", Requested, Some(Pending), 3, Booting),
            ("a slow boot goes on", Booting, Some(Starting), 299, Booting),
            ("a boot that never ends has failed", Booting, Some(Starting), 300, Failed),
            ("a running one warms up", Booting, Some(Running), 40, Warming),
            ("a warm one serves", Warming, Some(Running), 60, InService),
            ("a listed one that is gone is gone", InService, None, 0, Gone),
            ("one found stopped has failed", InService, Some(Stopped), 9, Failed),
            ("one that somebody stops will not serve", InService, Some(Stopping), 9, Terminating),
            ("a drain goes on while it stops", Draining, Some(Stopping), 9, Draining),
            ("a drained one waits for its deletion", Draining, Some(Stopped), 9, Draining),
            (
                "a deleted one is not revived by a late listing",
                Terminating,
                Some(Running),
                9,
                Terminating,
            ),
            (
                "one that was stopped and stays so has failed",
                Terminating,
                Some(Stopped),
                600,
                Failed,
            ),
            ("an end that did not happen is undone", Terminating, Some(Running), 600, Warming),
            ("a deleted one disappears", Terminating, None, 9, Gone),
            ("a late riser is welcome", Failed, Some(Running), 9, Warming),
            ("a failed boot stays failed", Failed, Some(Starting), 9, Failed),
            ("one that does something new still serves", InService, Some(Unknown), 999, InService),
            ("one that does something new still warms up", Warming, Some(Unknown), 999, Warming),
            ("a new one that does something new boots", Requested, Some(Unknown), 3, Booting),
            ("and has failed when that never ends", Booting, Some(Unknown), 300, Failed),
        ] {
            let seen = seen.map(|status| Evidence { status, up: None });
            assert_eq!(phase.next(seen, Duration::from_secs(elapsed_secs), LIMITS), next, "{name}");
        }
    }
}
