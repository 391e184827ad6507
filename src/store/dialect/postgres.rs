//! PostgreSQL: any number of replicas of Rolecall on one primary.
//!
//! - Nothing that serves requests keeps state on a connection, so a pooler may stand in between: see [`super::pooler`].
//! - A stand-by is never read: its answers are from the past.
//! - A connection whose peer has vanished without a word is given up after a second. Without that, queries that were
//!   dropped on such connections keep the pool stuck for good: the driver sets no keep-alive, and its own look at a
//!   connection that comes back has no limit.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Row, raw_sql};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::DatabaseConfig;

use crate::store::access::{Desk, PostgresSource};

use super::primary::Cluster;
use super::{Dialect, OpenError, Opened, driver_text, pooler};

/// The oldest server that Rolecall works with (`server_version_num`).
const MIN_VERSION: i32 = 130_000;
/// How long a connection may take to show that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Whether a connection is outside of transactions: inside of one, time stands still. A connection that comes back in
/// the middle of one would make the next user's changes part of it.
const AT_REST: &str = "SELECT now() = statement_timestamp()";

/// Statements about access at once.
const CLERKS: usize = 2;

/// What is read outside of transactions is one statement each. Under serializable it could be refused for the sake of
/// others, and there is nothing that it would have to be serializable with.
const READ_COMMITTED: &str = "SET default_transaction_isolation = 'read committed';";

/// What is known of the server.
pub(in crate::store) struct Postgres {
    /// Sets the limits of a connection, or of a transaction, by `SET` or `SET LOCAL` in the place of `{}`.
    limits: [String; 3],
    pooled: bool,
    /// How long the beginning of a transaction may take.
    patience: Duration,
    follower: Option<JoinHandle<()>>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

impl Postgres {
    /// Begins a transaction.
    ///
    /// Giving up in the middle is safe: the connection is looked at before anybody else gets it.
    pub(super) async fn begin(&self, writer: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
        let begin = async {
            let txn = writer.begin().await?;
            if self.pooled {
                // What is set on a connection behind a pooler is set for whoever gets it next.
                txn.execute_unprepared(&statements(&self.limits, "SET LOCAL")).await?;
            }
            Ok(txn)
        };
        timeout(self.patience, begin).await.unwrap_or(Err(DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout)))
    }
}

/// Takes the limits off a transaction.
pub(super) async fn unlimit(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    let none = ["statement_timeout = 0", "lock_timeout = 0"].map(str::to_owned);
    txn.execute_unprepared(&statements(&none, "SET LOCAL")).await?;
    Ok(())
}

fn statements(settings: &[String], how: &str) -> String {
    settings.iter().map(|setting| format!("{how} {setting};")).collect()
}

/// Connects to the primary among these hosts.
pub(super) async fn open(urls: &[String], config: &DatabaseConfig) -> Result<Opened, OpenError> {
    let hosts: Vec<PgConnectOptions> = urls.iter().map(|url| options(url)).collect::<Result<_, _>>()?;
    let cluster = Arc::new(Cluster::new(hosts));
    if cluster.has_several() {
        cluster.find(config.database_acquire_timeout).await;
    }
    let options = cluster.primary().cloned().ok_or_else(|| OpenError::new("--database-url: names no host"))?;
    let at =
        |error: &sqlx::Error| OpenError::new(format!("{} cannot be used: {}", place(&options), driver_text(error)));

    let limits = [
        ("statement_timeout", config.database_statement_timeout),
        ("lock_timeout", config.database_lock_timeout),
        ("idle_in_transaction_session_timeout", config.database_idle_transaction_timeout),
    ]
    .map(|(name, limit)| format!("{name} = {}", limit.as_millis()));
    let first = timeout(config.database_acquire_timeout, PgConnection::connect_with(&options));
    let mut first = first.await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|error| at(&error))?;
    let patience = config.database_acquire_timeout + config.database_statement_timeout;
    let look = async {
        require_fit(&mut first).await.map_err(|problem| OpenError::new(format!("{}: {problem}", place(&options))))?;
        pooler::detect(&options).await
    };
    let pooled = timeout(patience, look).await.unwrap_or_else(|_| Err(at(&sqlx::Error::PoolTimedOut)))?;
    let _ = first.close().await;

    let changing = config.database_connections / 2;
    let mut pools = Vec::new();
    for (size, more) in [(changing, ""), (config.database_connections - changing, READ_COMMITTED)] {
        let on_connect = if pooled { String::new() } else { statements(&limits, "SET") + more };
        let pool = pool(size, config, &cluster, &on_connect).connect_with(options.clone()).await;
        pools.push(pool.map_err(|error| at(&error))?);
    }
    let follower = cluster.has_several().then(|| tokio::spawn(Arc::clone(&cluster).follow(pools.clone())));
    let dialect = Dialect::Postgres(Postgres { limits, pooled, patience, follower });
    match <[PgPool; 2]>::try_from(pools) {
        Ok([writer, reader]) => {
            let desk = Desk::new(
                Box::new(PostgresSource { pool: reader.clone(), patience }),
                config.access_statements.unwrap_or(CLERKS),
                config.access_batch,
            );
            Ok(Opened { dialect, writer: writer.into(), reader: reader.into(), desk })
        }
        Err(_) => Err(OpenError::new("two pools were not made")),
    }
}

fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    // What is wrong with it is not repeated: it can hold a password.
    let options =
        PgConnectOptions::from_str(url).map_err(|_| OpenError::new("--database-url: is not a URL of PostgreSQL"))?;
    let named = options.get_application_name().is_some();
    // PgBouncer refuses a client that sets this one.
    let options = options.extra_float_digits(None).statement_cache_capacity(256);
    Ok(if named { options } else { options.application_name("rolecall") })
}

/// Where the server is, for people.
fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("PostgreSQL at {}", socket.display()),
        None => format!("PostgreSQL at {}:{}", options.get_host(), options.get_port()),
    }
}

fn pool(size: u32, config: &DatabaseConfig, cluster: &Arc<Cluster>, on_connect: &str) -> PgPoolOptions {
    let (on_connect, cluster, known) = (Arc::<str>::from(on_connect), Arc::clone(cluster), Arc::clone(cluster));
    let patience = config.database_acquire_timeout;
    PgPoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(config.database_acquire_timeout)
        // Its place is taken by `before_acquire`, which has a limit and leaves out what was just used.
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let (on_connect, cluster) = (Arc::clone(&on_connect), Arc::clone(&cluster));
            Box::pin(async move { within(patience, prepare(connection, &on_connect, &cluster)).await })
        })
        .before_acquire(move |connection, meta| {
            let stale = known.has_moved_since(meta.age, patience);
            Box::pin(async move {
                if stale || meta.idle_for < SIGN_OF_LIFE {
                    return Ok(!stale);
                }
                within(SIGN_OF_LIFE, connection.ping()).await.map(|()| true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                let row = within(SIGN_OF_LIFE, raw_sql(AT_REST).fetch_one(connection)).await?;
                row.try_get(0)
            })
        })
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// Sets a new connection's limits, and refuses it if it leads to a stand-by.
async fn prepare(connection: &mut PgConnection, on_connect: &str, cluster: &Cluster) -> Result<(), sqlx::Error> {
    let sql = format!("{on_connect}SELECT pg_is_in_recovery()");
    let row = raw_sql(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
    if row.try_get(0)? {
        return Err(io::Error::other("the server is a stand-by").into());
    }
    if cluster.has_several() { cluster.require_newest(connection).await } else { Ok(()) }
}

/// Refuses a server that is too old, and a database whose text is not Unicode.
async fn require_fit(connection: &mut PgConnection) -> Result<(), String> {
    let facts = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')";
    let facts = raw_sql(facts).fetch_one(connection).await.map_err(|error| driver_text(&error))?;
    let read = |error: sqlx::Error| driver_text(&error);
    let (version, encoding): (i32, String) = (facts.try_get(0).map_err(read)?, facts.try_get(1).map_err(read)?);
    if version < MIN_VERSION {
        return Err(format!("its version is too old, {} is needed", MIN_VERSION / 10_000));
    }
    if encoding != "UTF8" {
        return Err(format!("the database's encoding is {encoding}, UTF8 is needed"));
    }
    Ok(())
}
