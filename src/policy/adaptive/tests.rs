//! The rule as a fleet has it: floors, gaps, restarts, and what it writes down.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Timestamp, clock};
use proptest::prelude::*;

use super::super::decide;
use crate::model::fixtures::{self, ago, now};
use crate::model::*;

const LOAD: &str = "load";

fn rule() -> Adaptive {
    Adaptive {
        signal: LOAD.into(),
        capacity: 100.0,
        price: Adaptive::BALANCED,
        boot: Estimate { span: Span::secs(60), learned: false },
        lag: Span::secs(30),
        window: Span::secs(60),
        interval: Span::secs(15),
        saturates: false,
    }
}

fn fleet() -> Fleet {
    let rule = Rule { name: "adaptive".into(), kind: RuleKind::Adaptive(rule()) };
    let mut fleet = fixtures::fleet(1, 1_000);
    fleet.signals = [(LOAD.into(), fixtures::signal_spec())].into();
    fleet.rules = vec![rule];
    fleet
}

/// A fleet that ticks every 15 s and always has what it asked for.
struct Run {
    fleet: Fleet,
    history: History,
    memory: Memories,
    at: Timestamp,
    size: u32,
}

impl Run {
    fn new(size: u32) -> Run {
        let mut history = History { began: Some(ago(86_400)), ..History::default() };
        history.last_in = Some(ago(80_000));
        Run { fleet: fleet(), history, memory: Memories::new(), at: now(), size }
    }

    fn reading(&self, value: f64) -> Reading {
        let measured_at = clock::before(self.at, Duration::from_secs(30));
        Ok(Sample { value, measured_at, age: Span::secs(30), reporting: None })
    }

    fn decide(&self, reading: Reading) -> (Decision, Memories) {
        let census = Census {
            capacity: self.size,
            in_service: self.size,
            live: self.size,
            ..Census::default()
        };
        let account = Account::default();
        let situation = Situation {
            now: self.at,
            fleet: &self.fleet,
            census: &census,
            signals: &[(LOAD.into(), reading)].into(),
            past: Past::of(&self.history),
            account: &account,
            holds: &[],
            instructions: &[],
            spent: Spent::default(),
        };
        decide(&situation, self.memory.clone())
    }

    fn tick(&mut self, reading: Reading) -> Decision {
        let (decision, memory) = self.decide(reading.clone());
        self.memory = memory;
        match &reading {
            Ok(sample) => self.history.read(&LOAD.into(), sample, self.size, self.at),
            Err(_) => {
                let memory = self.history.signals.entry(LOAD.into()).or_default();
                memory.missed(self.at);
            }
        }
        self.size = self.size + decision.add - decision.remove;
        self.at = clock::after(self.at, Duration::from_secs(15));
        decision
    }

    fn hours(&mut self, hours: u32, load: impl Fn(u32) -> f64) {
        for tick in 0..hours * 240 {
            let reading = self.reading(load(tick));
            self.tick(reading);
        }
    }

    fn state(&self) -> &AdaptiveState {
        self.memory[&"adaptive".into()].adaptive.as_ref().expect("a state")
    }
}

/// Rises and falls by the hour, between 5 and 15 instances.
fn wave(tick: u32) -> f64 {
    1_000.0 - 500.0 * (f64::from(tick % 240) / 240.0 * std::f64::consts::TAU).cos()
}

#[test]
fn a_steady_load_gets_little_more_than_it_needs() {
    let mut run = Run::new(20);
    run.hours(3, |_| 1_030.0);
    assert_eq!(run.size, 11, "{:?}", run.decide(run.reading(1_030.0)).0);
}

#[test]
fn a_wave_is_met_before_it_comes() {
    let mut run = Run::new(10);
    run.hours(8, wave);
    let mut short = 0;
    for tick in 0..240 {
        let reading = run.reading(wave(tick));
        // Lag, window and boot: what is asked for now serves two minutes after the load was so.
        run.tick(reading);
        let then = wave(tick + 8) / 100.0;
        short += u32::from(f64::from(run.size) < then);
    }
    assert!(short < 12, "short for {short} of 240 ticks");
}

