//! What a person should know of a fleet just now. Pure: an alert is on as long as its cause is seen,
//! and `docs/reliability.md` has a page for each.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Mutation, Status, clock};

use crate::model::{
    Alert, AlertCode, Decision, HookName, Inputs, Instructed, Instruction, Member, Memories,
    Ownership, Phase, Plan, Reason, Stranger, Unhealthy, fingerprint, plural,
};

/// A launch of unknown outcome is settled within seconds as a rule.
const OUTCOME_LATE: Duration = Duration::from_secs(2 * 60);
/// A signal may be gone over a restart of its source.
const SIGNAL_LATE: Duration = Duration::from_secs(10 * 60);
/// One boot that hangs is an accident, two are a cause.
const BOOTS_TIMED_OUT: u32 = 2;
/// A trouble with boots is over after half an hour of good ones.
const BOOTS_SLOW: Duration = Duration::from_secs(30 * 60);
/// The first refusal to end may be a state that passes.
const REFUSALS: u32 = 2;
/// A hook that failed is a person's affair for an hour; its instance may stay for months.
const HOOK_FAILED_FOR: Duration = Duration::from_secs(60 * 60);
/// More instances than this are counted, not named, in one alert.
const NAMED: usize = 4;

pub(super) fn journal_unavailable(why: &str) -> Alert {
    Alert::new(AlertCode::JournalUnavailable, "", why)
}

/// `memory` is what the rules asked for in this tick.
pub(super) fn alerts(
    inputs: &Inputs,
    decision: &Decision,
    memory: &Memories,
    plan: &Plan,
) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let Inputs { inventory, history, account, fleet, now, .. } = inputs;
    if let Some(doubt) = inventory.doubts.first() {
        alerts.push(Alert::new(AlertCode::InventoryDoubt, "", doubt));
    }
    let late = history.open.values().filter(|open| {
        matches!(open.intent.action.mutation, Mutation::Launch(_))
            && clock::age(*now, open.intent.at) >= OUTCOME_LATE
    });
    for open in late {
        let message = format!("not known for minutes whether it happened: {}", open.intent.action);
        let about = open.intent.action.intent.to_string();
        alerts.push(Alert::new(AlertCode::OutcomeUnknown, about, message));
    }
    if let Some(stop) = &account.stop {
        let message = format!("launches stopped ({}): {}", stop.class, stop.message);
        alerts.push(Alert::new(AlertCode::AccountStopped, fleet.account.0.clone(), message));
    }
    if let Some(failures) = &history.failures
        && failures.in_a_row >= fleet.launch_failures
        && failures.spec == fingerprint(&fleet.launch.spec)
    {
        let launches = plural(failures.in_a_row, "launch");
        let message = format!("{launches} in a row failed: {}", failures.why);
        alerts.push(Alert::new(AlertCode::LaunchFailures, "", message));
    }
    alerts.extend(slow_boots(inputs));
    let launches = |action: &crate::model::Action| matches!(action.mutation, Mutation::Launch(_));
    if decision.add > 0
        && inventory.doubts.is_empty()
        && !plan.actions.iter().any(launches)
        && let Some(why) = plan.shortfalls.last()
    {
        alerts.push(Alert::new(AlertCode::NoPlace, "", why));
    }
    let there = inventory.capacity();
    if there < fleet.bounds.min && inventory.doubts.is_empty() && !plan.actions.iter().any(launches)
    {
        let why = decision.reasons.last().map_or_else(String::new, |why| format!(": {why}"));
        let min = fleet.bounds.min;
        let message = format!("{there} of min = {min} are there, and nothing is launched{why}");
        alerts.push(Alert::new(AlertCode::BelowMin, "", message));
    }
    for reason in &decision.reasons {
        if let Reason::Braked { direction, .. } = reason {
            let about = direction.to_string();
            alerts.push(Alert::new(AlertCode::Brake, about, reason.to_string()));
        }
        if let Reason::CappedAtMax { max } = reason {
            let wants = memory.values().filter_map(|rule| rule.wants).max();
            let wants = wants.filter(|wants| wants > max).unwrap_or(*max);
            let message = format!("max = {max} is reached, and the rules want {wants}");
            alerts.push(Alert::new(AlertCode::AtMax, "", message));
        }
        if let Reason::ZoneLost { zone, .. } = reason {
            alerts.push(Alert::new(AlertCode::ZoneLost, zone.clone(), reason.to_string()));
        }
    }
    for (id, refused) in history.refused.iter().filter(|(_, r)| r.strikes >= REFUSALS) {
        let message = format!("{id} refuses to end: {}", refused.why);
        alerts.push(Alert::new(AlertCode::DeletionRefused, id.0.clone(), message));
    }
    for (signal, memory) in &history.signals {
        let Some(since) = memory.missing_since else { continue };
        let missing = clock::age(*now, since);
        let gap = inputs.signals.get(signal).and_then(|reading| reading.as_ref().err());
        if let Some(gap) = gap.filter(|_| missing >= SIGNAL_LATE) {
            let minutes = missing.as_secs() / 60;
            let message = format!("{signal} has been missing for {minutes} min: {gap}");
            alerts.push(Alert::new(AlertCode::SignalMissing, signal.0.clone(), message));
        }
    }
    for member in &inventory.members {
        let id = &member.instance.id;
        let served = history.instances.get(id).is_some_and(|tracked| tracked.served);
        if member.ownership == Ownership::Managed
            && member.phase == Phase::Failed
            && member.instance.status == Status::Stopped
            && served
        {
            let message = format!("{id} was stopped, not by the daemon: it is left as it is");
            alerts.push(Alert::new(AlertCode::InstanceStopped, id.0.clone(), message));
        }
    }
    alerts.extend(unhealthy(inputs));
    alerts.extend(failed_hooks(inputs));
    alerts.extend(strangers(inputs));
    alerts
}

