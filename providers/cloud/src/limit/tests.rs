//! The limits on a clock that tests move.

use super::*;
use crate::ManualClock;

const RUN: &str = "RunInstances";
const LIST: &str = "DescribeInstances";
const DELETE: &str = "DeleteInstances";
const NOW: Patience =
    Patience { urgency: Urgency::Act, turn: Duration::ZERO, closed: Duration::ZERO };

fn at_20_past() -> ManualClock {
    ManualClock::at("2026-01-02T03:04:20Z".parse().expect("a valid time"))
}

fn limits(rates: Rates, clock: &ManualClock) -> Arc<Limits> {
    Arc::new(Limits::new(rates, Arc::new(clock.clone())))
}

/// Rates at which only what `narrow` narrows can limit.
fn wide(narrow: impl FnOnce(&mut Rates)) -> Rates {
    let mut rates = Rates {
        reads: 1e4,
        writes: 1e4,
        by_action: [].into(),
        account: 1e4,
        instances_per_minute: u32::MAX,
    };
    narrow(&mut rates);
    rates
}

/// How many calls of `action`, each for `weight` instances, are let through at once.
async fn at_once(limits: &Limits, action: &str, weight: u32) -> usize {
    let mut passed = 0;
    while limits.admit(action, weight, NOW).await.is_ok() {
        passed += 1;
        assert!(passed < 20_000, "something must limit it");
    }
    passed
}

fn of(limits: &Limits, action: &str) -> ActionBudget {
    limits.budget().into_iter().find(|budget| budget.action == action).expect("it was asked for")
}

#[tokio::test]
async fn an_action_waits_when_its_bucket_is_empty_and_others_do_not() {
    let clock = at_20_past();
    let limits = limits(Rates::default(), &clock);
    assert_eq!(at_once(&limits, RUN, 1).await, 1);
    assert_eq!(at_once(&limits, LIST, 1).await, 5);
    clock.advance(Duration::from_secs(1));
    assert_eq!(at_once(&limits, RUN, 1).await, 1);
}

#[tokio::test]
async fn a_caller_waits_as_long_as_its_patience_and_is_told_at_once_when_that_is_too_short() {
    let clock = at_20_past();
    let limits = limits(wide(|rates| rates.by_action = [(RUN.to_owned(), 0.1)].into()), &clock);
    limits.admit(RUN, 1, NOW).await.expect("the first passes");
    let until = clock::after(clock.now(), Duration::from_secs(10));
    let refused = limits.admit(RUN, 1, Patience::of(Duration::from_secs(9))).await;
    assert_eq!(refused, Err(NotBefore { until }), "nobody moved the clock: it did not wait");

    let waiting = tokio::spawn({
        let limits = limits.clone();
        async move { limits.admit(RUN, 1, Patience::of(Duration::from_secs(10))).await }
    });
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(10));
    assert_eq!(waiting.await.expect("it ends"), Ok(Duration::from_secs(10)));
    let budget = of(&limits, RUN);
    assert_eq!((budget.calls, budget.waits, budget.refused), (2, 1, 1));
    assert_eq!(budget.waited_total, Duration::from_secs(10));
}

#[tokio::test]
async fn a_call_that_is_not_let_through_consumes_nothing_anywhere() {
    let clock = at_20_past();
    let rates = wide(|rates| {
        rates.by_action = [(RUN.to_owned(), 0.001)].into();
        rates.account = 10.0;
    });
    let limits = limits(rates, &clock);
    limits.admit(RUN, 100, NOW).await.expect("the first passes");
    let before = (of(&limits, "*").headroom, of(&limits, RUN).headroom);
    for _ in 0..1_000 {
        limits.admit(RUN, 100, NOW).await.expect_err("its own bucket is empty");
    }
    assert_eq!((of(&limits, "*").headroom, of(&limits, RUN).headroom), before);
    assert_eq!(at_once(&limits, DELETE, 1).await, 9);
}

#[tokio::test]
async fn launches_are_counted_by_instance_within_the_vendors_5000_a_minute() {
    let clock = at_20_past();
    let limits = limits(wide(|rates| rates.instances_per_minute = 5_000), &clock);
    let mut asked = Vec::new();
    for _ in 0..600 {
        let passed = at_once(&limits, RUN, 100).await;
        asked.push(100 * passed);
        clock.advance(Duration::from_secs(1));
    }
    for minute in asked.windows(60) {
        let sum: usize = minute.iter().sum();
        assert!((3_900..=5_000).contains(&sum), "{sum}");
    }
    assert!(at_once(&limits, RUN, 100).await <= 1);
    assert!(at_once(&limits, DELETE, 100).await > 100, "only launches are counted");
}

#[tokio::test]
async fn launches_and_tags_leave_a_fifth_of_the_account_to_listing_and_deleting() {
    let clock = at_20_past();
    let limits = limits(wide(|rates| rates.account = 20.0), &clock);
    let spent = at_once(&limits, RUN, 1).await + at_once(&limits, "TagResources", 1).await;
    assert_eq!(spent, 16);
    assert_eq!(at_once(&limits, LIST, 1).await, 4);
    for _ in 0..10 {
        clock.advance(Duration::from_secs(1));
        assert_eq!(at_once(&limits, RUN, 1).await, 16);
        assert_eq!(at_once(&limits, DELETE, 1).await, 4);
    }
}

