//! A fleet's past: the fold of its events, and nothing else.
//!
//! A restart folds the same events and therefore changes nothing: cool-downs, sample runs,
//! recommendations, open intents and failures are all here.

mod fold;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cloud::{InstanceId, Mutation, Timestamp, clock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Adoption, AlertKey, Failures, HookName, HookOutcome, HookPoint, Intent, IntentId, Memories,
    Moves, Phase, Place, RefusedEnd, ShadowCourse, SignalMemory, SignalName, VISIBILITY_GRACE,
};

/// The longest window of recommendations that the configuration takes.
pub(crate) const RECOMMENDED_KEPT: Duration = Duration::from_secs(60 * 60);

/// A wish to take instances over is carried out within a day or not at all: after a daemon was down
/// for longer, the instances that it was about may be others.
const ASKED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The fold of a fleet's events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When the first event was recorded.
    pub began: Option<Timestamp>,
    pub signals: BTreeMap<SignalName, SignalMemory>,
    /// The end of the last action in each direction.
    pub last_out: Option<Timestamp>,
    pub last_in: Option<Timestamp>,
    /// No listing of the fleet has been believed yet.
    pub before_first_listing: bool,
    /// Instances that the fleet launched or took over, until they are gone: no others are ended.
    pub instances: BTreeMap<InstanceId, Tracked>,
    /// Intents whose outcome is not known.
    pub open: BTreeMap<IntentId, OpenIntent>,
    /// Launches whose outcome is recorded, of the last day: what turns up late and carries one of
    /// these intents is the fleet's.
    pub past_launches: BTreeMap<IntentId, PastLaunch>,
    /// Wishes to take instances over that were carried out, and when.
    pub adoptions: BTreeMap<Uuid, Timestamp>,
    /// The size that the newest decision wanted.
    pub last_desired: u32,
    /// A size that was decided and is not reached through no decision of ours.
    pub standing: Option<StandingTarget>,
    /// How many instances served, from each of these times on.
    pub in_service: VecDeque<(Timestamp, u32)>,
    /// The recommended size, from each of these times on.
    pub recommended: VecDeque<(Timestamp, u32)>,
    /// The changes of size of the last hour.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub moves: Moves,
    /// The memory that each rule returned at the last tick.
    pub memory: Memories,
    pub failures: Option<Failures>,
    /// Instances that refused to end.
    pub refused: BTreeMap<InstanceId, RefusedEnd>,
    /// Alerts that are on, since when.
    #[serde(with = "super::account::pairs")]
    pub alerts: BTreeMap<AlertKey, Timestamp>,
    /// When an instance or an intent last changed.
    pub last_change: Option<Timestamp>,
    /// The gist of the last recorded decision, and its time.
    pub decided: Option<(Timestamp, String)>,
    /// The course of the shadow rules, while there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowCourse>,
}

/// A size that is still to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingTarget {
    pub target: u32,
    pub since: Timestamp,
    pub why: Short,
}

/// Why a decided size is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Short {
    /// A part of a scale-out found no capacity.
    Remainder,
    /// Instances were lost.
    Lost,
    /// Instances did not boot in time, or never appeared.
    NeverBooted,
}

/// An intent whose outcome is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIntent {
    #[serde(flatten)]
    pub intent: Intent,
    /// When it was last sent.
    pub sent_at: Timestamp,
    /// Whether it may be sent again.
    pub repeat: bool,
}

/// A launch of which something may still turn up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastLaunch {
    pub at: Timestamp,
    pub place: Place,
    /// The fingerprint of its spec.
    pub spec: String,
    /// How many instances it asked for.
    #[serde(default)]
    pub amount: u32,
    /// Those that are known to be of it, at most `amount`: whatever else carries its intent is a copy of
    /// a tag that everybody can read.
    #[serde(default)]
    pub ids: BTreeSet<InstanceId>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    pub phase: Phase,
    /// Since when it has been in this phase.
    pub since: Timestamp,
    /// The intent that launched it, if we know it.
    pub launched_by: Option<IntentId>,
    /// When the provider accepted its launch, if we know it.
    #[serde(default)]
    pub launched_at: Option<Timestamp>,
    /// Where it was launched, if we know it.
    #[serde(default)]
    pub place: Option<Place>,
    /// Which spec it was launched with, if we know it.
    #[serde(default)]
    pub spec: Option<String>,
    /// Whether it ever served.
    #[serde(default)]
    pub served: bool,
    /// Since when it has not been heard of, where the fleet has a query for that.
    #[serde(default)]
    pub silent_since: Option<Timestamp>,
    /// The value that its `scale-owner` tag was last set to, or had when it was taken over.
    #[serde(default)]
    pub owner: Option<String>,
    /// When that tag was set: a listing may show the one before for a while.
    #[serde(default)]
    pub owned_at: Option<Timestamp>,
    /// When it was taken over, if it was.
    #[serde(default)]
    pub adopted_at: Option<Timestamp>,
    /// The hooks that were called for it. Those of an earlier drain are forgotten when it comes back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<HookName, HookState>,
    /// When it lost the traffic of the last load balancer that it was taken from, until it gets some anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Timestamp>,
    /// It is to be replaced: it serves, and does not count towards the size any more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outgoing: bool,
}

