//! The signal source `cloudmonitor` against the emulator.

use std::sync::Arc;
use std::time::Duration;

use aliyun::{Ecs, Signature};
use cloud::{Clock, InstanceId, ManualClock, MetricQuery, Observe, Statistic};
use ecs_emulator::{Emulator, World};
use fleetscaler::model::{Gap, Reduce, Span};
use fleetscaler::signals::{Clients, CloudMonitor, MonitorSpec, Source};

use crate::provider::settings;

/// A fleet of three at an emulator, and a signal over its CPU.
struct Stage {
    emulator: Emulator,
    clock: ManualClock,
    ids: Vec<InstanceId>,
    monitor: CloudMonitor,
}

impl Stage {
    async fn new(reduce: Reduce) -> Stage {
        let clock = ManualClock::at("2026-01-02T12:00:30Z".parse().expect("a time"));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let emulator = Emulator::on_loopback(World::default(), shared.clone()).await;
        let emulator = emulator.expect("it runs");
        let ids: Vec<InstanceId> =
            (0..3).map(|_| InstanceId(emulator.place(&[("scale-fleet", "web")]))).collect();
        let spec = MonitorSpec {
            query: MetricQuery {
                namespace: "acs_ecs_dashboard".to_owned(),
                metric: "CPUUtilization".to_owned(),
                statistic: Statistic::Average,
                period: Duration::from_secs(60),
            },
            reduce,
            max_age: Span::secs(300),
            ask_every: Span::secs(30),
            timeout: Span::secs(5),
        };
        let ecs = Ecs::new(settings(&emulator, Signature::V1), shared.clone());
        let cloud: Arc<dyn Observe> = Arc::new(ecs.expect("settings that work"));
        let clients = Clients::new(shared, Duration::from_secs(7));
        let monitor = CloudMonitor::new(&spec, &clients, &cloud);
        monitor.serving(&ids);
        Stage { emulator, clock, ids, monitor }
    }

    fn load(&self, percents: [f64; 3]) {
        let values = self.ids.iter().map(|id| id.0.clone()).zip(percents).collect();
        self.emulator.change(|world| world.monitor.values = values);
    }

    fn calls(&self) -> usize {
        let calls = self.emulator.transcript();
        calls.iter().filter(|call| call.action == "DescribeMetricLast").count()
    }
}

#[tokio::test]
async fn the_instances_in_service_become_one_number_of_the_time_of_their_data() {
    for (how, wanted) in [(Reduce::Avg, 40.0), (Reduce::Max, 90.0), (Reduce::Sum, 120.0)] {
        let stage = Stage::new(how).await;
        stage.load([10.0, 20.0, 90.0]);
        let sample = stage.monitor.read().await.expect("a number");
        assert!((sample.value - wanted).abs() < 1e-9, "{how}: {sample:?}");
        assert_eq!(sample.reporting, Some(3));
        assert_eq!(sample.age, Span::secs(90), "a minute of lag, and the half minute since");
        assert_eq!(stage.emulator.violations(), []);
    }
}

#[tokio::test]
async fn an_instance_without_data_does_not_report_and_is_not_0() {
    let stage = Stage::new(Reduce::Avg).await;
    stage.load([30.0, 40.0, 90.0]);
    let silent = stage.ids[2].0.clone();
    stage.emulator.change(|world| world.monitor.silent.extend([silent]));
    let sample = stage.monitor.read().await.expect("a number");
    assert_eq!((sample.value, sample.reporting), (35.0, Some(2)));
}

#[tokio::test]
async fn what_is_no_number_of_these_instances_is_a_gap_that_says_so() {
    type Change = fn(&mut World);
    let all = |world: &mut World| {
        (1..=3).map(|n| format!("i-bp1emu{n:012}")).for_each(|id| {
            world.monitor.silent.insert(id);
        })
    };
    let nan = |world: &mut World| {
        world.monitor.not_a_number.insert("i-bp1emu000000000002".to_owned());
    };
    let changes: [(Change, &str, &str); 4] = [
        (all, "empty", "no series"),
        (nan, "not_finite", "NaN on i-bp1emu000000000002"),
        (|world| world.monitor.other_period = Some(300), "query_failed", "its period is 300 s"),
        (|world| world.monitor.lag = Duration::from_secs(600).into(), "stale", "more than max_age"),
    ];
    for (change, kind, says) in changes {
        let stage = Stage::new(Reduce::Avg).await;
        stage.emulator.change(change);
        let reading = stage.monitor.read();
        let gap = reading.await.expect_err(kind);
        assert_eq!(gap.name(), kind, "{gap}");
        assert!(gap.to_string().contains(says), "{gap}");
    }
    let stage = Stage::new(Reduce::Avg).await;
    stage.monitor.serving(&[]);
    assert_eq!(stage.monitor.read().await, Err(Gap::NobodyServes));
    assert_eq!(stage.calls(), 0, "there is nobody to ask for");
}

#[tokio::test]
async fn pages_lists_and_more_than_fifty_instances_are_read_whole() {
    let stage = Stage::new(Reduce::Sum).await;
    let mut ids = stage.ids.clone();
    for _ in 0..60 {
        ids.push(InstanceId(stage.emulator.place(&[])));
    }
    stage.monitor.serving(&ids);
    stage.emulator.change(|world| {
        world.monitor.page = Some(20);
        world.monitor.as_list = true;
    });
    let sample = stage.monitor.read().await.expect("a number");
    assert_eq!((sample.value, sample.reporting), (63.0 * 20.0, Some(63)));
    assert_eq!(stage.calls(), 4, "50 in three pages, 13 in one");
}

#[tokio::test]
async fn the_same_points_are_not_paid_for_twice_and_grow_old() {
    let stage = Stage::new(Reduce::Avg).await;
    let first = stage.monitor.read().await.expect("a number");
    stage.clock.advance(Duration::from_secs(15));
    let second = stage.monitor.read().await.expect("a number");
    assert_eq!((stage.calls(), second.measured_at), (1, first.measured_at));
    assert_eq!(second.age.get(), first.age.get() + Duration::from_secs(15));
    stage.clock.advance(Duration::from_secs(15));
    stage.monitor.read().await.expect("a number");
    assert_eq!(stage.calls(), 2);
}
