//! Planning: every zone, type, victim, token and tag is chosen here; execution chooses nothing.
//!
//! Pure: randomness comes in as [`Entropy`], time as `now`.

mod place;
mod retire;
mod review;
#[cfg(test)]
mod tests;

use cloud::{ClientToken, Launch, Mutation, Timestamp};

use crate::model::{
    Action, Decision, Entropy, Fleet, History, IntentId, Inventory, Place, Plan, rfc3339, tags,
};

pub use review::{Objection, review};

/// RunInstances takes 1 to 100 instances per call.
const LAUNCH_BATCH: u32 = 100;
/// TagResources takes 1 to 50 ids per call.
const TAG_BATCH: usize = 50;

/// The actions that take `fleet` from `inventory` toward `decision`, in order.
#[must_use]
pub fn plan(
    fleet: &Fleet,
    decision: &Decision,
    inventory: &Inventory,
    history: &History,
    entropy: Entropy,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    if !inventory.doubts.is_empty() {
        plan.shortfalls.push("nothing is done while the inventory is in doubt".to_owned());
        return plan;
    }
    let mut drafts = repairs(inventory);
    let add = decision.desired.saturating_sub(decision.current);
    let room = fleet.bounds.max.saturating_sub(inventory.live());
    let remove = decision.current.saturating_sub(decision.desired);
    retire::retire(fleet, inventory, history, remove, &mut drafts, &mut plan);
    let mut ids = Ids { entropy, drawn: 0 };
    plan.actions = drafts.into_iter().map(|mutation| ids.action(mutation)).collect();
    if add.min(room) > 0 {
        launch(fleet, add.min(room), history, &mut ids, now, &mut plan);
    }
    plan
}

/// Tags that our launches set and that are not there, one mutation per set of tags.
fn repairs(inventory: &Inventory) -> Vec<Mutation> {
    let mut by_tags: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    for member in inventory.members.iter().filter(|member| !member.missing_tags.is_empty()) {
        by_tags.entry(member.missing_tags.clone()).or_default().push(member.instance.id.clone());
    }
    by_tags
        .into_iter()
        .flat_map(|(tags, ids)| {
            let batches = ids.chunks(TAG_BATCH).map(<[_]>::to_vec).collect::<Vec<_>>();
            batches.into_iter().map(move |ids| Mutation::Tag { ids, tags: tags.clone() })
        })
        .collect()
}

fn launch(
    fleet: &Fleet,
    amount: u32,
    history: &History,
    ids: &mut Ids,
    now: Timestamp,
    plan: &mut Plan,
) {
    let (place, skipped) = place::choose(&fleet.launch, history, now);
    plan.skipped = skipped;
    let Some(place) = place else {
        plan.shortfalls.push(format!(
            "{amount} to launch, but every type is sold out in every vSwitch for now"
        ));
        return;
    };
    let mut left = amount;
    while left > 0 {
        let amount = left.min(LAUNCH_BATCH);
        left -= amount;
        let intent = ids.intent();
        let launch = launch_of(fleet, &place, amount, intent, ids.token(), now);
        plan.actions.push(Action { intent, mutation: Mutation::Launch(Box::new(launch)) });
    }
}

/// The complete launch of `amount` instances at `place`, our tags included.
#[must_use]
pub fn launch_of(
    fleet: &Fleet,
    place: &Place,
    amount: u32,
    intent: IntentId,
    token: ClientToken,
    now: Timestamp,
) -> Launch {
    let ours = [
        (tags::SOURCE, tags::SOURCE_AUTO.to_owned()),
        (tags::TIMESTAMP, rfc3339(now)),
        (tags::FLEET, fleet.id.0.clone()),
        (tags::INTENT, intent.to_string()),
    ];
    let mut tags = fleet.launch.spec.tags.clone();
    tags.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    Launch {
        token,
        spec: fleet.launch.spec.clone(),
        instance_type: place.instance_type.clone(),
        vswitch: place.vswitch.clone(),
        amount,
        // A part is better than nothing: the rest is looked for at the next place.
        min_amount: 1,
        tags,
    }
}

/// Draws ids from the tick's entropy.
struct Ids {
    entropy: Entropy,
    drawn: u32,
}

impl Ids {
    fn uuid(&mut self) -> uuid::Uuid {
        self.drawn += 1;
        self.entropy.uuid(self.drawn)
    }

    fn intent(&mut self) -> IntentId {
        IntentId(self.uuid())
    }

    fn token(&mut self) -> ClientToken {
        self.uuid().into()
    }

    fn action(&mut self, mutation: Mutation) -> Action {
        Action { intent: self.intent(), mutation }
    }
}
