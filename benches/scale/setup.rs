//! The cloud that is measured against, and the daemon's configuration.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ecs_emulator::{Emulator, World};

use crate::arguments::{Arguments, Queries, Rates, State};

/// Calls per second of each action, where the quota is raised: no limit that a measurement meets.
const RAISED: u32 = 1_000;

/// A cloud that has room for everything.
pub(crate) fn world(arguments: &Arguments) -> World {
    let mut world = World::default();
    let room = u32::try_from(arguments.instances + 10_000).unwrap_or(u32::MAX);
    world.instance_quota = room;
    world.vswitches.values_mut().for_each(|vswitch| vswitch.ips = room);
    world
}

/// Lets every fleet have its instances.
pub(crate) fn place(arguments: &Arguments, cloud: &Emulator) {
    for fleet in 0..arguments.fleets {
        let name = Arguments::name(fleet);
        for _ in 0..arguments.instances_of(fleet) {
            cloud.place(&[("scale-source", "auto"), ("scale-fleet", &name)]);
        }
    }
}

/// Writes the configuration into `dir`.
pub(crate) fn config(arguments: &Arguments, dir: &Path, cloud: &str, prometheus: &str) -> PathBuf {
    let path = dir.join("config.toml");
    std::fs::write(&path, text(arguments, dir, cloud, prometheus))
        .expect("a new directory is writable");
    path
}

fn text(arguments: &Arguments, dir: &Path, cloud: &str, prometheus: &str) -> String {
    let state = match &arguments.state {
        State::Memory => "memory:".to_owned(),
        State::Sqlite => format!("sqlite:{}", dir.join("state.db").display()),
        State::Postgres(url) => url.clone(),
    };
    let rates = match arguments.rates {
        Rates::Default => String::new(),
        Rates::Raised => {
            format!(
                "rate_limits = {{ DescribeInstances = {RAISED}, RunInstances = {RAISED}, account = {RAISED} }}"
            )
        }
    };
    let interval = arguments.interval.as_secs();
    let mut text = format!(
        r#"
[daemon]
interval = "{interval}s"
state = "{state}"
listen = "127.0.0.1:0"

[provider.aliyun]
region = "cn-hangzhou"
endpoint = "{cloud}"
{rates}
"#
    );
    for fleet in 0..arguments.fleets {
        let name = Arguments::name(fleet);
        let min = arguments.instances_of(fleet);
        let query = match arguments.queries {
            Queries::Each => {
                format!("query = 'avg(load{{fleet=\"{name}\"}})'")
            }
            Queries::Shared => {
                "query = 'avg by (fleet) (load)'\nseries = { fleet = \"{fleet}\" }".to_owned()
            }
        };
        write!(
            text,
            r#"
[fleet.{name}]
provider = "aliyun"
min = {min}
max = {max}
[fleet.{name}.launch]
image_id = "m-bp1example"
instance_types = ["ecs.c7.large"]
vswitches = ["vsw-zone-h"]
security_group_ids = ["sg-bp1example"]
[fleet.{name}.signal.cpu]
source = "prometheus"
url = "{prometheus}"
{query}
[[fleet.{name}.rule]]
kind = "threshold"
signal = "cpu"
scale_out = {{ above = 75, samples = 1, by = 1 }}
scale_in = {{ below = 10 }}
"#,
            max = min + 100,
        )
        .expect("a string takes everything");
    }
    text
}
