//! Requests as they go over the wire, and the answers to them.

mod answers;
mod attempts;
mod common;
mod parameters;
mod script;
