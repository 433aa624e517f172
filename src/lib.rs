//! fleetscaler keeps fleets of cloud servers at the right size.
//!
//! The map: modules in the order in which data flows. `control` is the page to read first.

#[macro_use]
mod failpoint;

pub mod model;

pub mod config;
mod programs;
pub mod signals;

pub mod inventory;

pub mod health;

pub mod balancers;

pub mod hooks;

pub mod render;

pub mod policy;

pub mod backtest;

pub mod plan;

pub mod execute;

pub mod journal;

pub mod control;

pub mod rehearse;

pub mod notify;

mod page;

pub mod observe;

pub mod api;

pub mod demo;

pub mod cli;
