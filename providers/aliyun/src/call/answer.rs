//! Reading an answer: JSON, or any of the things that come instead.
//!
//! No tree is made of it. A first pass reads what every answer has (code, message, request id), the
//! action's own reader then takes what it needs: see `wire.rs`.

use std::time::Duration;

use cloud::http::head;
use cloud::text::one_line;
use cloud::{Class, ErrorKind, Timestamp};
use serde::Deserialize;

use crate::codes::{by_status, classify, concerns, is_token_mismatch};
use crate::transport::{HttpResponse, TransportError};
use crate::wire::Text;

/// Body codes that mean success, from the vendor's own tools.
const FINE: &[&str] = &["", "0", "200", "OK", "Success", "successful"];

/// An attempt without a usable answer.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) class: Class,
    pub(super) kind: ErrorKind,
    pub(super) status: Option<u16>,
    pub(super) request_id: Option<String>,
    /// The answer's `Date`: the provider's clock.
    pub(super) server_time: Option<Timestamp>,
}

/// The class of a lost answer: a read changed nothing, a write may have.
fn lost(is_write: bool) -> Class {
    if is_write { Class::Ambiguous } else { Class::Transient }
}

/// A request that got no answer at all, or none that could be read.
pub(super) fn none(error: TransportError, is_write: bool, timeout: Duration) -> Unusable {
    let (class, kind) = match error {
        TransportError::NotConnected { why } => (Class::Transient, ErrorKind::NotConnected { why }),
        TransportError::TimedOut => (lost(is_write), ErrorKind::TimedOut { after: timeout }),
        TransportError::Cut { why } => (lost(is_write), ErrorKind::Cut { why }),
        TransportError::TooLarge { limit } => (too_large(is_write), ErrorKind::TooLarge { limit }),
        TransportError::NotSendable { why } => (Class::Permanent, ErrorKind::NotSent { why }),
    };
    Unusable { class, kind, status: None, request_id: None, server_time: None }
}

/// A listing that is too large once is too large again.
fn too_large(is_write: bool) -> Class {
    if is_write { Class::Ambiguous } else { Class::Permanent }
}

/// The fields of every answer, in either spelling. A field of another shape counts as missing.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "RequestId", alias = "requestId", default)]
    request_id: Text,
    #[serde(rename = "Code", alias = "code", default)]
    code: Text,
    #[serde(rename = "Message", alias = "message", default)]
    message: Text,
}

/// Nothing when the body is that of a success, or what is wrong with it. With the request's id.
pub(super) fn read(
    response: &HttpResponse,
    is_write: bool,
    limit: u64,
) -> Result<Option<String>, Unusable> {
    let HttpResponse { status, body, .. } = response;
    let status = *status;
    let header = |name: &str| response.headers.get(name).map(String::as_str);
    let request_id = header("x-acs-request-id").map(shorten);
    let server_time = header("date")
        .and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok())
        .map(|date| date.to_utc());
    let retry_after = header("x-acs-retry-after")
        .and_then(|millis| millis.trim().parse().ok())
        .or_else(|| time_left(header("x-ratelimit-user-api").or(header("x-ratelimit-user"))?))
        .map(Duration::from_millis);
    let unusable = |class: Class, kind: ErrorKind, request_id: Option<String>| Unusable {
        class: match class {
            Class::Throttled { .. } => Class::Throttled { retry_after },
            class => class,
        },
        kind,
        status: Some(status),
        request_id,
        server_time,
    };
    if body.len() as u64 > limit {
        return Err(unusable(too_large(is_write), ErrorKind::TooLarge { limit }, request_id));
    }
    let class_of_status = || match by_status(status) {
        Class::Transient => lost(is_write),
        class => class,
    };
    if let Some(to) = header("location").filter(|_| (300..400).contains(&status)) {
        let what = format!("a redirect to {}, which is not followed", head(to.as_bytes()));
        let kind = ErrorKind::BadAnswer { what, head: String::new() };
        return Err(unusable(class_of_status(), kind, request_id));
    }
    let Ok(Head { request_id: named, code, message }) = serde_json::from_slice(body) else {
        let kind = ErrorKind::BadAnswer { what: what_is(body).to_owned(), head: head(body) };
        return Err(unusable(class_of_status(), kind, request_id));
    };
    let request_id = named.0.map(|id| shorten(&id)).or(request_id);
    let code = code.0.unwrap_or_default();
    if FINE.contains(&code.as_str()) {
        if (200..300).contains(&status) {
            return Ok(request_id);
        }
        let what = "an error status without an error code".to_owned();
        let kind = ErrorKind::BadAnswer { what, head: head(body) };
        return Err(unusable(class_of_status(), kind, request_id));
    }
    let message = shorten(&message.0.unwrap_or_default());
    let class = classify(&code, status, is_write);
    let concerns = concerns(&code);
    let code = one_line(&code);
    let kind = if is_token_mismatch(&code) {
        ErrorKind::TokenMismatch { code, message }
    } else {
        ErrorKind::Refused { code, message, concerns }
    };
    Err(unusable(class, kind, request_id))
}

