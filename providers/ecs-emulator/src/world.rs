//! The world: what the cloud has to offer, and how it behaves.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::balancers::Balancers;
use crate::monitor::Monitor;
use crate::time::Span;

/// One region of one account. Every field has a default, so a world file names only what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct World {
    pub region: String,
    pub zones: Vec<String>,
    pub images: Vec<String>,
    pub instance_types: Vec<String>,
    /// By id.
    pub vswitches: BTreeMap<String, VSwitch>,
    pub security_groups: Vec<String>,
    /// Access key id → secret.
    pub keys: BTreeMap<String, String>,
    /// Access key id → the security token that must come with it (STS).
    pub tokens: BTreeMap<String, String>,
    /// Access key id → the id of its account, where it is another one than `account`.
    pub accounts: BTreeMap<String, String>,
    /// The id of the account.
    pub account: String,
    /// How long from launch to Running.
    pub boot: Span,
    /// How long a graceful stop takes.
    pub stop: Span,
    /// How long after its launch an instance is missing from every listing.
    pub listing_lag: Span,
    /// How long after its launch an instance's tags are missing from filters and listings.
    pub tag_lag: Span,
    /// How long after its end an instance is still listed, as it was before.
    pub deletion_lag: Span,
    /// For how long after its first use a client token is remembered; then it launches anew.
    pub token_memory: Span,
    /// `zone/type` → instances that can still be launched there; absent: any number.
    pub stock: BTreeMap<String, u32>,
    /// `type` or `zone/type` → CNY per hour; absent: a price that follows from the name.
    pub prices: BTreeMap<String, f64>,
    /// Pay-as-you-go instances that the account may have.
    pub instance_quota: u32,
    pub quotas: Quotas,
    /// Listings answer "none" with status 200, as for a RAM user without permission; a dry run says
    /// that it is forbidden.
    pub lists_nothing: bool,
    /// The actions that every key may take, as a RAM policy in JSON; absent: everything.
    pub policy: Option<serde_json::Value>,
    /// Instances have addresses of this machine (127.16.x.y), so that programs here can stand for them.
    pub loopback: bool,
    /// Load balancers.
    pub balancers: Balancers,
    /// CloudMonitor: its metrics, and how it answers.
    pub monitor: Monitor,
}

/// A network of one zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VSwitch {
    pub zone: String,
    /// Addresses that are still free.
    pub ips: u32,
}

/// Calls per minute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Action → calls in a minute; absent: no limit.
    pub calls_per_minute: BTreeMap<String, u32>,
    /// The value of the header `x-acs-retry-after` when throttled, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Default for World {
    /// A world that has all that the example configuration needs.
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let vswitch = |zone: &str| VSwitch { zone: zone.to_owned(), ips: 250 };
        World {
            region: "cn-hangzhou".to_owned(),
            zones: names(&["cn-hangzhou-h", "cn-hangzhou-i", "cn-hangzhou-j"]),
            images: names(&["m-bp1example"]),
            instance_types: names(&[
                "ecs.c7.large",
                "ecs.g7.large",
                "ecs.c7.xlarge",
                "ecs.g7.xlarge",
                "ecs.c6.large",
                "ecs.g6.large",
            ]),
            vswitches: [
                ("vsw-zone-h".to_owned(), vswitch("cn-hangzhou-h")),
                ("vsw-zone-i".to_owned(), vswitch("cn-hangzhou-i")),
                ("vsw-zone-j".to_owned(), vswitch("cn-hangzhou-j")),
            ]
            .into(),
            security_groups: names(&["sg-bp1example"]),
            keys: [("testid".to_owned(), "testsecret".to_owned())].into(),
            tokens: BTreeMap::new(),
            accounts: BTreeMap::new(),
            account: "1000000000000001".to_owned(),
            boot: Span::secs(5),
            stop: Span::secs(3),
            listing_lag: Span::secs(0),
            tag_lag: Span::secs(0),
            deletion_lag: Span::secs(0),
            // The vendor states no figure; older tokens are widely held to be unsafe.
            token_memory: Span::secs(30 * 60),
            stock: BTreeMap::new(),
            prices: BTreeMap::new(),
            instance_quota: 10_000,
            quotas: Quotas::default(),
            lists_nothing: false,
            policy: None,
            loopback: false,
            balancers: Balancers::default(),
            monitor: Monitor::default(),
        }
    }
}

/// A world file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error("{path} cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a world: {source}")]
    Parse { path: String, source: Box<toml::de::Error> },
}

impl World {
    /// The world that a TOML file describes.
    pub fn load(path: &Path) -> Result<World, WorldError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| WorldError::Read { path: name.clone(), source })?;
        let parsed = toml::from_str(&text);
        parsed.map_err(|source| WorldError::Parse { path: name, source: Box::new(source) })
    }

    /// The time that a launch takes to Running, and the like, by a word such as `5s`.
    pub fn set_boot(&mut self, boot: std::time::Duration) {
        self.boot = Span(boot);
    }
}
