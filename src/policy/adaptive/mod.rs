//! The adaptive rule: just the headroom that the load calls for.
//!
//! Its signal is load: a total, such as requests per second, of which one instance carries
//! `capacity`. Three layers, each of fixed cost per step:
//!
//! 1. a regression forecasts the highest load of the minute that begins when an instance asked for
//!    now would serve;
//! 2. a second one forecasts by how much the first will be wrong;
//! 3. forty experts, each a headroom and a hold, are charged what they would have cost, and their
//!    mean is the size.
//!
//! There is one knob, the price of a missing instance in idle ones. It never asks for fewer than
//! the load of now needs, and a gap in the signal never makes it ask for fewer.

mod day;
mod experts;
mod opinion;
mod regression;
mod step;
#[cfg(test)]
mod tests;

pub(super) use opinion::{opinion, recall};
