//! How a signal's server is reached: credentials, certificate authorities, headers. Secrets stand
//! in files or in the environment, never here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cloud::Secret;
use reqwest::header::{HeaderName, HeaderValue};

use super::problem::shown;
use super::secret::{self, contents, path};
use super::table::Table;
use super::value::{Value, flag, pairs, word};
use crate::signals::{Auth, ServerAccess};

/// The advice on what to write instead of a secret.
const BY_FILE: &str = "put it into a file that only the service may read, and name that";
/// 4 MiB: a bundle of all public authorities has a quarter of a MiB.
const CA_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How the server at `url` is reached.
pub(super) fn read(table: &Table<'_>, url: Option<&str>) -> ServerAccess {
    let basic = table.table("basic_auth", basic);
    table.refuse_secret(
        "bearer_token",
        &format!("{BY_FILE}: bearer_token_file = \"credential:NAME\""),
    );
    let token = one_of(table, "bearer_token_file", "bearer_token_env");
    let bearer = table.has("bearer_token_file") || table.has("bearer_token_env");
    if table.has("basic_auth") && bearer {
        table.problem_at(
            "basic_auth",
            "`basic_auth` and a bearer token are both set".to_owned(),
            "remove one: a request carries one `Authorization`",
        );
    }
    let access = ServerAccess {
        auth: basic.or(token.map(|token| Auth::Bearer { token })),
        ca_file: table.optional("ca_file", ca_file),
        headers: table.optional("headers", headers).unwrap_or_default(),
    };
    let allowed = table.or("allow_plain_http", false, flag);
    if !allowed && let Some(url) = url {
        check_plain(table, url, &access);
    }
    access
}

/// Plain http can be read on the way, so a secret is sent over it to this machine only.
fn check_plain(table: &Table<'_>, url: &str, access: &ServerAccess) {
    let Ok(parsed) = url.parse::<reqwest::Url>() else { return };
    if parsed.scheme() != "http" || cloud::http::is_loopback(&parsed) {
        return;
    }
    let header = access.headers.keys().find(|name| names_secret(name));
    let secret = match (&access.auth, header) {
        (Some(Auth::Bearer { .. }), _) => "a bearer token".to_owned(),
        (Some(Auth::Basic { .. }), _) => "a password".to_owned(),
        (None, Some(name)) => format!("the header `{name}`"),
        (None, None) => return,
    };
    table.problem_at(
        "url",
        format!("{secret} would be sent to another machine over plain http"),
        "use https, or set allow_plain_http = true if that network may see it",
    );
}

/// Whether a header or a parameter of this name is likely to hold a secret. A tenant's name is none.
pub(super) fn names_secret(header: &str) -> bool {
    let name = header.to_lowercase();
    ["auth", "token", "key", "secret", "password", "cookie", "session", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

fn basic(table: &Table<'_>) -> Option<Auth> {
    let username = table.required("username", "\"fleetscaler\"", username);
    table.refuse_secret("password", &format!("{BY_FILE}: password_file = \"credential:NAME\""));
    let password = one_of(table, "password_file", "password_env");
    if !["password", "password_file", "password_env"].iter().any(|key| table.has(key)) {
        table.problem(
            format!("{table} has no password"),
            "add `password_file = \"credential:NAME\"`, or `password_env = \"NAME\"`",
        );
    }
    Some(Auth::Basic { username: username?, password: password? })
}

fn username(value: &Value<'_>) -> Option<String> {
    let name = word(value)?;
    if name.contains(':') {
        return value.problem(
            "`username` has a `:` in it".to_owned(),
            "basic authentication cannot carry such a name",
        );
    }
    Some(name)
}

/// The secret from the file or the variable that one of two keys names.
fn one_of(table: &Table<'_>, file: &'static str, env: &'static str) -> Option<Secret> {
    let by_file = table.optional(file, secret::from_file);
    let by_env = table.optional(env, secret::from_env);
    if table.has(file) && table.has(env) {
        table.problem_at(env, format!("`{file}` and `{env}` are both set"), "remove one");
    }
    by_file.or(by_env)
}

pub(super) fn ca_file(value: &Value<'_>) -> Option<PathBuf> {
    let path = path(value)?;
    let text = contents(value, &path, CA_BYTES_MAX)?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return value.problem(
            format!("{}, named by `ca_file`, holds no certificate", path.display()),
            "it must be a PEM file, with a line -----BEGIN CERTIFICATE-----",
        );
    }
    Some(path)
}

/// Headers that are set by the connection or by the credentials.
const RESERVED: [&str; 5] =
    ["authorization", "connection", "content-length", "host", "transfer-encoding"];

fn headers(value: &Value<'_>) -> Option<BTreeMap<String, Secret>> {
    headers_but(value, &RESERVED)
}

/// Headers, by name; none of the `reserved` ones, whose names are in lower case.
pub(super) fn headers_but(
    value: &Value<'_>,
    reserved: &[&str],
) -> Option<BTreeMap<String, Secret>> {
    value.cx.holds("headers", value.at());
    let mut headers = BTreeMap::new();
    for (name, (value, text)) in pairs(value)? {
        if reserved.contains(&name.to_lowercase().as_str()) {
            value.problem::<()>(
                format!("the header `{name}` cannot be set here"),
                "credentials are set by basic_auth, bearer_token_file or bearer_token_env",
            );
        } else if HeaderName::from_bytes(name.as_bytes()).is_err()
            || HeaderValue::from_str(text).is_err()
        {
            value.problem::<()>(
                format!("`{}` is no header that can be sent", shown(&name)),
                "its name may hold letters, digits and `-`; its value may hold no line break",
            );
        } else {
            headers.insert(name, Secret::new(text.to_owned()));
        }
    }
    Some(headers)
}
