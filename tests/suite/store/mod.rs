//! The store alone, each case on a fresh database of the kind that the run is on.

mod access;
mod outbox;
mod plans;
mod requests;
mod scene;
mod schema;
mod statements;
mod throttle;
mod writes;

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
