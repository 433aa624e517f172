//! The vendor's default chain of credentials: the first source that has some is used.
//!
//! 1. systemd's `$CREDENTIALS_DIRECTORY` (an operator who uses `LoadCredential=` means it)
//! 2. the environment
//! 3. the command line's profile, `~/.aliyun/config.json`
//! 4. `~/.alibabacloud/credentials` (or `credentials.ini`)
//! 5. the RAM role of this ECS instance, from the metadata service
//!
//! A chain that finds nothing says what was tried and why each was of no use. A source that is there
//! and cannot be used ends the chain: the next one may hold the key of another account, in which
//! every fleet looks empty. For the same reason the source that answered first is the only one that
//! is asked from then on.

mod files;
mod metadata;
mod profile;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cloud::credentials::{CredentialSource, Credentials, CredentialsError};
use cloud::{Clock, Secret};

pub use files::KeyFiles;
pub use metadata::Metadata;

/// The result of one link of the chain.
#[derive(Debug)]
pub(crate) enum LinkResult {
    Credentials(Credentials),
    /// A profile that refers to the metadata service, with the role's name if it gives one.
    Role(Option<String>),
    /// Nothing here; why.
    Nothing(String),
    /// It is there and cannot be used; why.
    Broken(String),
}

type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The process's surroundings, injected so that tests need not change them.
#[derive(Clone)]
pub struct Surroundings {
    variable: Arc<Variables>,
}

impl Surroundings {
    /// The real ones.
    #[must_use]
    pub fn of_this_process() -> Self {
        Surroundings::given(|name| std::env::var(name).ok())
    }

    /// `variable` answers for the environment, `HOME` included.
    #[must_use]
    pub fn given(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Surroundings { variable: Arc::new(variable) }
    }

    /// An environment variable without the spaces around it (a file with Windows line ends leaves a
    /// carriage return); an empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = (self.variable)(name)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets.
        f.write_str("Surroundings")
    }
}

/// The chain.
#[derive(Debug)]
pub struct Chain {
    surroundings: Surroundings,
    metadata: Metadata,
    /// Which link answered first.
    kept: OnceLock<&'static str>,
}

/// The last link, which needs the network.
const ROLE: &str = "RAM role";

impl Chain {
    /// The chain of this process.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, CredentialsError> {
        Ok(Chain::given(Surroundings::of_this_process(), Metadata::new(clock)?))
    }

    #[must_use]
    pub fn given(surroundings: Surroundings, metadata: Metadata) -> Self {
        Chain { surroundings, metadata, kept: OnceLock::new() }
    }

    /// The credentials of `role`, or of the instance's own.
    async fn role(&self, role: Option<&str>) -> Result<Credentials, String> {
        if self.surroundings.is_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
            return Err("switched off by ALIBABA_CLOUD_ECS_METADATA_DISABLED".to_owned());
        }
        let given = self.surroundings.get("ALIBABA_CLOUD_ECS_METADATA");
        self.metadata.fetch(role.or(given.as_deref())).await.map_err(|error| error.to_string())
    }

    /// Uses the credentials that the link `name` found, from now on.
    fn keep(&self, name: &'static str, credentials: Credentials) -> Credentials {
        if *self.kept.get_or_init(|| name) == name {
            tracing::debug!(source = name, "credentials come from {name}");
        }
        credentials
    }
}

#[async_trait]
impl CredentialSource for Chain {
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let links: [(&'static str, fn(&Surroundings) -> LinkResult); 4] = [
            ("systemd credentials", files::systemd),
            ("environment", environment),
            ("~/.aliyun/config.json", profile::config_json),
            ("~/.alibabacloud/credentials", profile::ini),
        ];
        let kept = self.kept.get().copied();
        let is_asked = |name: &str| kept.is_none_or(|kept| kept == name);
        let mut tried = Vec::new();
        for (name, link) in links.into_iter().filter(|(name, _)| is_asked(name)) {
            let why = match link(&self.surroundings) {
                LinkResult::Credentials(credentials) => return Ok(self.keep(name, credentials)),
                LinkResult::Role(role) => match self.role(role.as_deref()).await {
                    Ok(credentials) => return Ok(self.keep(name, credentials)),
                    Err(why) => format!("{ROLE}: {why}"),
                },
                LinkResult::Broken(why) => why,
                LinkResult::Nothing(why) => {
                    tried.push(format!("{name}: {why}"));
                    continue;
                }
            };
            return Err(unusable(name, &why));
        }
        if is_asked(ROLE) {
            match self.role(None).await {
                Ok(credentials) => return Ok(self.keep(ROLE, credentials)),
                Err(why) => tried.push(format!("{ROLE}: {why}")),
            }
        }
        Err(match kept {
            Some(name) => unusable(name, &tried.join("; ")),
            None => none(&tried),
        })
    }
}

/// No other source is asked: it may be another account's.
fn unusable(name: &str, why: &str) -> CredentialsError {
    CredentialsError(format!("{name} cannot be used, and no other source is tried instead: {why}"))
}

fn none(tried: &[String]) -> CredentialsError {
    CredentialsError(format!("none of the sources has any ({})", tried.join("; ")))
}

fn environment(surroundings: &Surroundings) -> LinkResult {
    let id = surroundings.get("ALIBABA_CLOUD_ACCESS_KEY_ID");
    let secret = surroundings.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    let not_set = |name: &str| format!("{name} is not set");
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let token = surroundings.get("ALIBABA_CLOUD_SECURITY_TOKEN");
            usable(id, secret, token)
        }
        (Some(_), None) => LinkResult::Broken(not_set("ALIBABA_CLOUD_ACCESS_KEY_SECRET")),
        (None, Some(_)) => LinkResult::Broken(not_set("ALIBABA_CLOUD_ACCESS_KEY_ID")),
        (None, None) => LinkResult::Nothing(not_set("ALIBABA_CLOUD_ACCESS_KEY_ID")),
    }
}

/// A pair, unless a part of it cannot be one.
fn usable(id: String, secret: String, token: Option<String>) -> LinkResult {
    let fits = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    for (what, text) in [
        ("access key id", Some(&id)),
        ("access key secret", Some(&secret)),
        ("security token", token.as_ref()),
    ] {
        if text.is_some_and(|text| !fits(text)) {
            return LinkResult::Broken(format!(
                "its {what} has a space or a character of no key in it"
            ));
        }
    }
    LinkResult::Credentials(key_pair(id, secret, token))
}

fn key_pair(id: String, secret: String, token: Option<String>) -> Credentials {
    Credentials {
        access_key_id: id,
        access_key_secret: Secret::new(secret),
        security_token: token.map(Secret::new),
        expires_at: None,
    }
}

/// A key pair that is known already: the demo's and the tests'.
#[derive(Debug, Clone)]
pub struct KeyPair(pub Credentials);

impl KeyPair {
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        KeyPair(key_pair(id.to_owned(), secret.to_owned(), None))
    }
}

#[async_trait]
impl CredentialSource for KeyPair {
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests;
