use super::*;
use crate::api::shape::{BoundsView, ReasonView, RuleView};
use crate::cli::paint::text_of;

fn decision() -> DecisionView {
    let reason = |kind: &str, text: &str| ReasonView { kind: kind.into(), text: text.into() };
    let crossed = reason("crossed", "cpu = 88.1 > 75 for 2 samples: add 2");
    let brake = BrakeView {
        launches_last_hour: 2,
        launches_per_hour_max: Some(60),
        removals_last_hour: 0,
        removals_per_hour_max: None,
        removal_percent_max: None,
    };
    DecisionView {
        id: uuid::Uuid::nil(),
        fleet: "web".into(),
        decided_at: "2026-11-25T12:04:10Z".parse().expect("a time"),
        summary: "4 → 6: cpu = 88.1 > 75 for 2 samples: add 2".into(),
        current_instances: 4,
        recommended_instances: 6,
        desired_instances: 6,
        launched_instances: 2,
        removed_instances: 0,
        saw: Some(SawView {
            instances: SizesView {
                serving: 4,
                warming_up: 0,
                booting: 0,
                requested: 0,
                draining: 0,
                leaving: 0,
                standby: 0,
                failed: 0,
                unreachable: 0,
            },
            listing_age_secs: 3,
            doubts: Vec::new(),
        }),
        signals: vec![SignalView {
            signal: "cpu".into(),
            value: Some(88.1),
            age_secs: Some(12),
            measured_at: None,
            reporting_instances: Some(4),
            missing: None,
            recent_values: Vec::new(),
        }],
        rules: vec![RuleView {
            rule: "cpu-high".into(),
            asks_instances: Some(6),
            because: vec![crossed.clone()],
        }],
        limits: Some(LimitsView {
            bounds: BoundsView { min_instances: 2, max_instances: 20 },
            account: BrakeView { launches_per_hour_max: None, ..brake.clone() },
            fleet: brake,
            holds: Vec::new(),
        }),
        reasons: vec![crossed],
        blocked_by: None,
        shortfalls: Vec::new(),
        moves: Vec::new(),
        actions: vec![ActionTaken {
            intent: uuid::Uuid::nil(),
            action: "launch 2 × ecs.c7.large in vsw-zone-h".into(),
            outcome: Some(
                "launch 2 × ecs.c7.large in vsw-zone-h: accepted as i-bp1aaa, i-bp1bbb".into(),
            ),
            answered_after_secs: Some(1.2),
            launched: vec!["i-bp1aaa".into(), "i-bp1bbb".into()],
            served_after_secs: Some(74),
        }],
        would_change: Vec::new(),
    }
}

fn waits() -> DecisionView {
    let reason = |kind: &str, text: &str| ReasonView { kind: kind.into(), text: text.into() };
    let held = reason("held", "scale-in held by mei until 13:00:00Z: import runs");
    let low = reason("crossed", "cpu = 12 < 30 for 2 samples: remove 1");
    let all = decision();
    DecisionView {
        decided_at: "2026-11-25T12:20:00Z".parse().expect("a time"),
        summary: "stays at 6 (recommended 5): cpu = 12 < 30 for 2 samples: remove 1; scale-in held"
            .into(),
        current_instances: 6,
        launched_instances: 0,
        rules: vec![RuleView {
            rule: "cpu-high".into(),
            asks_instances: Some(5),
            because: vec![low.clone()],
        }],
        reasons: vec![low, held.clone()],
        blocked_by: Some(held),
        actions: Vec::new(),
        moves: Vec::new(),
        would_change: vec![reason("after", "could scale in after 13:00:00Z")],
        ..all
    }
}

fn told(decision: &DecisionView, before: Option<&DecisionView>) -> String {
    let lines = page(decision, before, None, 80);
    for line in &lines {
        assert!(text_of(line).chars().count() <= 80, "{}", text_of(line));
    }
    lines.iter().map(text_of).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_seen_wanted_and_done_is_told_in_80_columns() {
    let expected = "\
web at 12:04:10 (UTC, 2026-11-25): 4 → 6

It saw   4 in service, none coming. cpu = 88.1, measured 12 s before, by 4 of 4
         instances.
Rule     cpu-high wants 6: cpu = 88.1 > 75 for 2 samples: add 2.
Limits   bounds 2..20, brake 2 of 60 launches this hour: none applied.
Did      launch 2 × ecs.c7.large in vsw-zone-h: accepted as i-bp1aaa, i-bp1bbb,
         after 1.2 s; both served after 74 s.";
    assert_eq!(told(&decision(), None), expected);
}

#[test]
fn what_blocked_it_and_what_would_change_it_is_told() {
    let expected = "\
web at 12:20:00 (UTC, 2026-11-25): stays at 6

It saw   4 in service, none coming. cpu = 88.1, measured 12 s before, by 4 of 4
         instances.
Rule     cpu-high wants 5: cpu = 12 < 30 for 2 samples: remove 1.
Also     scale-in held by mei until 13:00:00Z: import runs.
Limits   bounds 2..20, brake 2 of 60 launches this hour: blocked, because
         scale-in held by mei until 13:00:00Z: import runs.
Else     could scale in after 13:00:00Z.
Before   12:04:10 4 → 6: cpu = 88.1 > 75 for 2 samples: add 2.";
    assert_eq!(told(&waits(), Some(&decision())), expected);
}

#[test]
fn what_is_not_kept_any_more_is_said() {
    let forgotten =
        DecisionView { saw: None, limits: None, rules: Vec::new(), signals: Vec::new(), ..waits() };
    let said = told(&forgotten, None);
    assert!(said.contains("It saw   what it was made from is not kept any more"), "{said}");
    assert!(said.contains("Because  cpu = 12 < 30"), "{said}");
}

#[test]
fn what_it_costs_and_what_its_shadow_wants_is_told() {
    let shadow = ShadowNowView {
        at: decision().decided_at,
        live_desired_instances: 6,
        shadow_desired_instances: 9,
        live_current_instances: 6,
        shadow_current_instances: 9,
        reasons: vec![ReasonView { kind: "fixed".into(), text: "the size is fixed at 9".into() }],
        differs_since: Some(decision().decided_at),
    };
    let cost = CostView {
        amount_per_hour: 3.0,
        currency: "CNY".into(),
        priced_instances: 6,
        unpriced_instances: 1,
    };
    let now = FleetView {
        cost: Some(cost.clone()),
        shadow: Some(shadow.clone()),
        ..FleetView::default()
    };
    let said = |now: &FleetView| {
        let lines = page(&decision(), None, Some(now), 80);
        lines.iter().map(text_of).collect::<Vec<_>>().join("\n")
    };
    let expected = "\
Shadow   its shadow rules want 9, the live ones 6, since 12:04:10: the size is
         fixed at 9.
Costs    3.00 CNY an hour, 72.00 a day, for 6 instances; of 1 more the price is
         not known.";
    assert!(said(&now).ends_with(expected), "{}", said(&now));
    let same = ShadowNowView { shadow_desired_instances: 6, differs_since: None, ..shadow };
    let now = FleetView { shadow: Some(same), ..now };
    assert!(said(&now).contains("Shadow   its shadow rules want 6, too: the size is fixed at 9."));
}
