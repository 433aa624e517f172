//! URLs that the daemon will call: http or https, a host, and no secret inside.

use reqwest::Url;

use super::value::{Value, word};

/// A base URL. It is never repeated in a problem before it is known to hold no password.
pub(super) fn base(example: &'static str) -> impl Fn(&Value<'_>) -> Option<Url> {
    move |value| {
        let url = any(value, &word(value)?, example)?;
        if url.query().is_some() || url.fragment().is_some() {
            return value.problem(
                format!("`{}` has a `?` or a `#` part", value.key),
                "write the server's base URL only",
            );
        }
        Some(url)
    }
}

/// The URL that `value` stands for as `written`.
pub(super) fn any(value: &Value<'_>, written: &str, example: &str) -> Option<Url> {
    let hint = format!("write it as \"{example}\"");
    let Ok(url) = written.parse::<Url>() else {
        return value.problem(format!("`{}` is no URL", value.key), hint);
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return value.problem(format!("`{}` is no http or https URL", value.key), hint);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return value.problem(
            format!("`{}` has a user or a password in it", value.key),
            "remove them: credentials have keys of their own, and stand in files",
        );
    }
    Some(url)
}

/// As it is kept: without the slash that parsing appends to a bare host.
pub(super) fn tidy(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
