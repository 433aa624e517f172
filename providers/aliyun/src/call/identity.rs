//! Whose key signs. A key that is known to belong to another account than the expected one signs
//! nothing but the question whose it is: every fleet would look empty there, and be launched anew.
//!
//! STS says whose a key is, once for each key. An STS that cannot be reached holds nothing up: then it
//! is not known whose the key is, and calls go on. It is asked again after a pause.

use std::sync::{Mutex as SyncMutex, MutexGuard};
use std::time::Duration;

use cloud::credentials::Credentials;
use cloud::{Class, Error, ErrorKind, Signer, Timestamp, clock};
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{Answer, Caller, Met, To, fail};
use crate::rpc::{Params, acs3};

const ACTION: &str = "GetCallerIdentity";
/// The version of the STS API.
const VERSION: &str = "2015-04-01";
/// Every call waits for the answer; it is one small one from the same region.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A network without a way to STS costs a call [`TIMEOUT`] this often at most.
const ASK_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Identity {
    url: Url,
    expected: SyncMutex<Option<String>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The newest key that was asked for, and whose it is.
    key: Option<(String, String)>,
    /// The key whose account could not be had, and until when it is not asked for again.
    unknown: Option<(String, Timestamp)>,
    /// That it is not known was said.
    told: bool,
}

#[derive(Deserialize)]
struct Caught {
    #[serde(rename = "AccountId")]
    account: String,
}

impl Identity {
    pub(super) fn new(url: Url) -> Identity {
        Identity { url, expected: SyncMutex::default(), known: Mutex::default() }
    }

    fn expected(&self) -> MutexGuard<'_, Option<String>> {
        self.expected.lock().expect("no holder of this lock can panic")
    }
}

impl Caller {
    /// From now on calls are for this account only.
    pub(crate) fn expect_account(&self, account: &str) {
        let mut expected = self.identity.expected();
        if expected.as_deref() != Some(account) {
            *expected = Some(account.to_owned());
        }
    }

    /// Whose key it is that would sign the next call.
    pub(crate) async fn signer(&self, reread: bool) -> Result<Signer, Error> {
        let get = || async {
            self.credentials.get().await.map_err(|error| {
                let kind = ErrorKind::NoCredentials { why: error.to_string() };
                fail(ACTION, Class::Auth, kind, &Met::default())
            })
        };
        let mut credentials = get().await?;
        if reread {
            self.credentials.doubt(&credentials).await;
            credentials = get().await?;
        }
        let is_lasting = credentials.security_token.is_none();
        let key = is_lasting.then(|| fingerprint(&credentials));
        Ok(Signer { account: self.account_of(&credentials).await, key })
    }

    /// Refuses to sign `action` with a key of another account than the expected one.
    pub(super) async fn refuse_other_account(
        &self,
        action: &str,
        credentials: &Credentials,
        met: &Met,
    ) -> Result<(), Error> {
        let Some(expected) = self.identity.expected().clone() else { return Ok(()) };
        match self.account_of(credentials).await {
            Some(found) if found != expected => {
                // A key that is put right must not need a restart.
                self.credentials.doubt(credentials).await;
                Err(fail(action, Class::Auth, ErrorKind::OtherAccount { found, expected }, met))
            }
            _ => Ok(()),
        }
    }

    /// The account of a key, where that is known or can be asked for.
    async fn account_of(&self, credentials: &Credentials) -> Option<String> {
        let id = &credentials.access_key_id;
        let mut known = self.identity.known.lock().await;
        if let Some((key, account)) = &known.key
            && key == id
        {
            return Some(account.clone());
        }
        let now = self.clock.now();
        if let Some((key, until)) = &known.unknown
            && key == id
            && now < *until
        {
            return None;
        }
        match self.ask_whose(credentials).await {
            Ok(account) => {
                *known = Known { key: Some((id.clone(), account.clone())), ..Known::default() };
                Some(account)
            }
            Err(error) => {
                if std::mem::replace(&mut known.told, true) {
                    tracing::debug!("it is still not known whose the access key is: {error}");
                } else {
                    tracing::warn!(
                        "it is not known whose the access key is, a change of account would not be \
                         noticed: {error}"
                    );
                }
                known.unknown = Some((id.clone(), clock::after(now, ASK_AGAIN)));
                None
            }
        }
    }

    async fn ask_whose(&self, credentials: &Credentials) -> Result<String, Error> {
        let to = To {
            url: &self.identity.url,
            version: VERSION,
            is_write: false,
            timeout: TIMEOUT.min(self.timeouts.read),
        };
        let mut met = Met { attempts: 1, ..Met::default() };
        let none = Params::new();
        let body = match self.attempt(to, ACTION, &none, credentials, &met).await {
            Ok(body) => body,
            // A clock that is off is corrected; a key that is refused is not asked for twice.
            Err(failed) => {
                let is_mended = self.mend(&failed, credentials, &mut met).await;
                if !is_mended || !met.skew_corrected {
                    return Err(failed.error);
                }
                let again = self.attempt(to, ACTION, &none, credentials, &met).await;
                again.map_err(|failed| failed.error)?
            }
        };
        let caught: Result<Caught, String> = Answer { body, doubted: false }.read();
        let usable = |account: &String| {
            (1..=64).contains(&account.len()) && account.chars().all(|c| c.is_ascii_alphanumeric())
        };
        caught.ok().map(|caught| caught.account).filter(usable).ok_or_else(|| {
            let what = "it has no AccountId".to_owned();
            fail(ACTION, Class::Transient, ErrorKind::BadAnswer { what, head: String::new() }, &met)
        })
    }
}

/// Tells one key from another and is none: the beginning of a hash over both parts, since a secret may
/// be corrected under the same id.
fn fingerprint(credentials: &Credentials) -> String {
    let text = format!(
        "{}\n{}",
        credentials.access_key_id,
        acs3::sha256_hex(credentials.access_key_secret.expose().as_bytes()),
    );
    let hash = acs3::sha256_hex(text.as_bytes());
    hash.chars().take(16).collect()
}
