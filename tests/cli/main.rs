//! The real binary on a journal of its own, beside an emulator in this process: what an operator
//! types, and what comes back.

mod api;
mod audit;
mod backtest;
mod beside;
mod check;
mod docs;
mod dry;
mod harness;
mod hold;
mod hostile_source;
mod http;
mod journal;
mod middle;
mod neighbour;
mod ram_policy;
mod reload;
mod secrets;
mod state;
mod status;
