//! Credentials, and a cache that renews temporary ones in time.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::Secret;
use crate::clock::{self, Clock, Timestamp};

/// The key that signs a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub access_key_secret: Secret,
    /// Present with temporary (STS) credentials.
    pub security_token: Option<Secret>,
    /// When temporary credentials end.
    pub expires_at: Option<Timestamp>,
}

/// Why there are no credentials. It says what was tried and never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsError(pub String);

/// Where credentials come from.
#[async_trait]
pub trait CredentialSource: Debug + Send + Sync {
    /// Reads or asks for the credentials anew.
    async fn fetch(&self) -> Result<Credentials, CredentialsError>;
}

/// Temporary credentials are renewed this long before they end; the vendor's SDKs do the same.
const RENEW_AHEAD: Duration = Duration::from_secs(15 * 60);
/// A source is asked this often at most: a metadata service that is down or has nothing newer must
/// not be asked with every call, and a key that is refused must not be read with every call.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The newest credentials of one source. One caller renews, the others wait for it.
#[derive(Debug)]
pub struct Cache {
    source: Arc<dyn CredentialSource>,
    clock: Arc<dyn Clock>,
    held: Mutex<CachedCredentials>,
}

#[derive(Debug, Default)]
struct CachedCredentials {
    credentials: Option<Credentials>,
    /// Renew with the next use, whatever the expiry says.
    doubted: bool,
    /// The source is not asked before this.
    not_before: Option<Timestamp>,
    /// Why it had nothing when it was last asked.
    failure: Option<CredentialsError>,
}

impl Cache {
    #[must_use]
    pub fn new(source: Arc<dyn CredentialSource>, clock: Arc<dyn Clock>) -> Self {
        Cache { source, clock, held: Mutex::default() }
    }

    /// Credentials that hold now. Temporary ones are renewed 15 minutes ahead; while a renewal
    /// fails, the old ones are used until they have really ended.
    pub async fn get(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let ends = held.credentials.as_ref().and_then(|credentials| credentials.expires_at);
        let due = held.credentials.is_none()
            || held.doubted
            || ends.is_some_and(|ends| clock::after(now, RENEW_AHEAD) >= ends);
        let usable = held.credentials.clone().filter(|_| ends.is_none_or(|ends| now < ends));
        let early = held.not_before.is_some_and(|at| now < at);
        match (&usable, &held.failure) {
            (Some(credentials), _) if !due || early => return Ok(credentials.clone()),
            (None, Some(failure)) if early => return Err(failure.clone()),
            _ => {}
        }
        let fetched = self.source.fetch().await;
        held.not_before = Some(clock::after(now, ASK_AGAIN));
        held.doubted = false;
        match fetched {
            Ok(credentials) => {
                held.failure = None;
                held.credentials = Some(credentials.clone());
                Ok(credentials)
            }
            Err(error) => {
                held.failure = Some(error.clone());
                match usable {
                    Some(credentials) => {
                        tracing::warn!(
                            "credentials cannot be renewed, the old ones are used: {error}"
                        );
                        Ok(credentials)
                    }
                    None => Err(error),
                }
            }
        }
    }

    /// The provider refused `refused`: they are fetched anew with the next use, unless that has
    /// happened meanwhile or the source was asked a moment ago.
    pub async fn doubt(&self, refused: &Credentials) {
        let mut held = self.held.lock().await;
        if held.credentials.as_ref() == Some(refused) {
            held.doubted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ManualClock;

    fn key(id: &str, expires_at: Option<Timestamp>) -> Credentials {
        Credentials {
            access_key_id: id.to_owned(),
            access_key_secret: Secret::new("hush".to_owned()),
            security_token: None,
            expires_at,
        }
    }

    #[derive(Debug)]
    struct Script(Mutex<Vec<Result<Credentials, CredentialsError>>>);

    #[async_trait]
    impl CredentialSource for Script {
        async fn fetch(&self) -> Result<Credentials, CredentialsError> {
            self.0.lock().expect("no panic").remove(0)
        }
    }

    fn cache(answers: Vec<Result<Credentials, CredentialsError>>) -> (Cache, ManualClock) {
        let clock = ManualClock::at("2026-01-02T03:00:00Z".parse().expect("a valid time"));
        (Cache::new(Arc::new(Script(Mutex::new(answers))), Arc::new(clock.clone())), clock)
    }

    fn at(time: &str) -> Option<Timestamp> {
        Some(format!("2026-01-02T{time}Z").parse().expect("a valid time"))
    }

    #[tokio::test]
    async fn temporary_credentials_are_renewed_15_minutes_ahead() {
        let (cache, clock) =
            cache(vec![Ok(key("one", at("04:00:00"))), Ok(key("two", at("05:00:00")))]);
        assert_eq!(cache.get().await.expect("one").access_key_id, "one");
        clock.advance(Duration::from_secs(44 * 60));
        assert_eq!(cache.get().await.expect("one").access_key_id, "one");
        clock.advance(Duration::from_secs(60));
        assert_eq!(cache.get().await.expect("two").access_key_id, "two");
    }

    #[tokio::test]
    async fn the_old_ones_are_used_while_a_renewal_fails_and_not_after_their_end() {
        let down = || Err(CredentialsError("the metadata service does not answer".to_owned()));
        let (cache, clock) =
            cache(vec![Ok(key("one", at("03:20:00"))), down(), down(), Ok(key("two", None))]);
        cache.get().await.expect("one");
        clock.advance(Duration::from_secs(6 * 60));
        assert_eq!(cache.get().await.expect("one").access_key_id, "one");
        assert_eq!(cache.get().await.expect("not asked again at once").access_key_id, "one");
        clock.advance(Duration::from_secs(14 * 60));
        cache.get().await.expect_err("expired, and the source is down");
        cache.get().await.expect_err("not asked again at once");
        clock.advance(ASK_AGAIN);
        assert_eq!(cache.get().await.expect("two").access_key_id, "two");
    }

    #[tokio::test]
    async fn a_source_that_has_nothing_newer_is_asked_every_10_seconds() {
        let old = || Ok(key("one", at("03:10:00")));
        let (cache, clock) = cache(vec![old(), old(), Ok(key("two", at("05:00:00")))]);
        for _ in 0..5 {
            assert_eq!(cache.get().await.expect("one").access_key_id, "one");
        }
        clock.advance(ASK_AGAIN);
        for _ in 0..5 {
            assert_eq!(cache.get().await.expect("one").access_key_id, "one");
        }
        clock.advance(ASK_AGAIN);
        assert_eq!(cache.get().await.expect("two").access_key_id, "two");
    }

    #[tokio::test]
    async fn refused_credentials_are_fetched_anew_once() {
        let (cache, clock) = cache(vec![Ok(key("one", None)), Ok(key("two", None))]);
        let one = cache.get().await.expect("one");
        cache.doubt(&one).await;
        assert_eq!(cache.get().await.expect("one").access_key_id, "one", "read a moment ago");
        clock.advance(ASK_AGAIN);
        let two = cache.get().await.expect("two");
        assert_eq!(two.access_key_id, "two");
        cache.doubt(&one).await;
        assert_eq!(cache.get().await.expect("two").access_key_id, "two");
        assert!(!format!("{cache:?}").contains("hush"));
    }
}
