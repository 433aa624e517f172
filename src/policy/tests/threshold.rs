//! The opinions of a rule on its signal.

use super::*;

#[test]
fn a_run_of_new_samples_past_a_bound_moves_the_fleet_by_its_step() {
    for (name, values, current, desired, reason) in [
        ("two above add", vec![80.0, 90.0], 4, 6, "cpu = 90 > 75 for 2 samples: add 2"),
        ("one above waits", vec![50.0, 90.0], 4, 4, "cpu = 90 > 75 for 1 of 2 samples"),
        ("a dip breaks the run", vec![90.0, 50.0, 90.0], 4, 4, "cpu = 90 > 75 for 1 of 2 samples"),
        (
            "exactly on the bound is not above it",
            vec![75.0, 75.0],
            4,
            4,
            "cpu = 75 is within its band",
        ),
        (
            "three below remove",
            vec![20.0, 10.0, 15.5],
            4,
            3,
            "cpu = 15.5 < 30 for 3 samples: remove 1",
        ),
        ("two below wait", vec![50.0, 10.0, 15.0], 4, 4, "cpu = 15 < 30 for 2 of 3 samples"),
        (
            "exactly on the lower bound is not below it",
            vec![30.0, 30.0, 30.0],
            4,
            4,
            "cpu = 30 is within its band",
        ),
        ("max caps", vec![80.0, 90.0], 9, 10, "max = 10 is reached"),
        ("min floors", vec![1.0, 1.0, 1.0], 2, 2, "min = 2 is reached"),
        ("below min is raised", vec![50.0], 1, 2, "below min = 2"),
        ("above max is lowered", vec![50.0], 12, 10, "above max = 10"),
    ] {
        let (history, signals) = seen(&values);
        let decision = decided(&fleet(2, 10), &running(current), &signals, &history);
        assert_eq!(decision.desired, desired, "{name}: {decision}");
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        assert!(reasons.iter().any(|r| r == reason), "{name}: {reasons:?}");
    }
}

#[test]
fn a_repeated_sample_does_not_count_twice() {
    let (mut history, _) = seen(&[50.0]);
    let same = reading(90.0, 10);
    let sample = same.clone().expect("a sample");
    let window = &mut history.signals.entry(CPU.into()).or_default().window;
    window.push(Measured::of(&sample, now(), None), None);
    let signals = [(CPU.into(), same)].into();
    let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
    assert_eq!(decision.desired, 4, "{decision}");
}

#[test]
fn a_gap_of_any_kind_holds_and_says_so() {
    let gaps = [
        Gap::Empty,
        Gap::Stale { age: Span::secs(120), max_age: Span::secs(90) },
        Gap::NotFinite { value: "NaN".into() },
        Gap::Unreachable { why: "connection refused".into() },
        Gap::SeveralSeries { count: 2, examples: vec!["{a=\"1\"}".into()] },
    ];
    for gap in gaps {
        // A run of idle samples is on record: without the gap this would scale in.
        let (history, _) = seen(&[1.0, 1.0, 1.0, 1.0]);
        let signals = [(CPU.into(), Err(gap.clone()))].into();
        let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
        assert_eq!(decision.desired, 4, "{gap}");
        assert!(matches!(&decision.blocked_by, Some(Reason::Missing { .. })), "{gap}");
        let returns = Counterfactual::SignalReturns { signal: CPU.into() };
        assert_eq!(decision.counterfactuals, vec![returns], "{gap}");
    }
}

#[test]
fn a_cool_down_holds_its_direction_and_says_until_when() {
    let busy = [90.0, 90.0];
    let idle = [1.0, 1.0, 1.0];
    for (name, values, out_ago, in_ago, desired, until) in [
        ("a fresh scale-out holds the next", &busy[..], Some(179), None, 4, Some("12:00:01Z")),
        ("a cooled scale-out does not", &busy[..], Some(180), None, 6, None),
        ("a scale-in never holds a scale-out", &busy[..], None, Some(1), 6, None),
        ("a fresh scale-in holds the next", &idle[..], None, Some(299), 4, Some("12:00:01Z")),
        (
            "a fresh scale-out holds a scale-in",
            &idle[..],
            Some(1),
            Some(9_999),
            4,
            Some("12:04:59Z"),
        ),
        ("a cooled fleet scales in", &idle[..], Some(300), Some(300), 3, None),
    ] {
        let (mut history, signals) = seen(values);
        history.last_out = out_ago.map(ago);
        history.last_in = in_ago.or(Some(80_000)).map(ago);
        let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
        assert_eq!(decision.desired, desired, "{name}: {decision}");
        match until {
            None => assert_eq!(decision.blocked_by, None, "{name}"),
            Some(until) => {
                let blocked = decision.blocked_by.expect(name).to_string();
                assert!(
                    blocked.ends_with(&format!("cool-down until {until}")),
                    "{name}: {blocked}"
                );
                let else_ = decision.counterfactuals[0].to_string();
                assert!(else_.ends_with(&format!("after {until}")), "{name}: {else_}");
            }
        }
    }
}

