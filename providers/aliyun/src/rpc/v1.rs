//! RPC signature version 1.0 (HMAC-SHA1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::encode::{canonical_query, percent};

/// The text that is signed: the method and the canonical query of all parameters, query and form together,
/// each encoded (the query therefore twice).
#[must_use]
pub fn string_to_sign(method: &str, params: &[(String, String)]) -> String {
    format!("{method}&{}&{}", percent("/"), percent(&canonical_query(params)))
}

/// The value of the parameter `Signature`, in Base64, before percent-encoding.
#[must_use]
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    let key = format!("{secret}&");
    let mut mac =
        Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
