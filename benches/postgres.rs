//! The tests' own PostgreSQL, for benchmarks.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these files belong to the tests, which use all of them and fail by panicking"
)]

#[path = "../tests/suite/support/postgres/cluster.rs"]
pub mod cluster;
#[path = "../tests/suite/support/postgres/daemon.rs"]
mod daemon;
#[path = "../tests/suite/support/postgres/sql.rs"]
mod sql;

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

static BESIDE: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, wait) = std::sync::mpsc::channel();
    BESIDE.spawn(async move { done.send(work.await) });
    wait.recv().expect("what was done beside has failed")
}