#[tokio::test]
async fn a_throttled_action_is_closed_until_the_next_minute_and_others_are_not() {
    let clock = at_20_past();
    let limits = limits(Rates::default(), &clock);
    limits.throttled(RUN, None, 0.5);
    limits.admit(LIST, 1, NOW).await.expect("another action");
    let until: Timestamp = "2026-01-02T03:05:02.5Z".parse().expect("a valid time");
    assert_eq!(of(&limits, RUN).closed_until, Some(until));
    assert_eq!((of(&limits, RUN).headroom, of(&limits, RUN).throttled), (0.0, 1));
    clock.advance(Duration::from_secs(42));
    let refused = limits.admit(RUN, 1, NOW).await;
    assert_eq!(refused, Err(NotBefore { until }), "40 s to the minute and 2.5 s spread");
    clock.advance(Duration::from_secs(1));
    limits.admit(RUN, 1, NOW).await.expect("the minute has turned");
    assert_eq!(of(&limits, RUN).closed_until, None);
}

#[tokio::test]
async fn a_broken_wish_to_come_back_in_an_hour_is_capped() {
    let clock = at_20_past();
    let limits = limits(Rates::default(), &clock);
    limits.throttled(DELETE, Some(Duration::from_secs(3_600)), 0.0);
    clock.advance(Duration::from_secs(59));
    limits.admit(DELETE, 1, NOW).await.expect_err("a minute is honoured");
    clock.advance(Duration::from_secs(1));
    limits.admit(DELETE, 1, NOW).await.expect("and no more");
}

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_stops_nothing_for_an_hour() {
    let clock = at_20_past();
    let limits = limits(Rates::default(), &clock);
    assert_eq!(at_once(&limits, LIST, 1).await, 5);
    limits.throttled(RUN, None, 0.0);
    clock.set(clock.now() - chrono::TimeDelta::hours(1));
    assert!(at_once(&limits, LIST, 1).await > 0);
    limits.admit(RUN, 1, NOW).await.expect_err("what is closed stays so for what it had left");
    clock.advance(Duration::from_secs(40));
    limits.admit(RUN, 1, NOW).await.expect("and no longer");
}

#[tokio::test]
async fn the_budget_says_what_is_left_of_each_action_and_of_the_account() {
    let clock = at_20_past();
    let limits = limits(Rates::default(), &clock);
    for _ in 0..3 {
        limits.admit(LIST, 1, NOW).await.expect("there is room");
    }
    let budget = limits.budget();
    let rows: Vec<(&str, f64, f64, u64)> = budget
        .iter()
        .map(|row| (row.action.as_str(), row.per_second, row.headroom, row.calls))
        .collect();
    assert_eq!(rows, [("*", 20.0, 17.0, 3), (LIST, 5.0, 2.0, 3)]);
    clock.advance(Duration::from_secs(60));
    assert_eq!((of(&limits, "*").headroom, of(&limits, LIST).headroom), (20.0, 5.0));
}

/// Waits of `n` calls of this urgency, which wait as long as it takes.
fn waiting(
    limits: &Arc<Limits>,
    urgency: Urgency,
    passed: &Arc<Mutex<Vec<&'static str>>>,
    name: &'static str,
) -> tokio::task::JoinHandle<()> {
    let (limits, passed) = (limits.clone(), passed.clone());
    tokio::spawn(async move {
        let hour = Duration::from_secs(3_600);
        let patience = Patience { urgency, turn: hour, closed: hour };
        limits.admit(LIST, 1, patience).await.expect("an hour is enough");
        passed.lock().expect("no panic").push(name);
    })
}

async fn asleep(clock: &ManualClock, sleepers: usize) {
    while clock.sleepers() < sleepers {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_that_somebody_acts_on_pass_before_those_that_only_look_and_the_earlier_first() {
    let clock = at_20_past();
    let limits = limits(wide(|rates| rates.reads = 1.0), &clock);
    assert_eq!(at_once(&limits, LIST, 1).await, 1);
    let passed = Arc::default();
    let calls = [
        (Urgency::Look, "look 1"),
        (Urgency::Look, "look 2"),
        (Urgency::Act, "act 1"),
        (Urgency::Act, "act 2"),
    ];
    let mut tasks = Vec::new();
    for (n, (urgency, name)) in calls.into_iter().enumerate() {
        tasks.push(waiting(&limits, urgency, &passed, name));
        asleep(&clock, n + 1).await;
    }
    // A caller that gives up its place holds nobody up.
    let given_up = waiting(&limits, Urgency::Act, &passed, "given up");
    asleep(&clock, 5).await;
    given_up.abort();
    drop(given_up.await);
    for _ in 0..20 {
        clock.advance(Duration::from_millis(500));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    for task in tasks {
        task.await.expect("it passes");
    }
    assert_eq!(*passed.lock().expect("no panic"), ["act 1", "act 2", "look 1", "look 2"]);
}

#[tokio::test]
async fn a_listing_waits_for_an_action_that_is_closed_longer_than_for_its_turn_or_less() {
    let clock = at_20_past();
    let limits = limits(wide(|rates| rates.reads = 0.1), &clock);
    let patience = |turn: u64, closed: u64| Patience {
        urgency: Urgency::Look,
        turn: Duration::from_secs(turn),
        closed: Duration::from_secs(closed),
    };
    limits.admit(LIST, 1, NOW).await.expect("the first passes");
    limits.admit(LIST, 1, patience(9, 60)).await.expect_err("its turn comes in 10 s");
    limits.throttled(LIST, None, 0.0);
    limits.admit(LIST, 1, patience(60, 39)).await.expect_err("it opens in 40 s");
    let waiting = tokio::spawn({
        let limits = limits.clone();
        async move { limits.admit(LIST, 1, patience(9, 40)).await }
    });
    asleep(&clock, 1).await;
    clock.advance(Duration::from_secs(40));
    assert_eq!(waiting.await.expect("it ends"), Ok(Duration::from_secs(40)));
}
