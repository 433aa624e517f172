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
    /// Out of service: it finishes its work, and is ended afterwards. It comes back when it is needed.
    Draining,
    /// We asked it to stop, to be deleted when it has stopped.
    Stopping,
    /// We deleted it, or somebody stops it; it will not serve any more.
    Terminating,
    /// It exists no more.
    Gone,
    /// It never booted, never appeared, or was found stopped: it exists (perhaps) and costs, but
    /// is no capacity.
    Failed,
    /// Kept out of service, for a person to look at: it is no capacity, and is not ended.
    Standby,
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
    pub(crate) readiness: Readiness,
    /// Whether the hooks of its launch let it into service.
    pub(crate) hooks: HookGate,
    /// Whether the load balancers let it into service.
    pub(crate) traffic: TrafficGate,
}

/// The verdict of everything that tells whether an instance can serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Nothing tells, or nobody answers: time alone decides.
    #[default]
    Unknown,
    /// A health check has no verdict yet.
    Awaited,
    Ready,
    /// At least one says that it cannot.
    NotReady,
}

impl Readiness {
    /// From the `up` query and the health checks, where there are any. One that says no is enough.
    pub(crate) fn of(up: Option<bool>, health: Option<bool>, has_checks: bool) -> Readiness {
        match (up, health) {
            (Some(false), _) | (_, Some(false)) => Readiness::NotReady,
            (_, None) if has_checks => Readiness::Awaited,
            (None, None) => Readiness::Unknown,
            _ => Readiness::Ready,
        }
    }
}

/// Whether the fleet's load balancers let an instance into service; the later of two is the stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TrafficGate {
    /// There are none, or all of them send it new connections.
    #[default]
    Open,
    /// One of them cannot be read, or has not checked it yet.
    Awaited,
    /// One of them does not send it anything yet.
    Shut,
}

