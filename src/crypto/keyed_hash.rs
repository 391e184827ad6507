//! HMAC-SHA-256: hashes that tell nothing without the key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Error, Result};

/// The HMAC of `parts` under `key`. Lengths go in too, so that neighbours cannot run together.
pub fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| Error::internal(e.to_string()))?;
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().into())
}
