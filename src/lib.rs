//! The map: modules in the order in which data flows.

pub mod config;
pub mod journal;
pub mod model;
pub mod plan;
pub mod policy;
pub mod signals;
