//! The load balancers of a fleet: who is in their groups is read beside the ticks, and kept. Nothing is
//! changed here: a tick plans from what was seen last, and tells what it sent.

mod group;
mod watcher;

pub use watcher::{Trouble, Watcher};
