//! A fleet as the policy and the plan see it: bounds, signals, rules and what to launch.
//!
//! Where signals come from and how the cloud is reached is not here: see `config`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cloud::{InstanceId, LaunchSpec, Tags, Terminate};
use serde::{Deserialize, Serialize};

use super::rate::share_of;
use super::{
    AccountId, Amounts, Bands, External, FleetId, Lifecycle, Owner, Queue, RateLimit, RuleName,
    Schedule, ShadowRules, SignalName, Span,
};

/// A named set of interchangeable instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    pub id: FleetId,
    /// Whose its instances are; filled in when the journal is known.
    #[serde(default)]
    pub owner: Owner,
    /// The account and region that its instances are in.
    pub account: AccountId,
    pub bounds: Bounds,
    /// How long an instance needs from Running until its service carries load.
    pub warmup: Span,
    /// How long a launched instance may take to reach Running before it counts as failed.
    pub boot_timeout: Timeout,
    /// The same by type, where it was learned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub boot_timeouts: BTreeMap<String, Span>,
    /// How long a Running instance may be silent before it counts as failed, for fleets that know
    /// which instances are up.
    pub ready_timeout: Option<Span>,
    /// A scale-in takes the highest size that was recommended within this time.
    pub stabilization: Span,
    /// Launches of a spec stop after so many failures in a row.
    pub launch_failures: u32,
    pub brakes: Brakes,
    pub account_brakes: Brakes,
    /// How fast it may grow and shrink; each of them holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_out_limits: Vec<RateLimit>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_in_limits: Vec<RateLimit>,
    pub terminate: Terminate,
    #[serde(default)]
    pub lifecycle: Lifecycle,
    pub base: Option<Base>,
    pub launch: LaunchTemplate,
    pub signals: BTreeMap<SignalName, SignalSpec>,
    /// In the order of the configuration; at least one.
    pub rules: Vec<Rule>,
    /// Rules that run beside them and change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowRules>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regret: Option<Regret>,
}

impl Fleet {
    /// The rules and the shadow rules.
    pub(crate) fn all_rules_mut(&mut self) -> impl Iterator<Item = &mut Rule> {
        let shadow = self.shadow.iter_mut().flat_map(|shadow| &mut shadow.rules);
        self.rules.iter_mut().chain(shadow)
    }
}

/// `min ≤ desired ≤ max`, base instances included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

/// A time-out with a default that is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeout {
    pub span: Span,
    /// The operator gave none: what was learned takes the place of `span`.
    pub learned: bool,
}

/// How much may happen in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Brakes {
    /// Instances.
    pub launches_per_hour: Option<u32>,
    /// Instances that served.
    pub removals_per_hour: Option<u32>,
    /// Of the instances that there were an hour ago; one may always go.
    pub removal_percent: Option<f64>,
}

impl Brakes {
    /// How many may be removed within an hour, those of the last hour included, when `size` are left of
    /// what there was. At least one, so that a small percentage does not stop a small fleet for ever.
    #[must_use]
    pub fn removals_allowed(self, size: u32, used: Amounts) -> Option<u32> {
        let before = size.saturating_add(used.removals);
        let share = self.removal_percent.map(|percent| share_of(before, percent));
        share.into_iter().chain(self.removals_per_hour).min()
    }
}

/// Instances that count as capacity but were not launched by us: never tagged, stopped or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Those with all of these tags (two or more, or none) …
    pub tags: Tags,
    /// … and these.
    pub ids: BTreeSet<InstanceId>,
}

/// The instances to launch; the candidates are every type × vSwitch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchTemplate {
    pub spec: LaunchSpec,
    /// In order of preference; at least one.
    pub instance_types: Vec<String>,
    /// One per zone, in order of preference; at least one.
    pub vswitches: Vec<String>,
    pub spread: Spread,
}

/// How launches are spread over the vSwitches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Types first, in the order of the lists: the first place with stock takes all.
    #[default]
    InOrder,
    /// The vSwitch with the fewest instances of the fleet first.
    Balanced,
}

