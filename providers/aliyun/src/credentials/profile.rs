//! Profiles in the vendor's own files: the command line's JSON and the SDKs' INI.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::files::BYTE_ORDER_MARK;
use super::{LinkResult, Surroundings, usable};
use crate::wire::or_default;

/// Null counts as absent: the vendor's tools write it for what is not set.
#[derive(Deserialize)]
struct ConfigJson {
    #[serde(default, deserialize_with = "or_default")]
    current: String,
    #[serde(default, deserialize_with = "or_default")]
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    mode: String,
    #[serde(default, deserialize_with = "or_default")]
    access_key_id: String,
    #[serde(default, deserialize_with = "or_default")]
    access_key_secret: String,
    #[serde(default, deserialize_with = "or_default")]
    sts_token: String,
    #[serde(default, deserialize_with = "or_default")]
    ram_role_name: String,
}

/// `~/.aliyun/config.json`, the profile of `ALIBABA_CLOUD_PROFILE` or the file's current one.
pub(super) fn config_json(surroundings: &Surroundings) -> LinkResult {
    if surroundings.is_true("ALIBABA_CLOUD_CLI_PROFILE_DISABLED") {
        return LinkResult::Nothing(
            "switched off by ALIBABA_CLOUD_CLI_PROFILE_DISABLED".to_owned(),
        );
    }
    let Some(home) = surroundings.home() else {
        return LinkResult::Nothing("HOME is not set".to_owned());
    };
    let text = match read(&home.join(".aliyun/config.json")) {
        Ok(Some(text)) => text,
        Ok(None) => return LinkResult::Nothing(NO_FILE.to_owned()),
        Err(why) => return LinkResult::Broken(why),
    };
    let config: ConfigJson = match serde_json::from_str(&text) {
        Ok(config) => config,
        // serde's message may quote a value of the file.
        Err(error) => return LinkResult::Broken(format!("line {} is not valid", error.line())),
    };
    let wanted = surroundings.get("ALIBABA_CLOUD_PROFILE").unwrap_or(config.current);
    let Some(profile) = config.profiles.into_iter().find(|profile| profile.name == wanted) else {
        return LinkResult::Broken(format!("it has no profile {wanted:?}"));
    };
    let filled = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    match profile.mode.as_str() {
        "AK" | "StsToken" => {
            let token = filled(profile.sts_token).filter(|_| profile.mode == "StsToken");
            match (filled(profile.access_key_id), filled(profile.access_key_secret)) {
                (Some(id), Some(secret)) => usable(id, secret, token),
                _ => LinkResult::Broken(format!("the profile {wanted:?} has no key pair")),
            }
        }
        "EcsRamRole" => LinkResult::Role(filled(profile.ram_role_name)),
        mode => LinkResult::Broken(format!(
            "the profile {wanted:?} has mode {mode:?}; AK, StsToken and EcsRamRole are supported"
        )),
    }
}

/// `$ALIBABA_CLOUD_CREDENTIALS_FILE`, `~/.alibabacloud/credentials` or `….ini`, the section of
/// `ALIBABA_CLOUD_PROFILE` or `default`.
pub(super) fn ini(surroundings: &Surroundings) -> LinkResult {
    let given = surroundings.get("ALIBABA_CLOUD_CREDENTIALS_FILE").map(PathBuf::from);
    let homes = || {
        let dir = surroundings.home()?.join(".alibabacloud");
        [dir.join("credentials"), dir.join("credentials.ini")]
            .into_iter()
            .find(|path| path.exists())
    };
    let is_given = given.is_some();
    let Some(path) = given.or_else(homes) else { return LinkResult::Nothing(NO_FILE.to_owned()) };
    let text = match read(&path) {
        Ok(Some(text)) => text,
        // A file that is named should be there.
        Ok(None) if is_given => return LinkResult::Broken(NO_FILE.to_owned()),
        Ok(None) => return LinkResult::Nothing(NO_FILE.to_owned()),
        Err(why) => return LinkResult::Broken(why),
    };
    let wanted = surroundings.get("ALIBABA_CLOUD_PROFILE").unwrap_or_else(|| "default".to_owned());
    let Some(mut section) = sections(&text).remove(&wanted) else {
        return LinkResult::Broken(format!("it has no section [{wanted}]"));
    };
    match section.get("type").map_or("access_key", String::as_str) {
        "access_key" => {
            match (section.remove("access_key_id"), section.remove("access_key_secret")) {
                (Some(id), Some(secret)) => usable(id, secret, None),
                _ => LinkResult::Broken(format!("[{wanted}] has no key pair")),
            }
        }
        "ecs_ram_role" => LinkResult::Role(section.remove("role_name")),
        other => LinkResult::Broken(format!(
            "[{wanted}] has type {other:?}; access_key and ecs_ram_role are supported"
        )),
    }
}

/// Section → key → value. `#` and `;` begin a comment, in values too; quotes around a value are not
/// of it.
fn sections(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            current = name.trim().to_owned();
            sections.entry(current.clone()).or_default();
        } else if let Some((key, value)) = line.split_once('=') {
            let value = value.trim();
            let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
            let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
            if !value.is_empty() {
                let section = sections.entry(current.clone()).or_default();
                section.insert(key.trim().to_lowercase(), value.to_owned());
            }
        }
    }
    sections
}

const NO_FILE: &str = "there is no such file";

/// The text of a file, without a byte order mark; `None` when it is not there.
fn read(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_start_matches(BYTE_ORDER_MARK).to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err("it is not UTF-8 text (perhaps UTF-16): save it as UTF-8".to_owned())
        }
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}
