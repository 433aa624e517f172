//! The nouns that all stages share. No IO, no clock, no randomness, no `async`.
//!
//! One word has one meaning here and everywhere else: see `docs/ARCHITECTURE.md`, "Vocabulary".

mod decision;
mod entropy;
mod event;
mod fleet;
mod history;
mod ids;
mod inventory;
mod phase;
mod plan;
mod signal;
mod span;

pub use decision::{Counterfactual, Decision, Direction, Reason};
pub(crate) use decision::{number, rfc3339};
pub use entropy::Entropy;
pub use event::{Event, Intent, Settlement, Ticked};
pub use fleet::{
    Base, Bounds, Cooldown, Fleet, LaunchTemplate, Rule, ScaleIn, ScaleOut, SignalSpec, Step,
    Threshold,
};
pub(crate) use history::SAMPLES_KEPT;
pub use history::{ActionEnd, Cold, History, SampleWindow, Tracked, Unfinished};
pub use ids::{AccountId, DecisionId, FleetId, IntentId, ReplicaId, SignalName};
pub use inventory::{Inventory, Member, Ownership, Unlisted};
pub(crate) use phase::Limits;
pub use phase::Phase;
pub use plan::{Action, Place, Plan, Skipped};
pub use signal::{Gap, Reading, Reduce, Sample, Signals};
pub use span::Span;

/// The tag keys that mark an instance as ours. Renaming one orphans every running instance.
pub mod tags {
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
    /// Present (with any value but `false`): never a candidate for removal.
    pub const PROTECT: &str = "scale-protect";
}
