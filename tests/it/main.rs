//! The daemon's loop against the emulator, over real HTTP: whole sessions as scripts.

mod account;
mod audits;
mod balancers;
mod calls;
mod clocks;
mod cloudmonitor;
mod credence;
mod doubts;
mod faults;
mod fleets;
mod hanging;
mod harness;
mod hostile_cloud;
mod hostile_journal;
mod instructions;
mod ownership;
mod policies;
mod provider;
mod refusals;
mod scenarios;
mod serving;
mod session;
mod shadow;
