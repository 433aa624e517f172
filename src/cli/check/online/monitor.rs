//! Signals from the provider's own monitoring: whom they are asked for, and what they cost in a month.

use std::collections::BTreeMap;
use std::sync::Arc;

use aliyun::METRIC_CALLS_FREE;
use cloud::{InstanceId, Observe, Status, TagFilter};

use super::question::Question;
use super::row::{CheckFinding, CheckRow};
use crate::config::Config;
use crate::config::FleetConfig;
use crate::model::{Gap, SignalName, tags};
use crate::signals::{Source, SourceSpec};

/// Tells the sources who runs, as a tick would. A check knows of no phases: who boots counts, too.
pub(super) async fn tell(
    fleet: &FleetConfig,
    cloud: &dyn Observe,
    sources: &BTreeMap<SignalName, Arc<dyn Source>>,
) {
    let ours =
        TagFilter::of((tags::SOURCE, tags::SOURCE_AUTO), (tags::FLEET, &fleet.fleet.id.0), &[]);
    // A listing that fails is told of above.
    let listed = cloud.instances_by_tags(&ours).await.unwrap_or_default();
    let running = listed.into_iter().filter(|instance| instance.status == Status::Running);
    let mut ids: Vec<InstanceId> = running.map(|instance| instance.id).collect();
    ids.extend(fleet.fleet.base.iter().flat_map(|base| base.ids.iter().cloned()));
    sources.values().for_each(|source| source.serving(&ids));
}

/// The calls that the fleets of `provider` make in a month, if they are all at their largest.
pub(super) fn month(config: &Config, provider: &str) -> Option<CheckRow> {
    let fleets = config.fleets.iter().filter(|fleet| fleet.provider == provider);
    let calls = fleets.flat_map(|fleet| {
        let interval = fleet.interval.unwrap_or(config.daemon.interval);
        let max = fleet.fleet.bounds.max;
        fleet.sources.values().filter_map(move |source| match source {
            SourceSpec::CloudMonitor(spec) => Some(spec.calls_a_month(max, interval)),
            _ => None,
        })
    });
    let calls: Vec<u64> = calls.collect();
    let calls: u64 = if calls.is_empty() { return None } else { calls.iter().sum() };
    let share = calls.saturating_mul(100).div_ceil(METRIC_CALLS_FREE);
    let text = format!(
        "{calls} calls in a month with every fleet at its max, {share} % of the {METRIC_CALLS_FREE} that an \
         account has for nothing"
    );
    let found = match share {
        0..80 => CheckFinding::Fine(text),
        _ => CheckFinding::More(format!("{text}: ask less often (`ask_every`), or pay for them")),
    };
    Some(CheckRow::new(Question::Month(provider).what(), found))
}

/// The way for a person to mend a gap.
pub(super) fn remedy(gap: &Gap) -> &'static str {
    match gap {
        Gap::QueryFailed { kind, .. } if kind == "auth" => {
            "`fleetscaler ram-policy` writes the RAM policy that it needs"
        }
        Gap::QueryFailed { .. } | Gap::TimedOut { .. } => {
            "compare `namespace`, `metric` and `period` with the vendor's console"
        }
        Gap::Empty | Gap::Stale { .. } => {
            "see whether the vendor's console shows the metric for these instances: some need an agent"
        }
        _ => "look at the metric in the vendor's console",
    }
}
