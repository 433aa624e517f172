//! Whether a key may end what is ours, and whether it may do more than that.

use cloud::{Class, ClientToken, Clock, Launch, Observe, TagFilter, Tags};

use super::question::{Question, places};
use super::row::{CheckFinding, CheckRow};
use crate::config::FleetConfig;
use crate::model::{IntentId, tags};
use crate::plan;

/// Whether an instance of `fleet` may be ended, asked with DryRun.
pub(super) async fn end(fleet: &FleetConfig, cloud: &dyn Observe) -> CheckFinding {
    let id = &fleet.fleet.id;
    let ours = TagFilter::of((tags::SOURCE, tags::SOURCE_AUTO), (tags::FLEET, &id.0), &[]);
    let instance = match cloud.instances_by_tags(&ours).await {
        Ok(listed) => listed.into_iter().next(),
        Err(error) => return CheckFinding::of(Err(error), ""),
    };
    let Some(instance) = instance else {
        return CheckFinding::Skipped("not asked, there is none yet".to_owned());
    };
    let answer = cloud.probe_end(&instance.id, fleet.fleet.terminate).await;
    CheckFinding::of(answer, "would be accepted (asked with DryRun)")
}

/// The permissions of the key of `provider` beyond those that are needed. A launch without our tags is asked for
/// `fleet`, with DryRun.
pub(super) async fn excess(
    provider: &str,
    cloud: &dyn Observe,
    fleet: Option<&FleetConfig>,
    clock: &dyn Clock,
) -> CheckRow {
    let what = Question::Excess(provider, fleet).what();
    let any = match cloud.excess().await {
        Ok(any) => any,
        Err(error) => {
            return CheckRow::new(what, CheckFinding::Skipped(format!("not known: {error}")));
        }
    };
    let mut more = Vec::new();
    if !any.is_empty() {
        more.push(format!("{} any instance", any.join(", ")));
    }
    if let Some(fleet) = fleet {
        match cloud.probe_launch(&untagged(fleet, clock)).await {
            Ok(()) => more.push("launch instances without our tags".to_owned()),
            Err(error) if error.class == Class::Auth => {}
            Err(error) => {
                return CheckRow::new(what, CheckFinding::Skipped(format!("not known: {error}")));
            }
        }
    }
    if more.is_empty() {
        return CheckRow::new(what, CheckFinding::Fine("it has none".to_owned()));
    }
    let what = format!("provider {provider}: the key may also {}", more.join(", and "));
    CheckRow::new(
        what,
        CheckFinding::More("`fleetscaler ram-policy` writes the policy that it needs".into()),
    )
}

/// The launch of one instance at the first place, with no tag.
fn untagged(fleet: &FleetConfig, clock: &dyn Clock) -> Launch {
    let intent = IntentId(uuid::Uuid::new_v4());
    let token: ClientToken = uuid::Uuid::new_v4().into();
    let place = places(fleet).swap_remove(0);
    let launch = plan::launch_of(&fleet.fleet, &place, 1, intent, token, clock.now());
    Launch { tags: Tags::new(), ..launch }
}