/// The part of a signal that the policy must know.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignalSpec {
    /// Data older than this is a gap.
    pub max_age: Span,
    pub coverage: Coverage,
    pub on_missing: OnMissing,
    /// A fall that is no idleness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cliff: Option<Cliff>,
}

/// A fall of a signal that is more likely an outage than idleness.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cliff {
    /// By this share of the value, 0 to 1, …
    pub drop: f64,
    /// … within this time.
    pub within: Span,
    /// Nothing is removed for so long.
    pub hold: Span,
}

/// What tells that a scale-in was a mistake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regret {
    /// How badly users are served: latency, errors.
    pub signal: SignalName,
    /// It is regretted above this value …
    pub above: f64,
    /// … if it was measured within so long after the scale-in.
    pub within: Span,
    /// The size before it is the least for so long.
    pub floor_for: Span,
}

/// How much of the fleet must report a signal for it to remove capacity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// At least this share (0 to 1), once the whole fleet has reported it: a signal that each
    /// instance reports shows itself by that.
    Auto(f64),
    /// At least this share.
    AtLeast(f64),
}

/// The effect of the loss of a signal. It never removes anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// The fleet keeps its size.
    #[default]
    Hold,
    /// It grows to so many instances, if it has fewer.
    Fallback(u32),
}

/// One scaling policy of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "RecordedRule")]
pub struct Rule {
    /// No two rules of a fleet have the same.
    pub name: RuleName,
    #[serde(flatten)]
    pub kind: RuleKind,
}

/// The kind of a rule, with its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RuleKind {
    Threshold(Threshold),
    Adaptive(Adaptive),
    Target(Target),
    Step(Bands),
    Queue(Queue),
    External(External),
    Schedule(Schedule),
    Fixed(Fixed),
}

/// Rules had no names in early records.
#[derive(Deserialize)]
struct RecordedRule {
    name: Option<RuleName>,
    #[serde(flatten)]
    kind: RuleKind,
}

impl From<RecordedRule> for Rule {
    fn from(RecordedRule { name, kind }: RecordedRule) -> Rule {
        Rule { name: name.unwrap_or_else(|| kind.default_name()), kind }
    }
}

impl RuleKind {
    /// The name of a rule that was given none: its kind and its signal.
    #[must_use]
    pub fn default_name(&self) -> RuleName {
        match self {
            RuleKind::Threshold(rule) => RuleName(format!("threshold-{}", rule.signal)),
            RuleKind::Adaptive(rule) => RuleName(format!("adaptive-{}", rule.signal)),
            RuleKind::Target(rule) => RuleName(format!("target-{}", rule.signal)),
            RuleKind::Step(rule) => RuleName(format!("step-{}", rule.signal)),
            RuleKind::Queue(rule) => RuleName(format!("queue-{}", rule.signal)),
            RuleKind::External(rule) => RuleName(format!("external-{}", rule.signal)),
            RuleKind::Schedule(_) => RuleName("schedule".to_owned()),
            RuleKind::Fixed(_) => RuleName("fixed".to_owned()),
        }
    }

    /// Whether the rule ever asks for fewer instances.
    #[must_use]
    pub fn shrinks(&self) -> bool {
        match self {
            RuleKind::Threshold(rule) => rule.scale_in.is_some(),
            RuleKind::Adaptive(_)
            | RuleKind::Target(_)
            | RuleKind::Step(_)
            | RuleKind::Queue(_)
            | RuleKind::External(_)
            | RuleKind::Fixed(_) => true,
            RuleKind::Schedule(rule) => {
                rule.otherwise.is_some()
                    || rule.entries.iter().any(|entry| entry.sets.max.is_some())
            }
        }
    }
}

impl Rule {
    /// The signals that the rule reads.
    #[must_use]
    pub fn signals(&self) -> Vec<&SignalName> {
        match &self.kind {
            RuleKind::Threshold(rule) => vec![&rule.signal],
            RuleKind::Adaptive(rule) => vec![&rule.signal],
            RuleKind::Target(rule) => vec![&rule.signal],
            RuleKind::Step(rule) => vec![&rule.signal],
            RuleKind::Queue(rule) => std::iter::once(&rule.signal).chain(&rule.running).collect(),
            RuleKind::External(rule) => vec![&rule.signal],
            RuleKind::Schedule(_) | RuleKind::Fixed(_) => Vec::new(),
        }
    }
}

