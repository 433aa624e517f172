//! `[[fleet.NAME.health]]`, `[fleet.NAME.drain]`, `[fleet.NAME.busy]`, `[[fleet.NAME.hook]]` and
//! `[[fleet.NAME.render]]`: how instances come into service and leave it, and who is told.

use std::collections::BTreeSet;

use cloud::{BackendGroup, BalancerKind};

use super::access::{ca_file, headers_but};
use super::problem::shown;
use super::rule::step;
use super::signal;
use super::table::Table;
use super::value::{Value, count, duration, number, text, word};
use super::{secret, url};
use crate::health::{CheckKind, CheckSpec, HttpCheck};
use crate::hooks::{Calls, HookTarget};
use crate::model::{
    Balancer, Drain, Hook, HookName, HookOutcome, HookPoint, Lifecycle, Span, Unhealthy, Victims,
};
use crate::render::RenderSpec;
use crate::signals::UpSpec;

/// 10 s: with three bad probes a dead instance is noticed within half a minute.
const INTERVAL: Span = Span::secs(10);
/// Below 1 s a fleet is asked more than it serves; above an hour nothing is noticed.
const INTERVALS: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(3600);
/// 3 s: a health page that takes longer is not healthy.
const TIMEOUT: Span = Span::secs(3);
const TIMEOUTS: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(60);
/// 2: one good answer may be of a server that is about to restart.
const HEALTHY_AFTER: u32 = 2;
/// 3: one lost packet or two are no illness.
const UNHEALTHY_AFTER: u32 = 3;
const STREAK_MAX: u32 = 100;

/// 5 min: longer than most requests and downloads take.
const DRAIN_TIMEOUT: Span = Span::secs(300);
/// A running job may take a day.
const DRAIN_TIMES: std::ops::RangeInclusive<Span> = Span::secs(0)..=Span::secs(24 * 3600);
/// 1: less than one connection, job or request.
const IDLE_BELOW: f64 = 1.0;

/// 30 s for an attempt, as the vendor's own lifecycle calls take.
const HOOK_TIMEOUT: Span = Span::secs(30);
const HOOK_TIMEOUTS: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(3600);
/// 5 min for all attempts: a server that restarts is back by then.
const HOOK_DEADLINE: Span = Span::secs(300);
const HOOK_DEADLINES: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(24 * 3600);

const VICTIMS: [(&str, Victims); 6] = [
    ("oldest", Victims::Oldest),
    ("newest", Victims::Newest),
    ("zone-balanced", Victims::ZoneBalanced),
    ("oldest-template", Victims::OldestTemplate),
    ("least-busy", Victims::LeastBusy),
    ("idle", Victims::Idle),
];

/// The life of a fleet's instances, as the stages need it that use it.
pub(super) struct Life {
    pub(super) lifecycle: Lifecycle,
    pub(super) checks: Vec<CheckSpec>,
    pub(super) busy: Option<UpSpec>,
    pub(super) hooks: Vec<HookTarget>,
    pub(super) renders: Vec<RenderSpec>,
}

