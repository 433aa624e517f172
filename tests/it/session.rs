//! Sessions without faults: growing, shrinking, restarting, dry-running.

use std::collections::BTreeSet;

use fleetscaler::execute::Outcome;
use fleetscaler::model::{Gap, Reason};

use crate::harness::{Setup, Wish};

/// A name that outlives the journal.
const NAMED: &str = "installation = \"shop\"";

#[tokio::test]
async fn the_fleet_follows_the_load_between_its_bounds_and_the_oldest_go_first() {
    let fleet = "max_removal_percent = 100";
    let setup = Setup::settled(Wish { fleet, ..Wish::default() }).await;
    let foreign = setup.emulator.place(&[("owner", "somebody")]);
    setup.ticks(40, 90.0).await;
    assert_eq!(setup.fleet().len(), 8, "max is reached and not passed");
    setup.ticks(80, 10.0).await;
    assert_eq!(setup.fleet().len(), 2, "min is reached and not passed");

    let transcript = setup.emulator.transcript();
    let created: Vec<String> = transcript.iter().flat_map(|entry| entry.created.clone()).collect();
    let deleted: Vec<String> = transcript.iter().flat_map(|entry| entry.deleted.clone()).collect();
    assert_eq!(deleted, created[..6], "the oldest first, and nothing else");
    let mut tokens = BTreeSet::new();
    for entry in transcript.iter().filter(|entry| entry.action == "RunInstances") {
        assert!(tokens.insert(entry.parameters["ClientToken"].clone()), "a token per launch");
        let token: uuid::Uuid = entry.parameters["ClientToken"].parse().expect("a UUID");
        assert_eq!(token.get_version_num(), 4);
    }
    for view in setup.emulator.instances().iter().filter(|view| view.id != foreign) {
        assert_eq!(view.tags["scale-source"], "auto");
        assert_eq!(view.tags["scale-fleet"], "web");
        assert!(view.tags["scale-timestamp"].parse::<cloud::Timestamp>().is_ok());
        assert!(view.tags["scale-intent"].parse::<uuid::Uuid>().is_ok());
    }
    let untouched = setup.emulator.instances().into_iter().find(|view| view.id == foreign);
    assert_eq!(untouched.expect("it is there").status, "Running");
    assert_eq!(setup.emulator.violations(), []);
}

#[tokio::test]
async fn acs3_signatures_work_as_well() {
    let wish = Wish { provider: "signature = \"acs3\"", ..Wish::default() };
    let setup = Setup::settled(wish).await;
    setup.ticks(3, 90.0).await;
    assert_eq!(setup.fleet().len(), 4);
    assert!(setup.emulator.transcript().iter().all(|entry| entry.signature == "ACS3"));
    assert_eq!(setup.emulator.violations(), []);
}

#[tokio::test]
async fn each_way_to_end_an_instance_ends_it() {
    for (how, calls) in [
        ("terminate = \"graceful\"", vec![("DeleteInstances", Some("true"), Some("false"))]),
        ("terminate = \"force\"", vec![("DeleteInstances", Some("true"), Some("true"))]),
        (
            "terminate = \"stop-then-delete\"",
            vec![("StopInstances", None, Some("false")), ("DeleteInstances", Some("false"), None)],
        ),
    ] {
        let setup = Setup::settled(Wish { fleet: how, ..Wish::default() }).await;
        setup.ticks(12, 90.0).await;
        let before = setup.fleet().len();
        let seen = setup.emulator.transcript().len();
        setup.ticks(7, 10.0).await;
        assert!(setup.fleet().len() < before, "{how}");
        let ending: Vec<_> = setup.emulator.transcript()[seen..]
            .iter()
            .filter(|entry| !entry.action.starts_with("Describe"))
            .map(|entry| {
                let get = |name: &str| entry.parameters.get(name).cloned();
                (entry.action.clone(), get("Force"), get("ForceStop"))
            })
            .take(calls.len())
            .collect();
        let wanted: Vec<_> = calls
            .iter()
            .map(|(action, force, stop)| {
                ((*action).to_owned(), force.map(str::to_owned), stop.map(str::to_owned))
            })
            .collect();
        assert_eq!(ending, wanted, "{how}");
    }
}

#[tokio::test]
async fn protected_and_base_instances_are_never_ended() {
    let base = "base = { tags = { role = \"web\", tier = \"base\" } }\nmax_removal_percent = 100";
    let setup = Setup::new(Wish { fleet: base, ..Wish::default() }).await;
    let ours = setup.emulator.place(&[("role", "web"), ("tier", "base")]);
    setup.ticks(40, 90.0).await;
    assert_eq!(setup.fleet().len(), 7, "the base instance counts towards max = 8");
    setup.ticks(80, 5.0).await;
    assert_eq!(setup.fleet().len(), 1, "and towards min = 2");
    let view = setup.emulator.instances().into_iter().find(|view| view.id == ours);
    assert_eq!(view.expect("it is there").status, "Running");
}

#[tokio::test]
async fn a_restart_forgets_neither_cool_down_nor_samples() {
    let mut setup = Setup::settled(Wish::default()).await;
    setup.ticks(1, 90.0).await;
    setup.crash().await;
    // The second sample of the run comes after the restart.
    setup.ticks(1, 90.0).await;
    assert_eq!(setup.fleet().len(), 4);
    setup.crash().await;
    let reports = setup.ticks(3, 90.0).await;
    assert_eq!(setup.fleet().len(), 4, "the cool-down of a minute holds");
    let held = reports.last().and_then(|report| report.decision.blocked_by.clone());
    let cooling = matches!(held, Some(Reason::CoolingDown { .. } | Reason::Answered { .. }));
    assert!(cooling, "{held:?}");
}

