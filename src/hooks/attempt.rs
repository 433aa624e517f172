//! One attempt to call a hook. What it answers is not trusted: it is read up to a bound, and kept as one
//! line.
//!
//! An HTTP server answers 2xx; a JSON body `{"outcome": "continue" | "abandon" | "retain"}` says what is to
//! follow, and without it the instance goes on. A program exits with 0; any other code but 75 (a temporary
//! failure, by the convention of sysexits.h) is final.

use cloud::text::one_line;
use cloud::{Redactor, Secret};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Called, Subject};
use crate::model::HookOutcome;
use crate::programs::{self, Ended};

/// 64 KiB of an answer are read: it is one word, or a page of an error.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The exit code of a failure that may pass.
const TEMPORARY: i32 = 75;

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) why: String,
    /// Another attempt may end otherwise.
    pub(super) may_pass: bool,
}

/// The JSON that is sent.
#[derive(Serialize)]
struct Body<'a> {
    id: String,
    fleet: &'a str,
    hook: &'a str,
    on: String,
    instance: &'a str,
    address: Option<String>,
    zone: &'a str,
    instance_type: &'a str,
}

/// The JSON that may come back.
#[derive(Deserialize)]
struct Answer {
    outcome: HookOutcome,
}

impl Failure {
    fn passing(why: impl Into<String>) -> Failure {
        Failure { why: why.into(), may_pass: true }
    }

    fn last(why: impl Into<String>) -> Failure {
        Failure { why: why.into(), may_pass: false }
    }
}

/// Posts `subject` to `url`. `sent_at` is in Unix seconds: an old request that somebody sends again can be
/// told by it.
pub(super) async fn http(
    client: &reqwest::Client,
    url: &str,
    secret: Option<&Secret>,
    subject: &Subject,
    sent_at: i64,
) -> Result<HookOutcome, Failure> {
    let body = serde_json::to_string(&Body {
        id: subject.id.to_string(),
        fleet: &subject.fleet.0,
        hook: &subject.hook.0,
        on: subject.on.to_string(),
        instance: &subject.instance.0,
        address: subject.address.map(|ip| ip.to_string()),
        zone: &subject.zone,
        instance_type: &subject.instance_type,
    });
    let body = body.map_err(|error| Failure::last(error.to_string()))?;
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .header("x-fleetscaler-call", subject.id.to_string())
        .header("x-fleetscaler-timestamp", sent_at.to_string());
    if let Some(secret) = secret {
        request = request.header("x-fleetscaler-signature", signature(secret, sent_at, &body));
    }
    let said = |error: reqwest::Error| Failure::passing(cause(&error));
    let mut response = request.body(body).send().await.map_err(said)?;
    let status = response.status();
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(said)? {
        text.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES_MAX - text.len())]);
        if text.len() == BODY_BYTES_MAX {
            break;
        }
    }
    let redactor = Redactor::new(secret.cloned());
    let text = String::from_utf8_lossy(&text);
    if status.is_success() {
        return match serde_json::from_str::<Answer>(&text) {
            Ok(answer) => Ok(answer.outcome),
            // An answer without an outcome is as good as none: not every server can be taught.
            Err(_) if !text.contains("\"outcome\"") => Ok(HookOutcome::Continue),
            Err(_) => Err(Failure::last(format!(
                "it answered an outcome that does not exist: {}",
                redactor.line(&text)
            ))),
        };
    }
    let why = format!("it answered {status}: {}", redactor.line(&text));
    let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    Err(Failure { why, may_pass })
}

/// The innermost cause, without the URL: it may carry a name that is nobody's business.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    one_line(&cause.to_string())
}

/// `sha256=` and the HMAC-SHA256 of `SENT_AT.BODY`, in hexadecimal.
pub(super) fn signature(secret: &Secret, sent_at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(format!("{sent_at}.{body}").as_bytes());
    let digits = mac.finalize().into_bytes();
    let hex: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// Runs `argv` with the facts of `subject` in its environment.
pub(super) async fn command(argv: &[String], subject: &Subject) -> Result<HookOutcome, Failure> {
    let address = subject.address.map(|ip| ip.to_string()).unwrap_or_default();
    let fill = |word: &String| word.replace("{ip}", &address).replace("{id}", &subject.instance.0);
    let argv: Vec<String> = argv.iter().map(fill).collect();
    let facts = [
        ("FLEETSCALER_CALL", subject.id.to_string()),
        ("FLEETSCALER_FLEET", subject.fleet.0.clone()),
        ("FLEETSCALER_HOOK", subject.hook.0.clone()),
        ("FLEETSCALER_ON", subject.on.to_string()),
        ("FLEETSCALER_INSTANCE", subject.instance.0.clone()),
        ("FLEETSCALER_ADDRESS", address),
        ("FLEETSCALER_ZONE", subject.zone.clone()),
        ("FLEETSCALER_TYPE", subject.instance_type.clone()),
    ];
    let ended = programs::run(&argv, &facts, 0).await;
    let Ended { status, said, .. } = ended.map_err(|error| Failure::last(error.to_string()))?;
    if status.success() {
        return Ok(HookOutcome::Continue);
    }
    let why = if said.is_empty() { format!("{status}") } else { format!("{status}: {said}") };
    Err(Failure { why, may_pass: status.code() == Some(TEMPORARY) })
}

/// The outcome of an attempt that may take `timeout`.
pub(super) async fn within(
    timeout: std::time::Duration,
    attempt: impl Future<Output = Result<HookOutcome, Failure>>,
) -> Result<HookOutcome, Failure> {
    let late = || Failure::passing(format!("no answer within {} s", timeout.as_secs_f64()));
    tokio::time::timeout(timeout, attempt).await.unwrap_or_else(|_| Err(late()))
}

impl From<Failure> for Called {
    fn from(failure: Failure) -> Called {
        Err(failure.why)
    }
}
