//! Tokens: 32 random bytes in unpadded base64url behind a prefix that names the kind.
//!
//! Only the SHA-256 of the kind and the random bytes is stored. A plain hash is enough, since what is hashed cannot be
//! guessed; and because the kind is hashed too, a token of one kind never opens what another kind guards.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::random::fill;
use crate::model::TokenKey;

const SECRET_BYTES: usize = 32;
/// 32 bytes in unpadded base64url.
const ENCODED_LENGTH: usize = 43;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    Session,
    Invitation,
    PasswordReset,
    ServiceKey,
    KnownDevice,
}

impl TokenKind {
    /// What tokens of this kind begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            TokenKind::Session => "rcs_",
            TokenKind::Invitation => "rci_",
            TokenKind::PasswordReset => "rcp_",
            TokenKind::ServiceKey => "rck_",
            TokenKind::KnownDevice => "rcd_",
        }
    }

    /// Makes a new token.
    pub fn mint(self) -> MintedToken {
        let mut secret = [0; SECRET_BYTES];
        fill(&mut secret);
        MintedToken {
            text: SecretString::from(format!("{}{}", self.prefix(), URL_SAFE_NO_PAD.encode(secret))),
            hash: self.hash(&secret),
        }
    }

    /// The hash of `token` if it is well formed and of this kind.
    ///
    /// Each token has one spelling: other case, padding, or stray bits in its last character make it malformed.
    pub fn parse(self, token: &str) -> Option<TokenHash> {
        let encoded = token.strip_prefix(self.prefix())?;
        if encoded.len() != ENCODED_LENGTH {
            return None;
        }
        let mut secret = [0; SECRET_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut secret) {
            Ok(SECRET_BYTES) => Some(self.hash(&secret)),
            _ => None,
        }
    }

    fn hash(self, secret: &[u8; SECRET_BYTES]) -> TokenHash {
        let mut hash = Sha256::new();
        hash.update(self.prefix());
        hash.update(secret);
        TokenHash(hash.finalize().into())
    }
}

/// What is stored of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// A hash that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// What the session of this token is found by.
    pub fn key(&self) -> TokenKey {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        TokenKey::from_number(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// A token on its way to whoever it is for. It is not kept anywhere.
#[derive(Debug)]
pub struct MintedToken {
    pub text: SecretString,
    pub hash: TokenHash,
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_token_is_recognised_in_its_one_spelling_only() {
        let token = TokenKind::Session.mint();
        let text = token.text.expose_secret();
        assert_eq!(text.len(), 47);
        assert_eq!(TokenKind::Session.parse(text), Some(token.hash));
        let flipped: String = text
            .chars()
            .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        for wrong in [&text[1..], &text[..46], &format!("{text}="), &format!("{text} "), &flipped, "rcs_", ""] {
            assert_eq!(TokenKind::Session.parse(wrong), None, "a respelt token was taken");
        }
        for last in ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']) {
            let respelt = format!("{}{last}", &text[..46]);
            if respelt != text {
                assert_ne!(TokenKind::Session.parse(&respelt), Some(token.hash));
            }
        }
    }

    #[test]
    fn a_token_of_one_kind_is_nothing_to_another() {
        let token = TokenKind::Invitation.mint();
        let text = token.text.expose_secret();
        assert_eq!(TokenKind::Session.parse(text), None);
        let dressed_up = text.replace("rci_", "rcs_");
        assert_ne!(TokenKind::Session.parse(&dressed_up), Some(token.hash));
    }
}
