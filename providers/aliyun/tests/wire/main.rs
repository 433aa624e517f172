//! What goes over the wire, and what comes back.

mod answers;
mod attempts;
mod common;
mod parameters;
mod script;
