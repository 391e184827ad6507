//! Clients that hang up, processes that are stopped or killed, and processes beside each other.

mod cancellation;
mod crash;
mod guests;
mod load;
mod outbox;
mod processes;
mod scene;
mod shutdown;
