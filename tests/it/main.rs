//! The daemon's loop against the emulator, over real HTTP: whole sessions as scripts.

mod account;
mod audits;
mod calls;
mod clocks;
mod credence;
mod doubts;
mod embedded;
mod faults;
mod fleets;
mod hanging;
mod harness;
mod hostile_cloud;
mod hostile_journal;
mod ownership;
mod provider;
mod refusals;
mod scenarios;
mod serving;
mod session;
