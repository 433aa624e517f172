//! What goes over the wire, and what comes back.

mod answers;
mod common;
mod parameters;
