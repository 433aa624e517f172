//! The real binary on a journal of its own, beside an emulator in this process: what an operator
//! types, and what comes back.

mod api;
mod audit;
mod backtest;
mod beside;
mod check;
mod cloudmonitor;
mod demo;
mod docs;
mod dry;
mod harness;
mod hold;
mod hostile_source;
mod http;
mod instruct;
mod journal;
mod middle;
mod neighbour;
mod push;
mod ram_policy;
mod rehearse;
mod reload;
mod scenario;
mod secrets;
mod shadow;
mod shell;
mod sources;
mod state;
mod status;
mod support;
mod tls;
