//! The store alone, each case on a fresh database of each kind.

mod outbox;
mod plans;
mod requests;
mod scene;
mod schema;
mod statements;
mod writes;

use std::time::Duration;

use scene::{Fresh, Scene};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The kinds of database.
const DATABASES: [fn() -> Fresh; 1] = [Fresh::sqlite];

/// Runs a case on a database of each kind, with the schema in it.
async fn on_each_database(case: impl AsyncFn(Scene)) {
    for fresh in DATABASES {
        case(Scene::on(fresh()).await).await;
    }
}
