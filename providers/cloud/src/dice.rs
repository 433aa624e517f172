//! The randomness of calls: nonces and the spread of waits.
//!
//! Below the daemon it is drawn in one place only, so that a simulation can throw the same dice
//! twice. Nothing that must be unguessable comes from here: keys and tokens of the provider do not.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Draws numbers.
pub trait Dice: Debug + Send + Sync {
    /// Any number is as likely as any other.
    fn draw(&self) -> u64;

    /// Uniform in `0.0..1.0`.
    fn jitter(&self) -> f64 {
        // 32 bits are plenty for a wait, and a float holds them exactly.
        let bits = u32::try_from(self.draw() >> 32).expect("32 bits are left");
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// A random UUID (version 4).
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.draw().to_be_bytes());
        bytes[8..].copy_from_slice(&self.draw().to_be_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDice;

impl Dice for OsDice {
    fn draw(&self) -> u64 {
        #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
        rand::random()
    }
}

/// The same numbers in the same order for the same seed, for simulations and tests.
#[derive(Debug)]
pub struct SeededDice {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededDice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SeededDice { seed, drawn: AtomicU64::new(0) }
    }
}

impl Dice for SeededDice {
    fn draw(&self) -> u64 {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(n.to_be_bytes())
            .finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_throw_equal_dice_and_others_do_not() {
        let throw = |seed| {
            let dice = SeededDice::new(seed);
            (dice.draw(), dice.uuid(), dice.jitter())
        };
        assert_eq!(throw(1), throw(1));
        assert_ne!(throw(1).1, throw(2).1);
        assert_eq!(throw(1).1.get_version_num(), 4);
    }

    #[test]
    fn jitter_is_spread_between_nothing_and_one() {
        let dice = SeededDice::new(7);
        let drawn: Vec<f64> = (0..1_000).map(|_| dice.jitter()).collect();
        assert!(drawn.iter().all(|jitter| (0.0..1.0).contains(jitter)));
        let mean = drawn.iter().sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
