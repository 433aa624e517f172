//! The daemon beside real peers: Prometheus and node_exporter, PostgreSQL, the vendor's own SDKs, systemd.
//!
//! `scripts/test` installs them. A test whose peer is absent fails with the command that installs
//! it; it does not pass silently.

mod disk;
mod nginx;
mod operator;
mod page;
mod postgres;
mod prometheus;
mod proof;
mod replicas;
mod rules;
mod sdk;
mod support;
mod systemd;
