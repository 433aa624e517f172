//! Planning: every zone, type, victim, token and tag is chosen here; execution chooses nothing.
//!
//! Pure: randomness comes in as [`Entropy`], time as `now`.

mod drain;
mod hooks;
mod place;
mod retire;
mod review;
mod route;
mod standby;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_lifecycle;
#[cfg(test)]
mod tests_route;

use cloud::{ClientToken, Launch, Mutation, Timestamp, clock};

use crate::model::{
    Action, Decision, Entropy, Fleet, Inputs, IntentId, Member, Place, Plan, VISIBILITY_GRACE,
    rfc3339, tags,
};

pub use review::{Objection, review};

/// RunInstances takes 1 to 100 instances per call.
const LAUNCH_BATCH: u32 = 100;
/// TagResources takes 1 to 50 ids per call.
const TAG_BATCH: usize = 50;

/// The actions that take the fleet toward `decision`, in order.
#[must_use]
pub fn plan(inputs: &Inputs, decision: &Decision) -> Plan {
    let Inputs { fleet, inventory, .. } = inputs;
    let mut plan = Plan::default();
    if !inventory.doubts.is_empty() {
        plan.shortfalls.push("nothing is done while the inventory is in doubt".to_owned());
        return plan;
    }
    let mut drafts = repairs(inputs);
    standby::due(inputs, decision, &mut plan);
    retire::stopped(inputs, &mut drafts);
    retire::failed(inputs, &mut drafts);
    retire::unhealthy(inputs, decision, &mut drafts);
    retire::drained(inputs, decision, &mut drafts, &mut plan);
    retire::outgoing(inputs, decision, &mut drafts, &mut plan);
    retire::surplus(inputs, decision, &mut drafts, &mut plan);
    let mut ids = Ids { entropy: inputs.entropy, drawn: 0 };
    plan.actions = drafts.into_iter().map(|mutation| ids.action(mutation)).collect();
    let back = drain::returns(inputs, decision, &mut plan);
    hooks::due(inputs, &mut ids, &mut plan);
    let room = fleet.bounds.max.saturating_sub(inventory.live());
    let add = decision.add.saturating_sub(back).min(room);
    if add > 0 {
        launch(inputs, add, &mut ids, &mut plan);
    }
    route::route(inputs, &mut ids, &mut plan);
    plan
}

/// Tags that our launches set and that are not there, one mutation per set of tags.
///
/// Not while they may only not be visible yet: listings lag behind a launch.
fn repairs(inputs: &Inputs) -> Vec<Mutation> {
    let Inputs { inventory, history, now, .. } = inputs;
    let settled = |member: &&Member| {
        let tracked = history.instances.get(&member.instance.id);
        let launched = tracked.and_then(|tracked| tracked.launched_at);
        launched.is_none_or(|at| clock::age(*now, at) >= VISIBILITY_GRACE)
    };
    let mut by_tags: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    let drifted = inventory.members.iter().filter(|member| !member.missing_tags.is_empty());
    for member in drifted.filter(settled) {
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

fn launch(inputs: &Inputs, amount: u32, ids: &mut Ids, plan: &mut Plan) {
    let placement = place::place(inputs, amount);
    plan.skipped = placement.skipped;
    if placement.left == amount {
        let why = plan.skipped.last().map_or(String::new(), |skipped| format!(": {}", skipped.why));
        plan.shortfalls.push(format!(
            "{amount} to launch, but every type is sold out or refused in every vSwitch for now{why}"
        ));
    } else if placement.left > 0 {
        plan.shortfalls.push(format!(
            "{} of {amount} wait until it is seen whether there is stock again",
            placement.left
        ));
    }
    plan.more_at_once = placement.probes;
    for (place, count) in placement.places {
        let mut left = count;
        while left > 0 {
            let amount = left.min(LAUNCH_BATCH);
            left -= amount;
            let intent = ids.intent();
            let (fleet, now) = (&inputs.fleet, inputs.now);
            let launch = launch_of(fleet, &place, amount, intent, ids.token(), now);
            plan.actions.push(Action { intent, mutation: Mutation::Launch(Box::new(launch)) });
        }
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
    tags.extend(fleet.owner.name.iter().map(|name| (tags::OWNER.to_owned(), name.clone())));
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
