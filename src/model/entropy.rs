//! Randomness as a value: drawn once per tick outside, used here as often as needed.

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use uuid::Uuid;

/// The randomness of one tick. Equal seeds give equal ids, so a recorded decision can be repeated
/// to the bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entropy(pub Uuid);

impl Entropy {
    /// The `n`th id of this tick: a version 4 UUID whose bits are hashed from seed and `n`.
    #[must_use]
    pub fn uuid(self, n: u32) -> Uuid {
        let hash =
            Sha1::new().chain_update(self.0.as_bytes()).chain_update(n.to_be_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}