#[tokio::test]
async fn without_its_state_the_daemon_knows_its_instances_and_the_cool_down_by_their_tags() {
    let mut setup = Setup::settled(Wish { daemon: NAMED, ..Wish::default() }).await;
    setup.ticks(2, 90.0).await;
    assert_eq!(setup.fleet().len(), 4);
    setup.lose_state().await;
    let reports = setup.ticks(2, 90.0).await;
    assert_eq!(reports[1].decision.current, 4);
    let held = reports[1].decision.blocked_by.clone();
    let cooling = matches!(held, Some(Reason::CoolingDown { .. } | Reason::Answered { .. }));
    assert!(cooling, "{held:?}");
    assert_eq!(setup.fleet().len(), 4);
}

#[tokio::test]
async fn without_its_state_the_first_scale_in_waits_a_cool_down() {
    let mut setup = Setup::settled(Wish { daemon: NAMED, ..Wish::default() }).await;
    setup.ticks(2, 90.0).await;
    setup.ticks(6, 50.0).await;
    setup.lose_state().await;
    let reports = setup.ticks(3, 5.0).await;
    let held = reports[2].decision.blocked_by.clone();
    assert!(matches!(held, Some(Reason::NoRecordYet { .. })), "{held:?}");
    assert_eq!(setup.fleet().len(), 4);
    setup.ticks(3, 5.0).await;
    assert_eq!(setup.fleet().len(), 3, "then it happens");
}

#[tokio::test]
async fn a_signal_that_is_gone_or_stale_holds_the_fleet() {
    let setup = Setup::settled(Wish::default()).await;
    setup.ticks(6, 90.0).await;
    let size = setup.fleet().len();
    assert!(size > 2);
    // The service was idle, and then nothing more is heard.
    setup.cpu(1.0);
    for n in 0..20 {
        setup.clock.advance(crate::harness::INTERVAL);
        let report = setup.tick().await;
        assert_eq!(report.decision.desired as usize, size, "tick {n}");
    }
    let gap = setup.tick().await.decision.blocked_by;
    assert!(matches!(gap, Some(Reason::Missing { gap: Gap::Stale { .. }, .. })), "{gap:?}");
    setup.metrics.scrape(Vec::new(), cloud::Clock::now(&setup.clock));
    setup.clock.advance(crate::harness::INTERVAL);
    let report = setup.tick().await;
    let gap = report.decision.blocked_by.clone();
    assert!(matches!(gap, Some(Reason::Missing { gap: Gap::Empty, .. })), "{gap:?}");
    assert_eq!(setup.fleet().len(), size);
}

#[tokio::test]
async fn a_dry_run_shows_every_call_and_changes_nothing() {
    let setup = Setup::new(Wish { dry_run: true, ..Wish::default() }).await;
    for _ in 0..3 {
        let report = setup.ticks(1, 90.0).await.remove(0);
        assert_eq!(report.decision.desired, 2, "it does not pretend that it happened");
        let [Outcome::Dry { calls, .. }] = report.outcomes.as_slice() else {
            panic!("one planned action: {:?}", report.outcomes);
        };
        let call = &calls[0];
        assert_eq!(call.action, "RunInstances");
        let shown = format!("{:?}", report.outcomes);
        assert!(!shown.contains("hush") && !shown.contains("testsecret"), "{shown}");
        let names: Vec<&str> = call.form.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"UserData") && names.contains(&"Tag.4.Value"), "{names:?}");
    }
    let asks = |action: &str| action.starts_with("Desc") || action == "GetCallerIdentity";
    let writes = setup.emulator.transcript().into_iter().filter(|e| !asks(&e.action));
    assert_eq!(writes.count(), 0);
}

#[tokio::test]
async fn what_a_dry_run_shows_is_what_is_sent() {
    let dry = Setup::new(Wish { daemon: NAMED, dry_run: true, ..Wish::default() }).await;
    let shown = dry.ticks(1, 50.0).await.remove(0);
    let live = Setup::new(Wish { daemon: NAMED, ..Wish::default() }).await;
    live.ticks(1, 50.0).await;
    let sent = live.emulator.transcript().into_iter().find(|e| e.action == "RunInstances");
    let sent = sent.expect("a launch").parameters;
    let Outcome::Dry { calls, .. } = &shown.outcomes[0] else { panic!("a dry run") };
    assert_eq!(calls[0].form.len(), sent.len());
    for (name, value) in &calls[0].form {
        // What differs from run to run, and what is not shown. A new fleet is looked at for a while
        // before its first launch, and a dry run is not: the time in its tag differs.
        if ["ClientToken", "UserData", "Tag.2.Value", "Tag.5.Value"].contains(&name.as_str()) {
            assert!(sent.contains_key(name), "{name}");
        } else {
            assert_eq!(sent.get(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn the_journal_holds_no_secret() {
    let setup = Setup::settled(Wish::default()).await;
    let bytes = setup.state_bytes();
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(has(b"scale-intent"), "it does hold the launches");
    assert!(!has(b"hush") && !has(b"testsecret") && !has(b"aHVzaA"));
}
