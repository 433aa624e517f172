//! Verifying signatures, by a derivation of its own: nothing here is shared with any client.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// RFC 3986: everything but unreserved bytes as `%XX`, written out by hand.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn sorted_query(params: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    for (name, value) in params {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&escape(name));
        out.push('=');
        out.push_str(&escape(value));
    }
    out
}

/// The text that a V1 request with these parameters (all but `Signature`) should have signed.
pub(crate) fn v1_string(method: &str, params: &BTreeMap<String, String>) -> String {
    let mut signed = params.clone();
    signed.remove("Signature");
    [method, &escape("/"), &escape(&sorted_query(&signed))].join("&")
}

/// Whether `signature` is the Base64 HMAC-SHA1 of `string` under `secret`.
pub(crate) fn v1_matches(secret: &str, string: &str, signature: &str) -> bool {
    let Ok(given) = STANDARD.decode(signature) else { return false };
    let key = [secret.as_bytes(), b"&"].concat();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(string.as_bytes());
    mac.verify_slice(&given).is_ok()
}

fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The parts of an `Authorization` header of ACS3.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) key: String,
    pub(crate) signed: Vec<String>,
    pub(crate) signature: String,
}

pub(crate) fn parse_authorization(header: &str) -> Option<Authorization> {
    let rest = header.strip_prefix("ACS3-HMAC-SHA256 ")?;
    let mut parts = BTreeMap::new();
    for part in rest.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        parts.insert(name, value);
    }
    Some(Authorization {
        key: (*parts.get("Credential")?).to_owned(),
        signed: parts.get("SignedHeaders")?.split(';').map(str::to_owned).collect(),
        signature: (*parts.get("Signature")?).to_owned(),
    })
}

/// Headers that must be signed when they are there: all of the protocol's own, and the host.
pub(crate) fn unsigned_headers<'a>(
    headers: &'a BTreeMap<String, String>,
    signed: &[String],
) -> Vec<&'a str> {
    headers
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with("x-acs-") || *name == "host" || *name == "content-type")
        .filter(|name| !signed.iter().any(|signed| signed == name))
        .collect()
}

/// The text that an ACS3 request should have signed.
pub(crate) fn acs3_string(
    method: &str,
    query: &BTreeMap<String, String>,
    headers: &BTreeMap<String, String>,
    signed: &[String],
    body: &[u8],
) -> String {
    let mut lines = String::new();
    for name in signed {
        let value = headers.get(name).map_or("", String::as_str).trim();
        lines.push_str(&format!("{name}:{value}\n"));
    }
    let request = [method, "/", &sorted_query(query), &lines, &signed.join(";"), &hex_sha256(body)]
        .join("\n");
    format!("ACS3-HMAC-SHA256\n{}", hex_sha256(request.as_bytes()))
}

/// Whether `signature` is the hexadecimal HMAC-SHA256 of `string` under `secret`.
pub(crate) fn acs3_matches(secret: &str, string: &str, signature: &str) -> bool {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(string.as_bytes());
    let wanted: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    wanted == signature
}

/// Whether the body is the one that `x-acs-content-sha256` announces.
pub(crate) fn body_matches(hash: Option<&String>, body: &[u8]) -> bool {
    hash.is_some_and(|hash| *hash == hex_sha256(body))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn map(value: &Value) -> BTreeMap<String, String> {
        serde_json::from_value(value.clone()).expect("an object of strings")
    }

    fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
        vector[key].as_str().expect("a string")
    }

    #[test]
    fn every_v1_vector_is_verified_and_a_changed_one_is_not() {
        let vectors: Vec<Value> =
            serde_json::from_str(include_str!("../tests/vectors/signature-v1-vectors.json"))
                .expect("vectors");
        for vector in &vectors {
            let (name, secret) = (text(vector, "name"), text(vector, "access_key_secret"));
            let mut params = map(&vector["params"]);
            let string = v1_string(text(vector, "method"), &params);
            assert_eq!(string, text(vector, "string_to_sign"), "{name}");
            assert!(v1_matches(secret, &string, text(vector, "signature")), "{name}");
            params.insert("Extra".into(), "1".into());
            let other = v1_string(text(vector, "method"), &params);
            assert!(!v1_matches(secret, &other, text(vector, "signature")), "{name}");
            assert!(!v1_matches("other", &string, text(vector, "signature")), "{name}");
        }
    }

    #[test]
    fn every_acs3_vector_is_verified_and_a_changed_one_is_not() {
        let vectors: Vec<Value> =
            serde_json::from_str(include_str!("../tests/vectors/signature-v3-vectors.json"))
                .expect("vectors");
        for vector in &vectors {
            let (name, secret) = (text(vector, "name"), text(vector, "access_key_secret"));
            let auth = parse_authorization(text(vector, "authorization")).expect(name);
            let lower = |(k, v): (String, String)| (k.to_lowercase(), v);
            let headers: BTreeMap<_, _> = map(&vector["headers"]).into_iter().map(lower).collect();
            let query = map(&vector["query_params"]);
            let body = text(vector, "body").as_bytes();
            let string =
                |body| acs3_string(text(vector, "method"), &query, &headers, &auth.signed, body);
            assert_eq!(string(body), text(vector, "string_to_sign"), "{name}");
            assert!(acs3_matches(secret, &string(body), &auth.signature), "{name}");
            assert!(!acs3_matches(secret, &string(b"other"), &auth.signature), "{name}");
        }
    }
}
