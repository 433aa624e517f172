//! The emulator as its callers meet it: over HTTP, with a signer of these files' own.

mod api;
mod common;
mod faults;
mod monitor;
mod zones;
