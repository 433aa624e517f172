//! Where a signal comes from, as the configuration gives it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cloud::Secret;

use crate::model::{Reduce, Span};

/// One source of one signal.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceSpec {
    Prometheus(PrometheusSpec),
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
