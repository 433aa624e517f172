//! Files that the configuration names, and the secrets in them. Secrets never stand in the
//! configuration itself, so that it can be shown, copied and kept under version control.

use std::path::{Path, PathBuf};

use cloud::Secret;

use super::problem::About;
use super::value::{Value, word};

/// The prefix of a path that names a systemd credential of this service.
const CREDENTIAL: &str = "credential:";

/// A path: absolute, relative to the configuration's directory, or `credential:NAME` for the file
/// that systemd's `LoadCredential=NAME:...` provides.
pub(super) fn path(value: &Value<'_>) -> Option<PathBuf> {
    let path = word(value)?;
    let Some(name) = path.strip_prefix(CREDENTIAL) else {
        return Some(value.cx.resolve(&path));
    };
    if name.is_empty() || name.contains('/') {
        return value.problem(
            format!("`{}` names no credential", value.key),
            format!("write \"{CREDENTIAL}NAME\", with the NAME of LoadCredential="),
        );
    }
    match value.cx.env.var("CREDENTIALS_DIRECTORY") {
        Some(directory) => Some(PathBuf::from(directory).join(name)),
        None => {
            value.cx.problem_about(
                About::Credential(name.to_owned()),
                value.at(),
                format!("`{}` needs a systemd credential, but there are none", value.key),
                format!("add LoadCredential={name}:/path/to/file to the service, or write a path"),
            );
            None
        }
    }
}

/// Whether `path` is a file that systemd would provide.
fn is_credential(value: &Value<'_>, path: &Path) -> bool {
    let directory = value.cx.env.var("CREDENTIALS_DIRECTORY");
    directory.is_some_and(|directory| path.parent() == Some(Path::new(&directory)))
}

/// A file that only its owner, and perhaps a group, may read.
pub(super) fn private_path(value: &Value<'_>) -> Option<PathBuf> {
    let path = path(value)?;
    if !value.cx.env.lacks_secrets()
        && value.cx.env.is_exposed(&path)
        && !is_credential(value, &path)
    {
        return exposed(value, &path);
    }
    Some(path)
}

fn exposed<T>(value: &Value<'_>, path: &Path) -> Option<T> {
    value.problem(
        format!("everybody on this machine can read {}, named by `{}`", path.display(), value.key),
        "take that right away: chmod o= (a group may keep it), and change the secret if others \
         work on this machine",
    )
}

/// 64 KiB: no password, token or key is near it, so more means the wrong file.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The secret in a file that this value names: its text without the line break at the end.
pub(super) fn from_file(value: &Value<'_>) -> Option<Secret> {
    let path = path(value)?;
    if value.cx.env.lacks_secrets() {
        return Some(no_secret());
    }
    if value.cx.env.is_exposed(&path) && !is_credential(value, &path) {
        return exposed(value, &path);
    }
    let text = contents(value, &path, SECRET_BYTES_MAX)?;
    one_line(&text).or_else(|| {
        value.problem(
            format!("{} holds no secret on a single line", path.display()),
            format!("write the secret of `{}` into it, and nothing else", value.key),
        )
    })
}

/// The secret in an environment variable that this value names. The name is never repeated: it
/// may be the secret, written by mistake.
pub(super) fn from_env(value: &Value<'_>) -> Option<Secret> {
    let name = word(value)?;
    if value.cx.env.lacks_secrets() {
        return Some(no_secret());
    }
    let Some(text) = value.cx.env.var(&name) else {
        return value.problem(
            format!("`{}` names an environment variable that is not set", value.key),
            "write the variable's name, not the secret, and set it for the service",
        );
    };
    one_line(&text).or_else(|| {
        value.problem(
            format!("the variable that `{}` names has several lines", value.key),
            "set it to the secret, and nothing else",
        )
    })
}

/// In the place of one that nobody will use.
fn no_secret() -> Secret {
    Secret::new(String::new())
}

/// A secret that can stand in a header.
fn one_line(text: &str) -> Option<Secret> {
    let line = text.trim_end_matches(['\r', '\n']);
    let fits = !line.is_empty() && !line.chars().any(char::is_control);
    fits.then(|| Secret::new(line.to_owned()))
}

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The text of the file at `path`, which `value` names.
pub(super) fn contents(value: &Value<'_>, path: &Path, limit: usize) -> Option<String> {
    let shown = path.display();
    match value.cx.env.read(path, limit).map(String::from_utf8) {
        Ok(Ok(text)) => Some(text),
        Ok(Err(error)) if error.as_bytes().starts_with(&GZIP) => value.problem(
            format!("{shown}, named by `{}`, is a gzip file, not text", value.key),
            "name the file as it is before compression; what is larger than fits must be fetched by a \
             short script",
        ),
        Ok(Err(_)) => value.problem(
            format!("{shown}, named by `{}`, is not UTF-8 text", value.key),
            "save it as UTF-8",
        ),
        Err(why) if is_credential(value, path) => {
            let name = path.file_name().unwrap_or_default().display();
            value.problem(
                format!("{shown}, named by `{}`, cannot be read: {why}", value.key),
                format!(
                    "the service has no credential of that name: LoadCredential={name}:/path/to/file \
                     must spell it as `{CREDENTIAL}{name}` does"
                ),
            )
        }
        Err(why) => value.problem(
            format!("{shown}, named by `{}`, cannot be read: {why}", value.key),
            "paths are relative to the directory of this configuration; see to the path and its owner",
        ),
    }
}
