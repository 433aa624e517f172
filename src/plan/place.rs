//! Placing: which types in which vSwitches a launch goes to, and which were passed over.
//!
//! A place that was sold out a short while ago, or whose type, vSwitch or fit with the spec was
//! refused, is passed over, and the plan says until when. After its pause it gets one instance, to
//! see; the others go to the next place meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use cloud::Timestamp;

use crate::model::{
    Account, Cold, Gate, Inputs, Instructed, Instruction, Inventory, LaunchTemplate, Place, Scope,
    Skipped, Spread, fingerprint,
};

/// Where instances go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Placement {
    /// Each place once, with its number of instances.
    pub(super) places: Vec<(Place, u32)>,
    pub(super) skipped: Vec<Skipped>,
    /// For these there is no place now.
    pub(super) left: u32,
    /// Some of the places get one instance to see whether they have stock again.
    pub(super) probes: bool,
}

/// Distributes `amount` instances.
pub(super) fn place(inputs: &Inputs, amount: u32) -> Placement {
    let launch = &inputs.fleet.launch;
    let mut candidates = Candidates::of(launch, &inputs.account, &inputs.inventory, inputs.now);
    candidates.leave_out_evacuated(&inputs.instructions);
    match launch.spread {
        Spread::InOrder => candidates.in_order(amount),
        Spread::Balanced => candidates.balanced(amount, launch, inputs),
    }
}

/// Every place in the order of preference, with what may be launched there.
struct Candidates {
    /// `None`: any number; otherwise this many still.
    open: Vec<(Place, Option<u32>)>,
    skipped: Vec<Skipped>,
}

impl Candidates {
    fn of(
        launch: &LaunchTemplate,
        account: &Account,
        inventory: &Inventory,
        now: Timestamp,
    ) -> Candidates {
        let lost = lost_vswitches(inventory);
        let spec = fingerprint(&launch.spec);
        let mut probed = BTreeSet::new();
        let mut candidates = Candidates { open: Vec::new(), skipped: Vec::new() };
        let mut last = Vec::new();
        for instance_type in &launch.instance_types {
            for vswitch in &launch.vswitches {
                let place =
                    Place { instance_type: instance_type.clone(), vswitch: vswitch.clone() };
                match gate(account, &spec, &place, now, &mut probed) {
                    // A zone whose instances are all silent comes last: it may be down.
                    Gate::Open if lost.contains(vswitch.as_str()) => last.push((place, None)),
                    Gate::Open => candidates.open.push((place, None)),
                    Gate::Probe => candidates.open.push((place, Some(1))),
                    Gate::Closed(Some(cold)) => candidates.skipped.push(Skipped {
                        place,
                        until: cold.until,
                        why: cold.why.clone(),
                    }),
                    // One probe of what both have is enough.
                    Gate::Closed(None) => {}
                }
            }
        }
        candidates.open.extend(last);
        candidates
    }

    /// Nothing is launched in a vSwitch that a person evacuates.
    fn leave_out_evacuated(&mut self, instructions: &[Instruction]) {
        for one in instructions {
            let Instructed::Evacuate { vswitch } = &one.what else { continue };
            let is_there = |place: &Place| place.vswitch == *vswitch;
            let there = self.open.iter().filter(|(place, _)| is_there(place));
            let why = format!("{} evacuates {vswitch}: {}", one.author, one.reason);
            self.skipped.extend(there.map(|(place, _)| Skipped {
                place: place.clone(),
                until: one.until,
                why: why.clone(),
            }));
            self.open.retain(|(place, _)| !is_there(place));
        }
    }

    fn in_order(&mut self, amount: u32) -> Placement {
        let mut left = amount;
        let mut placement = Placement::default();
        for (place, most) in &self.open {
            let here = most.map_or(left, |most| most.min(left));
            if here > 0 {
                placement.places.push((place.clone(), here));
                placement.probes |= most.is_some();
                left -= here;
            }
        }
        placement.left = left;
        placement.skipped = std::mem::take(&mut self.skipped);
        placement
    }

