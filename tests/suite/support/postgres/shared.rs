//! The one server that all tests of a process share, each on a database of its own.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rolecall::config::DatabaseConfig;
use rolecall::store::Store;

use super::cluster::{Cluster, FAST, run};
use super::pgbouncer::PgBouncer;
use super::{BESIDE, beside};

/// What the shared server is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What a transaction is that does not say what it wants to be.
    pub serializable: bool,
    /// Whether the service reaches it through PgBouncer.
    pub pooled: bool,
}

pub struct Shared {
    pub cluster: Cluster,
    pooler: Option<PgBouncer>,
    names: AtomicU64,
}

/// A database with the schema in it that is copied and never connected to.
const MIGRATED: &str = "migrated";

static SHARED: LazyLock<Shared> = LazyLock::new(|| Shared::start(crate::support::mode().settings()));

/// The server, started by whoever asks first.
pub fn shared() -> &'static Shared {
    &SHARED
}

impl Shared {
    fn start(settings: Settings) -> Self {
        let mut all = FAST.to_vec();
        if settings.serializable {
            all.push(("default_transaction_isolation", "serializable"));
        }
        let cluster = Cluster::start(&all);
        cluster.create_database(MIGRATED);
        let url = cluster.url(MIGRATED);
        beside(async move {
            let store = Store::open(&DatabaseConfig::at(url)).await.unwrap();
            store.migrate().await.unwrap();
            store.close().await;
        });
        cluster.run("postgres", &format!("ALTER DATABASE {MIGRATED} ALLOW_CONNECTIONS false"));
        let pooler = settings.pooled.then(|| PgBouncer::start(&cluster));
        Self { cluster, pooler, names: AtomicU64::new(0) }
    }

    /// The URL of a database, as the service is given it.
    pub fn url(&self, database: &str) -> String {
        self.pooler.as_ref().map_or_else(|| self.cluster.url(database), |pooler| pooler.url(database))
    }

    /// A new database that nothing was done to.
    pub fn empty(&self) -> String {
        let name = self.name();
        self.cluster.create_database(&name);
        name
    }

    /// A new database with the schema in it.
    pub fn migrated(&self) -> String {
        self.copy(MIGRATED)
    }

    /// A new database with what is in another one, to which nobody is connected any more.
    pub fn copy(&self, template: &str) -> String {
        let name = self.name();
        // Without a disk to wait for, files are copied in half the time that it takes to write them to the log.
        self.cluster
            .run("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template} OWNER rolecall STRATEGY file_copy"));
        name
    }

    /// Ends all connections to a database and takes no more, but from the superuser.
    pub fn close(&self, name: &str) {
        self.cluster.run("postgres", &format!("ALTER DATABASE {name} CONNECTION LIMIT 0"));
        self.disconnect(name);
    }

    pub fn reopen(&self, name: &str) {
        self.cluster.run("postgres", &format!("ALTER DATABASE {name} CONNECTION LIMIT -1"));
    }

    /// What transactions that do not say are to be from now on. Connections to the database end.
    pub fn set_read_only(&self, name: &str, read_only: bool) {
        self.cluster.run("postgres", &format!("ALTER DATABASE {name} SET default_transaction_read_only = {read_only}"));
        self.disconnect(name);
    }

    /// Ends the service's connections to a database.
    fn disconnect(&self, name: &str) {
        let end = format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
             WHERE datname = '{name}' AND usename = 'rolecall'"
        );
        self.cluster.run("postgres", &end);
    }

    /// Drops a database, whoever is connected to it. Nobody waits for it.
    pub fn forget(&self, name: &str) {
        let (url, drop) = (self.cluster.superuser_url("postgres"), format!("DROP DATABASE {name} WITH (FORCE)"));
        BESIDE.spawn(async move { run(&url, &drop).await.unwrap() });
    }

    fn name(&self) -> String {
        format!("t{}", self.names.fetch_add(1, Ordering::SeqCst))
    }
}