/// A hook that was called for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookState {
    pub id: IntentId,
    pub on: HookPoint,
    /// When it was called.
    pub since: Timestamp,
    /// `None`: it is not known yet.
    pub outcome: Option<HookOutcome>,
    /// It was not done.
    #[serde(default)]
    pub has_failed: bool,
}

/// For records: what is not so need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Tracked {
    /// Whether it may carry this `scale-owner` tag and be the fleet's all the same.
    #[must_use]
    pub fn explains(&self, owner: &str, now: Timestamp) -> bool {
        let is_new = |at| clock::age(now, at) < VISIBILITY_GRACE;
        self.owner.as_deref() == Some(owner) || self.owned_at.is_some_and(is_new)
    }
}

impl History {
    /// Whether whatever the next listing shows is the fleet's: nothing was ever known of it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.began.is_none() || self.before_first_listing
    }

    /// Whether `instance` may be of the launch `intent` of this fleet's, open or not long past: it is
    /// known to be, or fewer are than the launch asked for. `others`: how many more are taken for it.
    #[must_use]
    pub fn may_be_of(&self, intent: &IntentId, instance: &InstanceId, others: u32) -> bool {
        let known = |ids: usize| u32::try_from(ids).unwrap_or(u32::MAX).saturating_add(others);
        if let Some(past) = self.past_launches.get(intent) {
            return past.ids.contains(instance) || known(past.ids.len()) < past.amount;
        }
        let Some(open) = self.open.get(intent) else { return false };
        let Mutation::Launch(launch) = &open.intent.action.mutation else { return false };
        let of_it = self.instances.values().filter(|known| known.launched_by == Some(*intent));
        known(of_it.count()) < launch.amount
    }

    /// Those of `asked` that are still to be carried out at `now`.
    #[must_use]
    pub fn still_asked(&self, asked: &[Adoption], now: Timestamp) -> Vec<Adoption> {
        let is_due = |wish: &&Adoption| {
            !self.adoptions.contains_key(&wish.id) && clock::age(now, wish.asked) < ASKED_FOR
        };
        asked.iter().filter(is_due).cloned().collect()
    }

    /// Instances of launches whose outcome is open.
    #[must_use]
    pub fn launches_in_doubt(&self) -> u32 {
        let amount = |open: &OpenIntent| match &open.intent.action.mutation {
            Mutation::Launch(launch) => launch.amount,
            _ => 0,
        };
        self.open.values().map(amount).fold(0, u32::saturating_add)
    }

    /// How many instances served at `at`; `None` before the records reach.
    #[must_use]
    pub fn in_service_at(&self, at: Timestamp) -> Option<u32> {
        self.in_service.iter().rev().find(|(from, _)| *from <= at).map(|(_, count)| *count)
    }

    /// When the last action in either direction ended.
    #[must_use]
    pub fn last_action(&self) -> Option<Timestamp> {
        self.last_out.max(self.last_in)
    }

    /// Whether a mutation of unknown outcome concerns the instance itself, not only its traffic.
    #[must_use]
    pub fn is_in_flight(&self, id: &InstanceId) -> bool {
        self.open.values().any(|open| {
            let mutation = &open.intent.action.mutation;
            !matches!(mutation, Mutation::Route { .. }) && mutation.ids().contains(id)
        })
    }
}

impl Place {
    /// Where `launch` goes.
    #[must_use]
    pub fn of(launch: &cloud::Launch) -> Place {
        Place { instance_type: launch.instance_type.clone(), vswitch: launch.vswitch.clone() }
    }
}
