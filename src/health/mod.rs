//! Health checks: asking the instances themselves whether they can serve.
//!
//! Probes run beside the ticks, with a bound, and keep the newest verdict of each instance; a tick reads
//! verdicts and never waits for a probe. What follows from a verdict is decided elsewhere
//! (`inventory/fitness.rs`, `model/phase.rs`).

mod probe;
mod prober;
mod streak;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use cloud::InstanceId;

use crate::model::Span;

pub(crate) use prober::at_once;
pub use prober::{HealthError, Prober};

/// One health check of a fleet, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    pub kind: CheckKind,
    /// From one probe of an instance to the next.
    pub interval: Span,
    /// Of one probe.
    pub timeout: Span,
    /// So many good probes in a row make an instance healthy.
    pub healthy_after: u32,
    /// So many bad ones make it unhealthy.
    pub unhealthy_after: u32,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    Http(HttpCheck),
    /// A connection to this port is enough.
    Tcp {
        port: u16,
    },
    /// A program on this host, without a shell; exit code 0 is good.
    Command {
        argv: Vec<String>,
    },
}

/// An HTTP request to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// With `{ip}` and `{id}` of the instance.
    pub url: String,
    /// The good status codes, first and last.
    pub status: (u16, u16),
    /// A text that the first 64 KiB of the body must hold.
    pub body: Option<String>,
    /// By name.
    pub headers: Vec<(String, String)>,
    /// A PEM file of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// An instance that is to be probed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub id: InstanceId,
    pub address: std::net::IpAddr,
}

impl Target {
    /// `text` with `{ip}` and `{id}` filled in. An address of version 6 is in brackets where `in_url`.
    fn fill(&self, text: &str, in_url: bool) -> String {
        let ip = match self.address {
            std::net::IpAddr::V6(ip) if in_url => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        text.replace("{ip}", &ip).replace("{id}", &self.id.0)
    }
}
