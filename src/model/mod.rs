//! The nouns that all stages share. No IO, no clock, no randomness, no `async`.
//!
//! One word has one meaning here and everywhere else: see `docs/ARCHITECTURE.md`, "Vocabulary".

mod account;
pub(crate) mod adaptive;
mod ahead;
mod alert;
mod balancer;
mod bare;
mod census;
mod course;
mod decision;
mod entropy;
mod event;
mod failures;
#[cfg(test)]
pub(crate) mod fixtures;
mod fleet;
mod history;
mod hold;
mod ids;
mod inputs;
pub(crate) mod instruction;
mod inventory;
mod learned;
mod lifecycle;
mod memory;
mod outlook;
mod ownership;
mod phase;
mod plan;
mod rate;
mod reason;
mod ring;
mod samples;
mod scenario;
mod schedule;
mod scope;
mod shadow;
mod signal;
mod situation;
mod sizes;
mod span;
mod text;

pub use account::{Account, AccountEvent, Cold, Gate, LaunchStop, Slow, Strikes};
pub use adaptive::{AdaptiveState, Shape};
pub use alert::{Alert, AlertCode, AlertKey};
pub use balancer::{Balancer, GroupSeen, GroupsSeen};
pub use bare::bare_fleet;
pub use census::Census;
pub use course::{Course, CourseError};
pub use decision::{Counterfactual, Decision, Direction};
pub(crate) use decision::{clock_time, number, plural, rfc3339};
pub use entropy::Entropy;
pub use event::{About, Decided, Event, HookCall, HookEnd, Intent, Refusal, Settlement, Ticked};
pub use failures::{Failures, RefusedEnd, fingerprint};
pub use fleet::{
    Adaptive, Base, Bounds, Brakes, Cliff, Cooldown, Coverage, Estimate, Fixed, Fleet,
    LaunchTemplate, OnMissing, Regret, Rule, RuleKind, ScaleIn, ScaleOut, SignalSpec, Spread, Step,
    Target, TargetOf, Threshold, Timeout, Tolerance,
};
pub(crate) use history::RECOMMENDED_KEPT;
pub use history::{History, HookState, OpenIntent, PastLaunch, Short, StandingTarget, Tracked};
pub use hold::{HOLD_TIMES, Hold, INSTRUCTIONS_KEPT, OperatorEvent, Orders};
pub use ids::{AccountId, DecisionId, FleetId, IntentId, ReplicaId, RuleName, SignalName};
pub use inputs::{Amounts, Inputs, Spent};
pub use instruction::{Instructed, Instruction, NoId, instance_id, vswitch_id};
pub use inventory::{Inventory, Member, Ownership, Unlisted};
pub use lifecycle::{Drain, Hook, HookName, HookOutcome, HookPoint, Lifecycle, Unhealthy, Victims};
pub use memory::{Memories, MemoryChanges, RuleMemory, memory_changes};
pub use outlook::Outlook;
pub use ownership::{Adopted, Adoption, Owner, Stranger, TakenBecause, Takeover};
pub(crate) use phase::{Evidence, HookGate, Limits, Readiness, TrafficGate};
pub use phase::{Phase, VISIBILITY_GRACE};
pub use plan::{Action, Place, Plan, Skipped};
pub use rate::{Moves, RateLimit, Used};
pub(crate) use rate::{RATE_PER_MOST, share_of};
pub use reason::{BrakeScope, Reason};
pub use ring::Ring;
pub(crate) use samples::SAMPLES_KEPT;
pub use samples::{Measured, Point, SampleWindow, Series, SignalMemory};
pub use scenario::{Act, Expectation, GivenSeries, Scenario, ScenarioFault, ScenarioFaultKind};
pub use schedule::{CronLine, Schedule, ScheduleEntry, Scheduled, ScheduledLimits, ScheduledTime};
pub use scope::Scope;
pub use shadow::{Compared, ShadowCourse, ShadowRules, ShadowSum, ShadowTick};
pub use signal::{Gap, Reading, Reduce, Sample, Signals};
pub use situation::{Past, Situation};
pub use sizes::{Band, Bands, External, Queue};
pub use span::Span;
pub(crate) use text::wrap;

/// The tag keys that mark an instance as ours. Renaming one orphans every running instance.
pub mod tags {
    /// The prefix of every key of ours.
    pub const PREFIX: &str = "scale-";
    /// `auto` on every instance that the daemon launched.
    pub const SOURCE: &str = "scale-source";
    /// The value of [`SOURCE`].
    pub const SOURCE_AUTO: &str = "auto";
    /// When the launch was planned, RFC 3339, UTC.
    pub const TIMESTAMP: &str = "scale-timestamp";
    /// The fleet's name.
    pub const FLEET: &str = "scale-fleet";
    /// The id of the intent that launched it.
    pub const INTENT: &str = "scale-intent";
    /// The installation that the instance belongs to: a name, or a journal's id.
    pub const OWNER: &str = "scale-owner";
    /// Present (with any value but `false`): never a candidate for removal.
    pub const PROTECT: &str = "scale-protect";

    /// Whether the provider or an operator's tag protects `instance` from its end.
    #[must_use]
    pub fn protect(instance: &cloud::Instance) -> bool {
        let tag = instance.tags.get(PROTECT);
        instance.deletion_protection || tag.is_some_and(|value| value != "false")
    }
}
