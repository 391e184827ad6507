//! Secrets: tokens, passwords and where randomness comes from.

mod argon;
mod keyed_hash;
mod password;
mod pool;
mod random;
mod token;

pub use keyed_hash::keyed_hash;
pub use password::{PasswordPolicy, Passwords};
pub use random::{new_key, new_user_id, new_uuid, random_fraction};
pub use token::{MintedToken, TokenHash, TokenKind};
