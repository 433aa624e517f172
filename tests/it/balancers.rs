//! Fleets behind CLB, ALB and NLB: who gets traffic and when, against the emulator's balancers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aliyun::{Ecs, Signature};
use cloud::{
    BackendChange, BackendGroup, BackendHealth, BalancerKind, Clock, Deadline, InstanceId,
    ManualClock, Mutate, Observe, Permit, SystemClock, Timestamp, clock,
};
use ecs_emulator::{Emulator, Entry, Fault, FaultKind, World as Cloud};
use fleetscaler::control::TickReport;
use fleetscaler::execute::Outcome;
use fleetscaler::model::{AlertCode, Instructed, Phase};

use crate::harness::{INTERVAL, Setup, Wish};
use crate::instructions::instruct;

const ALB: &str = "sgp-bp1alb";
const ALB_TABLE: &str = r#"
[[fleet.web.balancer]]
kind = "alb"
group = "sgp-bp1alb"
listener = "lsn-bp1alb"
port = 8080
"#;
const CLB: &str = "rsp-bp1example";
const CLB_TABLE: &str = r#"
[[fleet.web.balancer]]
kind = "clb"
load_balancer = "lb-bp1example"
group = "rsp-bp1example"
port = 8080
"#;
const NLB: &str = "sgp-bp1nlb";
const NLB_TABLE: &str = r#"
[[fleet.web.balancer]]
kind = "nlb"
group = "sgp-bp1nlb"
listener = "lsn-bp1nlb"
port = 8080
weight = 50
"#;
const DEFAULT: &str = "lb-bp1example";
const DEFAULT_TABLE: &str = r#"
[[fleet.web.balancer]]
kind = "clb"
load_balancer = "lb-bp1example"
"#;

/// One interval passes, the groups are read, and the fleet ticks.
async fn tick(setup: &Setup, percent: f64) -> TickReport {
    setup.clock.advance(INTERVAL);
    calm(setup).await;
    setup.cpu(percent);
    let report = setup.tick().await;
    setup.beside.store(1, Ordering::Relaxed);
    calm(setup).await;
    report
}

/// Waits until the groups were read and nobody but their reader sleeps.
async fn calm(setup: &Setup) {
    let beside = setup.beside.load(Ordering::Relaxed);
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
        SystemClock.sleep(Duration::from_millis(1)).await;
        if setup.clock.sleepers() == beside {
            return;
        }
        if beside > 0 && setup.clock.sleepers() > beside {
            panic!("somebody else sleeps");
        }
    }
    panic!("the groups are not read");
}

async fn ticks(setup: &Setup, count: usize, percent: f64) -> Vec<TickReport> {
    let mut reports = Vec::new();
    for _ in 0..count {
        reports.push(tick(setup, percent).await);
    }
    reports
}

async fn start(table: &'static str) -> Setup {
    Setup::new(Wish { more: table, fleet: "max_removal_percent = 100", ..Wish::default() }).await
}

/// A fleet of two in service.
async fn settled(table: &'static str, group: &str) -> Setup {
    let setup = start(table).await;
    ticks(&setup, 14, 50.0).await;
    assert_eq!(weights(&setup, group).len(), 2, "{:?}", setup.emulator.backends(group));
    setup
}

fn weights(setup: &Setup, group: &str) -> BTreeMap<String, u32> {
    let of = setup.emulator.backends(group).into_iter();
    of.map(|backend| (backend.id, backend.weight)).collect()
}

fn calls(setup: &Setup, action: &str) -> Vec<Entry> {
    let entries = setup.emulator.transcript().into_iter();
    entries.filter(|entry| entry.action == action).collect()
}

fn phases(report: &TickReport) -> BTreeMap<String, Phase> {
    report.instances.iter().map(|one| (one.id.0.clone(), one.phase)).collect()
}

fn alert(report: &TickReport) -> Option<&str> {
    let of = |alert: &&fleetscaler::model::Alert| alert.key.code == AlertCode::BalancerFailed;
    report.alerts.iter().find(of).map(|alert| alert.message.as_str())
}

