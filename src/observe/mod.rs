//! The daemon's word about itself: its log, its metrics, its health.
//!
//! It reads reports and asks nobody: it tells as much while the cloud or the journal is down.

mod alerts;
mod health;
mod http;
mod instruments;
mod listener;
mod logs;
mod metrics;
mod process;
mod snapshot;
mod socket;
mod tls;
mod watched;

pub use alerts::{Changes, Whose};
pub use health::Health;
pub use http::pages;
pub use instruments::Instruments;
pub use listener::{BindError, Names, Served, serve};
pub use logs::{LogFormat, init};
pub use metrics::names;
pub use socket::{ServedSocket, SocketError, serve_socket};
pub use tls::{Tls, TlsError};
