//! `[daemon.tls]` and `[[daemon.api_token]]`: who may use the API at `listen`, and with what certificate.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::secret;
use super::table::Table;
use super::value::{Value, word};

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Read,
    /// And place and lift holds, give instructions, send numbers.
    Operate,
    /// And have the configuration read anew.
    Admin,
}

const ROLES: [(&str, Role); 3] =
    [("read", Role::Read), ("operate", Role::Operate), ("admin", Role::Admin)];

/// A token by its SHA-256: the token itself stands nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiToken {
    pub sha256: [u8; 32],
    pub role: Role,
}

/// PEM files. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and the authority.
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Every token, those of `api_token_sha256` among them, which may do everything.
pub(super) fn tokens(table: &Table<'_>) -> Vec<ApiToken> {
    let with_all = table.optional("api_token_sha256", hashes).unwrap_or_default();
    let with_all = with_all.into_iter().map(|sha256| ApiToken { sha256, role: Role::Admin });
    let with_role = table.list("api_token", |table| {
        let sha256 = table.required("sha256", "\"9f86d0…\"", hash);
        let role = table.required("role", "\"read\"", |value| value.one_of(&ROLES));
        Some(ApiToken { sha256: sha256?, role: role? })
    });
    with_all.chain(with_role).collect()
}

/// The certificate of `listen`. Where strangers reach it, they need a token.
pub(super) fn tls(
    table: &Table<'_>,
    listen: Option<SocketAddr>,
    tokens: &[ApiToken],
) -> Option<TlsFiles> {
    let files = table.table("tls", |table| {
        let cert = table.required("cert", "\"/etc/fleetscaler/tls.crt\"", secret::path);
        let key = table.required("key", "\"/etc/fleetscaler/tls.key\"", secret::private_path);
        Some(TlsFiles { cert: cert?, key: key? })
    })?;
    match listen {
        None => table.problem_at(
            "tls",
            "there is a certificate, and no `listen`".to_owned(),
            "add listen = \"0.0.0.0:9177\", or remove the table",
        ),
        Some(address) if !address.ip().is_loopback() && tokens.is_empty() => table.problem_at(
            "tls",
            format!("the API would be served at {address}, and nobody could use it"),
            "add [[daemon.api_token]] with sha256 and role, or listen at 127.0.0.1",
        ),
        Some(_) => {}
    }
    Some(files)
}

fn hashes(value: &Value<'_>) -> Option<Vec<[u8; 32]>> {
    Some(value.items("\"9f86d0…\"")?.into_iter().filter_map(|item| hash(&item)).collect())
}

/// SHA-256 of a token, in hexadecimal digits.
fn hash(value: &Value<'_>) -> Option<[u8; 32]> {
    let digits = word(value)?;
    let bytes = (0..32).map(|n| u8::from_str_radix(digits.get(2 * n..2 * n + 2)?, 16).ok());
    let bytes: Option<Vec<u8>> = bytes.collect();
    match bytes.and_then(|bytes| bytes.try_into().ok()).filter(|_| digits.len() == 64) {
        Some(hash) => Some(hash),
        // It is not repeated: somebody may have written the token itself.
        None => value.problem(
            format!("`{}` holds no SHA-256 of 64 hexadecimal digits", value.key),
            "make a token with `openssl rand -hex 32`, and its SHA-256 with `printf %s TOKEN | \
             sha256sum`",
        ),
    }
}
