//! Surveying the cloud: which instances a fleet has, and whether that answer is to be believed.
//!
//! Instances are listed by two of our tags; those that we know of and the listing does not show
//! are asked for by id, since listings lag and tags get lost. A listing that suddenly lost most of
//! the fleet is not believed at first: an account without permission gets an empty list, not an
//! error.

mod merge;

use std::collections::BTreeMap;
use std::sync::Mutex;

use cloud::{Error, Instance, InstanceId, Observe, TagFilter, Timestamp};

use crate::model::{Fleet, FleetId, History, Inventory, Phase, tags};

/// What a survey found.
#[derive(Debug)]
pub struct Survey {
    pub inventory: Inventory,
    /// Instances whose phase is another one than the history says, with the new phase.
    pub phases: BTreeMap<InstanceId, Phase>,
}

/// What a survey must remember from one tick to the next.
#[derive(Debug, Default)]
pub struct Surveyor {
    /// Fleets whose last listing had lost most of its instances.
    suspects: Mutex<BTreeMap<FleetId, u32>>,
}

/// How many looks in a row, each with a permission probe, must agree before the loss of more than
/// half of a fleet is believed: the second look comes a whole interval later.
const LOOKS: u32 = 2;

impl Surveyor {
    /// Lists the instances of `fleet`. Any read that fails fails the survey: a partial listing is
    /// no listing.
    pub async fn survey(
        &self,
        cloud: &dyn Observe,
        fleet: &Fleet,
        history: &History,
        now: Timestamp,
    ) -> Result<Survey, Error> {
        let ours =
            TagFilter::of((tags::SOURCE, tags::SOURCE_AUTO), (tags::FLEET, &fleet.id.0), &[]);
        let listed = cloud.instances_by_tags(&ours).await?;
        let unlisted = merge::known_but_not_in(&listed, history);
        let by_id = cloud.instances_by_ids(&unlisted).await?;
        let base = base(cloud, fleet).await?;
        let mut survey = merge::merge(fleet, &listed, &by_id, &base, history, now);
        if let Some(doubt) = self.cliff(cloud, fleet, history, &survey).await {
            survey.inventory.doubts.push(doubt);
            // What is doubted must not become history.
            survey.phases.clear();
        }
        Ok(survey)
    }

    /// Why the sudden loss of most of the fleet is not believed (yet), if so.
    async fn cliff(
        &self,
        cloud: &dyn Observe,
        fleet: &Fleet,
        history: &History,
        survey: &Survey,
    ) -> Option<String> {
        let known = merge::expected_to_serve(history);
        let lost = known.iter().filter(|id| survey.phases.get(**id) == Some(&Phase::Gone)).count();
        if lost == 0 || lost * 2 <= known.len() {
            self.suspects().remove(&fleet.id);
            return None;
        }
        if let Err(error) = cloud.probe_list().await {
            return Some(format!(
                "{lost} of {} instances are missing and the permission probe failed: {error}",
                known.len()
            ));
        }
        let mut suspects = self.suspects();
        let looks = suspects.entry(fleet.id.clone()).or_default();
        *looks += 1;
        if *looks >= LOOKS {
            suspects.remove(&fleet.id);
            return None;
        }
        Some(format!(
            "{lost} of {} instances are missing at once; a second look must agree",
            known.len()
        ))
    }

    fn suspects(&self) -> std::sync::MutexGuard<'_, BTreeMap<FleetId, u32>> {
        self.suspects.lock().expect("no holder of this lock can panic")
    }
}

/// The operator's own instances of the fleet, each once.
async fn base(cloud: &dyn Observe, fleet: &Fleet) -> Result<Vec<Instance>, Error> {
    let Some(base) = &fleet.base else {
        return Ok(Vec::new());
    };
    let mut found = BTreeMap::new();
    let tags: Vec<(&str, &str)> =
        base.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if let [first, second, more @ ..] = tags.as_slice() {
        for instance in cloud.instances_by_tags(&TagFilter::of(*first, *second, more)).await? {
            found.insert(instance.id.clone(), instance);
        }
    }
    let ids: Vec<InstanceId> = base.ids.iter().cloned().collect();
    for instance in cloud.instances_by_ids(&ids).await? {
        found.insert(instance.id.clone(), instance);
    }
    Ok(found.into_values().collect())
}
