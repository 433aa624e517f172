//! The one call path: rate limit → credentials → sign → send → parse → classify → retry.
//!
//! Each attempt has a fresh nonce and time stamp; client token and business parameters stay the
//! same, so that the provider recognises a repeated write and does nothing twice.

mod answer;
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use cloud::credentials::{Cache, Credentials};
use cloud::limit::Limits;
use cloud::retry::{self, Next, Schedule};
use cloud::{Class, Clock, Error, Kind, Permit, PlannedCall, clock, http};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::rpc::{Params, Signature};
use crate::settings::{Settings, SettingsError, Timeouts};

/// A page of 100 instances is some 300 kB; 8 MB leave room for instances with many disks and tags,
/// and keep a runaway answer from filling the memory.
const ANSWER_LIMIT: u64 = 8 * 1024 * 1024;
/// No provider's wish to come back later is honoured beyond this.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);

/// Calls one account in one region.
#[derive(Debug)]
pub(crate) struct Caller {
    client: Client,
    url: Url,
    signature: Signature,
    timeouts: Timeouts,
    retry: retry::Policy,
    limits: Limits,
    credentials: Cache,
    clock: Arc<dyn Clock>,
    /// How far the provider's clock is ahead of ours, in seconds, learned when it refused a time
    /// stamp.
    skew_secs: AtomicI64,
}

/// What an operation may do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    Read,
    /// Nothing is sent at or after the permit's `send_before`.
    Write(&'a Permit),
}

/// What the attempts of one operation have met so far.
#[derive(Debug, Default)]
struct Met {
    attempts: u32,
    /// An attempt may have had its effect.
    ambiguous: bool,
    skew_corrected: bool,
    credentials_doubted: bool,
}

impl Caller {
    pub(crate) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        let url = settings.url()?;
        let mut builder = http::client_builder();
        if url.scheme() == "http" {
            // A plain connection needs no certificate authorities: a machine without any can run
            // the demo.
            builder = builder.tls_certs_only([]).no_proxy();
        }
        Ok(Caller {
            client: builder.build().map_err(SettingsError::Client)?,
            url,
            signature: settings.signature,
            timeouts: settings.timeouts,
            retry: settings.retry,
            limits: Limits::new(settings.rates.clone(), clock.clone()),
            credentials: Cache::new(settings.credentials.clone(), clock.clone()),
            clock,
            skew_secs: AtomicI64::new(0),
        })
    }

    /// Calls `action` with its business parameters and returns the answer's body.
    ///
    /// `Ambiguous` only for writes, and only when an attempt may have had its effect and no later
    /// one found out.
    pub(crate) async fn call(
        &self,
        action: &str,
        access: Access<'_>,
        params: &Params,
    ) -> Result<Value, Error> {
        let began = self.clock.now();
        let mut schedule = Schedule::new(self.retry);
        let mut met = Met::default();
        loop {
            self.limits.wait(action).await;
            if let Access::Write(permit) = access
                && self.clock.now() >= permit.send_before()
            {
                return Err(self.permit_ran_out(action, &met));
            }
            met.attempts += 1;
            let credentials = match self.credentials.get().await {
                Ok(credentials) => credentials,
                Err(error) => {
                    let kind = Kind::NoCredentials { why: error.to_string() };
                    return Err(fail(action, Class::Auth, kind, &met));
                }
            };
            let error = match self.attempt(action, access, params, &credentials, &met).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if self.mend(&error, &credentials, &mut met).await {
                continue;
            }
            let Failed { error, .. } = error;
            met.ambiguous |= error.class == Class::Ambiguous;
            let jitter = rand::random::<f64>();
            if let Class::Throttled { retry_after } = error.class {
                self.limits.throttled(action, retry_after, jitter);
            }
            let elapsed = clock::age(self.clock.now(), began);
            match schedule.next(error.class, jitter, elapsed) {
                Next::Wait(wait) => self.clock.sleep(wait).await,
                Next::GiveUp => return Err(error),
                Next::Deadline => return Err(self.out_of_time(error, &met)),
            }
        }
    }

    /// The call as it would be sent, secrets and what is made at sending time elided.
    pub(crate) fn preview(&self, action: &str, params: &Params) -> PlannedCall {
        request::preview(self.signature, &self.url, action, params)
    }

    async fn attempt(
        &self,
        action: &str,
        access: Access<'_>,
        params: &Params,
        credentials: &Credentials,
        met: &Met,
    ) -> Result<Value, Failed> {
        let is_write = matches!(access, Access::Write(_));
        let timeout = if is_write { self.timeouts.write } else { self.timeouts.read };
        let began = self.clock.now();
        let skew = TimeDelta::seconds(self.skew_secs.load(Ordering::Relaxed));
        let signed = request::sign(request::Unsigned {
            signature: self.signature,
            url: &self.url,
            action,
            params,
            credentials,
            timestamp: began + skew,
            nonce: &uuid::Uuid::new_v4().to_string(),
        });
        let mut sending = self.client.post(signed.url).timeout(timeout).body(signed.body);
        for (name, value) in signed.headers {
            sending = sending.header(name, value);
        }
        let result = match sending.send().await {
            Err(error) => Err(answer::unsent(&error, is_write, timeout)),
            Ok(response) => answer::read(response, is_write, timeout, ANSWER_LIMIT).await,
        };
        let result = result.map_err(|unusable| Failed {
            server_time: unusable.server_time,
            error: Error {
                action: action.to_owned(),
                class: honoured(unusable.class),
                kind: unusable.kind,
                status: unusable.status,
                request_id: unusable.request_id,
                attempts: met.attempts,
            },
        });
        let millis = clock::age(self.clock.now(), began).as_millis();
        match &result {
            Ok(value) => tracing::debug!(
                action,
                attempt = met.attempts,
                millis,
                request_id = answer::request_id(value),
                "{action} was answered",
            ),
            Err(failed) => tracing::debug!(
                action, attempt = met.attempts, millis, error.class = %failed.error.class,
                "{}", failed.error,
            ),
        }
        result
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
        let stale =
            code.starts_with("InvalidSecurityToken") || code == "InvalidAccessKeyId.NotFound";
        if stale && !met.credentials_doubted {
            met.credentials_doubted = true;
            self.credentials.doubt(credentials).await;
            return true;
        }
        false
    }

    fn permit_ran_out(&self, action: &str, met: &Met) -> Error {
        let why = "its permit ran out before it could be sent".to_owned();
        let class = if met.ambiguous { Class::Ambiguous } else { Class::Permanent };
        fail(action, class, Kind::NotSent { why }, met)
    }

    fn out_of_time(&self, last: Error, met: &Met) -> Error {
        let class = if met.ambiguous { Class::Ambiguous } else { last.class };
        let kind = Kind::Deadline { after: self.retry.deadline, last: last.to_string() };
        Error { class, kind, ..last }
    }
}

/// A failed attempt, with the provider's clock where it showed it.
#[derive(Debug)]
struct Failed {
    error: Error,
    server_time: Option<cloud::Timestamp>,
}

fn fail(action: &str, class: Class, kind: Kind, met: &Met) -> Error {
    Error {
        action: action.to_owned(),
        class,
        kind,
        status: None,
        request_id: None,
        attempts: met.attempts,
    }
}

fn honoured(class: Class) -> Class {
    match class {
        Class::Throttled { retry_after } => {
            Class::Throttled { retry_after: retry_after.map(|after| after.min(RETRY_AFTER_CAP)) }
        }
        class => class,
    }
}
