//! `[provider.NAME]`: an account and region of a cloud, and how it is called.

use super::brakes;
use super::problem::shown;
use super::secret::{self, path};
use super::suggest;
use super::table::Table;
use super::url;
use super::value::{Value, duration, flag, number, word};
use super::{AliyunConfig, Credentials, Provider, RateLimits, Signature};
use crate::model::Span;

#[derive(Debug, Clone, Copy)]
enum ProviderKind {
    Aliyun,
}

const KINDS: [(&str, ProviderKind); 1] = [("aliyun", ProviderKind::Aliyun)];

const SIGNATURES: [(&str, Signature); 2] = [("v1", Signature::V1), ("acs3", Signature::Acs3)];

const STRAYS: [(&str, bool); 2] = [("report", false), ("delete", true)];

/// The actions that the daemon calls, and so those that may be limited.
const ACTIONS: [&str; 23] = [
    "RunInstances",
    "DescribeInstances",
    "StartInstances",
    "StopInstances",
    "DeleteInstances",
    "TagResources",
    "DescribeAvailableResource",
    "DescribePrice",
    "DescribeVServerGroupAttribute",
    "DescribeLoadBalancerAttribute",
    "DescribeHealthStatus",
    "AddBackendServers",
    "SetBackendServers",
    "RemoveBackendServers",
    "AddVServerGroupBackendServers",
    "SetVServerGroupAttribute",
    "RemoveVServerGroupBackendServers",
    "ListServerGroupServers",
    "GetListenerHealthStatus",
    "AddServersToServerGroup",
    "UpdateServerGroupServersAttribute",
    "RemoveServersFromServerGroup",
    "DescribeMetricLast",
];

/// Stands for all actions together.
const ACCOUNT: &str = "account";
const LIMITS_ARE: &str = "`account` limits all actions together, the actions are";

/// 10 s: the vendor's own SDK waits this long for a listing.
const READ_TIMEOUT: Span = Span::secs(10);
/// 30 s: launches answer in seconds. A lost answer is looked up afterwards, so waiting longer only
/// delays the tick.
const WRITE_TIMEOUT: Span = Span::secs(30);
/// Below 1 s every call to another region fails; above 5 min a dead connection stops a fleet.
const TIMEOUTS: std::ops::RangeInclusive<Span> = Span::secs(1)..=Span::secs(300);

pub(super) fn read(name: &str, table: &Table<'_>) -> Option<(String, Provider)> {
    let named = KINDS.iter().find(|(kind, _)| *kind == name);
    let default = named.map(|(_, kind)| *kind);
    let provider = table.variant("kind", default, &KINDS, |kind, table| match kind {
        ProviderKind::Aliyun => aliyun(table).map(Provider::Aliyun),
    })?;
    Some((name.to_owned(), provider))
}

fn aliyun(table: &Table<'_>) -> Option<AliyunConfig> {
    let region = table.required("region", "\"cn-hangzhou\"", region);
    let allow_plain_http = table.or("allow_plain_http", false, flag);
    let sts_endpoint = table.optional("sts_endpoint", endpoint(allow_plain_http));
    let endpoint = table.optional("endpoint", endpoint(allow_plain_http));
    let vpc_endpoint = table.or("vpc_endpoint", false, flag);
    if vpc_endpoint && table.has("endpoint") {
        table.problem_at(
            "vpc_endpoint",
            "`vpc_endpoint` and `endpoint` are both set".to_owned(),
            "remove one: an `endpoint` is used as it stands",
        );
    }
    Some(AliyunConfig {
        endpoint,
        sts_endpoint,
        vpc_endpoint,
        allow_plain_http,
        signature: table.or("signature", Signature::V1, |value| value.one_of(&SIGNATURES)),
        read_timeout: table.or("read_timeout", READ_TIMEOUT, duration(TIMEOUTS)),
        write_timeout: table.or("write_timeout", WRITE_TIMEOUT, duration(TIMEOUTS)),
        rate_limits: table.optional("rate_limits", rate_limits).unwrap_or_default(),
        credentials: credentials(table),
        deletes_strays: table.or("strays", false, |value| value.one_of(&STRAYS)),
        brakes: brakes::read(table),
        region: region?,
    })
}

