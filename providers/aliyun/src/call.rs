//! The one call path: credentials → rate limit → sign → send → parse → classify → retry.
//!
//! Each attempt has a fresh nonce and time stamp; client token and business parameters stay the
//! same, so that the provider recognises a repeated write and does nothing twice.

mod answer;
mod api;
mod identity;
mod request;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use cloud::credentials::{Cache, Credentials};
use cloud::limit::{ActionBudget, Limits, Patience};
use cloud::retry::{self, Next, Schedule};
use cloud::{
    Class, Clock, Dice, Error, ErrorKind, Permit, PlannedCall, Redactor, Timestamp, Urgency, clock,
};
use reqwest::Url;
use serde::de::DeserializeOwned;

use crate::codes::is_known;
use crate::rpc::{Params, Signature};
use crate::settings::{Seams, Settings, SettingsError, Timeouts};
use crate::transport::{ANSWER_LIMIT, HttpRequest, Transport};
pub(crate) use api::Api;
use api::Urls;
use identity::Identity;
use tally::Tally;

/// A call waits this long for the rate limit; what takes longer goes back to the caller, whose next
/// tick may see the world otherwise. It bridges a full bucket and the turn of a minute, and is
/// shorter than the 15 s between two ticks.
const PATIENCE: Duration = Duration::from_secs(10);
/// A page that somebody acts on waits this long for its turn: at 5 calls a second 225 fleets that
/// act in the same second are all served. What is decided is decided after it, so nothing grows old.
const ACTING_PATIENCE: Duration = Duration::from_secs(45);
/// A page that only shows how things are waits a minute (that is how long a throttled action stays
/// closed), the 5 s by which callers come back apart, and 10 s for its turn: the pages before it
/// would have to be read again.
const LOOKING_PATIENCE: Duration = Duration::from_secs(75);

/// Calls one account in one region.
#[derive(Debug)]
pub(crate) struct Caller {
    transport: Arc<dyn Transport>,
    dice: Arc<dyn Dice>,
    urls: Urls,
    signature: Signature,
    timeouts: Timeouts,
    retry: retry::Policy,
    limits: Limits,
    credentials: Cache,
    identity: Identity,
    clock: Arc<dyn Clock>,
    tally: Tally,
    /// How far the provider's clock is ahead of ours, in seconds, learned when it refused a time
    /// stamp.
    skew_secs: AtomicI64,
}

/// The access that an operation needs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CallAccess<'a> {
    Read,
    /// A page of a listing.
    List(Urgency),
    /// Nothing is sent at or after the permit's `send_before`.
    Write(&'a Permit),
}

impl CallAccess<'_> {
    fn patience(self) -> Patience {
        match self {
            CallAccess::Read | CallAccess::Write(_) => Patience::of(PATIENCE),
            CallAccess::List(Urgency::Act) => {
                Patience { turn: ACTING_PATIENCE, ..Patience::of(PATIENCE) }
            }
            CallAccess::List(Urgency::Look) => {
                Patience { urgency: Urgency::Look, ..Patience::of(LOOKING_PATIENCE) }
            }
        }
    }
}

/// The answer to an operation: a JSON object without a failing code.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Vec<u8>,
    /// An earlier attempt may have had its effect: what the answer says of single instances is
    /// what they are like after it.
    pub(crate) doubted: bool,
}

impl Answer {
    /// The part that a caller needs of it; the reason when it has another shape.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Its place is of no use to a person: the body is one line of machine text.
            let text = error.to_string();
            text.split(" at line ").next().unwrap_or_default().to_owned()
        })
    }
}

/// The failures that the attempts of one operation have met so far.
#[derive(Debug, Default)]
struct Met {
    attempts: u32,
    /// An attempt may have had its effect.
    ambiguous: bool,
    /// The last refusal for asking too often.
    throttled: Option<String>,
    skew_corrected: bool,
    credentials_doubted: bool,
}

