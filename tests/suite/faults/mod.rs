//! Clients that hang up, processes that are stopped or killed, and processes beside each other.

mod cancellation;
mod crash;
mod guests;
pub mod load;
mod outbox;
mod processes;
pub mod scene;
mod shutdown;