/// When each instance lost its traffic, was taken out, and was deleted, by the calls.
fn ends(setup: &Setup) -> Vec<(String, Option<Timestamp>, Option<Timestamp>, Timestamp)> {
    let named = |entry: &Entry, id: &str| entry.parameters.values().any(|value| value.contains(id));
    let entries = setup.emulator.transcript();
    let last = |actions: &[&str], id: &str| {
        let of = entries.iter().rev().filter(|entry| entry.code.is_none());
        let mut of = of.filter(|entry| actions.contains(&entry.action.as_str()));
        of.find(|entry| named(entry, id)).map(|entry| entry.at)
    };
    let weigh =
        ["UpdateServerGroupServersAttribute", "SetVServerGroupAttribute", "SetBackendServers"];
    let detach = [
        "RemoveServersFromServerGroup",
        "RemoveVServerGroupBackendServers",
        "RemoveBackendServers",
    ];
    let deleted = entries.iter().flat_map(|entry| entry.deleted.iter().map(|id| (id, entry.at)));
    deleted.map(|(id, at)| (id.clone(), last(&weigh, id), last(&detach, id), at)).collect()
}

#[tokio::test]
async fn a_fleet_grows_and_shrinks_behind_each_kind_of_balancer() {
    for (table, group) in
        [(ALB_TABLE, ALB), (CLB_TABLE, CLB), (NLB_TABLE, NLB), (DEFAULT_TABLE, DEFAULT)]
    {
        let setup = settled(table, group).await;
        let weight = if group == NLB { 50 } else { 100 };
        assert!(weights(&setup, group).values().all(|w| *w == weight), "{group}");
        setup.emulator.attach(group, &setup.emulator.place(&[]), Some(8080));
        let grown = ticks(&setup, 14, 95.0).await;
        let served = grown.iter().map(|report| report.counts.in_service).max();
        assert!(served >= Some(4), "{group}: {served:?}");
        // Nobody serves before the balancer sends to it and finds it healthy.
        for report in &grown {
            for one in &report.instances {
                let traffic = one.listed.as_ref().and_then(|listed| listed.traffic);
                let is_early = one.phase == Phase::InService && traffic != Some(true);
                assert!(!is_early, "{group}: {one:?}");
            }
        }
        let shrunk = ticks(&setup, 70, 10.0).await;
        let last = shrunk.last().expect("some");
        assert_eq!(setup.fleet().len(), 2, "{group}: {:?} {:?}", last.decision.reasons, last.plan);
        let ends = ends(&setup);
        assert!(ends.len() >= 2, "{group}: {ends:?}");
        for (id, weighed, detached, deleted) in ends {
            let (weighed, detached) = (weighed.expect(&id), detached.expect(&id));
            let quiet = clock::age(deleted, weighed);
            assert!(quiet >= Duration::from_secs(30), "{group}: {id} after {quiet:?}");
            assert!(weighed < detached && detached <= deleted, "{group}: {id}");
        }
        // The two that serve, and the one of somebody else.
        assert_eq!(weights(&setup, group).len(), 3, "{group}");
        let strange: Vec<_> = setup.emulator.violations();
        assert!(strange.is_empty(), "{group}: {strange:?}");
    }
}

#[tokio::test]
async fn an_instance_waits_for_its_traffic_before_it_serves() {
    let setup = start(ALB_TABLE).await;
    setup.emulator.change(|world| world.balancers.set_check(Duration::from_secs(40)));
    let mut seen = Vec::new();
    for _ in 0..14 {
        let report = tick(&setup, 50.0).await;
        let phases = phases(&report).into_values().collect::<Vec<_>>();
        let health = setup.emulator.backends(ALB).first().map(|backend| backend.health.clone());
        seen.push((phases.first().copied(), health));
    }
    let position = |at: Option<usize>| at.unwrap_or_else(|| panic!("{seen:?}"));
    let attached = position(seen.iter().position(|(_, health)| health.is_some()));
    let is_healthy = |health: &Option<String>| health.as_deref() == Some("healthy");
    let healthy = position(seen.iter().position(|(_, health)| is_healthy(health)));
    let serves = |phase: &Option<Phase>| *phase == Some(Phase::InService);
    let serving = position(seen.iter().position(|(phase, _)| serves(phase)));
    assert!(attached < healthy && healthy <= serving, "{seen:?}");
    assert_eq!(seen[attached].0, Some(Phase::Warming), "{seen:?}");
}

/// A drain that is still under way when the load has returned for two samples.
const LONG_DRAIN: &str = r#"
[fleet.web.drain]
wait = "3m"
[[fleet.web.balancer]]
kind = "alb"
group = "sgp-bp1alb"
listener = "lsn-bp1alb"
port = 8080
"#;