impl Caller {
    pub(crate) fn new(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        seams: Seams,
    ) -> Result<Self, SettingsError> {
        Ok(Caller {
            transport: seams.transport,
            dice: seams.dice,
            urls: Urls::of(settings)?,
            signature: settings.signature,
            timeouts: settings.timeouts,
            retry: settings.retry,
            limits: Limits::new(settings.rates.clone(), clock.clone()),
            credentials: Cache::new(settings.credentials.clone(), clock.clone()),
            identity: Identity::new(settings.sts_url()?),
            clock,
            tally: Tally::default(),
            skew_secs: AtomicI64::new(0),
        })
    }

    /// Calls `action` with its business parameters.
    ///
    /// `Ambiguous` only for writes, and only when an attempt may have had its effect. Nothing but a
    /// success ends that doubt: a later attempt that is refused says only that *it* did nothing.
    pub(crate) async fn call(
        &self,
        action: &str,
        access: CallAccess<'_>,
        params: &Params,
    ) -> Result<Answer, Error> {
        self.call_api(Api::Ecs, action, access, params).await
    }

    /// The same for an action of another API.
    pub(crate) async fn call_api(
        &self,
        api: Api,
        action: &str,
        access: CallAccess<'_>,
        params: &Params,
    ) -> Result<Answer, Error> {
        let mut met = Met::default();
        match self.attempts(api, action, access, params, &mut met).await {
            Ok(body) => Ok(Answer { body, doubted: met.ambiguous }),
            Err(error) if met.ambiguous => Err(Error { class: Class::Ambiguous, ..error }),
            Err(error) => Err(error),
        }
    }

    async fn attempts(
        &self,
        api: Api,
        action: &str,
        access: CallAccess<'_>,
        params: &Params,
        met: &mut Met,
    ) -> Result<Vec<u8>, Error> {
        let began = self.clock.now();
        let mut schedule = Schedule::new(self.retry);
        loop {
            let credentials = match self.credentials.get().await {
                Ok(credentials) => credentials,
                Err(error) => {
                    let kind = ErrorKind::NoCredentials { why: error.to_string() };
                    return Err(fail(action, Class::Auth, kind, met));
                }
            };
            self.refuse_other_account(action, &credentials, met).await?;
            let left = self.retry.deadline.saturating_sub(self.elapsed(began));
            let patience = access.patience().within(left);
            let admitted = self.limits.admit(action, weight(params), patience).await;
            if let Err(not_before) = admitted {
                return Err(self.not_admitted(action, not_before.until, met));
            }
            // The last look before the request leaves: everything that waits is behind us.
            if let CallAccess::Write(permit) = access
                && self.clock.now() >= permit.send_before()
            {
                let why = "its permit ran out before it could be sent".to_owned();
                return Err(fail(action, Class::Permanent, ErrorKind::NotSent { why }, met));
            }
            met.attempts += 1;
            let is_write = matches!(access, CallAccess::Write(_));
            let to = self.to(api, is_write);
            let failed = match self.attempt(to, action, params, &credentials, met).await {
                Ok(body) => return Ok(body),
                Err(failed) => failed,
            };
            if self.mend(&failed, &credentials, met).await {
                continue;
            }
            let Failed { error, .. } = failed;
            met.ambiguous |= error.class == Class::Ambiguous;
            let jitter = self.dice.jitter();
            if let Class::Throttled { retry_after } = error.class {
                // The limit knows when the action opens again, and waits for it or does not.
                self.limits.throttled(action, retry_after, jitter);
                met.throttled = Some(error.to_string());
                continue;
            }
            match schedule.next(&error, jitter, self.elapsed(began)) {
                Next::Wait(wait) => self.clock.sleep(wait).await,
                Next::GiveUp => return Err(error),
                Next::Deadline => {
                    let kind =
                        ErrorKind::Deadline { after: self.retry.deadline, last: error.to_string() };
                    return Err(Error { kind, ..error });
                }
            }
        }
    }

