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
    "--password-hash-memory",
    "64",
    "--password-hash-iterations",
    "1",
    "--database-acquire-timeout",
    "500ms",
    "--database-statement-timeout",
    "500ms",
    "--database-lock-timeout",
    "300ms",
    "--database-idle-transaction-timeout",
    "1s",
    "--max-call-time",
    "4s",
];