#[tokio::test]
async fn load_that_returns_gives_the_traffic_back_before_anything_is_launched() {
    let setup = settled(LONG_DRAIN, ALB).await;
    ticks(&setup, 3, 95.0).await;
    ticks(&setup, 8, 50.0).await;
    let before = setup.fleet().len();
    assert_eq!(before, 4, "the rule asked once for two more");
    let mut drained = None;
    for _ in 0..12 {
        let report = tick(&setup, 10.0).await;
        let mut phases = phases(&report).into_iter();
        drained = phases.find(|(_, phase)| *phase == Phase::Draining).map(|(id, _)| id);
        if drained.is_some() {
            break;
        }
    }
    let drained = drained.expect("a drain");
    assert_eq!(weights(&setup, ALB).get(&drained), Some(&0));
    let launches = calls(&setup, "RunInstances").len();
    let mut last = None;
    for _ in 0..3 {
        last = Some(tick(&setup, 95.0).await);
        if weights(&setup, ALB).values().all(|weight| *weight == 100) {
            break;
        }
    }
    let plan = last.expect("a tick").plan;
    assert_eq!(weights(&setup, ALB).get(&drained), Some(&100), "{plan:?}");
    // The rule asks for two more: one comes back, and only the other is launched.
    let launched = calls(&setup, "RunInstances").split_off(launches);
    let launched: usize = launched.iter().map(|entry| entry.created.len()).sum();
    assert_eq!(launched, 1, "{plan:?}");
    assert_eq!(setup.fleet().len(), before + 1);
    assert!(calls(&setup, "DeleteInstances").is_empty());
}

#[tokio::test]
async fn a_busy_group_is_tried_again_and_alarms_nobody() {
    let setup = start(ALB_TABLE).await;
    let busy = Fault::refusal("AddServersToServerGroup", "IncorrectStatus.ServerGroup");
    setup.emulator.inject(busy.times(4));
    let reports = ticks(&setup, 18, 50.0).await;
    assert!(reports.iter().all(|report| alert(report).is_none()));
    assert_eq!(weights(&setup, ALB).len(), 2);
    let refused = calls(&setup, "AddServersToServerGroup");
    let refused = refused.iter().filter(|entry| entry.code.is_some()).count();
    assert_eq!(refused, 4, "once a tick, not once for each instance");
}

#[tokio::test]
async fn a_group_that_refuses_is_told_and_left_alone_and_nothing_more_is_launched() {
    let setup = start(ALB_TABLE).await;
    setup.emulator.change(|world| world.balancers.servers_max = 0);
    let reports = ticks(&setup, 24, 50.0).await;
    let last = reports.last().expect("some");
    assert!(alert(last).is_some_and(|why| why.contains("QuotaExceeded")), "{:?}", last.alerts);
    assert!(phases(last).values().all(|phase| *phase == Phase::Warming), "{:?}", phases(last));
    assert_eq!(setup.fleet().len(), 2);
    let tries = calls(&setup, "AddServersToServerGroup").len();
    assert!(tries < 16, "{tries} tries in six minutes");
    setup.emulator.change(|world| world.balancers.servers_max = 10);
    let reports = ticks(&setup, 44, 50.0).await;
    assert_eq!(weights(&setup, ALB).len(), 2);
    assert_eq!(alert(reports.last().expect("some")), None);
}

#[tokio::test]
async fn what_somebody_takes_out_is_told_and_given_back_once_in_ten_minutes() {
    let setup = settled(CLB_TABLE, CLB).await;
    let id = weights(&setup, CLB).into_keys().next().expect("two");
    // The fleet was settled less than ten minutes ago: its own doing counts as lately.
    setup.emulator.detach(CLB, &id);
    let reports = ticks(&setup, 6, 50.0).await;
    assert!(reports.iter().any(|report| alert(report).is_some_and(|why| why.contains(&id))));
    assert!(!weights(&setup, CLB).contains_key(&id), "it is not fought over");
    assert!(phases(reports.last().expect("some")).values().all(|p| *p == Phase::InService));
    ticks(&setup, 40, 50.0).await;
    assert!(weights(&setup, CLB).contains_key(&id), "it is given back");
    setup.emulator.detach(CLB, &id);
    ticks(&setup, 6, 50.0).await;
    assert!(!weights(&setup, CLB).contains_key(&id), "once in ten minutes");
}