/// How many milliseconds the provider's own limit goes on: `Limit:1,Remain:0,TimeLeft:2000,Reset:1234`.
/// For which time `Limit` counts is said nowhere, so no rate is made of it.
fn time_left(limit: &str) -> Option<u64> {
    let part = limit.split(',').find_map(|part| part.trim().strip_prefix("TimeLeft:"))?;
    part.trim().parse().ok()
}

/// A refusal's message on one line. `SignatureDoesNotMatch` quotes the whole string to sign, which
/// is new with each request and tells nothing to a person.
fn shorten(message: &str) -> String {
    // Longer texts are not read by a person: they need not be searched either.
    let begin: String = message.chars().take(4_000).collect();
    let begin = begin.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line(match begin.find("server string to sign is") {
        Some(at) => begin[..at].trim_end_matches([' ', ',', ';']),
        None => &begin,
    })
}

/// Describes an answer that is no JSON, for a person.
fn what_is(body: &[u8]) -> &'static str {
    let begin = String::from_utf8_lossy(&body[..body.len().min(64)]).trim_start().to_lowercase();
    if begin.is_empty() {
        "the body is empty"
    } else if begin.starts_with("<!doctype html") || begin.starts_with("<html") {
        "an HTML page"
    } else if begin.starts_with('<') {
        "an XML document"
    } else if begin.starts_with('{') {
        "JSON that ends too early or is malformed"
    } else {
        "neither JSON nor HTML"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_to_sign_is_not_repeated() {
        let message = "Specified signature does not match our calculation. server string to sign \
                       is:POST&%2F&AccessKeyId%3Dtestid";
        assert_eq!(shorten(message), "Specified signature does not match our calculation.");
        assert_eq!(shorten("one\n  two"), "one two");
    }

    #[test]
    fn the_time_that_a_limit_goes_on_is_read_in_either_spelling() {
        let retry_after = |name: &str, value: &str| {
            let response = HttpResponse {
                status: 400,
                headers: [(name.to_owned(), value.to_owned())].into(),
                body: br#"{"Code":"Throttling.User","Message":"slow down"}"#.to_vec(),
            };
            match read(&response, false, 1_000).map_err(|unusable| unusable.class) {
                Err(Class::Throttled { retry_after }) => retry_after,
                other => panic!("throttled: {other:?}"),
            }
        };
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(retry_after("x-acs-retry-after", "3000"), secs(3));
        let limit = "Limit:1,Remain:0,TimeLeft:2000,Reset:1234";
        assert_eq!(retry_after("x-ratelimit-user-api", limit), secs(2));
        assert_eq!(retry_after("x-ratelimit-user", limit), secs(2));
        assert_eq!(retry_after("x-ratelimit-user", "Limit:1,TimeLeft:soon"), None);
    }
}
