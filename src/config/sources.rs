//! `[fleet.NAME.signal.NAME]` with a source that is no Prometheus.

use std::time::Duration;

use cloud::{MetricQuery, Statistic};
use reqwest::Url;

use super::access;
use super::lifecycle::program;
use super::problem::shown;
use super::promql::for_fleet;
use super::secret;
use super::signal::timeout;
use super::table::Table;
use super::url;
use super::value::{Value, duration, word};
use crate::model::{Reduce, Span};
use crate::signals::{CommandSpec, JsonSpec, MonitorSpec, Pointer, PushSpec};

const URL: &str = "http://127.0.0.1:8080/stats.json";

/// The metrics of ECS.
const NAMESPACE: &str = "acs_ecs_dashboard";
/// Those that the vendor keeps points for.
const PERIODS: [u64; 5] = [15, 60, 300, 900, 3600];
const PERIOD: Span = Span::secs(60);
const STATISTICS: [(&str, Statistic); 3] =
    [("avg", Statistic::Average), ("min", Statistic::Minimum), ("max", Statistic::Maximum)];
/// 3 min: points are some minutes late before they can be read.
const LATE: Duration = Duration::from_secs(180);
const ASK_EVERY: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(3600);

/// The time that one point of CloudMonitor stands for.
pub(super) fn period(table: &Table<'_>) -> Span {
    table.or("period", PERIOD, |value| {
        let period = duration(Span::secs(PERIODS[0])..=Span::secs(PERIODS[4]))(value)?;
        if PERIODS.iter().any(|secs| period == Span::secs(*secs)) {
            return Some(period);
        }
        value.problem(
            format!("CloudMonitor has no points of {period}"),
            "write \"15s\", \"60s\", \"5m\", \"15m\" or \"1h\"; most metrics have none of less than 60s",
        )
    })
}

/// How old a point of `period` may be: itself, the next one under way, and the vendor's delay.
pub(super) fn monitored_max_age(period: Span) -> Span {
    Span(period.get() * 2 + LATE)
}

pub(super) fn cloudmonitor(table: &Table<'_>, period: Span, max_age: Span) -> Option<MonitorSpec> {
    let namespace = table.or("namespace", NAMESPACE.to_owned(), word);
    let metric = table.required("metric", "\"CPUUtilization\"", word);
    let statistic = table.or("statistic", Statistic::Average, |value| value.one_of(&STATISTICS));
    let reduce = table.or("reduce", Reduce::Avg, super::signal::reduce);
    // Twice in a period: a point is used half a period late at most.
    let ask_every = table.or("ask_every", Span(period.get() / 2), duration(ASK_EVERY));
    let timeout = timeout(table);
    if max_age < period {
        table.problem_at(
            "max_age",
            format!("`max_age` is {max_age}, and a point stands for {period}"),
            format!("leave it out for {}, or choose a shorter `period`", monitored_max_age(period)),
        );
    }
    let period = period.get();
    let query = MetricQuery { namespace, metric: metric?, statistic, period };
    Some(MonitorSpec { query, reduce, max_age, ask_every, timeout })
}

pub(super) fn http_json(fleet: &str, table: &Table<'_>, max_age: Span) -> Option<JsonSpec> {
    let url = table.required("url", &format!("{URL:?}"), |value| document(value, fleet));
    let pointer = table.required("pointer", "\"/queue/depth\"", |value| pointer(value, fleet));
    let time_pointer = table.optional("time_pointer", |value| self::pointer(value, fleet));
    let timeout = timeout(table);
    let access = access::read(table, url.as_ref().map(Url::as_str));
    let url = url?.to_string();
    Some(JsonSpec { url, pointer: pointer?, time_pointer, max_age, timeout, access })
}

pub(super) fn command(
    fleet: &str,
    name: &str,
    table: &Table<'_>,
    max_age: Span,
) -> Option<CommandSpec> {
    let example = "\"/usr/local/bin/queue-depth\", \"{fleet}\"";
    let argv = table.required("command", &format!("[{example}]"), |value| program(value, example));
    let timeout = timeout(table);
    let argv = argv?;
    if let [line] = &argv[..]
        && line.contains(char::is_whitespace)
    {
        table.problem_at(
            "command",
            "`command` is a whole line in one text".to_owned(),
            "no shell takes it apart: write each argument as a text of its own, and pipes as a script",
        );
    }
    let argv = argv.iter().map(|word| for_fleet(word, fleet)).collect();
    let (fleet, signal) = (fleet.to_owned(), name.to_owned());
    Some(CommandSpec { argv, fleet, signal, max_age, timeout })
}

