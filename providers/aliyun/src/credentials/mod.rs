//! The vendor's default chain of credentials: the first source that has some is used.
//!
//! 1. systemd's `$CREDENTIALS_DIRECTORY` (an operator who uses `LoadCredential=` means it)
//! 2. the environment
//! 3. the command line's profile, `~/.aliyun/config.json`
//! 4. `~/.alibabacloud/credentials` (or `credentials.ini`)
//! 5. the RAM role of this ECS instance, from the metadata service
//!
//! A chain that finds nothing says what was tried and why each was of no use.

mod files;
mod metadata;
mod profile;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cloud::credentials::{CredentialSource, Credentials, CredentialsError};
use cloud::{Clock, Secret};

pub use files::KeyFiles;
pub use metadata::Metadata;

/// What one link of the chain found.
#[derive(Debug)]
pub(crate) enum Found {
    Credentials(Credentials),
    /// A profile that refers to the metadata service, with the role's name if it gives one.
    Role(Option<String>),
    /// Nothing here; why.
    Nothing(String),
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

    /// An environment variable; an empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
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
}

impl Chain {
    /// The chain of this process.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, CredentialsError> {
        Ok(Chain::given(Surroundings::of_this_process(), Metadata::new(clock)?))
    }

    #[must_use]
    pub fn given(surroundings: Surroundings, metadata: Metadata) -> Self {
        Chain { surroundings, metadata }
    }

    async fn role(&self, name: Option<&str>, tried: &mut Vec<String>) -> Option<Credentials> {
        if self.surroundings.is_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
            tried.push("RAM role: switched off by ALIBABA_CLOUD_ECS_METADATA_DISABLED".to_owned());
            return None;
        }
        let given = self.surroundings.get("ALIBABA_CLOUD_ECS_METADATA");
        match self.metadata.fetch(name.or(given.as_deref())).await {
            Ok(credentials) => Some(credentials),
            Err(error) => {
                tried.push(format!("RAM role: {error}"));
                None
            }
        }
    }
}

#[async_trait]
impl CredentialSource for Chain {
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let links: [(&str, fn(&Surroundings) -> Found); 4] = [
            ("systemd credentials", files::systemd),
            ("environment", environment),
            ("~/.aliyun/config.json", profile::config_json),
            ("~/.alibabacloud/credentials", profile::ini),
        ];
        let mut tried = Vec::new();
        for (name, link) in links {
            match link(&self.surroundings) {
                Found::Credentials(credentials) => {
                    tracing::debug!(source = name, "credentials come from {name}");
                    return Ok(credentials);
                }
                Found::Role(role) => {
                    let role = self.role(role.as_deref(), &mut tried).await;
                    return role.ok_or_else(|| none(&tried));
                }
                Found::Nothing(why) => tried.push(format!("{name}: {why}")),
            }
        }
        let role = self.role(None, &mut tried).await;
        role.ok_or_else(|| none(&tried))
    }
}

fn none(tried: &[String]) -> CredentialsError {
    CredentialsError(format!("none of the sources has any ({})", tried.join("; ")))
}

fn environment(surroundings: &Surroundings) -> Found {
    let id = surroundings.get("ALIBABA_CLOUD_ACCESS_KEY_ID");
    let secret = surroundings.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let token = surroundings.get("ALIBABA_CLOUD_SECURITY_TOKEN");
            Found::Credentials(key_pair(id, secret, token))
        }
        (Some(_), None) => Found::Nothing("ALIBABA_CLOUD_ACCESS_KEY_SECRET is not set".to_owned()),
        (None, _) => Found::Nothing("ALIBABA_CLOUD_ACCESS_KEY_ID is not set".to_owned()),
    }
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