/// Whether the hooks of a launch let an instance into service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum HookGate {
    /// There are none, or all are done.
    #[default]
    Open,
    /// At least one is not done yet.
    Shut,
    /// One of them gave the instance up.
    Abandoned,
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

    /// Whether it is on its way out.
    #[must_use]
    pub fn is_leaving(self) -> bool {
        matches!(self, Phase::Draining | Phase::Stopping | Phase::Terminating)
    }

    /// The phase after a tick that saw the instance as `seen` (`None`: in no listing), when it has
    /// been in this phase for `elapsed`.
    #[must_use]
    pub(crate) fn next(self, seen: Option<Evidence>, elapsed: Duration, limits: Limits) -> Phase {
        let Some(evidence) = seen else {
            return self.unseen(elapsed);
        };
        match (self, evidence.status) {
            // Its end was decided: whoever stopped it, it is to be deleted.
            (Phase::Draining, Status::Stopping | Status::Stopped) => Phase::Stopping,
            (Phase::Draining | Phase::Standby, _) => self,
            (Phase::Stopping, Status::Stopping | Status::Stopped) => self,
            (Phase::Terminating, Status::Stopping) => self,
            (Phase::Stopping | Phase::Terminating, _) if elapsed < ENDING_GRACE => self,
            (_, Status::Pending | Status::Starting) => match self {
                Phase::Requested => Phase::Booting,
                Phase::Booting if elapsed >= limits.boot_timeout => Phase::Failed,
                Phase::Failed => Phase::Failed,
                _ => Phase::Booting,
            },
            (Phase::InService, Status::Running) => Phase::InService,
            (Phase::Warming, Status::Running) => self.warming(evidence, elapsed, limits),
            // Running, but it never became ready, or ceased to be.
            (Phase::Failed, Status::Running) if evidence.readiness == Readiness::NotReady => self,
            (_, Status::Running) => {
                let is_ready = matches!(evidence.readiness, Readiness::Unknown | Readiness::Ready);
                if limits.warmup.is_zero()
                    && is_ready
                    && evidence.hooks == HookGate::Open
                    && evidence.traffic == TrafficGate::Open
                {
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

    /// A warm-up ends after its time, unless the instance is known not to be ready, or a hook of its
    /// launch is not done. A verdict that never comes is awaited no longer than a bad one is suffered:
    /// unknown is not unhealthy.
    fn warming(self, evidence: Evidence, elapsed: Duration, limits: Limits) -> Phase {
        let timed_out = limits.ready_timeout.is_some_and(|timeout| elapsed >= timeout);
        match (evidence.readiness, evidence.hooks) {
            (_, HookGate::Abandoned) => Phase::Failed,
            (_, HookGate::Shut) => Phase::Warming,
            (Readiness::NotReady, _) if timed_out => Phase::Failed,
            (Readiness::NotReady, _) if limits.ready_timeout.is_some() => Phase::Warming,
            (Readiness::Awaited, _) if !timed_out => Phase::Warming,
            _ if elapsed < limits.warmup => Phase::Warming,
            _ => match evidence.traffic {
                TrafficGate::Shut => Phase::Warming,
                TrafficGate::Awaited if !timed_out => Phase::Warming,
                TrafficGate::Awaited | TrafficGate::Open => Phase::InService,
            },
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
            Phase::Stopping => "stopping",
            Phase::Terminating => "terminating",
            Phase::Gone => "gone",
            Phase::Failed => "failed",
            Phase::Standby => "standby",
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

    fn running() -> Evidence {
        let (readiness, hooks) = (Readiness::Unknown, HookGate::Open);
        Evidence { status: Status::Running, readiness, hooks, traffic: TrafficGate::Open }
    }

    #[test]
    fn checks_and_hooks_are_waited_for_before_an_instance_serves() {
        use Phase::*;
        let limits = Limits { ready_timeout: Some(Duration::from_secs(200)), ..LIMITS };
        let of = |health, hooks| Evidence {
            readiness: Readiness::of(Some(true), health, true),
            hooks,
            ..running()
        };
        for (name, seen, elapsed_secs, next) in [
            ("no verdict yet", of(None, HookGate::Open), 199, Warming),
            ("a verdict that never comes", of(None, HookGate::Open), 200, InService),
            ("healthy", of(Some(true), HookGate::Open), 60, InService),
            ("never healthy", of(Some(false), HookGate::Open), 200, Failed),
            ("healthy, but a hook runs", of(Some(true), HookGate::Shut), 999, Warming),
            ("given up by a hook", of(Some(true), HookGate::Abandoned), 1, Failed),
        ] {
            let got = Warming.next(Some(seen), Duration::from_secs(elapsed_secs), limits);
            assert_eq!(got, next, "{name}");
        }
        let none = Limits { warmup: Duration::ZERO, ..limits };
        for (seen, next) in [
            (of(None, HookGate::Open), Warming),
            (of(Some(true), HookGate::Shut), Warming),
            (of(Some(true), HookGate::Open), InService),
        ] {
            assert_eq!(Booting.next(Some(seen), Duration::ZERO, none), next, "{seen:?}");
        }
    }

    #[test]
    fn load_balancers_are_waited_for_before_an_instance_serves() {
        use Phase::*;
        let limits = Limits { ready_timeout: Some(Duration::from_secs(200)), ..LIMITS };
        let none = Limits { warmup: Duration::ZERO, ..limits };
        for (name, phase, traffic, limits, elapsed_secs, next) in [
            ("not attached", Warming, TrafficGate::Shut, limits, 9_999, Warming),
            ("being checked", Warming, TrafficGate::Awaited, limits, 199, Warming),
            ("a verdict that never comes", Warming, TrafficGate::Awaited, limits, 200, InService),
            ("it gets traffic", Warming, TrafficGate::Open, limits, 60, InService),
            ("before its time", Warming, TrafficGate::Open, limits, 59, Warming),
            ("not attached, no warm-up", Booting, TrafficGate::Shut, none, 0, Warming),
            ("it gets traffic, no warm-up", Booting, TrafficGate::Open, none, 0, InService),
            (
                "one that serves is not taken back",
                InService,
                TrafficGate::Shut,
                limits,
                9,
                InService,
            ),
        ] {
            let seen = Evidence { traffic, ..running() };
            let got = phase.next(Some(seen), Duration::from_secs(elapsed_secs), limits);
            assert_eq!(got, next, "{name}");
        }
    }

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
            let seen = Evidence { readiness: Readiness::of(up, None, false), ..running() };
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
            (
                "one that somebody stops will not serve",
                InService,
                Some(Status::Stopping),
                9,
                Terminating,
            ),
            ("a drain goes on while it serves", Draining, Some(Running), 9_999, Draining),
            (
                "one that is stopped while it drains is ended",
                Draining,
                Some(Stopped),
                9,
                Phase::Stopping,
            ),
            ("a stop goes on", Phase::Stopping, Some(Status::Stopping), 9, Phase::Stopping),
            (
                "a stopped one waits for its deletion",
                Phase::Stopping,
                Some(Stopped),
                9,
                Phase::Stopping,
            ),
            ("one on standby stays, also when it is stopped", Standby, Some(Stopped), 9, Standby),
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
            let seen = seen.map(|status| Evidence { status, ..running() });
            assert_eq!(phase.next(seen, Duration::from_secs(elapsed_secs), LIMITS), next, "{name}");
        }
    }
}
