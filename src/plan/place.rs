//! Placing: which type in which vSwitch a launch goes to.
//!
//! Types in the fleet's order of preference, and for each type its vSwitches in order; a place
//! that was sold out a short while ago is passed over, and the plan says until when.

use cloud::Timestamp;

use crate::model::{History, LaunchTemplate, Place, Skipped};

/// The first place that is not cold, and those that were passed over before it.
pub(super) fn choose(
    launch: &LaunchTemplate,
    history: &History,
    now: Timestamp,
) -> (Option<Place>, Vec<Skipped>) {
    let mut skipped = Vec::new();
    for instance_type in &launch.instance_types {
        for vswitch in &launch.vswitches {
            let place = Place { instance_type: instance_type.clone(), vswitch: vswitch.clone() };
            match history.cold_at(&place, now) {
                Some(cold) => {
                    skipped.push(Skipped { place, until: cold.until, why: cold.why.clone() })
                }
                None => return (Some(place), skipped),
            }
        }
    }
    (None, skipped)
}
