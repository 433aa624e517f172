//! Signing requests. Pure: time stamp, nonce and keys are arguments.

pub mod acs3;
pub mod encode;
pub mod v1;

use serde::{Deserialize, Serialize};

/// How requests are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// RPC signature version 1.0, HMAC-SHA1.
    #[default]
    V1,
    /// ACS3-HMAC-SHA256.
    Acs3,
}

/// Name and value of each parameter, in the order in which they are sent.
pub type Params = Vec<(String, String)>;