/// Boots of this fleet's types that timed out lately: machines are bought and given up again.
fn slow_boots(inputs: &Inputs) -> Option<Alert> {
    let Inputs { account, fleet, now, .. } = inputs;
    let of_fleet = account.slow.iter().filter_map(|(key, slow)| {
        let (zone, kind) = key.split_once('/')?;
        let is_ours = fleet.launch.instance_types.iter().any(|t| t == kind);
        let recent = clock::age(*now, slow.last) < BOOTS_SLOW && slow.times >= BOOTS_TIMED_OUT;
        (is_ours && recent).then_some((zone, kind, slow))
    });
    let (zone, kind, slow) = of_fleet.max_by_key(|(.., slow)| slow.times)?;
    let times = plural(slow.times, "boot");
    let timeout = fleet.boot_timeouts.get(kind).copied().unwrap_or(fleet.boot_timeout.span);
    let message = format!(
        "{times} of {kind} in {zone} took longer than boot_timeout (the longest {:.0} s) and were \
         given up; the next may take {timeout}",
        slow.at_least,
    );
    Some(Alert::new(AlertCode::LaunchFailures, "boot_timeout", message))
}

/// Instances that served and are unhealthy now.
fn unhealthy(inputs: &Inputs) -> Option<Alert> {
    let Inputs { inventory, history, fleet, .. } = inputs;
    let is_unhealthy = |member: &&Member| {
        let known = history.instances.get(&member.instance.id);
        member.health == Some(false)
            && known.is_some_and(|known| known.served)
            && matches!(member.phase, Phase::InService | Phase::Failed)
    };
    let unhealthy: Vec<&Member> = inventory.members.iter().filter(is_unhealthy).collect();
    let count = u32::try_from(unhealthy.len()).unwrap_or(u32::MAX);
    let are_kept = unhealthy.iter().any(|member| member.phase == Phase::InService);
    let dots = if unhealthy.len() > NAMED { ", …" } else { "" };
    let names = unhealthy.iter().take(NAMED).map(|member| member.instance.id.0.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    let follows = match (fleet.lifecycle.unhealthy, are_kept) {
        (Unhealthy::Nothing, _) => "unhealthy = \"nothing\": they are left as they are",
        (Unhealthy::Replace, true) => {
            "too many at once to be the instances' own fault: none is replaced, see to the check or \
             to what they all need"
        }
        (Unhealthy::Replace, false) => "others are launched, and then they are deleted",
    };
    let is_meant = |one: &&Instruction| match &one.what {
        Instructed::ReportUnhealthy { instance } => {
            unhealthy.iter().any(|member| member.instance.id == *instance)
        }
        _ => false,
    };
    let reports = inputs.instructions.iter().filter(is_meant).take(NAMED);
    let reports: String =
        reports.map(|one| format!("; {}, by {}: {}", one.what, one.author, one.reason)).collect();
    let count_of = plural(count, "instance");
    let message = format!("{count_of} unhealthy: {names}{dots}; {follows}{reports}");
    (count > 0).then(|| Alert::new(AlertCode::Unhealthy, "", message))
}

/// Hooks that failed lately, one alert for each hook.
fn failed_hooks(inputs: &Inputs) -> Vec<Alert> {
    let mut failed: BTreeMap<&HookName, Vec<&str>> = BTreeMap::new();
    for (id, tracked) in &inputs.history.instances {
        for (name, state) in &tracked.hooks {
            if state.has_failed && clock::age(inputs.now, state.since) < HOOK_FAILED_FOR {
                failed.entry(name).or_default().push(&id.0);
            }
        }
    }
    let alert = |(name, ids): (&HookName, Vec<&str>)| {
        let count = plural(u32::try_from(ids.len()).unwrap_or(u32::MAX), "instance");
        let dots = if ids.len() > NAMED { ", …" } else { "" };
        let some = ids.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        let message = format!("the hook `{name}` failed for {count}: {some}{dots}");
        Alert::new(AlertCode::HookFailed, name.0.clone(), message)
    };
    failed.into_iter().map(alert).collect()
}

/// Instances with the fleet's tags that are not its own, one alert for each owner.
fn strangers(inputs: &Inputs) -> Vec<Alert> {
    let mut by_owner: BTreeMap<Option<&String>, Vec<&str>> = BTreeMap::new();
    for Stranger { id, owner } in &inputs.inventory.strangers {
        by_owner.entry(owner.as_ref()).or_default().push(&id.0);
    }
    let alert = |(owner, ids): (Option<&String>, Vec<&str>)| {
        let count = plural(u32::try_from(ids.len()).unwrap_or(u32::MAX), "instance");
        let dots = if ids.len() > NAMED { ", …" } else { "" };
        let some = ids.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        let fleet = &inputs.fleet.id;
        match owner {
            None => {
                let message = format!(
                    "{count} with the tags of `{fleet}` that its journal neither launched nor took \
                     over: {some}{dots}; not counted and left alone (fleetscaler adopt takes over)"
                );
                Alert::new(AlertCode::Stranger, "", message)
            }
            Some(owner) => {
                // A tag is somebody else's text.
                let owner = cloud::text::one_line(owner);
                let message = format!(
                    "{count} with the tags of `{fleet}` of the installation `{owner}`: {some}{dots}; \
                     not counted and left alone (fleetscaler adopt takes over)"
                );
                Alert::new(AlertCode::OtherInstallation, owner, message)
            }
        }
    };
    by_owner.into_iter().map(alert).collect()
}
