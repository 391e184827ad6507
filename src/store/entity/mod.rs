//! The tables. Private to the store: what leaves it are the types of `model`.
//!
//! Moments are microseconds since the epoch, in BIGINT. Hashes are the 32 bytes of a SHA-256.

pub mod audit_event;
pub mod invitation;
pub mod invitation_token;
pub mod known_device;
pub mod membership;
pub mod outbox;
pub mod password_reset;
pub mod request_record;
pub mod secret;
pub mod service_key;
pub mod session;
pub mod throttle;
pub mod user;
pub mod workspace;
