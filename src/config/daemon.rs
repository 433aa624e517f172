//! `[daemon]`: what concerns all fleets.

use std::net::SocketAddr;
use std::path::PathBuf;

use cloud::Secret;

use super::problem::shown;
use super::secret::{from_env, from_file};
use super::table::Table;
use super::value::{Value, count, duration, word};
use super::{Daemon, StateUrl, api_access};
use crate::model::Span;

/// 15 s: four looks a minute, the rhythm at which Prometheus usually scrapes.
pub(super) const INTERVAL: Span = Span::secs(15);
/// Below 1 s a tick would outrun the provider's rate limits; above 1 h nothing is scaled in time.
pub(super) const INTERVAL_RANGE: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(3600);
/// Where the packaged service keeps its state.
const STATE: &str = "/var/lib/fleetscaler/state.db";
/// 15 s: one interval. A fleet whose replica died misses a tick or two.
const LEASE: Span = Span::secs(15);
/// Below 2 s a slow commit would cost the lease; above 5 min nobody waits.
const LEASES: std::ops::RangeInclusive<Span> = Span::secs(2)..=Span::secs(300);
/// 30 days: long enough to explain last month's bill.
const KEEP: Span = Span::secs(30 * 24 * 3600);
/// An hour: the brakes look back that far.
const KEEPS: std::ops::RangeInclusive<Span> = Span::secs(3600)..=Span::secs(3650 * 24 * 3600);
/// 256 MiB: at 300 bytes a tick, two days of ticks of seventy fleets.
const KEEP_MIB: u32 = 256;
const KEEP_MIB_MAX: u32 = 1024 * 1024;

/// `None`: where the state is kept cannot be told.
pub(super) fn read(table: &Table<'_>) -> Option<Daemon> {
    let interval = table.or("interval", INTERVAL, duration(INTERVAL_RANGE));
    let password = password(table);
    let state = match table.get("state") {
        Some(value) => state(&value, password.clone()),
        None => Some(default_state(table)),
    };
    let is_postgres = matches!(state, Some(StateUrl::Postgres { .. }));
    if password.is_some() && state.is_some() && !is_postgres {
        table.problem_at(
            "state_password_file",
            "there is a password for `state`, which is no PostgreSQL server".to_owned(),
            "remove it, or write state = \"postgres://fleetscaler@host/database\"",
        );
    }
    // One that was named and cannot be had is no reason to knock without it.
    let lacks_password = is_postgres
        && password.is_none()
        && (table.has("state_password_file") || table.has("state_password_env"));
    let listen = table.optional("listen", listen);
    let api_tokens = api_access::tokens(table);
    let daemon = Daemon {
        interval,
        installation: table.optional("installation", installation),
        state: state.clone().unwrap_or(StateUrl::Memory),
        lease: table.or("lease", LEASE, duration(LEASES)),
        keep: table.or("keep", KEEP, duration(KEEPS)),
        keep_mib: table.or("keep_mib", KEEP_MIB, count(1..=KEEP_MIB_MAX)),
        listen,
        listen_hosts: table.optional("listen_hosts", listen_hosts).unwrap_or_default(),
        api_socket: table.optional("api_socket", socket).or_else(|| default_socket(table)),
        tls: api_access::tls(table, listen, &api_tokens),
        api_tokens,
    };
    state.filter(|_| !lacks_password).map(|_| daemon)
}

/// Without a `[daemon]`.
pub(super) fn default(table: &Table<'_>) -> Daemon {
    Daemon {
        interval: INTERVAL,
        installation: None,
        state: default_state(table),
        lease: LEASE,
        keep: KEEP,
        keep_mib: KEEP_MIB,
        listen: None,
        listen_hosts: Vec::new(),
        api_socket: default_socket(table),
        tls: None,
        api_tokens: Vec::new(),
    }
}

/// In systemd's state directory when there is one (the first, if there are several).
fn default_state(table: &Table<'_>) -> StateUrl {
    let directory = table.cx.env.var("STATE_DIRECTORY");
    let first = directory.as_deref().and_then(|list| list.split(':').next());
    StateUrl::Sqlite {
        path: first.map_or(PathBuf::from(STATE), |first| PathBuf::from(first).join("state.db")),
    }
}

/// In systemd's runtime directory when there is one: elsewhere nobody would look for it.
fn default_socket(table: &Table<'_>) -> Option<PathBuf> {
    let directory = table.cx.env.var("RUNTIME_DIRECTORY")?;
    let first = directory.split(':').next()?;
    Some(PathBuf::from(first).join("api.sock"))
}

/// The name of a Unix socket: the kernel takes 107 bytes.
const SOCKET_BYTES_MAX: usize = 107;

