//! The JSON of the API: plain types, each number with its unit in its name, times in RFC 3339.
//!
//! What is inside the daemon may change; what stands here is a promise, and `docs/openapi.json` is made
//! of it. The command line reads the same types back.

mod account;
mod cost;
mod decision;
mod event;
mod fleet;
mod headline;
mod hold;
mod instruction;
mod reload;
mod sample;
mod schedule;
mod shadow;

use chrono::{DateTime, SubsecRound, Utc};
use cloud::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use account::{
    ActionView, AuditView, AuditsView, BudgetView, BudgetsView, FindingView, OutcomeCountView,
    PlaceView, PlacesView,
};
pub use cost::CostView;
pub(super) use decision::Followed;
pub use decision::{
    ActionTaken, BrakeView, DecisionView, DecisionsView, LimitsView, RuleView, SawView,
};
pub use event::EventView;
pub(super) use fleet::phase;
pub use fleet::{
    AlertView, BoundsView, DaemonView, FleetView, FleetsView, InstanceView, InstancesView,
    SignalView, SignalsView, SizesView, TroubleView, WantsView,
};
pub use hold::{HoldView, HoldsView, NewHold};
pub use instruction::{
    InstructionView, InstructionsView, NewInstruction, NewProtection, NewReport,
};
pub use reload::{ChangedFleetView, ReloadView, SettingView};
pub use sample::{NewSample, SampleView};
pub use schedule::ScheduledView;
pub use shadow::{ShadowDayView, ShadowNowView, ShadowView};

/// A sentence for people, with one word to select it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonView {
    /// One word, such as `crossed` or `cooling_down`.
    pub kind: String,
    pub text: String,
}

/// A time to the millisecond: what is finer is noise.
pub(in crate::api) fn at(time: Timestamp) -> DateTime<Utc> {
    time.trunc_subsecs(3)
}

/// A value to three decimals, as it is shown.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
