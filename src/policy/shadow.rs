//! What a fleet's shadow rules decide: the same policy, from the same signals, on a course of its own.
//!
//! Bounds, limits, holds, instructions and what is known of the account are the fleet's. Its own are the
//! rules, their memories, the size, the actions of the past and the samples since the last of them.
//! Nothing of the simulated size is ever lost or left over, so it has no standing target; and nobody is
//! served by it, so there is nothing to regret.

use std::collections::BTreeMap;

use crate::model::{
    Census, Compared, Decision, Fleet, Inputs, Memories, Past, ShadowCourse, ShadowTick,
    SignalMemory, SignalName, Situation, Spent,
};

use super::decide;

/// The decision of the shadow rules, and what the next tick is to be given.
#[derive(Debug, Clone, PartialEq)]
pub struct Shadow {
    pub decision: Decision,
    pub memory: Memories,
    pub tick: ShadowTick,
    /// Their course, this tick included.
    pub course: ShadowCourse,
}

/// Decides once more as if the shadow rules of the fleet were its rules; `live` was decided by those.
/// `None` without shadow rules.
#[must_use]
pub fn shadow(inputs: &Inputs, live: &Decision) -> Option<Shadow> {
    let rules = inputs.fleet.shadow.as_ref()?;
    let fleet = Fleet {
        rules: rules.rules.clone(),
        stabilization: rules.stabilization,
        shadow: None,
        regret: None,
        ..inputs.fleet.clone()
    };
    let begun = || ShadowCourse::begin(&inputs.history, live.current);
    let mut course = inputs.history.shadow.clone().unwrap_or_else(begun);
    let live_census = inputs.census();
    let census = census(&live_census, &course);
    let signals = signals(inputs, &course);
    let situation = Situation {
        fleet: &fleet,
        census: &census,
        past: past(inputs, &course, &signals),
        spent: spent(inputs, &course),
        ..inputs.situation(&live_census)
    };
    let (decision, memory) = decide(&situation, inputs.history.memory.clone());
    let tick = ShadowTick {
        size: course.size,
        recommended: decision.recommended,
        desired: decision.desired,
        then: course.size.saturating_add(decision.add).saturating_sub(decision.remove),
        live_acts: live.add > 0 || live.remove > 0,
    };
    let (at, live, live_desired) = (inputs.now, live.current, live.desired);
    course.ticked(&Compared { at, shadow: tick, live, live_desired });
    Some(Shadow { decision, memory, tick, course })
}

/// A fleet of the simulated size, of which everything serves. Who serves in truth stays, since that is
/// what the signals tell of, and so do doubts of the listing, in which nothing is decided.
fn census(live: &Census, course: &ShadowCourse) -> Census {
    let others = live.account_size.saturating_sub(live.capacity);
    Census {
        capacity: course.size,
        in_service: live.in_service,
        live: course.size,
        doubt: live.doubt.clone(),
        account_size: others.saturating_add(course.size),
        ..Census::default()
    }
}

/// The memory of the signals, with the samples since the last simulated action in the place of those
/// since the last one in truth.
fn signals(inputs: &Inputs, course: &ShadowCourse) -> BTreeMap<SignalName, SignalMemory> {
    let signals = inputs.history.signals.iter().map(|(name, memory)| {
        let window = course.windows.get(name).cloned().unwrap_or_default();
        (name.clone(), SignalMemory { window, ..memory.clone() })
    });
    signals.collect()
}

fn past<'a>(
    inputs: &'a Inputs,
    course: &'a ShadowCourse,
    signals: &'a BTreeMap<SignalName, SignalMemory>,
) -> Past<'a> {
    Past {
        last_out: course.last_out,
        last_in: course.last_in,
        last_desired: course.last_desired,
        standing: None,
        recommended: &course.recommended,
        moves: &course.moves,
        signals,
        // What keeps launches from success in truth would have kept these from it as well.
        ..Past::of(&inputs.history)
    }
}