#[test]
fn a_missing_signal_removes_nothing_and_neither_do_the_minutes_after_it() {
    let mut run = Run::new(10);
    run.hours(4, wave);
    let before = run.size;
    for _ in 0..20 {
        let decision = run.tick(Err(Gap::Empty));
        assert_eq!((decision.add, decision.remove), (0, 0), "{decision}");
    }
    for tick in 0..10 {
        let reading = run.reading(10.0);
        let decision = run.tick(reading);
        assert_eq!(decision.remove, 0, "tick {tick}: {decision}");
    }
    let reading = run.reading(f64::from(before + 5) * 100.0);
    assert!(run.tick(reading).add >= 5, "more is asked for at once");
}

#[test]
fn the_first_value_removes_nothing() {
    let mut run = Run::new(50);
    let reading = run.reading(100.0);
    let decision = run.tick(reading);
    assert_eq!(decision.remove, 0, "{decision}");
    run.hours(1, |_| 100.0);
    assert!(run.size <= 3, "and later it does: {}", run.size);
}

#[test]
fn a_total_that_few_instances_report_removes_nothing() {
    let mut run = Run::new(10);
    run.hours(2, |_| 1_000.0);
    let memory = run.history.signals.get_mut(&SignalName::from(LOAD)).expect("known");
    memory.full_at = Some(run.at);
    let (size, at) = (run.size, run.at);
    run.history.in_service = [(ago(3_600), size)].into();
    let part = |reporting, value| {
        let measured_at = clock::before(at, Duration::from_secs(30));
        Ok(Sample { value, measured_at, age: Span::secs(30), reporting: Some(reporting) })
    };
    // A third of the fleet reports a third of the load.
    let decision = run.decide(part(size / 3, 200.0)).0;
    assert!(matches!(decision.blocked_by, Some(Reason::Partial { .. })), "{decision}");
    assert_eq!(decision.remove, 0, "{decision}");
    // Nearly all of it does: what the others carry is added.
    let decision = run.decide(part(size - 1, 1_000.0 * f64::from(size - 1) / f64::from(size))).0;
    assert_eq!((decision.add, decision.remove), (0, 0), "{decision}");
}

#[test]
fn what_it_remembers_is_small_and_comes_back_to_the_last_bit() {
    for boot in [60, 180, 240, 480, 900, 1_200] {
        let mut run = Run::new(10);
        if let RuleKind::Adaptive(rule) = &mut run.fleet.rules[0].kind {
            rule.boot.span = Span::secs(boot);
        }
        run.hours(2, wave);
        let text = serde_json::to_string(run.state()).expect("a record");
        assert!(text.len() < 20_000, "boot {boot}: {} bytes", text.len());
        let back: AdaptiveState = serde_json::from_str(&text).expect("a record");
        assert_eq!(&back, run.state());
        let cut = text.replace("\"bits\":\"AA", "\"bits\":\"");
        assert!(cut == text || serde_json::from_str::<AdaptiveState>(&cut).is_err());
    }
}

#[test]
fn what_was_recorded_minutes_ago_catches_up_by_the_series() {
    let mut run = Run::new(10);
    run.hours(3, wave);
    let recorded = run.memory.clone();
    for tick in 0..40 {
        let reading = run.reading(wave(tick));
        run.tick(reading);
    }
    let reading = run.reading(wave(40));
    let (decision, memory) = run.decide(reading.clone());
    run.memory = recorded;
    let (caught_up, rebuilt) = run.decide(reading);
    assert_eq!(caught_up, decision);
    let name = RuleName::from("adaptive");
    assert_eq!(rebuilt[&name].adaptive, memory[&name].adaptive);
}

#[test]
fn its_state_is_recorded_every_ten_minutes_and_not_with_each_tick() {
    let mut run = Run::new(10);
    run.hours(1, wave);
    let mut known = run.memory.clone();
    let mut recorded = 0;
    for tick in 0..240 {
        let reading = run.reading(wave(tick));
        run.tick(reading);
        let changes = memory_changes(&known, &run.memory);
        // The size that it asks for changes more often, and takes the state along.
        recorded += u32::from(!changes.is_empty());
        for (name, memory) in changes {
            known.insert(name, memory.expect("no rule is gone"));
        }
    }
    assert!((6..120).contains(&recorded), "{recorded}");
}

