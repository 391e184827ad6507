//! Several replicas on one PostgreSQL, which is a server of the test's own whatever the run is on.

mod last_owner;
mod outbox;
mod revocation;
mod server;
mod starting;
mod sweeping;

pub use server::{Server, number_from};