/// The changes of the hour as they would be, had these been made in the place of the fleet's.
fn spent(inputs: &Inputs, course: &ShadowCourse) -> Spent {
    let (live, own) = (inputs.spent, course.spent(inputs.now));
    let mut account = live.account;
    account.launches =
        account.launches.saturating_sub(live.fleet.launches).saturating_add(own.launches);
    account.removals =
        account.removals.saturating_sub(live.fleet.removals).saturating_add(own.removals);
    Spent { fleet: own, account }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{self, CPU, ago, now, running};
    use crate::model::{
        Fixed, History, Reason, Rule, RuleKind, RuleName, Sample, ShadowRules, Span, Target,
        TargetOf, Tolerance,
    };
    use crate::policy;

    fn rule(kind: RuleKind) -> Rule {
        Rule { name: RuleName::from("mine").in_shadow(), kind }
    }

    fn fixed(size: u32) -> Rule {
        rule(RuleKind::Fixed(Fixed { size }))
    }

    fn inputs(live: u32, shadow: Vec<Rule>, history: History) -> Inputs {
        let mut fleet = fixtures::fleet(1, 10);
        fleet.rules = vec![Rule { name: "live".into(), kind: RuleKind::Fixed(Fixed { size: 3 }) }];
        fleet.shadow = Some(ShadowRules { rules: shadow, stabilization: Span::secs(0) });
        fixtures::inputs(fleet, running(live), history)
    }

    fn run(inputs: &Inputs) -> (Decision, Shadow) {
        let census = inputs.census();
        let (live, _) = policy::decide(&inputs.situation(&census), inputs.history.memory.clone());
        let shadow = shadow(inputs, &live).expect("shadow rules");
        (live, shadow)
    }

    #[test]
    fn it_begins_at_the_live_size_and_goes_where_its_own_rules_lead() {
        let inputs = inputs(3, vec![fixed(5)], History::default());
        let (live, shadow) = run(&inputs);
        assert_eq!((live.desired, shadow.decision.desired), (3, 5));
        assert_eq!((shadow.tick.size, shadow.tick.then, shadow.course.size), (3, 5, 5));
        assert!(matches!(shadow.decision.reasons[0], Reason::Fixed { size: 5 }));
        assert!(shadow.memory.keys().all(RuleName::is_shadow), "{:?}", shadow.memory);
    }

    #[test]
    fn without_shadow_rules_nothing_is_decided() {
        let mut inputs = inputs(3, vec![fixed(5)], History::default());
        let (live, _) = run(&inputs);
        inputs.fleet.shadow = None;
        assert_eq!(shadow(&inputs, &live), None);
    }

    #[test]
    fn it_keeps_to_the_bounds_of_the_fleet_and_to_its_own_actions() {
        let course = ShadowCourse { size: 9, last_desired: 9, ..ShadowCourse::default() };
        let history = History {
            began: Some(ago(86_400)),
            shadow: Some(course),
            // A live scale-out just now holds up no shadow.
            last_out: Some(now()),
            ..History::default()
        };
        let (_, shadow) = run(&inputs(3, vec![fixed(40)], history));
        assert_eq!((shadow.tick.size, shadow.tick.then), (9, 10), "max = 10");
        assert_eq!(shadow.course.last_out, Some(now()));
    }

    #[test]
    fn a_signal_tells_of_the_instances_that_serve_in_truth() {
        let target = Target {
            signal: CPU.into(),
            target: 50.0,
            of: TargetOf::Average,
            tolerance: Tolerance { out: 0.1, in_: 0.1 },
        };
        let course = ShadowCourse { size: 6, last_desired: 6, ..ShadowCourse::default() };
        let history = History { shadow: Some(course), ..History::default() };
        let mut inputs = inputs(3, vec![rule(RuleKind::Target(target))], history);
        let sample =
            Sample { value: 100.0, measured_at: ago(5), age: Span::secs(5), reporting: None };
        inputs.signals = [(CPU.into(), Ok(sample))].into();
        let (_, shadow) = run(&inputs);
        assert_eq!(shadow.tick.then, 6, "100 % of 3 is 50 % of 6");
    }
}
