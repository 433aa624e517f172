//! The instances to launch, and how to end them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Secret, Tags};

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
        if fits { Ok(ClientToken(token.to_owned())) } else { Err(InvalidToken(token.to_owned())) }
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

/// The properties that all instances of a fleet have in common; type and zone are chosen per launch.
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
    #[serde(default, with = "fingerprint")]
    pub user_data: Option<UserData>,
    pub system_disk: Option<SystemDisk>,
    /// Mbit/s; above 0 gives each instance a public address.
    pub internet_max_bandwidth_out: Option<u32>,
    pub spot: Option<Spot>,
    pub deletion_protection: bool,
    /// The operator's own tags, beside ours.
    pub tags: Tags,
}

/// A start script (at most 32 KiB of text). It often holds a credential, so neither `Debug` nor the
/// journal has it: serialised it is its SHA-256 only, and read back it has no text.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData {
    text: Option<Secret>,
    fingerprint: String,
}

impl UserData {
    #[must_use]
    pub fn new(text: String) -> Self {
        let hash = Sha256::digest(text.as_bytes());
        let hex = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        UserData { text: Some(Secret::new(text)), fingerprint: format!("sha256:{hex}") }
    }

    /// The script itself; `None` when this was read back from the journal.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_ref().map(Secret::expose)
    }

    /// `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({})", self.fingerprint)
    }
}

impl From<String> for UserData {
    fn from(fingerprint: String) -> Self {
        UserData { text: None, fingerprint }
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

impl Launch {
    /// This launch as it may be sent again, from a record that somebody else may have written: every
    /// part of it must be what `spec` and the lists say today. `None` otherwise. The start script,
    /// which the journal does not keep, is taken from `spec`. `own`: the prefix of the tags that a
    /// launch carries beside those of its spec.
    #[must_use]
    pub fn sendable(
        &self,
        spec: &LaunchSpec,
        instance_types: &[String],
        vswitches: &[String],
        own: &str,
    ) -> Option<Launch> {
        let script = |spec: &LaunchSpec| spec.user_data.as_ref().map(|d| d.fingerprint.clone());
        let rest = |spec: &LaunchSpec| LaunchSpec { user_data: None, ..spec.clone() };
        let tag_fits = |(key, value): (&String, &String)| match spec.tags.get(key) {
            Some(configured) => configured == value,
            None => key.starts_with(own),
        };
        let fits = script(&self.spec) == script(spec)
            && rest(&self.spec) == rest(spec)
            && instance_types.contains(&self.instance_type)
            && vswitches.contains(&self.vswitch)
            && spec.tags.keys().all(|key| self.tags.contains_key(key))
            && self.tags.iter().all(tag_fits);
        fits.then(|| Launch { spec: spec.clone(), ..self.clone() })
    }
}

/// Start scripts are written as their fingerprint.
mod fingerprint {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::UserData;

    pub(super) fn serialize<S: Serializer>(
        data: &Option<UserData>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        data.as_ref().map(UserData::fingerprint).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UserData>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(UserData::from))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_script_shows_in_no_debug_output_and_is_not_serialised() {
        let data = UserData::new("#!/bin/sh\nexport TOKEN=hush".to_owned());
        assert!(!format!("{data:?}").contains("hush"));
        let read_back = UserData::from(data.fingerprint().to_owned());
        assert_eq!(read_back.text(), None);
        assert_eq!(read_back.fingerprint(), data.fingerprint());
    }

    #[test]
    fn a_recorded_launch_is_sendable_only_as_it_is_configured_today() {
        let tags = |pairs: &[(&str, &str)]| -> Tags {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let spec = LaunchSpec {
            image_id: "m-1".into(),
            security_group_ids: vec!["sg-1".into()],
            instance_name: None,
            host_name: None,
            key_pair_name: None,
            ram_role_name: None,
            resource_group_id: None,
            user_data: Some(UserData::new("#!/bin/sh".into())),
            system_disk: None,
            internet_max_bandwidth_out: None,
            spot: None,
            deletion_protection: false,
            tags: tags(&[("team", "ops")]),
        };
        let recorded = Launch {
            token: Uuid::nil().into(),
            spec: LaunchSpec {
                user_data: spec.user_data.as_ref().map(|d| d.fingerprint().to_owned().into()),
                ..spec.clone()
            },
            instance_type: "c7".into(),
            vswitch: "vsw-h".into(),
            amount: 2,
            min_amount: 1,
            tags: tags(&[("team", "ops"), ("scale-fleet", "web")]),
        };
        let sendable = |launch: &Launch| {
            launch.sendable(&spec, &["c7".into(), "g7".into()], &["vsw-h".into()], "scale-")
        };
        let sent = sendable(&recorded).expect("it is as configured");
        assert_eq!(
            sent.spec.user_data.and_then(|d| d.text().map(str::to_owned)).as_deref(),
            Some("#!/bin/sh")
        );
        type Forged = (&'static str, fn(&mut Launch));
        let forged: [Forged; 9] = [
            ("image", |l| l.spec.image_id = "m-2".into()),
            ("group", |l| l.spec.security_group_ids.push("sg-2".into())),
            ("role", |l| l.spec.ram_role_name = Some("admin".into())),
            ("bandwidth", |l| l.spec.internet_max_bandwidth_out = Some(100)),
            ("script", |l| l.spec.user_data = Some(UserData::new("curl".into()))),
            ("no script", |l| l.spec.user_data = None),
            ("type", |l| l.instance_type = "gn7".into()),
            ("vSwitch", |l| l.vswitch = "vsw-x".into()),
            ("tag", |l| drop(l.tags.insert("grant".into(), "all".into()))),
        ];
        for (name, forge) in forged {
            let mut launch = recorded.clone();
            forge(&mut launch);
            assert_eq!(sendable(&launch), None, "{name}");
        }
    }

    #[test]
    fn a_client_token_is_at_most_64_printable_ascii_characters() {
        assert!("a".repeat(64).parse::<ClientToken>().is_ok());
        for bad in ["", "with space", "ünïcode", &"a".repeat(65)] {
            assert!(bad.parse::<ClientToken>().is_err(), "{bad:?}");
        }
    }
}
