//! The daemon's loop against the emulator, over real HTTP: whole sessions as scripts.

mod faults;
mod harness;
mod provider;
mod session;
