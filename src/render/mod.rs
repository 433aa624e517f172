//! Files for others: a template, filled in with the instances that are in service, whenever those change.
//!
//! nginx, HAProxy and their like read a list of servers from a file. It is written beside the old one,
//! checked by a command, put in its place in one step, and told by another command. When any of that
//! fails the old file stays, and the fleet says so. It happens beside the ticks.

mod renderer;
#[cfg(test)]
mod tests;
mod write;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use crate::model::Span;

pub use renderer::Renderer;

/// One file of a fleet, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderSpec {
    /// The template, in the language of Jinja.
    pub template: PathBuf,
    /// The file that is written.
    pub file: PathBuf,
    /// A program that refuses a bad file by its exit code; `{file}` is the new one. No shell.
    pub check: Option<Vec<String>>,
    /// A program that tells whoever reads the file.
    pub reload: Option<Vec<String>>,
    /// Of each of the two.
    pub timeout: Span,
}

/// What a template is filled in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scene {
    pub fleet: String,
    /// Those in service, by address.
    pub instances: Vec<Server>,
    /// Those that are drained, by address: they finish what they have.
    pub draining: Vec<Server>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Server {
    pub ip: IpAddr,
    pub id: String,
    pub zone: String,
    #[serde(rename = "type")]
    pub instance_type: String,
}