/// Reads everything of `table` that is about the life of instances.
pub(super) fn read(fleet: &str, table: &Table<'_>) -> Life {
    let checks = table.list("health", check);
    let unhealthy = table.or("unhealthy", Unhealthy::Replace, |value| {
        value.one_of(&[("replace", Unhealthy::Replace), ("nothing", Unhealthy::Nothing)])
    });
    if table.has("unhealthy") && !table.has("health") && !table.has("balancer") {
        table.problem_at(
            "unhealthy",
            "`unhealthy` needs to know which instances are healthy".to_owned(),
            format!("add a check, such as [{}] with kind = \"http\"", table.header("health")),
        );
    }
    let wait = if table.has("balancer") { BALANCER_DRAIN.wait } else { Span::secs(0) };
    let drain = table.table("drain", |table| drain(table, wait));
    let balancers = table.list("balancer", balancer);
    for (n, one) in balancers.iter().enumerate() {
        if balancers[..n].iter().any(|other| other.group == one.group) {
            table.problem(
                format!("two balancers of {table} are the same group: {}", one.group),
                "remove one of them",
            );
        }
    }
    // What a load balancer sends to must leave without a lost request, whatever was not written.
    let drain = drain.or((!balancers.is_empty()).then_some(BALANCER_DRAIN));
    let busy = table.table("busy", |table| {
        let idle_below = table.or("idle_below", IDLE_BELOW, number(0.0..=1e12));
        Some((signal::up(fleet, table)?, idle_below))
    });
    let victims = table.or("victims", Victims::Oldest, |value| value.one_of(&VICTIMS));
    if matches!(victims, Victims::LeastBusy | Victims::Idle) && !table.has("busy") {
        table.problem_at(
            "victims",
            "`victims` needs to know how much work each instance has".to_owned(),
            format!("add {} with a query such as 'jobs_running'", table.header("busy")),
        );
    }
    let mut taken = BTreeSet::new();
    let (hooks, targets) = table.list("hook", |table| hook(table, &mut taken)).into_iter().unzip();
    let renders = table.list("render", render);
    let lifecycle = Lifecycle {
        has_checks: !checks.is_empty(),
        unhealthy,
        drain,
        has_busy: busy.is_some(),
        idle_below: busy.as_ref().map_or(IDLE_BELOW, |(_, idle_below)| *idle_below),
        victims,
        max_surge: table.optional("max_surge", step("max_surge", 100.0)),
        hooks,
        balancers,
    };
    Life { lifecycle, checks, busy: busy.map(|(spec, _)| spec), hooks: targets, renders }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Http,
    Tcp,
    Command,
}

const KINDS: [(&str, Kind); 3] =
    [("http", Kind::Http), ("tcp", Kind::Tcp), ("command", Kind::Command)];

fn check(table: &Table<'_>) -> Option<CheckSpec> {
    let interval = table.or("interval", INTERVAL, duration(INTERVALS));
    let timeout = table.or("timeout", TIMEOUT, duration(TIMEOUTS));
    let healthy_after = table.or("healthy_after", HEALTHY_AFTER, count(1..=STREAK_MAX));
    let unhealthy_after = table.or("unhealthy_after", UNHEALTHY_AFTER, count(1..=STREAK_MAX));
    let kind = table.variant("kind", None, &KINDS, |kind, table| match kind {
        Kind::Http => http(table).map(CheckKind::Http),
        Kind::Tcp => {
            let port = table.required("port", "8080", count(1..=u32::from(u16::MAX)));
            Some(CheckKind::Tcp { port: u16::try_from(port?).unwrap_or(u16::MAX) })
        }
        Kind::Command => {
            let argv = table.required("command", "[\"/usr/local/bin/check\", \"{ip}\"]", argv);
            Some(CheckKind::Command { argv: argv? })
        }
    })?;
    Some(CheckSpec { kind, interval, timeout, healthy_after, unhealthy_after })
}

/// Headers that are the connection's own. The name of a site may be set, and there is no secret to send.
const CONNECTION: [&str; 4] =
    ["authorization", "connection", "content-length", "transfer-encoding"];

fn http(table: &Table<'_>) -> Option<HttpCheck> {
    let url = table.required("url", "\"http://{ip}:8080/healthz\"", instance_url);
    let status = table.optional("status", status).unwrap_or((200, 299));
    let body = table.optional("body", text).map(str::to_owned);
    let headers = table.optional("headers", |value| headers_but(value, &CONNECTION));
    let headers = headers.unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| (name, value.expose().to_owned()));
    let ca_file = table.optional("ca_file", ca_file);
    Some(HttpCheck { url: url?, status, body, headers: headers.collect(), ca_file })
}

/// A URL with `{ip}` in the place of the host.
fn instance_url(value: &Value<'_>) -> Option<String> {
    let written = word(value)?;
    if !written.contains("{ip}") {
        return value.problem(
            format!("`{}` is the same for every instance", value.key),
            "write {ip} where the instance's private address belongs: \"http://{ip}:8080/healthz\"",
        );
    }
    let tried = written.replace("{ip}", "192.0.2.1").replace("{id}", "i-1");
    match tried.parse::<reqwest::Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(written),
        _ => value.problem(
            format!("`{}` is no http or https URL", value.key),
            "write it as \"http://{ip}:8080/healthz\"",
        ),
    }
}

