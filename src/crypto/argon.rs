//! argon2id with memory that is used again.
//!
//! A hash needs 19 MiB and more. Fetching that from the system and handing it back costs a good part of the hash itself,
//! so as many buffers are kept as ever ran at once, which is bounded by the pool's permits.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::random::fill;
use crate::error::{Error, Result};
use crate::model::PasswordHash;

/// A stored hash is obeyed up to these costs. It was written by us, but whoever can write the database must not be able
/// to have us spend all memory on one sign-in.
const MAX_STORED_MEMORY_KIB: u32 = 256 * 1_024;
const MAX_STORED_ITERATIONS: u32 = 16;
const MAX_STORED_LANES: u32 = 16;

/// Makes and checks hashes, one at a time for each caller.
#[derive(Clone)]
pub(super) struct Hasher {
    params: Params,
    buffers: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl Hasher {
    pub(super) fn new(params: Params) -> Self {
        Self { params, buffers: Arc::default() }
    }

    /// A new hash of `password`, with a salt of its own and the costs in force.
    pub(super) fn hash(&self, password: &str) -> Result<PasswordHash> {
        let mut salt = [0; argon2::RECOMMENDED_SALT_LEN];
        fill(&mut salt);
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        self.derive(&self.params, password, &salt, &mut output)?;
        self.phc(&salt, &output)
    }

    /// A hash with the costs in force that no password has.
    pub(super) fn hash_of_nothing(&self) -> Result<PasswordHash> {
        let mut salt = [0; argon2::RECOMMENDED_SALT_LEN];
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        fill(&mut salt);
        fill(&mut output);
        self.phc(&salt, &output)
    }

    /// Whether `password` is the one that `stored` was made of.
    ///
    /// # Errors
    /// If `stored` is no argon2id hash, or asks for more than the permitted cost.
    pub(super) fn matches(&self, password: &str, stored: &PasswordHash) -> Result<bool> {
        let stored = phc::PasswordHash::new(stored.as_str()).map_err(said)?;
        let ours = stored.algorithm == Algorithm::Argon2id.ident() && stored.version == Some(Version::V0x13.into());
        let (Some(salt), Some(expected), true) = (stored.salt, stored.hash, ours) else {
            return Err(Error::internal("a stored password hash is not one of ours"));
        };
        let params = Params::try_from(&stored).map_err(said)?;
        require_bounded(&params)?;
        let mut output = [0; phc::Output::MAX_LENGTH];
        let output = output.get_mut(..expected.len()).ok_or_else(|| said("a stored password hash is too long"))?;
        self.derive(&params, password, &salt, output)?;
        // `Output` compares in constant time.
        Ok(phc::Output::new(output).map_err(said)? == expected)
    }

    /// Whether a stored hash was made with a lower cost than the ones in force. A dearer one stays.
    pub(super) fn is_outdated(&self, stored: &PasswordHash) -> bool {
        let params = phc::PasswordHash::new(stored.as_str()).ok().and_then(|hash| Params::try_from(&hash).ok());
        params.is_none_or(|params| params.m_cost() < self.params.m_cost() || params.t_cost() < self.params.t_cost())
    }

    fn derive(&self, params: &Params, password: &str, salt: &[u8], output: &mut [u8]) -> Result<()> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut memory = self.take_buffer();
        memory.resize(params.block_count(), Block::default());
        let derived = argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory.as_mut_slice());
        // One that a dearer stored hash has grown is not kept.
        if params.block_count() <= self.params.block_count() {
            self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
        derived.map_err(said)
    }

    fn take_buffer(&self) -> Vec<Block> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn phc(&self, salt: &[u8], output: &[u8]) -> Result<PasswordHash> {
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&self.params).try_into().map_err(|e: argon2::password_hash::Error| said(e))?,
            salt: Some(phc::Salt::new(salt).map_err(said)?),
            hash: Some(phc::Output::new(output).map_err(said)?),
        };
        Ok(PasswordHash::from_stored(hash.to_string()))
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hasher({:?})", self.params)
    }
}

fn require_bounded(params: &Params) -> Result<()> {
    let bounded = params.m_cost() <= MAX_STORED_MEMORY_KIB
        && params.t_cost() <= MAX_STORED_ITERATIONS
        && params.p_cost() <= MAX_STORED_LANES;
    if bounded { Ok(()) } else { Err(said("a stored password hash asks for more than the permitted cost")) }
}

/// A failure of argon2 or of what is stored, which is never the caller's.
fn said(error: impl ToString) -> Error {
    Error::internal(error.to_string())
}
