//! One test binary: it links once. A test's name is the sentence that it proves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    reason = "a test fails by panicking, its helpers too, and nobody minds the size of a refusal in one"
)]

mod access_matrix;
mod checks;
mod cli;
mod command_line;
mod databases;
mod faults;
mod flows;
mod fuzz;
mod histories;
mod hostile;
mod layering;
mod metadata;
mod model;
mod outages;
mod passwords;
mod postgres;
mod quotas;
mod races;
mod readme;
mod reasons;
mod replicas;
mod store;
mod support;
mod throttle;
mod transport;