#[tokio::test]
async fn lost_answers_and_crashes_lose_no_change_and_no_instance() {
    for kind in [FaultKind::CutBefore, FaultKind::CutAfter, FaultKind::ErrorAfter] {
        let mut setup = start(ALB_TABLE).await;
        for action in ["AddServersToServerGroup", "UpdateServerGroupServersAttribute"] {
            setup.emulator.inject(Fault::on(action, kind).times(9));
        }
        for n in 0..40 {
            let percent = if n < 14 { 95.0 } else { 10.0 };
            tick(&setup, percent).await;
            if n % 3 == 0 {
                setup.beside.store(0, Ordering::Relaxed);
                setup.crash().await;
                calm(&setup).await;
            }
        }
        setup.emulator.clear_faults();
        ticks(&setup, 70, 10.0).await;
        assert_eq!(setup.fleet().len(), 2, "{kind:?}");
        assert_eq!(weights(&setup, ALB).len(), 2, "{kind:?}");
        assert!(weights(&setup, ALB).values().all(|weight| *weight == 100), "{kind:?}");
        for (id, weighed, _, deleted) in ends(&setup) {
            let quiet = weighed.map(|at| clock::age(deleted, at));
            assert!(quiet >= Some(Duration::from_secs(30)), "{kind:?}: {id} after {quiet:?}");
        }
    }
}

#[tokio::test]
async fn a_balancer_that_cannot_be_read_keeps_nobody_out_for_ever() {
    let setup = start(ALB_TABLE).await;
    setup.emulator.inject(Fault::on("ListServerGroupServers", FaultKind::Forbidden));
    let reports = ticks(&setup, 60, 50.0).await;
    let last = reports.last().expect("some");
    assert_eq!(last.counts.in_service, 2, "after ready_timeout: {:?}", phases(last));
    assert!(alert(last).is_some_and(|why| why.contains("cannot be read")), "{:?}", last.alerts);
    assert_eq!(setup.fleet().len(), 2);
}

#[tokio::test]
async fn a_backend_that_is_found_unhealthy_is_replaced() {
    let setup = settled(ALB_TABLE, ALB).await;
    ticks(&setup, 14, 95.0).await;
    let id = weights(&setup, ALB).into_keys().next().expect("some");
    let sick = id.clone();
    setup.emulator.change(move |world| {
        world.balancers.unhealthy.insert(sick);
    });
    ticks(&setup, 30, 50.0).await;
    assert!(!weights(&setup, ALB).contains_key(&id));
    assert!(setup.fleet().iter().all(|instance| instance.id != id));
}

#[tokio::test]
async fn one_that_failed_is_not_found_healthy_for_having_no_traffic() {
    let setup = settled(ALB_TABLE, ALB).await;
    let id = weights(&setup, ALB).into_keys().next().expect("some");
    let sick = id.clone();
    setup.emulator.change(move |world| {
        world.balancers.unhealthy.insert(sick);
    });
    let launched = calls(&setup, "RunInstances").len();
    ticks(&setup, 30, 50.0).await;
    assert!(setup.fleet().iter().all(|instance| instance.id != id));
    assert_eq!((calls(&setup, "RunInstances").len() - launched, setup.fleet().len()), (1, 2));
}

#[tokio::test]
async fn what_returns_from_standby_gets_its_traffic_back_while_the_fleet_goes_on() {
    let setup = settled(ALB_TABLE, ALB).await;
    let id = weights(&setup, ALB).into_keys().next().expect("some");
    let instance = InstanceId(id.clone());
    let hour = Duration::from_secs(3_600);
    instruct(&setup, Instructed::Standby { instance: instance.clone() }, hour).await;
    let reports = ticks(&setup, 14, 50.0).await;
    let last = reports.last().expect("some");
    assert_eq!(phases(last).get(&id), Some(&Phase::Standby));
    assert_eq!((weights(&setup, ALB)[&id], last.counts.in_service), (0, 2));
    instruct(&setup, Instructed::Return { instance }, hour).await;
    // More load at the same time: the fleet is not blocked by the word.
    let reports = ticks(&setup, 6, 95.0).await;
    let last = reports.last().expect("some");
    assert_eq!(phases(last).get(&id), Some(&Phase::InService), "{:?}", last.alerts);
    assert_eq!(weights(&setup, ALB)[&id], 100);
    assert!(setup.fleet().len() > 3, "{}", setup.fleet().len());
}

