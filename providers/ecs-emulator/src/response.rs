//! A response as it is sent, whether the API gives it or the controls.

use std::collections::BTreeMap;

/// An answer as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    pub status: u16,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// The connection is closed without an answer. Whether the call had its effect does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed without an answer")]
pub struct Cut;

pub(crate) fn respond(status: u16, kind: &str, text: String) -> RawResponse {
    let headers = [("content-type".to_owned(), kind.to_owned())].into();
    RawResponse { status, headers, body: text.into_bytes() }
}

pub(crate) fn plain(status: u16, text: &str) -> RawResponse {
    respond(status, "text/plain;charset=utf-8", format!("{text}\n"))
}
