//! Secrets: tokens, passwords and where randomness comes from.

mod password;
mod random;
mod token;

pub use password::{PasswordPolicy, Passwords};
pub use random::{new_user_id, new_uuid, random_fraction};
pub use token::{MintedToken, TokenHash, TokenKind};
