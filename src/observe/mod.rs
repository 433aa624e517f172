//! What the daemon tells the world about itself: its log.

mod logs;

pub use logs::{LogFormat, init};