#[test]
fn a_new_rule_recalls_what_was_recorded_before_it() {
    let mut run = Run::new(10);
    let mut recorded = Vec::new();
    for tick in 0..720 {
        let value = (tick % 97 != 0 || tick == 0).then(|| wave(tick));
        recorded.push((run.at, value, run.size));
        let reading = value.map_or(Err(Gap::Empty), |value| run.reading(value));
        run.tick(reading);
    }
    let recalled = policy_recall(&recorded).expect("a state");
    assert_eq!(&recalled, run.state());
    assert_eq!(policy_recall(&[(now(), None, 3)]), None);
}

fn policy_recall(recorded: &[(Timestamp, Option<f64>, u32)]) -> Option<AdaptiveState> {
    super::super::recall(&rule(), recorded.iter().copied())
}

#[test]
fn a_long_pause_and_another_step_begin_anew() {
    let mut run = Run::new(10);
    run.hours(1, wave);
    let steps = run.state().steps;
    run.at = clock::after(run.at, Duration::from_secs(7 * 3_600));
    let reading = run.reading(500.0);
    run.tick(reading);
    assert!(run.state().steps < steps, "{}", run.state().steps);
}

#[test]
fn another_boot_time_keeps_what_is_known_of_the_load() {
    let mut run = Run::new(10);
    run.hours(1, wave);
    let (steps, weights) = (run.state().steps, run.state().forecast.weights);
    if let RuleKind::Adaptive(rule) = &mut run.fleet.rules[0].kind {
        rule.boot.span = Span::secs(120);
    }
    let reading = run.reading(wave(0));
    run.tick(reading);
    assert_eq!(run.state().steps, steps + 1);
    assert_eq!(run.state().forecast.weights.map(f64::to_bits), weights.map(f64::to_bits));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn it_never_asks_for_fewer_than_the_load_needs_now(
        loads in prop::collection::vec(0f64..50_000.0, 1..120), start in 1u32..200,
    ) {
        let mut run = Run::new(start);
        for load in loads {
            let reading = run.reading(load);
            let decision = run.tick(reading);
            prop_assert!(f64::from(decision.desired) >= (load / 100.0).ceil() - 1e-9, "{decision}");
            prop_assert!(decision.desired <= 1_000);
        }
    }

    #[test]
    fn no_data_removes_nothing(
        loads in prop::collection::vec(prop::option::of(0f64..5_000.0), 1..120), start in 1u32..50,
    ) {
        let mut run = Run::new(start);
        for load in loads {
            let reading = load.map_or(Err(Gap::Empty), |load| run.reading(load));
            let missing = reading.is_err();
            let decision = run.tick(reading);
            prop_assert!(!missing || decision.remove == 0, "{decision}");
        }
    }
}

#[test]
fn its_reason_is_a_sentence_with_numbers() {
    let mut run = Run::new(10);
    run.hours(2, |_| 1_030.0);
    let (decision, _) = run.decide(run.reading(1_030.0));
    let text = decision.reasons[0].to_string();
    assert!(
        text.starts_with("load = 1030 fills 10.3 instances, and within 2m up to 10.3 ±"),
        "{text}"
    );
    assert!(text.ends_with("a missing one costs as much as 10 idle: 11"), "{text}");
    assert!(Arc::strong_count(run.memory[&"adaptive".into()].adaptive.as_ref().expect("one")) >= 1);
}

#[test]
fn a_full_signal_that_saturates_asks_for_more_than_it_shows() {
    for (saturates, most) in [(false, 11), (true, 13)] {
        let mut run = Run::new(10);
        if let RuleKind::Adaptive(rule) = &mut run.fleet.rules[0].kind {
            rule.saturates = saturates;
        }
        run.history.in_service = [(ago(86_400), 10)].into();
        let reading = run.reading(1_000.0);
        let Reason::Expected(outlook) = run.decide(reading).0.reasons.remove(0) else {
            panic!("an outlook")
        };
        let load = if saturates { 12.0 } else { 10.0 };
        assert!((outlook.load - load).abs() < 1e-9, "{outlook}");
        assert!(outlook.size + 2 >= most, "{outlook}");
    }
}