/// `200`, or `"200-399"`.
fn status(value: &Value<'_>) -> Option<(u16, u16)> {
    let hint = "write a code such as \"200\", or the first and the last, such as \"200-399\"";
    let written = word(value)?;
    let (first, last) = written.split_once('-').unwrap_or((&written, &written));
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|c| (100..=599).contains(c));
    match (code(first), code(last)) {
        (Some(first), Some(last)) if first <= last => Some((first, last)),
        _ => value.problem(format!("`status` cannot be `{}`", shown(&written)), hint),
    }
}

/// A program and its arguments.
fn argv(value: &Value<'_>) -> Option<Vec<String>> {
    program(value, "\"/usr/local/bin/check\", \"{ip}\"")
}

/// A program and its arguments, such as `example`.
pub(super) fn program(value: &Value<'_>, example: &str) -> Option<Vec<String>> {
    let items = value.items(example)?;
    let words: Option<Vec<String>> =
        items.iter().map(|item| text(item).map(str::to_owned)).collect();
    let words = words?;
    match words.first() {
        Some(program) if program.starts_with('/') => Some(words),
        Some(program) => value.problem(
            format!("`{}` begins with `{}`, which is no absolute path", value.key, shown(program)),
            "no shell looks for it: write where it is, such as \"/usr/local/bin/check\"",
        ),
        None => {
            value.problem(format!("`{}` is empty", value.key), "write a program and its arguments")
        }
    }
}

fn drain(table: &Table<'_>, wait: Span) -> Option<Drain> {
    let wait = table.or("wait", wait, duration(DRAIN_TIMES));
    let timeout = table.or("timeout", DRAIN_TIMEOUT.max(wait), duration(DRAIN_TIMES));
    if wait > timeout {
        table.problem_at(
            "wait",
            format!("`wait` = {wait} is longer than `timeout` = {timeout}"),
            "make `timeout` the longest time that a drain may take",
        );
    }
    Some(Drain { wait, timeout })
}

/// 30 s behind a load balancer: requests that are under way when it sends no more are answered by then.
const BALANCER_DRAIN: Drain = Drain { wait: Span::secs(30), timeout: DRAIN_TIMEOUT };
/// The weight with which instances are attached, as the vendor's default.
const WEIGHT: u32 = 100;

const BALANCERS: [(&str, BalancerKind); 3] =
    [("clb", BalancerKind::Clb), ("alb", BalancerKind::Alb), ("nlb", BalancerKind::Nlb)];

fn balancer(table: &Table<'_>) -> Option<Balancer> {
    let weight = table.or("weight", WEIGHT, count(1..=100));
    let group = table.variant("kind", None, &BALANCERS, |kind, table| match kind {
        BalancerKind::Clb => clb(table),
        BalancerKind::Alb | BalancerKind::Nlb => {
            let group = table.required("group", "\"sgp-bp1example\"", |v| vendor_id(v, "sgp-"));
            let listener = table.optional("listener", |v| vendor_id(v, "lsn-"));
            let port = port(table);
            Some(BackendGroup {
                kind,
                balancer: None,
                group: Some(group?),
                listener,
                port: Some(port?),
            })
        }
    })?;
    Some(Balancer { group, weight })
}

/// The default group has its listeners' ports, a vServer group one of its own.
fn clb(table: &Table<'_>) -> Option<BackendGroup> {
    let example = "\"lb-bp1example\"";
    let balancer = table.required("load_balancer", example, |value| vendor_id(value, "lb-"));
    let group = table.optional("group", |value| vendor_id(value, "rsp-"));
    let port = if table.has("group") { Some(port(table)?) } else { None };
    let kind = BalancerKind::Clb;
    Some(BackendGroup { kind, balancer: Some(balancer?), group, listener: None, port })
}