/// A region's id becomes part of a host name.
fn region(value: &Value<'_>) -> Option<String> {
    let region = word(value)?;
    let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !region.chars().all(safe) || !region.contains('-') {
        return value.problem(
            format!("`{}` is no region", shown(&region)),
            "write a region's id, such as \"cn-hangzhou\" (not a zone's)",
        );
    }
    Some(region)
}

/// An endpoint over https; over plain http (where requests can be read, and with them the tokens
/// of temporary credentials) only on this machine, unless it is allowed in so many words.
fn endpoint(allow_plain_http: bool) -> impl Fn(&Value<'_>) -> Option<String> {
    move |value| {
        let url = url::base("https://ecs-cn-hangzhou.aliyuncs.com")(value)?;
        if url.path() != "/" {
            return value.problem(
                format!("`{}` has the path {}", value.key, url.path()),
                "write scheme and host only",
            );
        }
        if url.scheme() == "http" && !cloud::http::is_loopback(&url) && !allow_plain_http {
            return value.problem(
                format!("`{}` is plain http to another machine", value.key),
                "use https, or set allow_plain_http = true if that network may see the requests",
            );
        }
        Some(url::tidy(&url))
    }
}

/// Calls per second, by action and of all together.
fn rate_limits(value: &Value<'_>) -> Option<RateLimits> {
    let mut limits = RateLimits::default();
    for (action, limit) in value.table()? {
        let name = action.get_ref().as_ref();
        if name == ACCOUNT {
            limits.account = rate(&Value::new(value.cx, name, limit));
            continue;
        }
        if !ACTIONS.contains(&name) {
            value.cx.problem(
                action.span().start,
                format!("`{}` is no action that is called", shown(name)),
                suggest::hint(name, ACTIONS, LIMITS_ARE),
            );
            continue;
        }
        let limit = rate(&Value::new(value.cx, name, limit));
        limits.by_action.extend(limit.map(|limit| (name.to_owned(), limit)));
    }
    Some(limits)
}

/// Calls per second, or a figure as the vendor's Quota Center shows it.
fn rate(value: &Value<'_>) -> Option<f64> {
    // From one call in 100 s to far above any quota of the vendor.
    let range = 0.01..=1000.0;
    if !value.is_string() {
        return number(range)(value);
    }
    let text = word(value)?;
    match cloud::limit::Rates::parse_quota(&text) {
        Ok(limit) if range.contains(&limit) => Some(limit),
        Ok(_) => value.problem(
            format!("`{}` is {text}, which is no usable limit", value.key),
            "from one call in 100 s to 1000 calls a second",
        ),
        Err(why) => {
            value.problem(format!("`{}`: {why}", value.key), "copy the figure as it is shown")
        }
    }
}

/// The vendor's default chain, or a pair of files. The files are read again at each refresh, so
/// that a rotated key needs no restart; here they only must be readable.
fn credentials(table: &Table<'_>) -> Credentials {
    for key in ["access_key_id", "access_key_secret", "security_token"] {
        table.refuse_secret(
            key,
            "remove it: the vendor's default chain is used (environment, ~/.aliyun/config.json, RAM \
             role), or set access_key_id_file and access_key_secret_file",
        );
    }
    let readable = |value: &Value<'_>| {
        secret::from_file(value)?;
        path(value)
    };
    let id_file = table.optional("access_key_id_file", readable);
    let secret_file = table.optional("access_key_secret_file", readable);
    if table.has("access_key_id_file") != table.has("access_key_secret_file") {
        table.problem(
            format!("{table} has only one of `access_key_id_file` and `access_key_secret_file`"),
            "set both, or neither for the vendor's default chain",
        );
    }
    match (id_file, secret_file) {
        (Some(id_file), Some(secret_file)) => Credentials::Files { id_file, secret_file },
        _ => Credentials::VendorChain,
    }
}
