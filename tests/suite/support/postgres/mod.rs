//! PostgreSQL for the tests: a server of their own, from the programs that Debian's packages install.

mod cluster;
mod daemon;
mod pgbouncer;
mod shared;
mod sql;

pub use cluster::{Cluster, FAST};
pub use shared::{Settings, shared};
pub use sql::DAMAGE;

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

/// A runtime beside those of the tests: a test may have none, and when its data goes, its own is about to end.
static BESIDE: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

/// Does work beside the tests and waits for it, whoever asks.
fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, wait) = std::sync::mpsc::channel();
    BESIDE.spawn(async move { done.send(work.await) });
    wait.recv().expect("what was done beside the test has failed")
}
