//! The part of a tick that is recorded. Pure.
//!
//! Every tick adds its samples and phases. Its whole text, and what it was made from, is kept when
//! it acts, when it says something else than the last one that was kept, and every ten minutes:
//! a fleet in which nothing changes would only repeat itself.

use std::time::Duration;

use cloud::clock;

use crate::inventory::News;
use crate::model::{
    Alert, Decided, Decision, DecisionId, Event, Inputs, Memories, Plan, Reason, Ticked,
    memory_changes,
};
use crate::policy::Shadow;

/// How often an unchanged decision is kept.
const KEPT_AGAIN: Duration = Duration::from_secs(10 * 60);

/// What a tick decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decisions<'a> {
    pub(super) live: &'a Decision,
    /// The new memory of the live rules.
    pub(super) memory: &'a Memories,
    pub(super) shadow: Option<&'a Shadow>,
}

/// The events of a tick, and whether its decision is among them.
pub(super) fn events(
    inputs: &Inputs,
    news: &News,
    decisions: Decisions<'_>,
    plan: &Plan,
    alerts: &[Alert],
) -> (Vec<Event>, bool) {
    let (at, decision) = (inputs.now, decisions.live);
    let takeovers = news.takeovers.iter().cloned();
    let mut events: Vec<Event> =
        takeovers.map(|takeover| Event::Adopted { at, takeover }).collect();
    events.extend(news.hooks.iter().map(|end| Event::HookEnded { at, end: end.clone() }));
    let mut ticked = ticked(inputs, news, decisions);
    ticked.phases.extend(plan.phases().map(|(id, phase)| (id.clone(), phase)));
    events.push(Event::Ticked(Box::new(ticked)));
    events.extend(plan.hooks.iter().map(|call| Event::HookCalled { at, call: call.clone() }));
    let decided = is_worth_keeping(inputs, decision, plan);
    if decided {
        events.push(Event::Decided(Box::new(Decided {
            id: DecisionId(inputs.entropy.uuid(0)),
            at,
            decision: decision.clone(),
            plan: plan.clone(),
        })));
    }
    events.extend(changes(inputs, alerts));
    events.extend(shadowed(inputs, decisions));
    (events, decided)
}

fn ticked(inputs: &Inputs, news: &News, decisions: Decisions<'_>) -> Ticked {
    let Decisions { live: decision, memory, shadow } = decisions;
    let Inputs { inventory, history, .. } = inputs;
    // A doubted inventory must not become history.
    let believed = history.in_service.back().filter(|_| !inventory.doubts.is_empty());
    let mut samples = std::collections::BTreeMap::new();
    let mut gaps = std::collections::BTreeMap::new();
    for (signal, reading) in &inputs.signals {
        match reading {
            Ok(sample) => drop(samples.insert(signal.clone(), *sample)),
            Err(gap) => drop(gaps.insert(signal.clone(), gap.name().to_owned())),
        }
    }
    Ticked {
        at: inputs.now,
        samples,
        gaps,
        phases: news.phases.clone(),
        up: news.up.clone(),
        outgoing: news.outgoing.clone(),
        before_first_listing: history.is_new() && !inventory.doubts.is_empty(),
        current: decision.current,
        in_service: believed.map_or(inventory.in_service(), |(_, count)| *count),
        recommended: decision.recommended,
        desired: decision.desired,
        memory: match shadow {
            None => memory_changes(&history.memory, memory),
            Some(shadow) => {
                let both = memory.iter().chain(&shadow.memory);
                let both = both.map(|(name, memory)| (name.clone(), memory.clone()));
                memory_changes(&history.memory, &both.collect())
            }
        },
        shadow: shadow.map(|shadow| shadow.tick),
    }
}

fn is_worth_keeping(inputs: &Inputs, decision: &Decision, plan: &Plan) -> bool {
    if plan.changes_the_fleet() {
        return true;
    }
    match &inputs.history.decided {
        None => true,
        Some((at, gist)) => *gist != decision.gist() || clock::age(inputs.now, *at) >= KEPT_AGAIN,
    }
}

/// A difference between the live and the shadow rules that began or ended with this tick.
fn shadowed(inputs: &Inputs, decisions: Decisions<'_>) -> Option<Event> {
    let Decisions { live, shadow, .. } = decisions;
    let differed = inputs.history.shadow.as_ref().is_some_and(|s| s.differs_since.is_some());
    let differs = shadow.is_some_and(|shadow| shadow.course.differs_since.is_some());
    let why = match shadow {
        Some(shadow) => shadow.decision.reasons.first().map_or_else(String::new, Reason::to_string),
        None => "there are no shadow rules any more".to_owned(),
    };
    (differs != differed).then_some(Event::Shadowed {
        at: inputs.now,
        differs,
        live: live.desired,
        shadow: shadow.map_or(live.desired, |shadow| shadow.tick.desired),
        why,
        ignorable: true,
    })
}

/// Alerts that began or ended with this tick.
fn changes(inputs: &Inputs, alerts: &[Alert]) -> Vec<Event> {
    let before = &inputs.history.alerts;
    let at = inputs.now;
    let begun = alerts
        .iter()
        .filter(|alert| !before.contains_key(&alert.key))
        .map(|alert| Event::Alerted { at, alert: alert.clone() });
    let ended = before
        .keys()
        .filter(|key| !alerts.iter().any(|alert| alert.key == **key))
        .map(|key| Event::Cleared { at, key: key.clone() });
    begun.chain(ended).collect()
}
