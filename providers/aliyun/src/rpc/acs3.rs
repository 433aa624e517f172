//! ACS3-HMAC-SHA256.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::encode::{canonical_query, hex};

/// The name of the algorithm, as it stands in the string to sign and in the header.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Lower-case hexadecimal SHA-256.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The names of the headers to sign, joined by `;`. Names are in lower case already.
#[must_use]
pub fn signed_headers(headers: &BTreeMap<String, String>) -> String {
    headers.keys().map(String::as_str).collect::<Vec<_>>().join(";")
}

/// The canonical request over all of `headers` (names in lower case).
#[must_use]
pub fn canonical_request(
    method: &str,
    query: &[(String, String)],
    headers: &BTreeMap<String, String>,
    body_hash: &str,
) -> String {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let query = canonical_query(query);
    format!("{method}\n/\n{query}\n{lines}\n{}\n{body_hash}", signed_headers(headers))
}

/// The text that is signed.
#[must_use]
pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// The signature in lower-case hexadecimal.
#[must_use]
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(string_to_sign.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The value of the header `Authorization`.
#[must_use]
pub fn authorization(
    access_key_id: &str,
    headers: &BTreeMap<String, String>,
    signature: &str,
) -> String {
    let signed = signed_headers(headers);
    format!("{ALGORITHM} Credential={access_key_id},SignedHeaders={signed},Signature={signature}")
}
