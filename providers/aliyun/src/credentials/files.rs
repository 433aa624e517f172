//! Credentials in files, one value each: systemd's `LoadCredential=`, or paths of the
//! configuration. They are read anew with each refresh, so a rotated key is taken up.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cloud::credentials::{CredentialSource, Credentials, CredentialsError};

use super::{LinkResult, Surroundings, key_pair, usable};

/// Editors of Windows begin a file with it.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Two files that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    pub id: PathBuf,
    pub secret: PathBuf,
}

#[async_trait]
impl CredentialSource for KeyFiles {
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let read = |path: &Path| {
            value(path).and_then(|value| {
                value.ok_or_else(|| {
                    CredentialsError(format!("{} is empty or missing", path.display()))
                })
            })
        };
        Ok(key_pair(read(&self.id)?, read(&self.secret)?, None))
    }
}

/// `access_key_id`, `access_key_secret` and perhaps `security_token` in `$CREDENTIALS_DIRECTORY`.
pub(super) fn systemd(surroundings: &Surroundings) -> LinkResult {
    let Some(dir) = surroundings.get("CREDENTIALS_DIRECTORY").map(PathBuf::from) else {
        return LinkResult::Nothing("CREDENTIALS_DIRECTORY is not set".to_owned());
    };
    let is_there = |name: &str| dir.join(name).exists();
    if !["access_key_id", "access_key_secret", "security_token"].into_iter().any(is_there) {
        return LinkResult::Nothing("there is no access_key_id".to_owned());
    }
    let read = |name: &str| value(&dir.join(name));
    match (read("access_key_id"), read("access_key_secret"), read("security_token")) {
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => LinkResult::Broken(error.0),
        (Ok(None), ..) => LinkResult::Broken("access_key_id is empty or missing".to_owned()),
        (_, Ok(None), _) => LinkResult::Broken("access_key_secret is empty or missing".to_owned()),
        (.., Ok(None)) if is_there("security_token") => {
            LinkResult::Broken("security_token is empty".to_owned())
        }
        (Ok(Some(id)), Ok(Some(secret)), Ok(token)) => usable(id, secret, token),
    }
}

/// The file's text without a byte order mark and the line break at its end; `None` when there is no
/// such file, or nothing in it.
fn value(path: &Path) -> Result<Option<String>, CredentialsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = text.trim_start_matches(BYTE_ORDER_MARK).trim();
            Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CredentialsError(format!("{} cannot be read: {error}", path.display()))),
    }
}
