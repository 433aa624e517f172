//! Taking a request apart, and finding out who sent it.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Timestamp, clock};
use percent_encoding::percent_decode_str;

use crate::answer::ApiError;
use crate::sign;
use crate::state::State;

/// Clocks may differ by this much.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRequest {
    pub method: String,
    /// Such as `/?Action=DescribeInstances`.
    pub path_and_query: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl RawRequest {
    pub(crate) fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> &str {
        self.path_and_query.split_once('?').map_or("", |(_, query)| query)
    }
}

/// How it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    V1,
    Acs3,
}

/// A request taken apart.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) scheme: Scheme,
    pub(crate) action: String,
    /// Of the API.
    pub(crate) version: String,
    pub(crate) wants_json: bool,
    /// Business parameters only.
    pub(crate) parameters: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    /// Query and form together.
    all: BTreeMap<String, String>,
}

/// Parameters of the protocol, not of the action.
const PROTOCOL: &[&str] = &[
    "AccessKeyId",
    "Action",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

pub(crate) fn take_apart(raw: &RawRequest) -> Incoming {
    let query = pairs(raw.query());
    let mut all = query.clone();
    let is_form = raw
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if is_form {
        all.extend(pairs(&String::from_utf8_lossy(&raw.body)));
    }
    let is_acs3 = raw.headers.get("authorization").is_some_and(|a| a.starts_with("ACS3-"));
    let scheme = if is_acs3 { Scheme::Acs3 } else { Scheme::V1 };
    let action = match scheme {
        Scheme::Acs3 => raw.headers.get("x-acs-action").cloned(),
        Scheme::V1 => all.get("Action").cloned(),
    };
    let version = match scheme {
        Scheme::Acs3 => raw.headers.get("x-acs-version"),
        Scheme::V1 => all.get("Version"),
    };
    let json = all.get("Format").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let business = |(name, _): &(&String, &String)| !PROTOCOL.contains(&name.as_str());
    Incoming {
        scheme,
        action: action.unwrap_or_default(),
        version: version.cloned().unwrap_or_default(),
        wants_json: is_acs3 || json,
        parameters: all.iter().filter(business).map(|(k, v)| (k.clone(), v.clone())).collect(),
        query,
        all,
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pair = |part: &str| match part.split_once('=') {
        Some((name, value)) => (decode(name), decode(value)),
        None => (decode(part), String::new()),
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// The key that signed; refuses what is not signed by a key of this world, now, for the first time.
pub(crate) fn authenticate(
    raw: &RawRequest,
    incoming: &Incoming,
    state: &mut State,
) -> Result<String, ApiError> {
    match incoming.scheme {
        Scheme::V1 => v1(raw, incoming, state),
        Scheme::Acs3 => acs3(raw, incoming, state),
    }
}

fn v1(raw: &RawRequest, incoming: &Incoming, state: &mut State) -> Result<String, ApiError> {
    let all = &incoming.all;
    let required = |name: &str| all.get(name).ok_or_else(|| ApiError::missing(name));
    for name in ["Version", "SignatureMethod", "SignatureVersion"] {
        required(name)?;
    }
    if required("SignatureMethod")? != "HMAC-SHA1" {
        return Err(ApiError::new(400, "InvalidSignatureMethod", "Use HMAC-SHA1."));
    }
    let key = required("AccessKeyId")?;
    let secret = secret(state, key)?;
    token(state, key, all.get("SecurityToken"))?;
    let string = sign::v1_string(&raw.method, all);
    if !sign::v1_matches(&secret, &string, required("Signature")?) {
        return Err(mismatch(&string));
    }
    fresh(state, required("Timestamp")?, required("SignatureNonce")?)?;
    Ok(key.clone())
}

fn acs3(raw: &RawRequest, incoming: &Incoming, state: &mut State) -> Result<String, ApiError> {
    let incomplete = |what: &str| ApiError::new(400, "IncompleteSignature", what);
    let header = |name: &str| raw.headers.get(name).ok_or_else(|| ApiError::missing(name));
    let auth = sign::parse_authorization(header("authorization")?)
        .ok_or_else(|| incomplete("The header Authorization is malformed."))?;
    let unsigned = sign::unsigned_headers(&raw.headers, &auth.signed);
    if !unsigned.is_empty() {
        return Err(incomplete(&format!("These headers are not signed: {}.", unsigned.join(", "))));
    }
    let secret = secret(state, &auth.key)?;
    token(state, &auth.key, raw.headers.get("x-acs-security-token"))?;
    if !sign::body_matches(raw.headers.get("x-acs-content-sha256"), &raw.body) {
        return Err(incomplete("x-acs-content-sha256 is not the hash of the body."));
    }
    let string =
        sign::acs3_string(&raw.method, &incoming.query, &raw.headers, &auth.signed, &raw.body);
    if !sign::acs3_matches(&secret, &string, &auth.signature) {
        return Err(mismatch(&string));
    }
    fresh(state, header("x-acs-date")?, header("x-acs-signature-nonce")?)?;
    Ok(auth.key)
}

fn secret(state: &State, key: &str) -> Result<String, ApiError> {
    let known = state.world.keys.get(key).cloned();
    known.ok_or_else(|| ApiError::not_found("InvalidAccessKeyId.NotFound", "access key id"))
}

fn token(state: &State, key: &str, given: Option<&String>) -> Result<(), ApiError> {
    match (state.world.tokens.get(key), given) {
        (None, None) => Ok(()),
        (Some(wanted), Some(given)) if wanted == given => Ok(()),
        (Some(_), None) => Err(ApiError::new(400, "MissingSecurityToken", "A token is required.")),
        _ => {
            let message = "The security token is not the one of this key.";
            Err(ApiError::new(400, "InvalidSecurityToken.MismatchWithAccessKey", message))
        }
    }
}

fn mismatch(string: &str) -> ApiError {
    let message = format!(
        "Specified signature is not matched with our calculation. server string to sign is:{string}"
    );
    ApiError::new(400, "SignatureDoesNotMatch", message)
}

/// The time is about now, the nonce is new.
fn fresh(state: &mut State, timestamp: &str, nonce: &str) -> Result<(), ApiError> {
    let at: Timestamp = timestamp
        .parse()
        .map_err(|_| ApiError::new(400, "InvalidTimeStamp.Format", "Use yyyy-MM-ddTHH:mm:ssZ."))?;
    let now = state.now();
    if clock::age(now, at).max(clock::age(at, now)) > SKEW {
        let message = format!("Specified time stamp is too far from the server's: {now}.");
        return Err(ApiError::new(400, "InvalidTimeStamp.Expired", message));
    }
    if state.is_replayed(nonce) {
        let message = "Specified signature nonce was used already.";
        return Err(ApiError::new(400, "SignatureNonceUsed", message));
    }
    Ok(())
}
