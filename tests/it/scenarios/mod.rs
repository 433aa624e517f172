//! Clouds that fail, one way at a time, and how many ticks it takes until the fleet has its size.
//!
//! A tick comes every 15 s. Without a fault a scale-out takes 2 of them (two samples above the bound)
//! and a scale-in 3. The daemon adds a tick at once when a launch found no capacity; here that one is
//! counted like any other. `cargo test --test it scenarios -- --nocapture` prints the table.

mod launches;
mod removals;
mod throttling;
mod zones;

use std::collections::BTreeSet;
use std::pin::Pin;

use ecs_emulator::InstanceView;
use fleetscaler::control::TickReport;
use tokio::task::JoinSet;

use crate::harness::{INTERVAL, Setup, Wish};

/// Ticks after which a scenario counts as lost: an hour.
const MOST: usize = 240;

type Play = fn() -> Pin<Box<dyn Future<Output = usize> + Send>>;

/// A scenario: from when its ticks are counted, how many it may take, how it is played.
struct Scenario {
    name: &'static str,
    from: &'static str,
    within: usize,
    play: Play,
}

/// Boxes the scenarios' futures: functions that are `async` have types without a name.
macro_rules! scenarios {
    ($($name:literal, $from:literal, $within:literal, $play:path;)*) => {
        &[$(Scenario {
            name: $name,
            from: $from,
            within: $within,
            play: || Box::pin($play()),
        }),*]
    };
}

const SCENARIOS: &[Scenario] = scenarios![
    "no fault, two more", "the load rises", 2, launches::no_fault;
    "listings and launches throttled for 3 minutes", "the storm ends", 5, throttling::storm;
    "one account throttled, the other scales", "the load rises", 2, throttling::other_account;
    "launches throttled, a fleet of the account shrinks", "the load falls", 3, throttling::other_action;
    "a zone is lost with half of the fleet", "the loss", 7, zones::half_is_lost;
    "a zone is lost with all of the fleet", "the loss", 7, zones::all_is_lost;
    "a zone does not answer, by the `up` query", "it falls silent", 9, zones::silent;
    "an instance vanishes", "it vanishes", 5, zones::one_vanishes;
    "the preferred type is sold out", "the load rises", 3, launches::sold_out;
    "half of a launch is to be had", "the load rises", 3, launches::partial;
    "half of one of two launches is to be had", "the load rises", 3, launches::partial_balanced;
    "answers to a launch are lost, three in a row", "the load rises", 2, launches::answers_lost;
    "no answer to a launch arrives at all", "the load rises", 3, launches::never_answered;
    "listings lag 2 minutes behind", "the load rises", 2, launches::lagging;
    "the quota is exhausted, then raised", "it is raised", 25, launches::quota;
    "one never boots, the next vanishes, the third serves", "the load rises", 25, launches::failures;
    "no fault, one less", "the load falls", 3, removals::no_fault;
    "a batch of two is refused as a whole", "the load falls", 3, removals::bad_batch;
    "the oldest turns out to be protected", "the load falls", 5, removals::protected;
    "no answer to a deletion arrives at all", "the load falls", 8, removals::never_answered;
];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the figures are for people, too")]
async fn every_scenario_reaches_its_size_within_its_ticks_and_buys_nothing_twice() {
    let mut plays = JoinSet::new();
    for (n, scenario) in SCENARIOS.iter().enumerate() {
        plays.spawn(async move { (n, tokio::spawn((scenario.play)()).await) });
    }
    let mut ends = plays.join_all().await;
    ends.sort_by_key(|(n, _)| *n);
    let mut wrong = Vec::new();
    println!("| scenario | ticks are counted from when | ticks |\n|---|---|---|");
    for (n, end) in ends {
        let Scenario { name, from, within, .. } = SCENARIOS[n];
        match end {
            Ok(ticks) => println!("| {name} | {from} | {ticks} |"),
            Err(_) => println!("| {name} | {from} | failed |"),
        }
        if !matches!(end, Ok(ticks) if ticks <= within) {
            wrong.push(format!("{name}: more than {within} ticks, or wrong"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A fleet of four at rest, under a load that asks for nothing.
async fn four(wish: Wish) -> Setup {
    let setup = Setup::settled(wish).await;
    setup.ticks(2, 90.0).await;
    assert_eq!(setup.fleet().len(), 4);
    // Long enough for boots, warm-ups and cool-downs.
    setup.ticks(12, 50.0).await;
    setup
}

/// Instances of the fleet that run or will run.
fn on(setup: &Setup) -> Vec<InstanceView> {
    let mut views = setup.fleet();
    views.retain(|view| matches!(view.status.as_str(), "Pending" | "Starting" | "Running"));
    views
}

/// One tick, an interval later, which may fail.
async fn tick(setup: &Setup, percent: f64) -> Option<TickReport> {
    setup.clock.advance(INTERVAL);
    setup.cpu(percent);
    setup.try_tick().await.ok()
}

/// Ticks under a load of `percent` until it is `done`.
async fn ticks_until(setup: &Setup, percent: f64, done: impl Fn(&Setup) -> bool) -> usize {
    for n in 1..=MOST {
        drop(tick(setup, percent).await);
        if done(setup) {
            return n;
        }
    }
    panic!("not within {MOST} ticks; there are {:?}", on(setup));
}

/// Ticks until the fleet has `size` instances.
async fn ticks_to(setup: &Setup, size: usize, percent: f64) -> usize {
    ticks_until(setup, percent, |setup| on(setup).len() == size).await
}

/// Ten quiet minutes change nothing any more, and `bought` instances were ever bought, each under a
/// token of its own.
async fn stays(setup: &Setup, size: usize, bought: usize) {
    for _ in 0..40 {
        drop(tick(setup, 50.0).await);
        assert_eq!(on(setup).len(), size);
    }
    let ours = setup.emulator.instances().into_iter();
    let ours = ours.filter(|view| view.tags.get("scale-fleet").is_some_and(|fleet| fleet == "web"));
    assert_eq!(ours.count(), bought, "instances bought");
    let mut tokens = BTreeSet::new();
    for entry in setup.emulator.transcript().iter().filter(|entry| !entry.created.is_empty()) {
        assert!(tokens.insert(entry.parameters["ClientToken"].clone()), "a token bought twice");
    }
    assert_eq!(setup.emulator.violations(), []);
}

/// Calls of `action` so far.
fn calls(setup: &Setup, action: &str) -> usize {
    setup.emulator.transcript().iter().filter(|entry| entry.action == action).count()
}
