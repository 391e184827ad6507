//! The one source of randomness, which is the operating system's.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::UserId;

/// Fills `bytes` from the operating system.
///
/// # Panics
/// If the operating system cannot give random bytes. Nothing safe can be done without them.
#[expect(clippy::disallowed_methods, reason = "this is the door to randomness")]
#[expect(clippy::expect_used, reason = "no token, id or salt may ever be made of anything but random bytes")]
pub(super) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// A UUIDv7 for something that came to be at `now`. (`Uuid::now_v7` would read a clock of its own.)
pub fn new_uuid(now: Timestamp) -> Uuid {
    let mut bytes = [0; 10];
    fill(&mut bytes);
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// A new person's id, which tells nothing about when they joined.
pub fn new_user_id() -> UserId {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    UserId::new(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// A new key of 32 bytes.
pub fn new_key() -> [u8; 32] {
    let mut key = [0; 32];
    fill(&mut key);
    key
}

/// A number from 0 (included) to 1 (not), for jitter.
pub fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
