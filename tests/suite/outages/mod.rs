//! What happens when something breaks while work goes on: nothing that was acknowledged is lost, nothing half done is
//! seen, nobody is allowed anything meanwhile, and service resumes by itself.
//!
//! Each prints how long it took until the service took changes again.

mod cancellation;
mod commit;
mod disk;
mod failover;
mod poolers;
mod postgres;
mod probe;
mod proxy;
mod vanished;

/// Limits that let an outage be short.
const SHORT: &[&str] = &[
    "--database-acquire-timeout",
    "1s",
    "--database-statement-timeout",
    "3s",
    "--database-lock-timeout",
    "1s",
    "--database-idle-transaction-timeout",
    "3s",
    "--max-call-time",
    "5s",
];
