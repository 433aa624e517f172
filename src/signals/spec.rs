//! Where a signal comes from, as the configuration gives it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cloud::{MetricQuery, Secret};

use super::Pointer;
use crate::model::{Reduce, Span};

/// One source of one signal.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceSpec {
    Prometheus(PrometheusSpec),
    CloudMonitor(MonitorSpec),
    HttpJson(JsonSpec),
    Command(CommandSpec),
    Push(PushSpec),
}

/// A metric of the provider's own monitoring, over the instances in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorSpec {
    pub query: MetricQuery,
    /// How the instances' points become one number.
    pub reduce: Reduce,
    /// Data older than this is a gap.
    pub max_age: Span,
    /// The provider is asked anew no sooner than so long after the last time.
    pub ask_every: Span,
    pub timeout: Span,
}

/// A number in a JSON document that a server gives out.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonSpec {
    /// The document's own URL.
    pub url: String,
    /// Where the number stands.
    pub pointer: Pointer,
    /// Where the time stands at which it was true; without it, that is the moment of asking.
    pub time_pointer: Option<Pointer>,
    /// Data older than this is a gap.
    pub max_age: Span,
    pub timeout: Span,
    pub access: ServerAccess,
}

/// A number that a program prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// The program, by its absolute path, and its arguments.
    pub argv: Vec<String>,
    /// The names of the fleet and the signal, for its environment.
    pub fleet: String,
    pub signal: String,
    /// Data older than this is a gap.
    pub max_age: Span,
    /// It is ended when it runs for longer.
    pub timeout: Span,
}

/// A number that somebody sends to the API.
#[derive(Debug, Clone, PartialEq)]
pub struct PushSpec {
    /// Data older than this is a gap.
    pub max_age: Span,
    /// Who has it may send this number, and nothing else.
    pub token: Option<Secret>,
}

/// An instant query to a Prometheus-compatible server.
#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusSpec {
    /// The server's base, such as `http://127.0.0.1:9090`; a path prefix is kept.
    pub url: String,
    pub query: String,
    /// A query whose value is the Unix time, in seconds, of the data under `query`; without it the
    /// age is measured on the selectors of `query`.
    pub freshness: Option<String>,
    /// Picks this fleet's series by label: one query serves many fleets. Empty: the whole answer is
    /// this fleet's.
    pub series: BTreeMap<String, String>,
    /// How several series become one; without it several series are a gap.
    pub reduce: Option<Reduce>,
    /// Data older than this is a gap.
    pub max_age: Span,
    /// Whether it is asked how many instances report the data.
    pub asks_coverage: bool,
    pub timeout: Span,
    pub access: ServerAccess,
}

/// An instant query whose series say which instances are up, of a Prometheus-compatible server.
#[derive(Debug, Clone, PartialEq)]
pub struct UpSpec {
    /// The server's base.
    pub url: String,
    /// Its series have the value 1 for what is up.
    pub query: String,
    /// The label that names the instance: its address or id, with or without a port.
    pub label: String,
    pub timeout: Span,
    pub access: ServerAccess,
}

/// How the server is reached.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerAccess {
    pub auth: Option<Auth>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Sent with every request; values may be secret (tenant ids often are).
    pub headers: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    Basic { username: String, password: Secret },
    Bearer { token: Secret },
}
