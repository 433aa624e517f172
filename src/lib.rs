//! The map.

pub mod model;
pub mod plan;
pub mod policy;
pub mod signals;