fn port(table: &Table<'_>) -> Option<u16> {
    let port = table.required("port", "8080", count(1..=u32::from(u16::MAX)))?;
    u16::try_from(port).ok()
}

/// An id of the vendor's, which begins with `prefix`.
fn vendor_id(value: &Value<'_>, prefix: &str) -> Option<String> {
    let written = word(value)?;
    let is_plain = written.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if written.starts_with(prefix) && is_plain {
        return Some(written);
    }
    value.problem(
        format!("`{}` cannot be `{}`", value.key, shown(&written)),
        format!("write an id that begins with `{prefix}`"),
    )
}

const POINTS: [(&str, HookPoint); 4] = [
    ("launch", HookPoint::Launch),
    ("ready", HookPoint::Ready),
    ("drain", HookPoint::Drain),
    ("terminate", HookPoint::Terminate),
];

const OUTCOMES: [(&str, HookOutcome); 3] = [
    ("continue", HookOutcome::Continue),
    ("abandon", HookOutcome::Abandon),
    ("retain", HookOutcome::Retain),
];

fn hook(table: &Table<'_>, taken: &mut BTreeSet<String>) -> Option<(Hook, HookTarget)> {
    let on = table.required("on", "\"drain\"", |value| value.one_of(&POINTS));
    let name = table.optional("name", word);
    let timeout = table.or("timeout", HOOK_TIMEOUT, duration(HOOK_TIMEOUTS));
    let deadline = table.or("deadline", HOOK_DEADLINE.max(timeout), duration(HOOK_DEADLINES));
    let otherwise = table.or("otherwise", HookOutcome::Continue, |value| value.one_of(&OUTCOMES));
    let posted = table.optional("url", url::base("https://ops.example.com/fleet"));
    let secret = table.optional("secret_file", secret::from_file);
    let ca_file = table.optional("ca_file", ca_file);
    let argv = table.optional("command", argv);
    table.refuse_secret("secret", "put it into a file: secret_file = \"credential:NAME\"");
    if table.has("url") == table.has("command") {
        table.problem(
            format!("{table} must call one thing"),
            "write `url = \"https://…\"`, or `command = [\"/path/to/program\"]`",
        );
    }
    for key in ["secret_file", "ca_file"] {
        if table.has(key) && table.has("command") {
            table.problem_at(key, format!("`{key}` is for a hook with a `url`"), "remove it");
        }
    }
    let on = on?;
    match (otherwise, on) {
        (HookOutcome::Retain, HookPoint::Launch | HookPoint::Ready)
        | (HookOutcome::Abandon, HookPoint::Ready | HookPoint::Drain | HookPoint::Terminate) => {
            table.problem_at(
                "otherwise",
                format!("a hook on `{on}` cannot end in `{otherwise}`"),
                "abandon is for `launch`, retain for `drain` and `terminate`",
            );
        }
        _ => {}
    }
    let name = name.unwrap_or_else(|| on.to_string());
    if !taken.insert(name.clone()) {
        table.problem(format!("two hooks have the name `{name}`"), "give each a `name` of its own");
    }
    let name = HookName(name);
    let calls = match (posted, argv) {
        (Some(posted), _) => Calls::Http { url: posted.as_str().to_owned(), secret, ca_file },
        (None, argv) => Calls::Command { argv: argv? },
    };
    let hook = Hook { name: name.clone(), on, deadline, otherwise };
    Some((hook, HookTarget { name, calls, timeout, deadline }))
}

/// 30 s: a check of a large nginx takes some.
const RENDER_TIMEOUT: Span = Span::secs(30);

fn render(table: &Table<'_>) -> Option<RenderSpec> {
    let example = "\"/etc/fleetscaler/upstream.conf.j2\"";
    let template = table.required("template", example, secret::path);
    let file = table.required("file", "\"/etc/nginx/conf.d/upstream.conf\"", secret::path);
    let check = table.optional("check", argv);
    let reload = table.optional("reload", argv);
    let timeout = table.or("timeout", RENDER_TIMEOUT, duration(HOOK_TIMEOUTS));
    Some(RenderSpec { template: template?, file: file?, check, reload, timeout })
}