    /// How long a call has taken. By a clock that was set back meanwhile nobody knows: too long.
    fn elapsed(&self, began: Timestamp) -> Duration {
        let now = self.clock.now();
        if now < began { self.retry.deadline } else { clock::age(now, began) }
    }

    /// The time by this machine's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Until when `action` is closed because it was throttled, if it is.
    pub(crate) fn closed_until(&self, action: &str) -> Option<Timestamp> {
        self.limits.closed_until(action)
    }

    /// Calls per second of `action`.
    pub(crate) fn per_second(&self, action: &str) -> f64 {
        self.limits.per_second(action)
    }

    /// The calls that each action has used and has left.
    pub(crate) fn budget(&self) -> Vec<ActionBudget> {
        self.limits.budget()
    }

    /// Attempts by action and outcome.
    pub(crate) fn calls(&self) -> Vec<(String, &'static str, u64)> {
        self.tally.all()
    }

    /// Attempts of one action.
    pub(crate) fn calls_of(&self, action: &str) -> u64 {
        self.tally.of(action)
    }

    /// The call as it would be sent, secrets and what is made at sending time elided.
    pub(crate) fn preview(&self, api: Api, action: &str, params: &Params) -> PlannedCall {
        request::preview(self.signature, self.urls.of_api(api), api.version(), action, params)
    }

    fn to(&self, api: Api, is_write: bool) -> To<'_> {
        let timeout = if is_write { self.timeouts.write } else { self.timeouts.read };
        To { url: self.urls.of_api(api), version: api.version(), is_write, timeout }
    }

    async fn attempt(
        &self,
        to: To<'_>,
        action: &str,
        params: &Params,
        credentials: &Credentials,
        met: &Met,
    ) -> Result<Vec<u8>, Failed> {
        let To { url, version, is_write, timeout } = to;
        let began = self.clock.now();
        let skew = TimeDelta::seconds(self.skew_secs.load(Ordering::Relaxed));
        let signed = request::sign(request::Unsigned {
            signature: self.signature,
            url,
            version,
            action,
            params,
            credentials,
            timestamp: began + skew,
            nonce: &self.dice.uuid().to_string(),
        });
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: signed.url,
            headers: signed.headers,
            body: signed.body.into_bytes(),
            timeout,
        };
        let result = match self.transport.send(request).await {
            Err(error) => Err(answer::none(error, is_write, timeout)),
            Ok(response) => match answer::read(&response, is_write, ANSWER_LIMIT) {
                Ok(request_id) => Ok((response.body, request_id)),
                Err(unusable) => Err(unusable),
            },
        };
        let result = result.map_err(|unusable| Failed {
            server_time: unusable.server_time,
            error: Error {
                action: action.to_owned(),
                class: unusable.class,
                kind: clean(unusable.kind, credentials, self.transport.proxy()),
                status: unusable.status,
                request_id: unusable.request_id,
                attempts: met.attempts,
            },
        });
        self.tally.count(action, result.as_ref().map_err(|failed| &failed.error));
        let millis = clock::age(self.clock.now(), began).as_millis();
        match &result {
            Ok((_, request_id)) => {
                let attempt = met.attempts;
                tracing::debug!(action, attempt, millis, request_id, "{action} was answered");
            }
            Err(failed) => tracing::debug!(
                action, attempt = met.attempts, millis, error.class = %failed.error.class,
                "{}", failed.error,
            ),
        }
        result.map(|(body, _)| body)
    }

    /// Mends what can be mended once, at once: a clock that is off, credentials that were rotated.
    async fn mend(&self, failed: &Failed, credentials: &Credentials, met: &mut Met) -> bool {
        let Some(code) = failed.error.code() else { return false };
        if code.starts_with("InvalidTimeStamp") || code == "IllegalTimestamp" {
            let Some(theirs) = failed.server_time.filter(|_| !met.skew_corrected) else {
                return false;
            };
            met.skew_corrected = true;
            let skew = (theirs - self.clock.now()).num_seconds();
            self.skew_secs.store(skew, Ordering::Relaxed);
            tracing::warn!(
                skew_secs = skew,
                "this machine's clock is {skew} s off the provider's: corrected for requests; \
                 repair time synchronisation (NTP)",
            );
            return true;
        }
        // A key that is repaired while this runs must not need a restart, whatever the code was
        // that the old one was refused with.
        if met.credentials_doubted || !is_about_credentials(&failed.error) {
            return false;
        }
        met.credentials_doubted = true;
        self.credentials.doubt(credentials).await;
        self.credentials.get().await.is_ok_and(|now| now != *credentials)
    }

    fn not_admitted(&self, action: &str, until: Timestamp, met: &Met) -> Error {
        let retry_after = Some(clock::age(until, self.clock.now()));
        let until = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let why = match &met.throttled {
            Some(last) => format!("the provider closed it until {until}: {last}"),
            None => format!("the rate limit lets nothing through before {until}"),
        };
        fail(action, Class::Throttled { retry_after }, ErrorKind::NotSent { why }, met)
    }
}

