//! The map: modules in the order in which data flows.

pub mod config;
pub mod model;
pub mod signals;
