//! What a survey tells of places: boots and how long they took, and capacity that is not to be had. Pure.

use cloud::{Instance, InstanceId, Status, Timestamp, clock};

use crate::model::{AccountEvent, Phase, Tracked};

/// How long it took from the accepted launch to Running, when that has just been seen.
pub(super) fn booted(
    instance: &Instance,
    tracked: Option<&Tracked>,
    phase: Phase,
    now: Timestamp,
) -> Option<AccountEvent> {
    let tracked = tracked?;
    let was_booting = matches!(tracked.phase, Phase::Requested | Phase::Booting);
    let runs = matches!(phase, Phase::Warming | Phase::InService);
    let launched_at = tracked.launched_at.filter(|_| was_booting && runs)?;
    Some(AccountEvent::Booted {
        at: now,
        zone: instance.zone.clone(),
        instance_type: instance.instance_type.clone(),
        secs: clock::age(now, launched_at).as_secs_f64(),
    })
}

/// How long it was given to boot in vain, when that has just ended.
pub(super) fn timed_out(
    instance: &Instance,
    tracked: Option<&Tracked>,
    phase: Phase,
    now: Timestamp,
) -> Option<AccountEvent> {
    let tracked = tracked.filter(|tracked| tracked.phase == Phase::Booting)?;
    let boots = matches!(instance.status, Status::Pending | Status::Starting);
    let launched_at = tracked.launched_at.filter(|_| boots && phase == Phase::Failed)?;
    Some(AccountEvent::TimedOut {
        at: now,
        zone: instance.zone.clone(),
        instance_type: instance.instance_type.clone(),
        secs: clock::age(now, launched_at).as_secs_f64(),
    })
}

/// A place is as good as sold out once the provider takes an instance back there; `None` unless that has just been
/// seen.
pub(super) fn reclaimed(
    instance: &Instance,
    tracked: Option<&Tracked>,
    now: Timestamp,
) -> Option<AccountEvent> {
    let tracked = tracked.filter(|tracked| instance.is_reclaimed() && !tracked.outgoing)?;
    let why = format!("the provider takes the spot instance {} back", instance.id);
    Some(AccountEvent::SoldOut { at: now, place: tracked.place.clone()?, why })
}

/// It was accepted and never came to be: the capacity was missing after all.
pub(super) fn never_came(
    tracked: &Tracked,
    id: &InstanceId,
    now: Timestamp,
) -> Option<AccountEvent> {
    let place = tracked.place.clone().filter(|_| tracked.phase == Phase::Requested)?;
    let why = format!("{id} was accepted and never appeared");
    Some(AccountEvent::SoldOut { at: now, place, why })
}
