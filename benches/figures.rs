//! Figures, not tests: `cargo bench`.
//!
//! Signing one launch, reading one page of 100 instances, and one tick of the daemon, each over
//! real HTTP on loopback where HTTP is part of it.

use std::path::Path;
use std::sync::Arc;

use aliyun::credentials::KeyPair;
use aliyun::rpc::{encode, v1};
use aliyun::{Ecs, Settings, Signature, Timeouts};
use cloud::{Clock, Observe, SystemClock, TagFilter};
use ecs_emulator::{Emulator, World};
use fleetscaler::config::{self, Env};
use fleetscaler::control::{self, Mode};
use fleetscaler::demo::prometheus::{self, Metrics};

fn main() {
    divan::main();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// The parameters of a launch as the daemon sends it.
fn launch() -> Vec<(String, String)> {
    let mut params: Vec<(String, String)> = [
        ("Action", "RunInstances"),
        ("Version", "2014-05-26"),
        ("Format", "JSON"),
        ("AccessKeyId", "testid"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("Timestamp", "2026-01-02T03:04:05Z"),
        ("RegionId", "cn-hangzhou"),
        ("Amount", "2"),
        ("MinAmount", "1"),
        ("ClientToken", "c31d8a4e-cbd2-4e15-9e5c-994ac037dfb8"),
        ("ImageId", "m-bp1example"),
        ("InstanceType", "ecs.c7.large"),
        ("VSwitchId", "vsw-zone-h"),
        ("SecurityGroupIds.1", "sg-bp1example"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for n in 1..=4 {
        params.push((format!("Tag.{n}.Key"), "scale-source".to_owned()));
        params.push((format!("Tag.{n}.Value"), "2026-01-02T03:04:05Z".to_owned()));
    }
    params
}

#[divan::bench]
fn sign_and_encode_one_launch(bencher: divan::Bencher<'_, '_>) {
    let params = launch();
    bencher.bench(|| {
        let signature = v1::signature("testsecret", &v1::string_to_sign("POST", &params));
        (signature, encode::query(&params))
    });
}

#[divan::bench]
fn read_one_page_of_100_instances(bencher: divan::Bencher<'_, '_>) {
    let runtime = runtime();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let emulator = runtime
        .block_on(Emulator::on_loopback(World::default(), clock.clone()))
        .expect("an emulator");
    for _ in 0..100 {
        emulator.place(&[("scale-source", "auto"), ("scale-fleet", "web"), ("team", "shop")]);
    }
    let settings = Settings {
        region: "cn-hangzhou".to_owned(),
        endpoint: Some(emulator.url()),
        sts_endpoint: None,
        vpc_endpoint: false,
        allow_plain_http: false,
        signature: Signature::V1,
        timeouts: Timeouts::default(),
        retry: cloud::retry::Policy::default(),
        rates: cloud::limit::Rates {
            reads: 1e4,
            writes: 1e4,
            account: 1e4,
            by_action: [].into(),
            ..Default::default()
        },
        credentials: Arc::new(KeyPair::new("testid", "testsecret")),
    };
    let ecs = Ecs::new(settings, clock).expect("settings that work");
    let filter = TagFilter::of(("scale-source", "auto"), ("scale-fleet", "web"), &[]);
    bencher.bench_local(|| {
        let found = runtime.block_on(ecs.instances_by_tags(&filter)).expect("a listing");
        assert_eq!(found.len(), 100);
    });
}

#[divan::bench]
fn one_tick_over_the_emulator(bencher: divan::Bencher<'_, '_>) {
    let runtime = runtime();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let dir = tempfile::tempdir().expect("a directory");
    let (world, _emulator, _endpoint) = runtime.block_on(async {
        let emulator = Emulator::on_loopback(World::default(), clock.clone()).await.expect("up");
        let metrics = Arc::new(Metrics::new(clock.clone()));
        metrics.scrape(vec![("all".to_owned(), 50.0)], clock.now());
        let endpoint = prometheus::serve(metrics).await.expect("an endpoint");
        let text = format!(
            r#"
[daemon]
state = "sqlite:{}"
[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{}"
rate_limits = {{ DescribeInstances = 1000 }}
[fleet.web]
provider = "aliyun"
min = 10
max = 20
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.web.signal.cpu]
source = "prometheus"
url = "{}"
query = "avg(service_cpu_percent)"
max_age = "1h"
[[fleet.web.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75 }}
"#,
            dir.path().join("state.db").display(),
            emulator.url(),
            endpoint.url(),
        );
        let config = config::parse(&text, Path::new("bench.toml"), &Env::system())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let keys = Arc::new(KeyPair::new("testid", "testsecret"));
        let world = control::wire(config, Mode::Live, clock.clone(), Some(keys)).await;
        (world.expect("wired"), emulator, endpoint)
    });
    bencher.bench_local(|| {
        runtime.block_on(control::tick(&world, &world.fleets.all()[0])).expect("a tick");
    });
}