fn socket(value: &Value<'_>) -> Option<PathBuf> {
    let path = value.cx.resolve(&word(value)?);
    if path.as_os_str().len() <= SOCKET_BYTES_MAX {
        return Some(path);
    }
    value.problem(
        format!("`api_socket` is longer than {SOCKET_BYTES_MAX} bytes"),
        "write a shorter path, such as \"/run/fleetscaler/api.sock\"",
    )
}

fn password(table: &Table<'_>) -> Option<Secret> {
    let by_file = table.optional("state_password_file", from_file);
    let by_env = table.optional("state_password_env", from_env);
    if table.has("state_password_file") && table.has("state_password_env") {
        table.problem_at(
            "state_password_env",
            "`state_password_file` and `state_password_env` are both set".to_owned(),
            "remove one",
        );
    }
    by_file.or(by_env)
}

/// `sqlite:PATH`, `postgres://…` or `memory:`. The value is never repeated: somebody may have
/// written a password into it.
fn state(value: &Value<'_>, password: Option<Secret>) -> Option<StateUrl> {
    let url = word(value)?;
    if url == "memory:" {
        return Some(StateUrl::Memory);
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return postgres(value, &url, password);
    }
    match url.strip_prefix("sqlite:").map(file_of) {
        Some(path) if !path.is_empty() && !path.starts_with("//") && !path.contains([':', '?']) => {
            Some(StateUrl::Sqlite { path: value.cx.resolve(path) })
        }
        _ => value.problem(
            "`state` is no place to keep state in".to_owned(),
            format!(
                "write \"sqlite:{STATE}\", \"postgres://fleetscaler@host/database\", or \
                 \"memory:\" to forget everything at the end"
            ),
        ),
    }
}

fn postgres(value: &Value<'_>, url: &str, password: Option<Secret>) -> Option<StateUrl> {
    const FORM: &str = "write \"postgres://fleetscaler@host/database\"";
    let Ok(parsed) = reqwest::Url::parse(url) else {
        return value.problem("`state` is no PostgreSQL URL".to_owned(), FORM);
    };
    let in_query = parsed.query_pairs().any(|(name, _)| name == "password");
    if parsed.password().is_some() || in_query {
        return value.problem(
            "`state` has a password in it".to_owned(),
            "secrets do not stand here: remove it and set state_password_file",
        );
    }
    if parsed.host_str().is_none_or(str::is_empty) || parsed.path().trim_matches('/').is_empty() {
        return value.problem("`state` names no host or no database".to_owned(), FORM);
    }
    let remote = !cloud::http::is_loopback(&parsed)
        && !parsed.query_pairs().any(|(name, value)| name == "host" && value.starts_with('/'));
    let mode = parsed.query_pairs().find(|(name, _)| name == "sslmode").map(|(_, mode)| mode);
    if remote && matches!(mode.as_deref(), Some("prefer" | "allow")) {
        return value.problem(
            "`state` takes an encrypted connection or none, as whoever sits between likes"
                .to_owned(),
            "write ?sslmode=verify-full, which is the default for another machine, or \
             ?sslmode=disable if that network may see the password and change the journal",
        );
    }
    Some(StateUrl::Postgres { url: url.to_owned(), password })
}

/// `sqlite:///var/x` means the same as `sqlite:/var/x`.
fn file_of(path: &str) -> &str {
    match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        _ => path,
    }
}

/// The vendor takes 128 characters as a tag's value; half of it is long enough for a name.
const NAME_CHARS_MAX: usize = 64;

/// A name that stands in a tag of every instance.
fn installation(value: &Value<'_>) -> Option<String> {
    let name = word(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
        return value.problem(
            "`installation` is no name".to_owned(),
            format!(
                "write 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` or `.`, such as \
                 \"production\""
            ),
        );
    }
    Some(name)
}

fn listen(value: &Value<'_>) -> Option<SocketAddr> {
    let text = word(value)?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => value.problem(
            "`listen` is no address with a port".to_owned(),
            "write \"127.0.0.1:9177\", or \"0.0.0.0:9177\" for every interface",
        ),
    }
}

/// Host names by which the daemon is asked, without ports.
fn listen_hosts(value: &Value<'_>) -> Option<Vec<String>> {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let host = |item: Value<'_>| {
        let name = word(&item)?;
        if name.chars().all(letter) {
            return Some(name);
        }
        item.problem(
            format!("`{}` in `listen_hosts` is no host name", shown(&name)),
            "write it without scheme and port, such as \"ops.example.internal\"; `*` is no name",
        )
    };
    Some(value.items("\"ops.example.internal\"")?.into_iter().filter_map(host).collect())
}
