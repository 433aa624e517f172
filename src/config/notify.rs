//! `[notify.NAME]`: a channel that is told of alerts.

use lettre::message::Mailbox;

use super::problem::shown;
use super::secret;
use super::table::Table;
use super::value::{Value, count, duration, word};
use crate::model::Span;
use crate::notify::{ChannelKind, Language, MailSpec, NotifySpec, Severity};

const KINDS: [(&str, ChannelKind); 6] = [
    ("dingtalk", ChannelKind::DingTalk),
    ("feishu", ChannelKind::Feishu),
    ("wecom", ChannelKind::WeCom),
    ("slack", ChannelKind::Slack),
    ("webhook", ChannelKind::Webhook),
    ("email", ChannelKind::Email),
];

const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("zh", Language::Chinese)];

const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];

/// 15 s: what has one cause comes within a tick.
const GROUP: Span = Span::secs(15);
const GROUPS: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(600);
/// 4 h: twice in a working day.
const REPEAT: Span = Span::secs(4 * 3600);
const REPEATS: std::ops::RangeInclusive<Span> = Span::secs(300)..=Span::secs(7 * 24 * 3600);
/// 30: robots take 20 a minute, and a person reads fewer.
const MAX_PER_HOUR: u32 = 30;

/// The channel `name`.
pub(super) fn read(name: &str, table: &Table<'_>) -> Option<NotifySpec> {
    let kind = table.required("kind", "\"dingtalk\"", |value| value.one_of(&KINDS));
    table.refuse_secret(
        "url",
        "an address is the right to speak there: url_file = \"credential:NAME\"",
    );
    let url = table.required("url_file", "\"credential:robot-url\"", |value| {
        let url = secret::from_file(value)?;
        match kind {
            Some(ChannelKind::Email) => check_server(value, url.expose())?,
            _ => check_url(value, url.expose())?,
        }
        Some(url)
    });
    table.refuse_secret("secret", "put it into a file: secret_file = \"credential:NAME\"");
    let secret = table.optional("secret_file", secret::from_file);
    let mail = mail(table, kind);
    let language = table.or("language", Language::English, |value| value.one_of(&LANGUAGES));
    let fleets = table.optional("fleets", |value| {
        let items = value.items("\"web\", \"api-*\"")?;
        items.iter().map(word).collect::<Option<Vec<String>>>()
    });
    let least = table.or("severity", Severity::Warning, |value| value.one_of(&SEVERITIES));
    let group = table.or("group", GROUP, duration(GROUPS));
    let repeat = table.or("repeat", REPEAT, duration(REPEATS));
    let max_per_hour = table.or("max_per_hour", MAX_PER_HOUR, count(1..=1_000));
    let page_url = table.optional("page_url", super::url::base("http://127.0.0.1:9177"));
    let runbook_url = table
        .optional("runbook_url", super::url::base("https://docs.example.com/reliability.html"));
    let signs_nothing =
        matches!(kind, Some(ChannelKind::WeCom | ChannelKind::Slack | ChannelKind::Email));
    if signs_nothing && table.has("secret_file") {
        table.problem_at(
            "secret_file",
            "this kind of channel signs nothing".to_owned(),
            "remove it: the address alone is the right to speak there",
        );
    }
    Some(NotifySpec {
        name: name.to_owned(),
        kind: kind?,
        url: url?,
        secret,
        mail,
        language,
        fleets: fleets.unwrap_or_default(),
        least,
        group,
        repeat,
        max_per_hour,
        page_url: page_url.map(|url| super::url::tidy(&url)),
        runbook_url: runbook_url.map(|url| super::url::tidy(&url)),
    })
}

/// `from` and `to`, which an `email` channel has and no other.
fn mail(table: &Table<'_>, kind: Option<ChannelKind>) -> Option<MailSpec> {
    let is_mail = kind == Some(ChannelKind::Email);
    let mailbox = |value: &Value<'_>| {
        let text = word(value)?;
        match text.parse::<Mailbox>() {
            Ok(mailbox) => Some(mailbox),
            Err(_) => value.problem(
                format!("`{}` in `{}` is no e-mail address", shown(&text), value.key),
                "write \"ops@example.com\" or \"Ops <ops@example.com>\"",
            ),
        }
    };
    let mailboxes = |value: &Value<'_>| {
        let items = value.items("\"ops@example.com\"")?;
        if items.is_empty() {
            return value.problem("`to` is empty".to_owned(), "name at least one address");
        }
        items.iter().map(mailbox).collect::<Option<Vec<Mailbox>>>()
    };
    if !is_mail {
        let given = [
            table.optional("from", mailbox).map(|_| "from"),
            table.optional("to", mailboxes).map(|_| "to"),
        ];
        for key in given.into_iter().flatten() {
            let problem = format!("`{key}` is for `email` channels only");
            table.problem_at(key, problem, "remove it, or write kind = \"email\"");
        }
        return None;
    }
    let from = table.required("from", "\"fleetscaler@example.com\"", mailbox);
    let to = table.required("to", "[\"ops@example.com\"]", mailboxes);
    Some(MailSpec { from: from?, to: to? })
}

/// The address of an SMTP server, perhaps with a password in it: never repeated.
fn check_server(value: &Value<'_>, url: &str) -> Option<()> {
    let parsed = url.parse::<reqwest::Url>().ok().filter(|url| url.has_host());
    let Some(url) = parsed.filter(|url| matches!(url.scheme(), "smtp" | "smtps")) else {
        return value.problem(
            format!("`{}` holds no smtp or smtps URL", value.key),
            "write smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST:587?tls=required, on one line; \
             characters that mean something in a URL as %40 and so on",
        );
    };
    let starts_tls = url.query_pairs().any(|(key, value)| key == "tls" && value == "required");
    let host = url.host_str().unwrap_or_default();
    let is_here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    if url.scheme() == "smtps" || starts_tls || is_here {
        return Some(());
    }
    value.problem(
        format!("the server that `{}` names would be spoken to in the clear", value.key),
        "write smtps://…, or add ?tls=required for STARTTLS",
    )
}

/// An address that is never repeated in a problem: it is a secret.
fn check_url(value: &Value<'_>, url: &str) -> Option<()> {
    let parsed = url.parse::<reqwest::Url>().ok().filter(|url| url.has_host());
    match parsed {
        Some(url) if url.scheme() == "https" || cloud::http::is_loopback(&url) => Some(()),
        Some(url) if url.scheme() == "http" => value.problem(
            format!("the address that `{}` holds is plain http to another machine", value.key),
            "use https: whoever sits between could speak there, too",
        ),
        _ => value.problem(
            format!("`{}` holds no http or https URL", value.key),
            "write the robot's address into the file, on one line",
        ),
    }
}