#[test]
fn without_a_journal_the_newest_scale_timestamp_tag_keeps_the_cool_down() {
    let (mut history, signals) = seen(&[90.0, 90.0]);
    history.last_out = None;
    let mut inventory = running(4);
    inventory.members[2]
        .instance
        .tags
        .insert(tags::TIMESTAMP.into(), "2026-01-02T11:58:00Z".into());
    let decision = decided(&fleet(2, 10), &inventory, &signals, &history);
    let until = clock::after(now(), Duration::from_secs(60));
    assert_eq!(decision.blocked_by, Some(Reason::CoolingDown { direction: Direction::Out, until }));
    assert_eq!(decision.recommended, 6);
}

#[test]
fn without_a_record_of_the_last_scale_in_the_first_one_waits_a_cool_down() {
    let (mut history, signals) = seen(&[1.0, 1.0, 1.0]);
    history.last_in = None;
    history.began = Some(ago(100));
    let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
    assert_eq!(decision.desired, 4);
    assert!(matches!(decision.blocked_by, Some(Reason::NoRecordYet { .. })), "{decision}");
    history.began = Some(ago(300));
    assert_eq!(decided(&fleet(2, 10), &running(4), &signals, &history).desired, 3);
}

#[test]
fn booting_instances_count_as_capacity_and_answer_the_shortage_that_they_were_launched_for() {
    let (history, signals) = seen(&[90.0, 90.0]);
    let mut inventory = running(4);
    inventory.unlisted.push(Unlisted { id: "i-new".into(), phase: Phase::Requested });
    let decision = decided(&fleet(2, 6), &inventory, &signals, &history);
    // Two more than the four that carried the load, one of which is there already.
    assert_eq!((decision.current, decision.add), (5, 1));
    inventory.members[3].phase = Phase::Booting;
    let decision = decided(&fleet(2, 6), &inventory, &signals, &history);
    assert_eq!((decision.current, decision.add), (5, 0));
    let answered = Reason::Answered { signal: CPU.into(), measured_with: 3, capacity: 5 };
    assert_eq!(decision.reasons, [answered]);
}

#[test]
fn the_counterfactual_names_what_is_missing() {
    let (history, signals) = seen(&[50.0, 10.0, 10.0]);
    let decision = decided(&fleet(2, 10), &running(4), &signals, &history);
    let text: Vec<String> = decision.counterfactuals.iter().map(ToString::to_string).collect();
    assert_eq!(text, ["would scale in if cpu < 30 for 1 more sample"]);
}

#[test]
fn a_value_counts_for_the_instances_that_it_was_measured_on() {
    for (name, inputs, served, current, add, remove) in [
        ("two more than served then", busy(), 4, 4, 2, 0),
        ("the two are there already", busy(), 4, 6, 0, 0),
        ("more are missing than then", busy(), 6, 4, 4, 0),
        ("one less than there are", idle(), 4, 4, 0, 1),
        ("the one is gone already", idle(), 5, 4, 0, 0),
        ("low load on few is lower on more", idle(), 3, 5, 0, 1),
    ] {
        let mut inputs = inputs;
        inputs.inventory = running(current);
        inputs.history.in_service = [(ago(3_600), served)].into();
        let decision = decide(&inputs);
        assert_eq!((decision.add, decision.remove), (add, remove), "{name}: {decision}");
    }
}

#[test]
fn samples_that_were_measured_before_an_action_do_not_count_after_it() {
    let (mut history, _) = seen(&[90.0]);
    history.last_out = Some(ago(30));
    // It arrives now, and was true before the action: the metric lags.
    let late = [(CPU.into(), reading(90.0, 40))].into();
    let mut fleet = fleet(2, 10);
    let rule = fleet.rules[0].threshold();
    rule.cooldown.out = Span::secs(0);
    rule.scale_out = Some(ScaleOut { above: 75.0, samples: 1, by: Step::Count(2) });
    let decision = decided(&fleet, &running(4), &late, &history);
    assert_eq!(decision.add, 0, "{decision}");
    let fresh = [(CPU.into(), reading(90.0, 20))].into();
    assert_eq!(decided(&fleet, &running(4), &fresh, &history).add, 2);
}

