//! What people and services do with Rolecall, as sentences.

mod accepting;
mod access;
mod audit;
mod black_box;
mod delivery;
mod health;
mod invitations;
mod membership;
mod paging;
mod people;
mod reauthentication;
mod refusals;
mod requests;
mod roles;
mod service_keys;
mod session_ends;
mod sessions;
mod sweeping;

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A UUID that nothing has.
const NOBODY: &str = "7d4a2f60-8c1b-4e0a-9d3f-2b6c5e8f1a90";