pub(super) fn push(table: &Table<'_>, max_age: Span) -> PushSpec {
    let instead =
        "put it into a file that only the service may read: token_file = \"credential:NAME\"";
    table.refuse_secret("token", instead);
    PushSpec { max_age, token: table.optional("token_file", secret::from_file) }
}

/// A document's URL, with the fleet's name for `{fleet}`.
fn document(value: &Value<'_>, fleet: &str) -> Option<Url> {
    let url = url::any(value, &for_fleet(&word(value)?, fleet), URL)?;
    if url.fragment().is_some() {
        return value.problem(
            format!("`{}` has a `#` part", value.key),
            "remove it: no server sees it; `pointer` says where the number stands",
        );
    }
    let secret = url.query_pairs().map(|(name, _)| name).find(|name| access::names_secret(name));
    if let Some(name) = secret {
        return value.problem(
            format!("`{}` carries `{}`, which is likely a secret", value.key, shown(&name)),
            "send it as bearer_token_file, basic_auth or in headers: a URL is shown and logged on its way",
        );
    }
    Some(url)
}

fn pointer(value: &Value<'_>, fleet: &str) -> Option<Pointer> {
    let hint = "write where the number stands, such as \"/queue/depth\" or \"/queues/0/depth\"";
    // The empty one is the whole document.
    let written = if value.is_empty() { String::new() } else { for_fleet(&word(value)?, fleet) };
    match Pointer::parse(&written) {
        Ok(pointer) => Some(pointer),
        Err(why) => value.problem(format!("`{}` is no JSON pointer: {why}", value.key), hint),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Env, parse};
    use crate::model::{Coverage, Span};
    use crate::signals::{Auth, SourceSpec};

    const MINIMAL: &str = include_str!("../../tests/configs/good/minimal.toml");

    /// The source and the coverage of the signal that `keys` describe.
    fn read(keys: &str) -> (SourceSpec, Coverage) {
        let begin = MINIMAL.find("[fleet.web.signal.cpu]").expect("the signal");
        let end = MINIMAL.find("[[fleet.web.rule]]").expect("the rule");
        let (head, tail) = (&MINIMAL[..begin], &MINIMAL[end..]);
        let text = format!("{head}[fleet.web.signal.cpu]\n{keys}\n{tail}");
        let files = [("/etc/f/token".into(), b"sesame\n".to_vec())];
        let env = Env::given([].into(), files.into());
        let config = parse(&text, Path::new("/etc/f/c.toml"), &env);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let fleet = &config.fleets[0];
        let name = "cpu".into();
        assert_eq!(fleet.fleet.signals[&name].max_age, Span::secs(60));
        (fleet.sources[&name].clone(), fleet.fleet.signals[&name].coverage)
    }

    #[test]
    fn each_source_says_what_it_seems_to_say() {
        let (json, coverage) = read(
            "source = \"http-json\"\nurl = \"https://q.example/{fleet}/stats?vhost=shop\"\n\
             pointer = \"/queues/{fleet}/0\"\ntime_pointer = \"\"\nmax_age = \"1m\"\n\
             bearer_token_file = \"token\"\ntimeout = \"3s\"",
        );
        assert_eq!(coverage, Coverage::AtLeast(0.0), "nobody counts who reports");
        let SourceSpec::HttpJson(json) = json else { panic!("{json:?}") };
        assert_eq!(json.url, "https://q.example/web/stats?vhost=shop");
        assert_eq!(json.pointer.to_string(), "`/queues/web/0`");
        assert!(json.time_pointer.is_some());
        assert_eq!((json.max_age, json.timeout), (Span::secs(60), Span::secs(3)));
        let Some(Auth::Bearer { token }) = &json.access.auth else { panic!("{json:?}") };
        assert_eq!(token.expose(), "sesame");

        let (command, _) = read(
            "source = \"command\"\ncommand = [\"/bin/depth\", \"--of={fleet}\"]\nmax_age = \"1m\"",
        );
        let SourceSpec::Command(command) = command else { panic!("{command:?}") };
        assert_eq!(command.argv, ["/bin/depth", "--of=web"]);
        assert_eq!((command.fleet.as_str(), command.signal.as_str()), ("web", "cpu"));

        let (push, _) =
            read("source = \"push\"\nmax_age = \"1m\"\ntoken_file = \"token\"\nmin_coverage = 0");
        assert!(!format!("{push:?}").contains("sesame"));
        let SourceSpec::Push(push) = push else { panic!("{push:?}") };
        assert_eq!(push.token.as_ref().map(cloud::Secret::expose), Some("sesame"));
    }
}
