//! A signed request: where to, which headers, which body. Pure.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use cloud::credentials::Credentials;
use cloud::{PlannedCall, Timestamp};
use reqwest::Url;

use crate::rpc::{Params, Signature, acs3, encode, v1};

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) struct Unsigned<'a> {
    pub(super) signature: Signature,
    pub(super) url: &'a Url,
    /// Of the API that the action belongs to.
    pub(super) version: &'a str,
    pub(super) action: &'a str,
    pub(super) params: &'a Params,
    pub(super) credentials: &'a Credentials,
    pub(super) timestamp: Timestamp,
    pub(super) nonce: &'a str,
}

pub(super) struct Signed {
    pub(super) url: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// Signs. Business parameters travel in the form body (start scripts would not fit a URL).
pub(super) fn sign(unsigned: Unsigned<'_>) -> Signed {
    let body = encode::query(unsigned.params);
    match unsigned.signature {
        Signature::V1 => sign_v1(&unsigned, body),
        Signature::Acs3 => sign_acs3(&unsigned, body),
    }
}

fn sign_v1(unsigned: &Unsigned<'_>, body: String) -> Signed {
    let mut query = common_v1(
        unsigned.action,
        unsigned.version,
        &unsigned.credentials.access_key_id,
        &time(unsigned.timestamp),
        unsigned.nonce,
        unsigned.credentials.security_token.as_ref().map(|token| token.expose()),
    );
    let all: Params = query.iter().chain(unsigned.params).cloned().collect();
    let to_sign = v1::string_to_sign("POST", &all);
    let signature = v1::signature(unsigned.credentials.access_key_secret.expose(), &to_sign);
    query.push(("Signature".to_owned(), signature));
    Signed {
        url: format!("{}?{}", base(unsigned.url), encode::query(&query)),
        headers: [("content-type".to_owned(), FORM.to_owned())].into(),
        body,
    }
}

fn sign_acs3(unsigned: &Unsigned<'_>, body: String) -> Signed {
    let mut headers = common_acs3(
        unsigned.url,
        (unsigned.action, unsigned.version),
        &time(unsigned.timestamp),
        unsigned.nonce,
        &acs3::sha256_hex(body.as_bytes()),
    );
    if let Some(token) = &unsigned.credentials.security_token {
        headers.insert("x-acs-security-token".to_owned(), token.expose().to_owned());
        let id = unsigned.credentials.access_key_id.clone();
        headers.insert("x-acs-accesskey-id".to_owned(), id);
    }
    let hash = acs3::sha256_hex(body.as_bytes());
    let to_sign = acs3::string_to_sign(&acs3::canonical_request("POST", &[], &headers, &hash));
    let signature = acs3::signature(unsigned.credentials.access_key_secret.expose(), &to_sign);
    let authorization =
        acs3::authorization(&unsigned.credentials.access_key_id, &headers, &signature);
    headers.insert("authorization".to_owned(), authorization);
    headers.insert("accept".to_owned(), "application/json".to_owned());
    Signed { url: base(unsigned.url), headers, body }
}

/// The same request with everything secret, and everything that is made at sending time, elided.
pub(super) fn preview(
    signature: Signature,
    url: &Url,
    version: &str,
    action: &str,
    params: &Params,
) -> PlannedCall {
    let elided = |what: &str| format!("<{what}>");
    let mut headers = BTreeMap::new();
    let mut query = Params::new();
    match signature {
        Signature::V1 => {
            let id = elided("access key id");
            query = common_v1(action, version, &id, &elided("time"), &elided("nonce"), None);
            query.push(("Signature".to_owned(), elided("signature")));
            headers.insert("content-type".to_owned(), FORM.to_owned());
        }
        Signature::Acs3 => {
            let (time, nonce) = (elided("time"), elided("nonce"));
            headers =
                common_acs3(url, (action, version), &time, &nonce, &elided("SHA-256 of the body"));
            headers.insert("authorization".to_owned(), elided("signature"));
        }
    }
    let shown = |(name, value): &(String, String)| match name.as_str() {
        // A start script often holds a credential.
        "UserData" => (name.clone(), format!("<{} bytes of Base64>", value.len())),
        _ => (name.clone(), value.clone()),
    };
    PlannedCall {
        method: "POST".to_owned(),
        url: base(url),
        action: action.to_owned(),
        query,
        form: params.iter().map(shown).collect(),
        headers,
    }
}

/// The parameters that every V1 request has, but for `Signature`.
fn common_v1(
    action: &str,
    version: &str,
    access_key_id: &str,
    timestamp: &str,
    nonce: &str,
    security_token: Option<&str>,
) -> Params {
    let common = [
        ("Action", action),
        ("Version", version),
        // The default is XML.
        ("Format", "JSON"),
        ("AccessKeyId", access_key_id),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", nonce),
        ("Timestamp", timestamp),
    ];
    let token = security_token.map(|token| ("SecurityToken", token));
    let all = common.into_iter().chain(token);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The headers that every ACS3 request signs.
fn common_acs3(
    url: &Url,
    (action, version): (&str, &str),
    timestamp: &str,
    nonce: &str,
    body_hash: &str,
) -> BTreeMap<String, String> {
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    [
        ("content-type", FORM),
        ("host", &host),
        ("x-acs-action", action),
        ("x-acs-content-sha256", body_hash),
        ("x-acs-date", timestamp),
        ("x-acs-signature-nonce", nonce),
        ("x-acs-version", version),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The URL with the path `/` and nothing after it.
fn base(url: &Url) -> String {
    url.as_str().to_owned()
}
