//! The provider says: not so often.

use cloud::Clock;
use ecs_emulator::{Fault, FaultKind};

use super::{MOST, calls, on, stays, tick, ticks_to};
use crate::harness::{Setup, Wish};

/// Everything that a scale-out needs is refused. What is known stands meanwhile, each action is tried
/// once a minute, and then all of it happens.
pub(super) async fn storm() -> usize {
    let setup = Setup::settled(Wish::default()).await;
    for action in ["DescribeInstances", "RunInstances"] {
        setup.emulator.inject(Fault::on(action, FaultKind::Throttle));
    }
    let before = ["DescribeInstances", "RunInstances"].map(|action| calls(&setup, action));
    let began = setup.clock.now();
    while (setup.clock.now() - began).num_seconds() < 180 {
        drop(tick(&setup, 90.0).await);
        assert_eq!(on(&setup).len(), 2);
    }
    // Those that it began and ended in, too.
    let minutes = (setup.clock.now() - began).num_minutes() + 2;
    for (action, before) in ["DescribeInstances", "RunInstances"].into_iter().zip(before) {
        let asked = calls(&setup, action) - before;
        let most = usize::try_from(minutes).expect("a few");
        assert!(asked <= most, "{action}: {asked} calls in {minutes} minutes");
    }
    setup.emulator.clear_faults();
    let ticks = ticks_to(&setup, 4, 90.0).await;
    stays(&setup, 4, 4).await;
    ticks
}

/// A fleet of another account ticks as if nothing were wrong.
pub(super) async fn other_account() -> usize {
    let more = r#"
[provider.other]
kind = "aliyun"
region = "cn-hangzhou"
endpoint = "OTHER_CLOUD"
[fleet.second]
provider = "other"
min = 2
max = 8
warmup = "30s"
stabilization = "0s"
[fleet.second.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.second.signal.cpu]
source = "prometheus"
url = "OTHER_METRICS"
query = "avg(service_cpu_percent)"
[[fleet.second.rule]]
kind = "threshold"
signal = "cpu"
scale_out = { above = 75, samples = 2, by = 2 }
"#;
    let setup = Setup::settled(Wish { more, ..Wish::default() }).await;
    rest_of_second(&setup, 50.0).await;
    let launched = || setup.other.emulator.instances().len();
    assert_eq!(launched(), 2);
    for action in ["DescribeInstances", "RunInstances"] {
        setup.emulator.inject(Fault::on(action, FaultKind::Throttle));
    }
    let mut ticks = 0;
    while launched() < 4 {
        ticks += 1;
        assert!(ticks < MOST);
        drop(tick(&setup, 90.0).await);
        second(&setup, 90.0).await;
    }
    assert_eq!((launched(), on(&setup).len()), (4, 2));
    ticks
}

/// Launches of the account wait for their minute; a deletion, of another fleet, does not.
pub(super) async fn other_action() -> usize {
    let more = r#"
[fleet.second]
provider = "aliyun"
min = 1
max = 8
warmup = "30s"
stabilization = "0s"
[fleet.second.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.second.signal.cpu]
source = "prometheus"
url = "OTHER_METRICS"
query = "avg(service_cpu_percent)"
[[fleet.second.rule]]
kind = "threshold"
signal = "cpu"
scale_out = { above = 75, samples = 2, by = 2 }
scale_in = { below = 30, samples = 3, by = 1 }
cooldown = { out = "1m", in = "1m" }
"#;
    let setup = Setup::settled(Wish { more, ..Wish::default() }).await;
    rest_of_second(&setup, 90.0).await;
    rest_of_second(&setup, 50.0).await;
    let seconds = || on_second(&setup);
    let size = seconds();
    assert!(size > 1, "it has some to spare");
    setup.emulator.inject(Fault::on("RunInstances", FaultKind::Throttle));
    let mut ticks = 0;
    while seconds() == size {
        ticks += 1;
        assert!(ticks < MOST);
        drop(tick(&setup, 90.0).await);
        second(&setup, 10.0).await;
    }
    assert_eq!((seconds(), on(&setup).len() - seconds()), (size - 1, 2));
    ticks
}

/// One tick of the second fleet.
async fn second(setup: &Setup, percent: f64) {
    let now = setup.clock.now();
    setup.other.metrics.scrape(vec![("all".to_owned(), percent)], now);
    setup.try_tick_of("second").await.expect("nothing is wrong with it");
}

/// Both fleets tick until everything that they wanted is done.
async fn rest_of_second(setup: &Setup, percent: f64) {
    for _ in 0..12 {
        drop(tick(setup, 50.0).await);
        second(setup, percent).await;
    }
}

/// Instances of the second fleet, in the first fleet's account.
fn on_second(setup: &Setup) -> usize {
    on(setup).iter().filter(|view| view.tags["scale-fleet"] == "second").count()
}
