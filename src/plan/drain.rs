//! Drains: what leaves service first and is ended later, when that is, and what comes back before.
//!
//! A drain ends when the fleet's `wait` is over, its hooks are done, and the instance is idle where a
//! query tells; after `timeout` it ends whatever the instance still does. Nothing is ended that is
//! protected, and nothing while a scale-in is held.

use cloud::{InstanceId, Status, clock};

use crate::model::{
    Decision, Direction, Drain, HookOutcome, HookPoint, Inputs, Member, Ownership, Phase, Plan,
    Span, Tracked,
};

/// Where only hooks are configured, a drain ends with the last of them. Each has a deadline of its own.
const HOOKS_ONLY: Drain = Drain { wait: Span::secs(0), timeout: Span::secs(24 * 3600) };

/// The state of one drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    Going,
    /// Everything but the hooks of the end is done: they are due.
    LastHooks,
    /// It is over: the instance may be ended.
    Over,
    /// Its time was over before it was done.
    TimedOut,
    /// A hook keeps the instance.
    Retained,
}

/// How far the drain of `member` is.
pub(super) fn progress(member: &Member, tracked: &Tracked, inputs: &Inputs) -> Progress {
    let lifecycle = &inputs.fleet.lifecycle;
    let Drain { wait, timeout } = lifecycle.drain.unwrap_or(HOOKS_ONLY);
    let elapsed = clock::age(inputs.now, tracked.since);
    // Connections end after the load balancers have stopped sending new ones, not before.
    let quiet_since = tracked.quiet_since.unwrap_or(tracked.since).max(tracked.since);
    let is_cut_off = lifecycle.balancers.is_empty() || member.traffic == Some(false);
    let waited = is_cut_off && clock::age(inputs.now, quiet_since) >= wait.get();
    let outcomes = || tracked.hooks.values().filter_map(|state| state.outcome);
    if outcomes().any(|outcome| outcome == HookOutcome::Retain) {
        return Progress::Retained;
    }
    let done = |on: HookPoint| {
        let ended = |hook: &crate::model::Hook| {
            tracked.hooks.get(&hook.name).is_some_and(|state| state.outcome.is_some())
        };
        lifecycle.hooks_on(on).all(ended)
    };
    let is_idle =
        !lifecycle.has_busy || member.busy.is_some_and(|work| work < lifecycle.idle_below);
    let is_quiet = waited && is_idle && done(HookPoint::Drain);
    match (is_quiet, done(HookPoint::Terminate)) {
        (true, true) => Progress::Over,
        _ if elapsed >= timeout.get() => Progress::TimedOut,
        (true, false) => Progress::LastHooks,
        (false, _) => Progress::Going,
    }
}

/// Instances whose drain is over and that are to be ended now; those that are kept instead go into
/// `plan`, and what is ended before its time is told there.
pub(super) fn over(inputs: &Inputs, plan: &mut Plan) -> Vec<InstanceId> {
    let held =
        inputs.holds.iter().any(|hold| hold.keeps(&inputs.fleet.id, Direction::In, inputs.now));
    let mut ended = Vec::new();
    for (member, tracked) in draining(inputs) {
        let id = &member.instance.id;
        let progress = progress(member, tracked, inputs);
        if plan.retained.contains(id) {
            continue;
        }
        if progress == Progress::Retained {
            plan.retained.push(id.clone());
            continue;
        }
        let is_over = matches!(progress, Progress::Over | Progress::TimedOut);
        if !is_over || held || member.is_protected() {
            continue;
        }
        if progress == Progress::TimedOut {
            let timeout = inputs.fleet.lifecycle.drain.unwrap_or(HOOKS_ONLY).timeout;
            plan.shortfalls
                .push(format!("{id} is ended after {timeout} although its drain is not done"));
        }
        ended.push(id.clone());
    }
    ended
}

/// Takes as many instances back into service as are missing, those that were drained last first, and returns
/// how many there are. That nothing can be launched just now is no reason not to.
pub(super) fn returns(inputs: &Inputs, decision: &Decision, plan: &mut Plan) -> u32 {
    let fleet = &inputs.fleet.id;
    if inputs.holds.iter().any(|hold| hold.keeps(fleet, Direction::Out, inputs.now)) {
        return 0;
    }
    let wanted = decision.desired.saturating_sub(decision.current);
    let leaving = |id: &InstanceId| {
        plan.retained.contains(id)
            || plan.actions.iter().any(|action| action.mutation.ids().contains(id))
    };
    let mut back: Vec<(&Member, &Tracked)> = draining(inputs)
        .filter(|(member, _)| can_return(member, inputs) && !leaving(&member.instance.id))
        .collect();
    // Of those that were drained together the youngest comes back, so that the oldest still go first.
    back.sort_by_key(|(member, tracked)| {
        let instance = &member.instance;
        std::cmp::Reverse((tracked.since, instance.created_at, &instance.id))
    });
    back.truncate((wanted as usize).saturating_sub(plan.returns.len()));
    let by_word = plan.returns.len();
    plan.returns.extend(back.into_iter().map(|(member, _)| member.instance.id.clone()));
    // What a person brings back counts for what is missing as well.
    u32::try_from(plan.returns.len().max(by_word)).unwrap_or(wanted)
}

/// Whether a drained instance could serve again.
pub(super) fn can_return(member: &Member, inputs: &Inputs) -> bool {
    let tracked = inputs.history.instances.get(&member.instance.id);
    // A hook of its end may have shut it down already.
    let is_ending = tracked
        .is_some_and(|known| known.hooks.values().any(|state| state.on == HookPoint::Terminate));
    let serves = member.instance.status == Status::Running && member.health != Some(false);
    let lost = inputs.inventory.lost_zones.contains(&member.instance.zone);
    serves && !is_ending && !lost && !member.outgoing
}

/// The fleet's own instances that are drained.
fn draining(inputs: &Inputs) -> impl Iterator<Item = (&Member, &Tracked)> {
    let members = inputs.inventory.members.iter();
    members.filter_map(|member| {
        let tracked = inputs.history.instances.get(&member.instance.id)?;
        let is_draining = member.phase == Phase::Draining && member.ownership == Ownership::Managed;
        is_draining.then_some((member, tracked))
    })
}
