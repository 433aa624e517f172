//! `[notify.NAME]`: a channel that is told of alerts.

use super::secret;
use super::table::Table;
use super::value::{Value, count, duration, word};
use crate::model::Span;
use crate::notify::{ChannelKind, Language, NotifySpec, Severity};

const KINDS: [(&str, ChannelKind); 5] = [
    ("dingtalk", ChannelKind::DingTalk),
    ("feishu", ChannelKind::Feishu),
    ("wecom", ChannelKind::WeCom),
    ("slack", ChannelKind::Slack),
    ("webhook", ChannelKind::Webhook),
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
        check_url(value, url.expose())?;
        Some(url)
    });
    table.refuse_secret("secret", "put it into a file: secret_file = \"credential:NAME\"");
    let secret = table.optional("secret_file", secret::from_file);
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
    if matches!(kind, Some(ChannelKind::WeCom | ChannelKind::Slack)) && table.has("secret_file") {
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
        language,
        fleets: fleets.unwrap_or_default(),
        least,
        group,
        repeat,
        max_per_hour,
        page_url: page_url.map(|url| super::url::tidy(&url)),
    })
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
