//! Signals: asking the sources, and telling a number from a gap.

mod spec;

pub use spec::{Access, Auth, PrometheusSpec, SourceSpec};
