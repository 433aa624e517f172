//! What to launch, and how to end it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Tags;

/// Makes a mutation idempotent: the provider answers a repeated token with the first answer.
/// At most 64 ASCII characters; ours are UUIDs (version 4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientToken(String);

/// A string that cannot be a client token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a client token is 1 to 64 printable ASCII characters, not {0:?}")]
pub struct InvalidToken(String);

impl ClientToken {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for ClientToken {
    fn from(uuid: Uuid) -> Self {
        ClientToken(uuid.to_string())
    }
}

impl FromStr for ClientToken {
    type Err = InvalidToken;

    fn from_str(token: &str) -> Result<Self, InvalidToken> {
        let fits = (1..=64).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        if fits {
            Ok(ClientToken(token.to_owned()))
        } else {
            Err(InvalidToken(token.to_owned()))
        }
    }
}

impl TryFrom<String> for ClientToken {
    type Error = InvalidToken;

    fn try_from(token: String) -> Result<Self, InvalidToken> {
        token.parse()
    }
}

impl From<ClientToken> for String {
    fn from(token: ClientToken) -> String {
        token.0
    }
}

impl fmt::Display for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What all instances of a fleet have in common; type and zone are chosen per launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchSpec {
    pub image_id: String,
    /// At least one, all in the vSwitches' VPC.
    pub security_group_ids: Vec<String>,
    pub instance_name: Option<String>,
    pub host_name: Option<String>,
    pub key_pair_name: Option<String>,
    pub ram_role_name: Option<String>,
    pub resource_group_id: Option<String>,
    pub user_data: Option<UserData>,
    pub system_disk: Option<SystemDisk>,
    /// Mbit/s; above 0 gives each instance a public address.
    pub internet_max_bandwidth_out: Option<u32>,
    pub spot: Option<Spot>,
    pub deletion_protection: bool,
    /// The operator's own tags, beside ours.
    pub tags: Tags,
}

/// A start script in plain text (at most 32 KiB raw). It often holds a credential, so `Debug` and
/// every printed call show its size only; the journal keeps it, in a file that only the service
/// may read, because the same launch may have to be sent again after a crash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserData(pub String);

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({} bytes)", self.0.len())
    }
}

/// The disk that the image is written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemDisk {
    pub category: String,
    /// GiB; the provider's default (the image's size, at least 40) when absent.
    pub size_gib: Option<u32>,
    pub performance_level: Option<String>,
}

/// Spot (preemptible) instead of pay-as-you-go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spot {
    /// The market's price, up to the pay-as-you-go price.
    AsPriceGo,
    /// At most this much per hour, in the account's currency.
    PriceLimit(f64),
}

/// One launch, specific enough that the provider has nothing left to choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    pub token: ClientToken,
    pub spec: LaunchSpec,
    pub instance_type: String,
    pub vswitch: String,
    /// 1 to 100 instances.
    pub amount: u32,
    /// Fewer than this many is a failure that creates nothing; between `min_amount` and `amount`
    /// is a partial success.
    pub min_amount: u32,
    /// Every tag of the new instances, ours included, set in the launching call itself.
    pub tags: Tags,
}

/// How an instance is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terminate {
    /// One call that shuts the operating system down first, then releases (minutes).
    #[default]
    Graceful,
    /// Stop, wait for `Stopped`, then release.
    StopThenDelete,
    /// Cut the power and release.
    Force,
}