#[test]
fn few_that_report_may_raise_and_never_lower() {
    let report = |inputs: &mut Inputs, reporting: Option<u32>| {
        let reading = inputs.signals.get_mut(&SignalName::from(CPU)).expect("read");
        reading.as_mut().expect("a sample").reporting = reporting;
        let window = &mut inputs.history.signals.get_mut(&SignalName::from(CPU)).expect("known");
        window.full_at = Some(ago(600));
        let kept: Vec<Measured> = window.window.newest_first().copied().collect();
        window.window.clear();
        for sample in kept.into_iter().rev() {
            window.window.push(Measured { reporting, in_service: Some(4), ..sample }, None);
        }
    };
    for (name, coverage, reporting, remove) in [
        ("all report", Coverage::Auto(0.6), Some(4), 1),
        ("enough report", Coverage::Auto(0.6), Some(3), 1),
        ("half report", Coverage::Auto(0.6), Some(2), 0),
        ("nobody can say how many", Coverage::Auto(0.6), None, 0),
        ("asked for all", Coverage::AtLeast(1.0), Some(3), 0),
        ("not each instance's own", Coverage::AtLeast(0.0), Some(1), 1),
    ] {
        let mut inputs = idle();
        inputs.history.in_service = [(ago(3_600), 4)].into();
        let spec = inputs.fleet.signals.get_mut(&SignalName::from(CPU)).expect("known");
        spec.coverage = coverage;
        report(&mut inputs, reporting);
        let decision = decide(&inputs);
        assert_eq!(decision.remove, remove, "{name}: {decision}");
        let said = decision.reasons.iter().any(|r| matches!(r, Reason::Partial { .. }));
        assert_eq!(said, remove == 0, "{name}");
    }
    let mut inputs = busy();
    report(&mut inputs, Some(1));
    assert_eq!(decide(&inputs).add, 2, "one that is overloaded is reason enough");
    // A signal that never came from every instance is not judged by how many report it.
    let mut inputs = idle();
    report(&mut inputs, Some(1));
    inputs.history.signals.get_mut(&SignalName::from(CPU)).expect("known").full_at = None;
    assert_eq!(decide(&inputs).remove, 1);
}

#[test]
fn what_was_learned_takes_the_place_of_what_was_left_out() {
    let mut account = Account::default();
    let mut history = History::default();
    let mut lag = Ring::default();
    for n in 0..20 {
        account.apply(&AccountEvent::Booted {
            at: now(),
            zone: "h".into(),
            instance_type: "c7".into(),
            secs: 150.0 + f64::from(n),
        });
        lag.push(20.0);
    }
    history.signals.insert(CPU.into(), SignalMemory { lag, ..SignalMemory::default() });
    let out = |fleet: &Fleet| {
        let RuleKind::Threshold(rule) = &fleet.rules[0].kind else { panic!("a threshold") };
        rule.cooldown.out
    };
    let given = fleet(2, 10);
    let tuned = given.tuned(&account, &history);
    assert_eq!((tuned.boot_timeout, out(&tuned)), (given.boot_timeout, out(&given)));
    let mut open = fleet(2, 10);
    open.boot_timeout.learned = true;
    let rule = open.rules[0].threshold();
    rule.cooldown.learned_out = true;
    let tuned = open.tuned(&account, &history);
    assert_eq!(tuned.boot_timeouts["c7"], Span::secs(504), "three times 168 s");
    assert_eq!(tuned.boot_timeouts["g7"], open.boot_timeout.span, "nothing is known of it");
    assert_eq!(out(&tuned), Span::secs(248), "168 s of boot, 60 of warm-up, 20 of lag");
    // Boots became slower: what was given up took at least so long.
    let (zone, instance_type) = ("h".to_owned(), "c7".to_owned());
    let slower = AccountEvent::TimedOut { at: now(), zone, instance_type, secs: 504.0 };
    account.apply(&slower);
    let tuned = open.tuned(&account, &history);
    assert_eq!(tuned.boot_timeouts["c7"], Span::secs(1_008), "twice that");
    let unknown = open.tuned(&Account::default(), &history);
    assert_eq!((unknown.boot_timeout.span, out(&unknown)), (open.boot_timeout.span, out(&open)));
}

#[test]
fn a_rule_remembers_what_it_asks_for_and_since_when() {
    let decide = |inputs: &Inputs| {
        let remembered = inputs.history.memory.clone();
        crate::policy::decide(&inputs.situation(&inputs.census()), remembered).1
    };
    let mut inputs = busy();
    let name = RuleName::from("threshold-cpu");
    let memory = decide(&inputs);
    assert_eq!(memory[&name], RuleMemory::new(Some(6), now()));
    inputs.history.memory = memory;
    inputs.now = clock::after(now(), Duration::from_secs(15));
    assert_eq!(decide(&inputs)[&name].since, now(), "unchanged since");
    inputs.signals = [(CPU.into(), Err(Gap::Empty))].into();
    assert_eq!(decide(&inputs)[&name], RuleMemory::new(None, inputs.now));
}