/// Threshold with hysteresis: out above one bound, in below a lower one, each after a run of new
/// samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub signal: SignalName,
    pub scale_out: Option<ScaleOut>,
    pub scale_in: Option<ScaleIn>,
    pub cooldown: Cooldown,
}

/// The size at which each instance carries what it should.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub signal: SignalName,
    /// The load that one instance should carry, in the signal's unit; positive.
    pub target: f64,
    pub of: TargetOf,
    pub tolerance: Tolerance,
}

/// The meaning of a signal's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetOf {
    /// The load of an instance on average, such as CPU in percent.
    Average,
    /// The load of all instances together.
    Total,
}

/// How far from the target nothing is done, as a share of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    pub out: f64,
    #[serde(rename = "in")]
    pub in_: f64,
}

/// A size that needs no signal: what is lost is replaced, and nothing else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    pub size: u32,
}

/// Just the headroom that the load calls for, for a signal that is load in total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adaptive {
    pub signal: SignalName,
    /// The load that one instance carries, in the signal's unit; positive.
    pub capacity: f64,
    /// The price of a missing instance, in idle ones; above 1.
    pub price: f64,
    /// From a launch until the instance serves, its warm-up included.
    pub boot: Estimate,
    /// How old the newest value is when it is read.
    pub lag: Span,
    /// How much time a value is the mean of.
    pub window: Span,
    /// How often the signal is read.
    pub interval: Span,
    /// The signal shows no more than the instances in service carry, as CPU does.
    #[serde(default)]
    pub saturates: bool,
}

impl Adaptive {
    /// The price of a missing instance in idle ones: ten, where nobody says otherwise.
    pub const BALANCED: f64 = 10.0;
    /// The prices that have names: for batch work that may wait, for most services, and for those
    /// whose users notice each second.
    pub const PRESETS: [(&str, f64); 3] =
        [("thrifty", 3.0), ("balanced", Adaptive::BALANCED), ("safe", 100.0)];
}

/// A time that is learned where the operator gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    pub span: Span,
    /// The operator gave none: what was learned takes the place of `span`.
    pub learned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScaleOut {
    /// In the signal's unit; only a value greater than this counts.
    pub above: f64,
    /// How many new samples in a row.
    pub samples: u32,
    pub by: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScaleIn {
    /// In the signal's unit; only a value less than this counts.
    pub below: f64,
    /// How many new samples in a row.
    pub samples: u32,
    pub by: Step,
}

/// How long nothing more happens in a direction after an action in that direction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    pub out: Span,
    /// The operator gave no `out`: what was learned takes its place.
    #[serde(default)]
    pub learned_out: bool,
    #[serde(rename = "in")]
    pub in_: Span,
}

/// The size of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Instances, at least 1.
    Count(u32),
    /// Percent of the current count, rounded up to a whole instance, at least 1.
    Percent(f64),
}

impl Step {
    /// The step in instances when there are `current`: at least 1.
    #[must_use]
    pub fn of(self, current: u32) -> u32 {
        match self {
            Step::Count(count) => count.max(1),
            Step::Percent(percent) => {
                let exact = (f64::from(current) * percent / 100.0).ceil().clamp(1.0, 1e9);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a whole number in 1..=1e9 after the clamp"
                )]
                let whole = exact as u32;
                whole
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Count(count) => write!(f, "{count}"),
            Step::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_an_early_record_gets_the_name_of_its_kind_and_signal() {
        let cooldown = r#"{"out":"3m","in":"5m"}"#;
        let body = format!(
            r#"{{"kind":"threshold","signal":"cpu","scale_out":null,"scale_in":null,"cooldown":{cooldown}}}"#
        );
        let rule: Rule = serde_json::from_str(&body).expect("a record");
        assert_eq!(rule.name.0, "threshold-cpu");
        let named = Rule { name: "cpu-high".into(), ..rule };
        let text = serde_json::to_string(&named).expect("a record");
        assert_eq!(serde_json::from_str::<Rule>(&text).expect("a record"), named);
    }
}