    /// One by one into the vSwitch with the fewest instances of the fleet; in it, the first type
    /// with stock.
    fn balanced(&mut self, amount: u32, launch: &LaunchTemplate, inputs: &Inputs) -> Placement {
        let mut sizes = sizes(launch, inputs);
        let lost = lost_vswitches(&inputs.inventory);
        let mut given: BTreeMap<usize, u32> = BTreeMap::new();
        let mut placement = Placement { left: amount, ..Placement::default() };
        while placement.left > 0 {
            let free = self.open.iter().enumerate().filter(|(n, (_, most))| {
                most.is_none_or(|most| given.get(n).is_none_or(|given| *given < most))
            });
            // The first of the smallest: candidates stand in the order of preference. A lost zone is
            // empty, and yet the last one to go to.
            let best = free.min_by_key(|(_, (place, _))| {
                (lost.contains(place.vswitch.as_str()), sizes.get(&place.vswitch).copied())
            });
            let Some((n, (place, most))) = best else { break };
            *given.entry(n).or_default() += 1;
            *sizes.entry(place.vswitch.clone()).or_default() += 1;
            placement.probes |= most.is_some();
            placement.left -= 1;
        }
        placement.places =
            given.into_iter().map(|(n, count)| (self.open[n].0.clone(), count)).collect();
        placement.skipped = std::mem::take(&mut self.skipped);
        placement
    }
}

/// Whether `place` may be tried with `spec`. Of what is refused for several places, one is probed:
/// `probed` has what that is.
fn gate<'a>(
    account: &'a Account,
    spec: &str,
    place: &Place,
    now: Timestamp,
    probed: &mut BTreeSet<&'a Scope>,
) -> Gate<Option<&'a Cold>> {
    let mut is_probe = false;
    match account.place(place, now) {
        Gate::Closed(cold) => return Gate::Closed(Some(cold)),
        Gate::Probe => is_probe = true,
        Gate::Open => {}
    }
    let covering = || account.refused.iter().filter(|(scope, _)| scope.covers(spec, place));
    let closed = covering().filter(|(_, cold)| now < cold.until);
    if let Some((_, cold)) = closed.max_by_key(|(_, cold)| cold.until) {
        return Gate::Closed(Some(cold));
    }
    let probes = || covering().filter(|(_, cold)| matches!(cold.gate(now), Gate::Probe));
    if probes().any(|(scope, _)| probed.contains(scope)) {
        return Gate::Closed(None);
    }
    for (scope, _) in probes() {
        is_probe = true;
        probed.insert(scope);
    }
    if is_probe { Gate::Probe } else { Gate::Open }
}

/// Instances of the fleet by vSwitch, those included that were only requested yet.
fn sizes(launch: &LaunchTemplate, inputs: &Inputs) -> BTreeMap<String, u32> {
    let mut sizes: BTreeMap<String, u32> =
        launch.vswitches.iter().map(|vswitch| (vswitch.clone(), 0)).collect();
    let Inputs { inventory, history, .. } = inputs;
    let listed = inventory.members.iter().filter(|member| {
        member.phase.is_capacity() && !inventory.lost_zones.contains(&member.instance.zone)
    });
    let listed = listed.filter_map(|member| member.instance.vswitch.clone());
    let unlisted = inventory.unlisted.iter().filter(|unlisted| unlisted.phase.is_capacity());
    let unlisted = unlisted
        .filter_map(|unlisted| history.instances.get(&unlisted.id)?.place.as_ref())
        .map(|place| place.vswitch.clone());
    for vswitch in listed.chain(unlisted) {
        if let Some(size) = sizes.get_mut(&vswitch) {
            *size += 1;
        }
    }
    sizes
}

/// The vSwitches in which lost zones' instances are.
fn lost_vswitches(inventory: &Inventory) -> BTreeSet<&str> {
    let lost = inventory.members.iter().filter(|m| inventory.lost_zones.contains(&m.instance.zone));
    lost.filter_map(|member| member.instance.vswitch.as_deref()).collect()
}
