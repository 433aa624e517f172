//! Figures of the policy: `cargo bench --bench policy`.
//!
//! A year of one-minute ticks through `decide`, as a backtest runs them.

use std::path::Path;

use cloud::Timestamp;
use fleetscaler::config::{self, Env};
use fleetscaler::model::{
    Account, Census, Fleet, History, Memories, Past, Sample, Signals, Situation, Span, Spent,
};
use fleetscaler::policy;

const TICKS: u32 = 365 * 24 * 60;

fn main() {
    divan::main();
}

/// One fleet with one rule on the signal `cpu`.
fn fleet(rule: &str) -> Fleet {
    let text = format!(
        r#"
[daemon]
state = "memory:"
interval = "1m"
[provider.aliyun]
region = "cn-hangzhou"
[fleet.web]
provider = "aliyun"
min = 2
max = 200
[fleet.web.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.web.signal.cpu]
source = "prometheus"
url = "http://127.0.0.1:9090"
query = "avg(service_cpu_percent)"
[[fleet.web.rule]]
signal = "cpu"
{rule}
"#
    );
    let config = config::parse(&text, Path::new("bench.toml"), &Env::system())
        .unwrap_or_else(|problems| panic!("{problems}"));
    config.fleets.into_iter().next().expect("one fleet").fleet
}

/// Decides each minute of a year, with a load that rises and falls with the day. Returns how many
/// decisions wanted something done.
fn year(fleet: &Fleet) -> u32 {
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let (account, history) = (Account::default(), History::default());
    let mut census = Census { capacity: 20, in_service: 20, live: 20, ..Census::default() };
    let mut memory = Memories::new();
    let mut acted = 0;
    let mut signals = Signals::new();
    for minute in 0..TICKS {
        let now = began + chrono::TimeDelta::minutes(i64::from(minute));
        let day = f64::from(minute % 1_440) / 1_440.0;
        let value = 50.0 - 40.0 * (day * std::f64::consts::TAU).cos();
        let sample = Sample { value, measured_at: now, age: Span::secs(30), reporting: None };
        signals.insert("cpu".into(), Ok(sample));
        let mut past = Past::of(&history);
        past.began = Some(began);
        let situation = Situation {
            now,
            fleet,
            census: &census,
            signals: &signals,
            past,
            account: &account,
            holds: &[],
            instructions: &[],
            spent: Spent::default(),
        };
        let (decision, remembered) = policy::decide(&situation, memory);
        memory = remembered;
        acted += u32::from(decision.add + decision.remove > 0);
        census.capacity = census.capacity + decision.add - decision.remove;
        census.in_service = census.capacity;
        census.live = census.capacity;
    }
    acted
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn a_year_of_minutes_threshold(bencher: divan::Bencher<'_, '_>) {
    let fleet = fleet(
        "kind = \"threshold\"\nscale_out = { above = 75, samples = 1 }\nscale_in = { below = 30, samples = 1 }",
    );
    bencher.bench_local(|| assert!(year(&fleet) > 100));
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn a_year_of_minutes_adaptive(bencher: divan::Bencher<'_, '_>) {
    let fleet = fleet("kind = \"adaptive\"\ncapacity = 2");
    bencher.bench_local(|| assert!(year(&fleet) > 100));
}