/// Where one attempt goes: an API in its version, and how long the answer may take.
#[derive(Debug, Clone, Copy)]
struct To<'a> {
    url: &'a Url,
    version: &'static str,
    is_write: bool,
    timeout: Duration,
}

/// A failed attempt, with the provider's clock where it showed it.
#[derive(Debug)]
struct Failed {
    error: Error,
    server_time: Option<Timestamp>,
}

fn fail(action: &str, class: Class, kind: ErrorKind, met: &Met) -> Error {
    Error {
        action: action.to_owned(),
        class,
        kind,
        status: None,
        request_id: None,
        attempts: met.attempts,
    }
}

/// Whether other credentials could be answered otherwise.
fn is_about_credentials(error: &Error) -> bool {
    let (ErrorKind::Refused { code, message, .. } | ErrorKind::TokenMismatch { code, message }) =
        &error.kind
    else {
        return false;
    };
    // A token that has ended is also told as `InvalidParameter`.
    let of_token = code.starts_with("InvalidParameter") && message.contains("SecurityToken");
    of_token || is_known(code).unwrap_or(error.class) == Class::Auth
}

/// `kind` with texts that are safe to show: a refusal may repeat the request.
fn clean(kind: ErrorKind, credentials: &Credentials, proxy: Option<&str>) -> ErrorKind {
    let Credentials { access_key_secret, security_token, .. } = credentials;
    let secrets = [Some(access_key_secret.clone()), security_token.clone()];
    let redactor = Redactor::new(secrets.into_iter().flatten());
    let through = |text: String| match proxy {
        Some(name) => format!("{text}, through the proxy {name}"),
        None => text,
    };
    match kind {
        ErrorKind::Refused { code, message, concerns } => ErrorKind::Refused {
            code: redactor.line(&code),
            message: redactor.line(&message),
            concerns,
        },
        ErrorKind::TokenMismatch { code, message } => ErrorKind::TokenMismatch {
            code: redactor.line(&code),
            message: redactor.line(&message),
        },
        ErrorKind::BadAnswer { what, head } => {
            ErrorKind::BadAnswer { what: through(redactor.line(&what)), head: redactor.line(&head) }
        }
        ErrorKind::NotConnected { why } => {
            ErrorKind::NotConnected { why: through(redactor.line(&why)) }
        }
        ErrorKind::Cut { why } => ErrorKind::Cut { why: through(redactor.line(&why)) },
        other => other,
    }
}

/// How many instances a launch asks for.
fn weight(params: &Params) -> u32 {
    let amount = params.iter().find(|(name, _)| name == "Amount");
    amount.and_then(|(_, value)| value.parse().ok()).unwrap_or(1)
}

/// A dry run is answered with an *error* whose code says that the request would have succeeded.
pub(crate) fn is_dry_run_success(error: &Error) -> bool {
    matches!(error.code(), Some("DryRunOperation" | "DRYRUN.SUCCESS"))
}