#[tokio::test]
async fn a_dry_run_prints_the_calls() {
    let mut setup = settled(CLB_TABLE, CLB).await;
    let id = weights(&setup, CLB).into_keys().next().expect("two");
    setup.emulator.detach(CLB, &id);
    setup.beside.store(0, Ordering::Relaxed);
    setup.reconfigure(|wish| wish.dry_run = true).await;
    calm(&setup).await;
    let before = setup.emulator.transcript().len();
    let mut printed = String::new();
    for report in ticks(&setup, 3, 50.0).await {
        for outcome in &report.outcomes {
            if let Outcome::Dry { calls, .. } = outcome {
                printed.push_str(&format!("{calls:?}"));
            }
        }
    }
    assert!(
        printed.contains("AddVServerGroupBackendServers") && printed.contains(&id),
        "{printed}"
    );
    assert!(printed.contains("2014-05-15"), "{printed}");
    let sent = setup.emulator.transcript().split_off(before);
    let reads = ["Describe", "GetCallerIdentity"];
    let is_read = |entry: &Entry| reads.iter().any(|read| entry.action.starts_with(read));
    assert!(sent.iter().all(is_read), "{sent:?}");
}

#[expect(clippy::disallowed_methods, reason = "this test stands in for the journal")]
fn permit(noon: &ManualClock) -> Permit {
    let until = clock::after(noon.now(), Duration::from_secs(100));
    Permit::after_commit(uuid::Uuid::new_v4(), Deadline::fixed(until), until)
}

/// The provider alone: what it reads is what it wrote, over several pages and batches.
#[tokio::test]
async fn the_provider_reads_what_it_wrote() {
    let group =
        |kind, balancer: Option<&str>, group: Option<&str>, listener: Option<&str>, port| {
            BackendGroup {
                kind,
                balancer: balancer.map(str::to_owned),
                group: group.map(str::to_owned),
                listener: listener.map(str::to_owned),
                port,
            }
        };
    let front = Some("lb-bp1example");
    for (group, signature) in [
        (group(BalancerKind::Clb, front, None, None, None), Signature::V1),
        (group(BalancerKind::Clb, front, Some(CLB), None, Some(80)), Signature::Acs3),
        (group(BalancerKind::Alb, None, Some(ALB), Some("lsn-bp1alb"), Some(80)), Signature::V1),
        (group(BalancerKind::Nlb, None, Some(NLB), Some("lsn-bp1nlb"), Some(80)), Signature::Acs3),
    ] {
        let noon = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a time"));
        let shared: Arc<dyn Clock> = Arc::new(noon.clone());
        let emulator = Emulator::on_loopback(Cloud::default(), shared.clone()).await.expect("up");
        let settings = crate::provider::settings(&emulator, signature);
        let ecs = Ecs::new(settings, shared).expect("settings that work");
        let ids: Vec<InstanceId> = (0..130).map(|_| InstanceId(emulator.place(&[]))).collect();
        let route = async |change, ids: &[InstanceId]| {
            let results = ecs.route(&permit(&noon), &group, ids, change).await.expect("answered");
            noon.advance(Duration::from_secs(2));
            results.into_iter().filter_map(|one| one.result.err()).collect::<Vec<_>>()
        };
        let attach = BackendChange::Attach { weight: 80 };
        assert!(route(attach, &ids).await.is_empty(), "{group}");
        let read = ecs.backends(&group).await.expect("read");
        assert_eq!(read.backends.len(), 130, "{group}");
        assert!(read.backends.values().all(|b| b.weight == 80), "{group}");
        assert!(read.backends.values().all(|b| b.health == BackendHealth::Healthy), "{group}");
        // What is there already, or gone already, is done.
        let again = route(attach, &ids[..1]).await;
        assert!(again.is_empty(), "{group}: {again:?}");
        let weigh = BackendChange::Weigh { weight: 0 };
        assert!(route(weigh, &ids[..30]).await.is_empty(), "{group}");
        let read = ecs.backends(&group).await.expect("read");
        assert_eq!(read.backends.values().filter(|b| b.weight == 0).count(), 30, "{group}");
        assert!(route(BackendChange::Detach, &ids[..40]).await.is_empty(), "{group}");
        assert_eq!(ecs.backends(&group).await.expect("read").backends.len(), 90, "{group}");
        emulator.vanish(&ids[50].0);
        let gone = route(BackendChange::Detach, &ids[50..51]).await;
        assert!(gone.is_empty(), "{group}: {gone:?}");
        let strange = emulator.violations();
        assert!(strange.is_empty(), "{group}: {strange:?}");
    }
}
