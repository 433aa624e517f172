//! The map: modules in the order in which data flows.

mod inventory;
pub mod model;
pub mod plan;
pub mod policy;
pub mod signals;
